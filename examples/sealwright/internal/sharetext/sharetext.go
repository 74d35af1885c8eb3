// Package sharetext finds shares in text. It makes no copy that its caller cannot
// wipe.
package sharetext

import (
	"bytes"
	"unsafe"

	"github.com/sealwright/sealwright/seal"
)

// Len is the length of a share's text.
const Len = 89

// Parse reads a share. The text is seen as a string for as long as that takes,
// since a true string could not be wiped.
func Parse(text []byte) (seal.Share, error) {
	if len(text) == 0 {
		return seal.ParseShare("")
	}
	return seal.ParseShare(unsafe.String(&text[0], len(text)))
}

// Split returns copies of what is, or begins as, a share in what tools print: one
// after the other with or without line ends between them, in groups as on a card,
// beside lines of gpg's. What begins as a share and is none is returned too, to be
// told. The text and the copies are the caller's to wipe.
func Split(text []byte) (out [][]byte) {
	var open []byte // one that goes on
	end := func() {
		if len(open) > 0 {
			out = append(out, open)
		}
		open = nil
	}
	for word := range bytes.FieldsSeq(text) {
		for len(word) > 0 {
			begin := Index(word)
			if begin < 0 {
				begin = len(word)
			}
			before := word[:begin]
			switch {
			case len(before) == 0:
			case open != nil && len(open) < Len && bech32(before):
				open = append(open, before[:min(len(before), cap(open)-len(open))]...) // it never moves
			case open == nil && bare(before):
				out = append(out, bytes.Clone(before))
			default:
				end() // a word of a tool's
				if bare(before) {
					out = append(out, bytes.Clone(before))
				}
			}
			if word = word[begin:]; len(word) == 0 {
				break
			}
			end()
			next := Index(word[3:])
			if next < 0 {
				next = len(word) - 3
			}
			next += 3
			if next > Len && whole(word[:Len]) {
				next = Len // a tool's word follows at once
			}
			open = append(make([]byte, 0, 2*Len), word[:min(next, 2*Len)]...)
			word = word[next:]
		}
	}
	end()
	return out
}

// Index is where a share's text begins in a word, -1 for nowhere. What a
// ciphertext begins with, "sw1.", is none.
func Index(word []byte) int {
	for i := 0; i+3 <= len(word); i++ {
		if word[i]|0x20 == 's' && word[i+1]|0x20 == 'w' && word[i+2] == '1' && !(i+3 < len(word) && word[i+3] == '.') {
			return i
		}
	}
	return -1
}

func bech32(word []byte) bool {
	for _, c := range word {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if bytes.IndexByte([]byte("qpzry9x8gf2tvdw0s3jn54khce6mua7l"), c) < 0 {
			return false
		}
	}
	return true
}

// bare reports whether a word is a bare share of Vault's.
func bare(word []byte) bool {
	return (len(word) == 44 || len(word) == 66) && whole(word)
}

// whole reports whether a text is a share.
func whole(word []byte) bool {
	s, err := Parse(word)
	s.Wipe()
	return err == nil
}

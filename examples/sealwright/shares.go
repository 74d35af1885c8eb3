package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"github.com/sealwright/sealwright/seal"
)

// maxShares bounds what is read of a file or a pipe: 255 shares, and a tool's noise.
const maxShares = 256 << 10

var (
	errNoShare   = errors.New("no share is in it")
	errEncrypted = errors.New("it is encrypted still")
)

// A given is a share and where it came from, or what is wrong with it.
type given struct {
	share seal.Share
	from  string
	err   error
	used  bool   // it counted for something in this run
	why   string // why it did not count
}

// readShares reads the shares in a file, or in standard input for "-".
func (a *app) readShares(path string) ([]given, error) {
	var in io.Reader = a.in
	name := path
	if path == "-" {
		name = "standard input"
		if err := a.takeInput("shares"); err != nil {
			return nil, err
		}
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("--shares: %w", err)
		}
		defer f.Close()
		in = f
	}
	buf := make([]byte, maxShares+1)
	defer clear(buf)
	n, err := io.ReadFull(in, buf)
	switch {
	case err == nil:
		return nil, fmt.Errorf("%s: more than %d bytes are too many for shares", name, maxShares)
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return splitShares(buf[:n], name)
}

// takeInput says what standard input is used for, which can be one thing.
func (a *app) takeInput(what string) error {
	if a.inputIs != "" && a.inputIs != what {
		return fmt.Errorf("standard input is the %s already: give the %s as a file", a.inputIs, what)
	}
	a.inputIs = what
	return nil
}

// splitShares finds the shares in what tools print: one after the other with or
// without line ends between them, in groups as on a card, beside lines of gpg's. It
// wipes text. What begins as a share and is none is told, and never passed by.
func splitShares(text []byte, name string) ([]given, error) {
	for mark, tool := range map[string]string{
		"-----BEGIN AGE ENCRYPTED FILE-----": "age -d -i KEY FILE", "age-encryption.org/v1\n": "age -d -i KEY FILE",
		"-----BEGIN PGP MESSAGE-----": "gpg -d FILE",
	} {
		if bytes.Contains(text, []byte(mark)) {
			return nil, fmt.Errorf("%s: %w: %s | sealwright … --shares -", name, errEncrypted, tool)
		}
	}
	var out []given
	for _, found := range shareTexts(text) {
		s, err := parseShare(found)
		clear(found)
		out = append(out, given{share: s, from: name, err: err})
	}
	if out == nil && len(bytes.TrimSpace(text)) > 0 {
		return nil, fmt.Errorf("%s: %w: %d bytes, and nothing that begins with sw1. Did the tool before the pipe fail?", name, errNoShare, len(text))
	}
	return out, nil
}

const shareTextLen = 89

// parseShare reads a share. The text is seen as a string for as long as that takes,
// since a true string could not be wiped.
func parseShare(text []byte) (seal.Share, error) {
	if len(text) == 0 {
		return seal.ParseShare("")
	}
	return seal.ParseShare(unsafe.String(&text[0], len(text)))
}

// shareTexts returns copies of what is, or begins as, a share.
func shareTexts(text []byte) (out [][]byte) {
	var open []byte // one that goes on
	end := func() {
		if len(open) > 0 {
			out = append(out, open)
		}
		open = nil
	}
	for word := range bytes.FieldsSeq(text) {
		for len(word) > 0 {
			begin := indexShare(word)
			if begin < 0 {
				begin = len(word)
			}
			before := word[:begin]
			switch {
			case len(before) == 0:
			case open != nil && len(open) < shareTextLen && bech32(before):
				open = append(open, before...)
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
			next := indexShare(word[3:])
			if next < 0 {
				next = len(word) - 3
			}
			next += 3
			if next > shareTextLen && whole(word[:shareTextLen]) {
				next = shareTextLen // a tool's word follows at once
			}
			open = append(make([]byte, 0, 2*shareTextLen), word[:min(next, 2*shareTextLen)]...)
			word = word[next:]
		}
	}
	end()
	return out
}

// indexShare is where a share's text begins in a word, -1 for nowhere. What a
// ciphertext begins with, "sw1.", is none.
func indexShare(word []byte) int {
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
	s, err := parseShare(word)
	s.Wipe()
	return err == nil
}

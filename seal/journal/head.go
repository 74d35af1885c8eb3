package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Head names a line, and with it every line before. Kept where whoever can
// write to the journal can't, it lets [Verify] notice what else nothing can: that
// lines at the end were cut off, or all of it was written anew. It is not secret.
type Head struct {
	Chain string // of which journal, a random name; "" is that of no line
	Seq   uint64 // of which line, counted from 1
	Hash  [sha256.Size]byte
}

const (
	headMagic = "sealwright head 1"
	chainSize = 26 // characters of base32, of rand.Text
)

// ErrHead is returned by [ParseHead].
var ErrHead = errors.New("this is no head of a journal: it is one line, \"" + headMagic + "\", a name of 26 characters, a number and 64 hex digits")

// String returns the head as one line of text, which [ParseHead] reads.
func (h Head) String() string { return fmt.Sprintf("%s %s %d %x", headMagic, h.Chain, h.Seq, h.Hash) }

// ParseHead reads what [Head.String] writes, with or without an end of line. The
// error is [ErrHead].
func ParseHead(text string) (Head, error) {
	text = strings.TrimSpace(text)
	fields := strings.Split(text, " ")
	if len(fields) != 6 || !isChain(fields[3]) || !isHash(fields[5]) {
		return Head{}, ErrHead
	}
	h := Head{Chain: fields[3]}
	var err error
	if h.Seq, err = strconv.ParseUint(fields[4], 10, 64); err != nil || h.Seq == 0 {
		return Head{}, ErrHead
	}
	hex.Decode(h.Hash[:], []byte(fields[5]))
	if h.String() != text {
		return Head{}, ErrHead
	}
	return h, nil
}

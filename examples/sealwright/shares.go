package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sealwright/sealwright/examples/sealwright/internal/sharetext"
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

// opener is what opens a text that is encrypted; "" for one that is not.
func opener(text []byte) string {
	for mark, tool := range map[string]string{
		"-----BEGIN AGE ENCRYPTED FILE-----": "age -d -i KEY FILE", "age-encryption.org/v1\n": "age -d -i KEY FILE",
		"-----BEGIN PGP MESSAGE-----": "gpg -d FILE, or sq decrypt --recipient-key KEY FILE",
	} {
		if bytes.Contains(text, []byte(mark)) {
			return tool
		}
	}
	if len(text) > 0 && bytes.IndexByte([]byte{0x84, 0x85, 0xc1}, text[0]) >= 0 { // a packet with a key encrypted to somebody's
		return "gpg -d FILE, or sq decrypt --recipient-key KEY FILE"
	}
	return ""
}

// openerIn is what opens a message in base64, as the operator API hands it out. It
// wipes what it makes of the text.
func openerIn(text []byte) string {
	joined := bytes.Join(bytes.Fields(text), nil)
	defer clear(joined)
	plain := make([]byte, base64.StdEncoding.DecodedLen(len(joined)))
	defer clear(plain)
	n, err := base64.StdEncoding.Decode(plain, joined)
	if tool := opener(plain[:n]); err == nil && tool != "" {
		return "base64 -d FILE, and of that " + tool
	}
	return ""
}

// splitShares finds the shares in what tools print: one after the other with or
// without line ends between them, in groups as on a card, beside lines of gpg's. It
// wipes text. What begins as a share and is none is told, and never passed by.
func splitShares(text []byte, name string) ([]given, error) {
	if tool := opener(text); tool != "" {
		return nil, fmt.Errorf("%s: %w: %s | sealwright … --shares -", name, errEncrypted, tool)
	}
	var out []given
	for _, found := range sharetext.Split(text) {
		s, err := sharetext.Parse(found)
		clear(found)
		out = append(out, given{share: s, from: name, err: err})
	}
	if out == nil && len(bytes.TrimSpace(text)) > 0 {
		if tool := openerIn(text); tool != "" {
			return nil, fmt.Errorf("%s: %w: %s | sealwright … --shares -", name, errEncrypted, tool)
		}
		return nil, fmt.Errorf("%s: %w: %d bytes, and nothing that begins with sw1. Did the tool before the pipe fail?", name, errNoShare, len(text))
	}
	return out, nil
}

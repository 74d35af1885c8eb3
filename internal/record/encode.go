package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// HexBytes is written as lower-case hex.
type HexBytes []byte

// MarshalText implements [encoding.TextMarshaler].
func (h HexBytes) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *HexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.AppendDecode(nil, text)
	return err
}

var (
	// ErrMalformed is returned for bytes that are no record.
	ErrMalformed = errors.New("seal: malformed record")
	// ErrNewer is returned for a record that asks for newer code.
	ErrNewer = errors.New("seal: the record was written by newer code")
)

const sealedField = `,"sealed":"`

// Clear returns the bytes that the sealed part authenticates: the record as
// stored, without the sealed field.
func (r *Record) Clear() ([]byte, error) { return json.Marshal(r) }

// Assemble joins the clear part and the sealed part to the stored form: the
// same JSON object with one field more, and a line feed.
func Assemble(clear, sealed []byte) []byte {
	size := len(clear) + len(sealedField) + base64.StdEncoding.EncodedLen(len(sealed)) + 2
	out := append(make([]byte, 0, size), clear[:len(clear)-1]...)
	out = append(out, sealedField...)
	out = base64.StdEncoding.AppendEncode(out, sealed)
	return append(out, '"', '}', '\n')
}

// DigestOf returns the digest of a stored record.
func DigestOf(stored []byte) Digest { return sha256.Sum256(stored) }

// Parse reads a stored record. It accepts only the bytes that this package
// itself would write for what it read, so that every byte of a record has a
// meaning and is authenticated. The clear bytes are a part of stored.
func Parse(stored []byte) (r *Record, clear, sealed []byte, err error) {
	var wire struct {
		Record
		Sealed []byte `json:"sealed"`
	}
	dec := json.NewDecoder(bytes.NewReader(stored))
	dec.DisallowUnknownFields()
	if err = checkLists(stored); err == nil {
		err = dec.Decode(&wire)
	}
	if v := minReader(stored, &wire.Record, err); v > Format {
		return nil, nil, nil, fmt.Errorf("%w: it needs a reader of format %d, this one reads up to %d: upgrade the program", ErrNewer, v, Format)
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, nil, nil, fmt.Errorf("%w: bytes behind the record", ErrMalformed)
	}
	clear, err = wire.Clear()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !bytes.Equal(Assemble(clear, wire.Sealed), stored) {
		return nil, nil, nil, fmt.Errorf("%w: not in canonical form%s", ErrMalformed, lineFeeds(stored))
	}
	if err := wire.validate(); err != nil {
		return nil, nil, nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return &wire.Record, clear, wire.Sealed, nil
}

// lineFeeds says what a tool did to the end of a record that has been through its
// hands, or nothing.
func lineFeeds(stored []byte) string {
	switch {
	case bytes.HasSuffix(stored, []byte("}\n\n")):
		return ": it ends in one line feed too many, as tools add: take that off, by head -c -1"
	case bytes.HasSuffix(stored, []byte("}")):
		return ": the line feed at its end is gone, as a shell's $(…) takes it: add it, by echo"
	case bytes.HasSuffix(stored, []byte("}\r\n")):
		return ": it ends in a carriage return, as tools of Windows add: take that out"
	}
	return ""
}

// checkLists refuses a text with a longer list, or more levels, than a record
// can have. A decoder makes room for each element before it looks at it, which
// for a list of millions of empty ones is hundreds of times its length.
func checkLists(stored []byte) error {
	const maxElements, maxLevels = 255, 32
	var elements [maxLevels]int
	level, inText := 0, false
	for i := 0; i < len(stored); i++ {
		switch c := stored[i]; {
		case c == '"':
			inText = !inText
		case c == '\\':
			i++
		case inText:
		case c == '{' || c == '[':
			level++
			if level == maxLevels {
				return fmt.Errorf("more than %d levels", maxLevels)
			}
			elements[level] = 1
		case c == '}' || c == ']':
			level = max(0, level-1)
		case c == ',':
			elements[level]++
			if elements[level] > maxElements {
				return fmt.Errorf("a list of more than %d elements", maxElements)
			}
		}
	}
	return nil
}

// minReader returns what the record asks for, also where it has fields that
// this code does not know, so that a later format is told from damage.
func minReader(stored []byte, r *Record, decodeErr error) int {
	if decodeErr == nil {
		return r.MinReader
	}
	var head struct {
		MinReader int `json:"min_reader"`
	}
	if json.Unmarshal(stored, &head) != nil {
		return 0
	}
	return head.MinReader
}

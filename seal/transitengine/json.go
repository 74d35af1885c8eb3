package transitengine

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The limits of a body beside its size. Nothing that is served has so many.
const (
	maxDepth  = 16
	maxFields = 64
)

var errJSON = errors.New("failed to parse JSON input: the body is not the JSON object that is expected here")

// A value is one JSON value, as it stands in a body: nothing of it is copied.
type value struct {
	kind    byte   // '"', '{', '[', '0' for a number, 't', 'f', 'n'; 0 if there is none
	text    []byte // of a text what is between its quotes, of anything else all of it
	escaped bool   // the text has backslashes
}

type field struct {
	name []byte
	value
}

// fields are those of an object, in their order.
type fields []field

// get returns a field; null, and none, is the zero value.
func (fs fields) get(name string) value {
	for i := range fs {
		if string(fs[i].name) == name && fs[i].kind != 'n' {
			return fs[i].value
		}
	}
	return value{}
}

// A scanner reads JSON strictly, as RFC 8259 has it, except that it does not look
// whether texts are UTF-8: those that are used are base64, names and numbers.
type scanner struct {
	data []byte
	at   int
}

// parse reads a body, an object; one that is empty has no fields, nor has null,
// which bao write -f sends. A name that stands twice is refused: which one counts
// is a matter of taste.
func parse(body []byte, into fields) (fields, error) {
	s := scanner{data: body}
	s.space()
	var err error
	switch {
	case s.at == len(body):
		return into, nil
	case body[s.at] == '{':
		err = s.fields(&into)
	default:
		var v value
		if v, err = s.value(0); v.kind != 'n' {
			err = errJSON
		}
	}
	if s.space(); err != nil || s.at != len(body) {
		return nil, errJSON
	}
	return into, nil
}

// objectOf reads the fields of an object that was read as a value.
func objectOf(v value, into fields) (fields, error) {
	s := scanner{data: v.text}
	err := s.fields(&into)
	return into, err
}

// fields reads an object, each of whose names stands once.
func (s *scanner) fields(into *fields) error {
	return s.object(0, func(name, v value) error {
		key := name.text
		if name.escaped {
			text, err := name.unescape()
			if err != nil {
				return err
			}
			key = text
		}
		for i := range *into {
			if bytes.Equal((*into)[i].name, key) {
				return errJSON
			}
		}
		if len(*into) == maxFields {
			return errJSON
		}
		*into = append(*into, field{key, v})
		return nil
	})
}

// each calls f with the values of an array that was read as a value.
func (v value) each(f func(value) error) error {
	s := scanner{data: v.text}
	return s.array(0, f)
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// next takes the next character that is no space, and 0 at the end.
func (s *scanner) next() byte {
	s.space()
	if s.at == len(s.data) {
		return 0
	}
	s.at++
	return s.data[s.at-1]
}

func (s *scanner) value(depth int) (value, error) {
	s.space()
	from := s.at
	switch c := s.next(); {
	case c == '"':
		return s.text()
	case depth == maxDepth:
		return value{}, errJSON
	case c == '{':
		s.at--
		err := s.object(depth, nil)
		return value{kind: c, text: s.data[from:s.at]}, err
	case c == '[':
		s.at--
		err := s.array(depth, nil)
		return value{kind: c, text: s.data[from:s.at]}, err
	case c == '-' || '0' <= c && c <= '9':
		s.at--
		return s.number()
	case c == 0:
		return value{}, errJSON
	default:
		s.at--
		for _, word := range []string{"true", "false", "null"} {
			if bytes.HasPrefix(s.data[s.at:], []byte(word)) {
				s.at += len(word)
				return value{kind: c, text: s.data[from:s.at]}, nil
			}
		}
		return value{}, errJSON
	}
}

// text reads what is left of a text, whose first quote was taken.
func (s *scanner) text() (value, error) {
	v := value{kind: '"'}
	from := s.at
	for {
		end := bytes.IndexByte(s.data[s.at:], '"')
		if end < 0 {
			return v, errJSON
		}
		part := s.data[s.at : s.at+end]
		back := bytes.IndexByte(part, '\\')
		if back >= 0 {
			part = part[:back]
		}
		if hasControl(part) {
			return v, errJSON
		}
		if back < 0 {
			v.text = s.data[from : s.at+end]
			s.at += end + 1
			return v, nil
		}
		v.escaped = true
		s.at += back + 1
		if err := s.escape(); err != nil {
			return v, err
		}
	}
}

// hasControl reports whether there is a byte below 0x20, eight at a time: of a byte
// below 0x20 the subtraction borrows its highest bit, which it did not have.
func hasControl(b []byte) bool {
	const each, top = 0x2020202020202020, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		if x := binary.LittleEndian.Uint64(b); (x-each)&^x&top != 0 {
			return true
		}
	}
	return slices.ContainsFunc(b, func(c byte) bool { return c < 0x20 })
}

// escape takes what follows a backslash.
func (s *scanner) escape() error {
	if s.at == len(s.data) || strings.IndexByte(`"\/bfnrtu`, s.data[s.at]) < 0 {
		return errJSON
	}
	s.at++
	if s.data[s.at-1] != 'u' {
		return nil
	}
	for range 4 {
		if s.at == len(s.data) || strings.IndexByte("0123456789abcdefABCDEF", s.data[s.at]) < 0 {
			return errJSON
		}
		s.at++
	}
	return nil
}

func (s *scanner) number() (value, error) {
	from := s.at
	for s.at < len(s.data) && strings.IndexByte("+-.eE0123456789", s.data[s.at]) >= 0 {
		s.at++
	}
	text := s.data[from:s.at]
	if !json.Valid(text) {
		return value{}, errJSON
	}
	return value{kind: '0', text: text}, nil
}

// object reads an object. F, unless it is nil, is called for each of its fields.
func (s *scanner) object(depth int, f func(name, v value) error) error {
	if s.next() != '{' {
		return errJSON
	}
	c := s.next()
	for more := c != '}'; more; {
		if c != '"' {
			return errJSON
		}
		name, err := s.text()
		if err != nil || s.next() != ':' {
			return errJSON
		}
		v, err := s.value(depth + 1)
		if err == nil && f != nil {
			err = f(name, v)
		}
		if err != nil {
			return err
		}
		switch s.next() {
		case ',':
			c = s.next()
		case '}':
			more = false
		default:
			return errJSON
		}
	}
	return nil
}

// array reads an array. F, unless it is nil, is called for each of its values.
func (s *scanner) array(depth int, f func(value) error) error {
	if s.next() != '[' {
		return errJSON
	}
	if s.space(); s.at < len(s.data) && s.data[s.at] == ']' {
		s.at++
		return nil
	}
	for {
		v, err := s.value(depth + 1)
		if err == nil && f != nil {
			err = f(v)
		}
		if err != nil {
			return err
		}
		switch s.next() {
		case ',':
		case ']':
			return nil
		default:
			return errJSON
		}
	}
}

// unescape returns a text without its backslashes.
func (v value) unescape() ([]byte, error) {
	if !v.escaped {
		return v.text, nil
	}
	var out string
	if json.Unmarshal(slices.Concat([]byte{'"'}, v.text, []byte{'"'}), &out) != nil {
		return nil, errJSON
	}
	return []byte(out), nil
}

// string returns a text, or a number as it is written; "" if there is none.
func (v value) string(name string) (string, error) {
	switch v.kind {
	case 0:
		return "", nil
	case '"':
		text, err := v.unescape()
		return string(text), err
	case '0':
		return string(v.text), nil
	}
	return "", badType(name, "a text")
}

// bool returns a boolean, which the command lines send as a text.
func (v value) bool(name string) (bool, error) {
	if v.kind == 0 || v.kind == '"' && len(v.text) == 0 {
		return false, nil
	}
	if v.kind != '{' && v.kind != '[' {
		if b, err := strconv.ParseBool(string(v.text)); err == nil {
			return b, nil
		}
	}
	return false, badType(name, "true or false")
}

// int returns a number, which the command lines send as a text.
func (v value) int(name string) (int, error) {
	if v.kind == 0 || v.kind == '"' && len(v.text) == 0 {
		return 0, nil
	}
	if v.kind == '0' || v.kind == '"' {
		if n, err := strconv.ParseInt(string(v.text), 10, 32); err == nil {
			return int(n), nil
		}
	}
	return 0, badType(name, "a whole number")
}

// duration returns a number of seconds, or what Go writes as a duration.
func (v value) duration(name string) (time.Duration, error) {
	if n, err := v.int(name); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	if v.kind == '"' {
		if days, ok := bytes.CutSuffix(v.text, []byte("d")); ok {
			if n, err := strconv.ParseUint(string(days), 10, 15); err == nil {
				return time.Duration(n) * 24 * time.Hour, nil
			}
		}
		if d, err := time.ParseDuration(string(v.text)); err == nil {
			return d, nil
		}
	}
	return 0, badType(name, `a number of seconds, or a text as "24h"`)
}

// appendBase64 appends what a text in base64 says.
func (v value) appendBase64(dst []byte, name string) ([]byte, error) {
	if v.kind != 0 && v.kind != '"' {
		return dst, badType(name, "a text in base64")
	}
	text, err := v.unescape()
	if err != nil {
		return dst, err
	}
	out, err := base64.StdEncoding.AppendDecode(dst, text)
	if err != nil {
		return dst, badRequest(err.Error()) // it says where, not what
	}
	return out, nil
}

package vaultstore

import (
	"encoding/binary"
	"errors"
	"iter"
	"unicode/utf8"
)

// A field is one of a protobuf message. Only the part that its type has is set.
type field struct {
	number uint64
	kind   byte   // 0 varint, 1 of 8 bytes, 2 of any length, 5 of 4 bytes
	value  uint64 // of kinds 0, 1, 5
	bytes  []byte // of kind 2; shares memory with the message
}

var errProto = errors.New("no protobuf message")

// fields goes through a message as it is stored. What it yields last, where the
// message is none, is an error. Nothing is allocated, whatever a length says.
func fields(message []byte) iter.Seq2[field, error] {
	return func(yield func(field, error) bool) {
		for len(message) > 0 {
			f, rest, err := nextField(message)
			if !yield(f, err) || err != nil {
				return
			}
			message = rest
		}
	}
}

func nextField(b []byte) (f field, rest []byte, err error) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 || tag>>3 >= 1<<29 {
		return f, nil, errProto
	}
	b = b[n:]
	f.number, f.kind = tag>>3, byte(tag&7)
	switch f.kind {
	case 0:
		f.value, n = binary.Uvarint(b)
		if n <= 0 {
			return f, nil, errProto
		}
		return f, b[n:], nil
	case 1:
		if len(b) < 8 {
			return f, nil, errProto
		}
		f.value = binary.LittleEndian.Uint64(b)
		return f, b[8:], nil
	case 2:
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return f, nil, errProto
		}
		f.bytes = b[n : n+int(size)]
		return f, b[n+int(size):], nil
	case 5:
		if len(b) < 4 {
			return f, nil, errProto
		}
		f.value = uint64(binary.LittleEndian.Uint32(b))
		return f, b[4:], nil
	}
	return f, nil, errProto // groups, which none of these messages has
}

// text returns a string field.
func (f field) text() (string, error) {
	if f.kind != 2 || !utf8.Valid(f.bytes) {
		return "", errProto
	}
	return string(f.bytes), nil
}

// appendBytes adds a field of bytes to a message, unless it is empty.
func appendBytes(message []byte, number uint64, b []byte) []byte {
	if len(b) == 0 {
		return message
	}
	message = binary.AppendUvarint(message, number<<3|2)
	message = binary.AppendUvarint(message, uint64(len(b)))
	return append(message, b...)
}

package vaultstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

var errSnappy = errors.New("its snappy stream is damaged")

// unsnappy reads snappy's framing format: chunks of a type u8 and a length u24.
// A chunk of data begins with the CRC-32C of what it decodes to.
func unsnappy(b []byte, limit int) ([]byte, error) {
	const header = "\xff\x06\x00\x00sNaPpY"
	if len(b) < len(header) || string(b[:len(header)]) != header {
		return nil, errSnappy
	}
	var out []byte
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, errSnappy
		}
		kind, size := b[0], int(b[1])|int(b[2])<<8|int(b[3])<<16
		b = b[4:]
		if size > len(b) {
			return nil, errSnappy
		}
		chunk := b[:size]
		b = b[size:]
		if kind > 1 {
			if kind < 0x80 { // one that must not be skipped
				return nil, errSnappy
			}
			continue
		}
		if len(chunk) < 4 {
			return nil, errSnappy
		}
		sum, before := binary.LittleEndian.Uint32(chunk), len(out)
		var err error
		if kind == 1 {
			out = append(out, chunk[4:]...)
		} else if out, err = snappyBlock(out, chunk[4:], limit); err != nil {
			return nil, err
		}
		if len(out) > limit {
			return nil, ErrTooLarge
		}
		c := crc32.Checksum(out[before:], crc32.MakeTable(crc32.Castagnoli))
		if (c>>15|c<<17)+0xa282ead8 != sum {
			return nil, errSnappy
		}
	}
	return out, nil
}

// snappyBlock appends what a block decodes to.
func snappyBlock(out, b []byte, limit int) ([]byte, error) {
	want, n := binary.Uvarint(b)
	if n <= 0 || want > 1<<16 || int(want) > limit-len(out) {
		return nil, errSnappy
	}
	b = b[n:]
	start := len(out)
	end := start + int(want)
	for len(b) > 0 {
		tag := b[0]
		b = b[1:]
		length, offset := int(tag>>2), 0
		extra := [4]int{0, 1, 2, 4}[tag&3]
		if tag&3 == 0 && length >= 60 {
			extra = length - 59
		}
		if extra > len(b) {
			return nil, errSnappy
		}
		number := 0
		for i := range extra {
			number |= int(b[i]) << (8 * i)
		}
		b = b[extra:]
		switch tag & 3 {
		case 0:
			if extra > 0 {
				length = number
			}
			if length++; length > len(b) || length > end-len(out) {
				return nil, errSnappy
			}
			out = append(out, b[:length]...)
			b = b[length:]
			continue
		case 1:
			offset, length = int(tag>>5)<<8|number, 4+length&7
		default:
			offset, length = number, 1+length
		}
		if offset <= 0 || offset > len(out)-start || length > end-len(out) {
			return nil, errSnappy
		}
		for range length {
			out = append(out, out[len(out)-offset])
		}
	}
	if len(out) != end {
		return nil, errSnappy
	}
	return out, nil
}

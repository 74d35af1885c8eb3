package vaultstore

import (
	"encoding/binary"
	"errors"
)

var errLZ4 = errors.New("its LZ4 frame is damaged")

// unlz4 reads LZ4's frame format. Its checksums are skipped: the barrier has
// authenticated what it holds.
func unlz4(b []byte, limit int) ([]byte, error) {
	if len(b) < 7 || binary.LittleEndian.Uint32(b) != 0x184D2204 {
		return nil, errLZ4
	}
	flags := b[4]
	if flags>>6 != 1 || flags&1 != 0 { // version, dictionary
		return nil, errLZ4
	}
	header := 7
	if flags&0x08 != 0 {
		header += 8 // size of the content
	}
	if len(b) < header {
		return nil, errLZ4
	}
	b = b[header:]
	independent := flags&0x20 != 0
	var out []byte
	for {
		if len(b) < 4 {
			return nil, errLZ4
		}
		size := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if size == 0 {
			return out, nil
		}
		raw := size>>31 != 0
		size &= 1<<31 - 1
		if uint64(size) > uint64(len(b)) {
			return nil, errLZ4
		}
		block := b[:size]
		b = b[size:]
		if flags&0x10 != 0 { // checksum of the block
			if len(b) < 4 {
				return nil, errLZ4
			}
			b = b[4:]
		}
		start := 0
		if independent {
			start = len(out)
		}
		var err error
		if raw {
			out = append(out, block...)
		} else if out, err = lz4Block(out, start, block, limit); err != nil {
			return nil, err
		}
		if len(out) > limit {
			return nil, ErrTooLarge
		}
	}
}

// lz4Block appends what a block decodes to, which may copy from start on.
func lz4Block(out []byte, start int, b []byte, limit int) ([]byte, error) {
	long := func(n int) (int, bool) { // a length that 15 continues
		if n != 15 {
			return n, true
		}
		for {
			if len(b) == 0 || n > limit {
				return 0, false
			}
			c := b[0]
			b = b[1:]
			if n += int(c); c != 255 {
				return n, true
			}
		}
	}
	for len(b) > 0 {
		token := b[0]
		b = b[1:]
		literals, ok := long(int(token >> 4))
		if !ok || literals > len(b) {
			return nil, errLZ4
		}
		out = append(out, b[:literals]...)
		if b = b[literals:]; len(b) == 0 {
			return out, nil // the last sequence ends with its literals
		}
		if len(b) < 2 {
			return nil, errLZ4
		}
		offset := int(binary.LittleEndian.Uint16(b))
		b = b[2:]
		length, ok := long(int(token & 15))
		if length += 4; !ok || offset == 0 || offset > len(out)-start {
			return nil, errLZ4
		}
		if len(out)+length > limit {
			return nil, ErrTooLarge
		}
		for range length {
			out = append(out, out[len(out)-offset])
		}
	}
	return nil, errLZ4
}

package vaultstore

import (
	"bytes"
	"compress/gzip"
	"compress/lzw"
	"errors"
	"io"
)

// decompress returns what compressed JSON says, or the text itself where it is
// not compressed: the first byte tells. What would be longer than limit is an
// error, and no more than that is ever held.
func decompress(text []byte, limit int) ([]byte, error) {
	if len(text) == 0 {
		return nil, errors.New("it is empty")
	}
	if len(text) > limit {
		return nil, ErrTooLarge
	}
	packed := text[1:]
	switch text[0] {
	case 'G':
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			return nil, errors.New("its gzip is damaged")
		}
		return readAll(r, limit)
	case 'L':
		return readAll(lzw.NewReader(bytes.NewReader(packed), lzw.LSB, 8), limit)
	case 'S':
		return unsnappy(packed, limit)
	case '4':
		return unlz4(packed, limit)
	}
	return text, nil
}

func readAll(r io.Reader, limit int) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if len(out) > limit {
		clear(out)
		return nil, ErrTooLarge
	}
	if err != nil {
		clear(out)
		return nil, errors.New("what it is compressed to is damaged")
	}
	return out, nil
}

package keyring

import (
	"io"
	"runtime"
)

// A Reader decrypts a stream. See [Keyring.NewReader]. It is for one goroutine
// at a time.
type Reader struct {
	r      io.Reader
	key    *streamKey
	sealed []byte // a chunk and one byte, which tells that another chunk follows
	plain  []byte // what is decrypted and not yet read
	buf    []byte // what plain lies in
	carry  int    // bytes of sealed that belong to the next chunk
	aad    chunkAAD
	index  uint64
	err    error
}

// NewReader reads the header of a stream from r and returns a reader of its
// plaintext, in constant memory. Every byte that it returns is authentic, and
// in its place; whether the stream is complete is only known at [io.EOF], so
// nothing irrevocable should happen before. Reader reads from r up to its end:
// whatever follows a stream is [ErrCorrupt].
//
// The errors are those of [Keyring.Decrypt], also when the keyring is sealed or
// the term retired in the midst of the stream, and the errors of r as they are.
func (k *Keyring) NewReader(r io.Reader, aad []byte) (*Reader, error) {
	var h header
	if n, err := io.ReadFull(r, h[:]); err != nil {
		if err != io.EOF && err != io.ErrUnexpectedEOF {
			return nil, err
		}
		if n > 0 && h[0] != versionStream {
			return nil, &Error{Op: "stream", Err: ErrFormat}
		}
		return nil, &Error{Op: "stream", Err: ErrCorrupt}
	}
	key, err := k.openStream(&h, aad)
	if err != nil {
		return nil, err
	}
	sr := &Reader{r: r, key: key, sealed: make([]byte, sealedChunkSize+1), buf: make([]byte, 0, chunkSize)}
	runtime.AddCleanup(sr, (*streamKey).release, key) // an abandoned stream leaves no key
	return sr, nil
}

// Read returns the next bytes of the plaintext, and [io.EOF] at the end of a
// complete stream.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if err := r.next(); err != nil {
			r.err = err
			r.key.release()
		}
	}
	n := copy(p, r.plain)
	clear(r.plain[:n])
	r.plain = r.plain[n:]
	return n, nil
}

// next decrypts a chunk. With the last one it returns io.EOF.
func (r *Reader) next() error {
	n, err := io.ReadFull(r.r, r.sealed[r.carry:])
	last := err == io.EOF || err == io.ErrUnexpectedEOF
	if err != nil && !last {
		return err
	}
	chunk := r.sealed[:r.carry+n]
	if !last {
		chunk = r.sealed[:sealedChunkSize]
	}
	if last && r.index > 0 && len(chunk) == sealedChunkSize-chunkSize || r.index == r.key.k.limit.chunks {
		// No Writer makes an empty last chunk, or so many.
		return &Error{Op: "stream", Term: r.key.term.number, Err: ErrCorrupt}
	}
	plain, err := r.key.open(r.buf[:0], chunk, r.aad.set(r.index, last))
	if err != nil {
		return err
	}
	r.plain = plain
	r.index++
	if last {
		return io.EOF
	}
	r.sealed[0] = r.sealed[sealedChunkSize]
	r.carry = 1
	return nil
}

package keyring

import (
	"errors"
	"io"
	"runtime"
)

var errStreamClosed = errors.New("keyring: stream: write after Close")

// A Writer encrypts a stream. See [Keyring.NewWriter]. It is for one goroutine
// at a time.
type Writer struct {
	w      io.Writer
	key    *streamKey
	plain  []byte // up to one chunk
	sealed []byte
	aad    chunkAAD
	index  uint64
	err    error
}

// NewWriter begins an encrypted stream to w, of any length up to 256 GiB and in
// constant memory, and writes its header. Every stream has a key of its own.
// The stream is complete, and can be read to its end, only after Close, which
// does not close w; check its error.
//
// The stream stays under the term that is active now. Writer's methods return
// [ErrSealed] from the moment that the keyring is sealed, [ErrUnknownTerm] if
// the term is retired, [ErrLength] for too long a stream, and the errors of w
// as they are; after an error the stream is lost.
func (k *Keyring) NewWriter(w io.Writer, aad []byte) (*Writer, error) {
	h, key, err := k.newStream(aad)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(h[:]); err != nil {
		key.release()
		return nil, err
	}
	sw := &Writer{w: w, key: key}
	runtime.AddCleanup(sw, (*streamKey).release, key) // an abandoned stream leaves no key
	return sw, nil
}

// Write encrypts p, and writes as many whole chunks as there are.
func (w *Writer) Write(p []byte) (n int, err error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.plain == nil {
		w.plain = make([]byte, 0, chunkSize) // all of it, so that no plaintext is left behind where it grew
	}
	for len(p) > 0 {
		if len(w.plain) == chunkSize { // more follows, so it is not the last
			if err := w.flush(false); err != nil {
				return n, err
			}
		}
		m := copy(w.plain[len(w.plain):chunkSize], p)
		w.plain = w.plain[:len(w.plain)+m]
		p, n = p[m:], n+m
	}
	return n, nil
}

// Close writes the last chunk and wipes the stream's key. A second Close does
// nothing.
func (w *Writer) Close() error {
	if errors.Is(w.err, errStreamClosed) {
		return nil
	}
	if w.err != nil {
		return w.err
	}
	if err := w.flush(true); err != nil {
		return err
	}
	w.fail(errStreamClosed)
	return nil
}

func (w *Writer) flush(last bool) error {
	if w.index == w.key.k.limit.chunks {
		return w.fail(&Error{Op: "stream", Term: w.key.term.number, Err: ErrLength})
	}
	sealed, err := w.key.seal(w.sealed[:0], w.plain, w.aad.set(w.index, last))
	if err != nil {
		return w.fail(err)
	}
	if _, err := w.w.Write(sealed); err != nil {
		return w.fail(err)
	}
	w.plain, w.sealed = w.plain[:0], sealed
	w.index++
	return nil
}

// fail ends the stream with err, for good.
func (w *Writer) fail(err error) error {
	w.err = err
	w.key.release()
	clear(w.plain[:cap(w.plain)])
	return err
}

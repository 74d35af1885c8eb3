package keyring

import (
	"encoding/binary"
	"sync"

	"github.com/sealwright/sealwright/internal/aead"
)

const (
	// chunkSize is the number of plaintext bytes in each chunk of a stream but
	// the last, which has fewer, or as many.
	chunkSize = 64 << 10

	sealedChunkSize = chunkSize + aead.Overhead

	// maxChunks bounds a stream to 256 GiB, 2^34 blocks under its key.
	maxChunks = 1 << 22
)

// A streamKey is the key of one stream. The owner of the keyring can end it at
// any time, also when nobody reads or writes the stream any more.
type streamKey struct {
	k    *Keyring
	term *termKey

	mu   sync.Mutex
	aead *aead.AEAD // nil when ended
	why  error      // the kind of error then
}

// newStream begins a stream under the active term.
func (k *Keyring) newStream(aad []byte) (*header, *streamKey, error) {
	v, l := k.enterView()
	if v == nil {
		return nil, nil, &Error{Op: "stream", Err: ErrSealed}
	}
	a, h := v.active.seal(versionStream, labelStream, streamInfo(aad))
	l.left.Add(1)
	s, err := k.register(v.active, a)
	return &h, s, err
}

// openStream finds the key of a stream by its header.
func (k *Keyring) openStream(h *header, aad []byte) (*streamKey, error) {
	if h[0] != versionStream {
		return nil, &Error{Op: "stream", Err: ErrFormat}
	}
	v, l := k.enterView()
	if v == nil {
		return nil, &Error{Op: "stream", Err: ErrSealed}
	}
	t, err := v.match(h)
	var a *aead.AEAD
	if err == nil {
		a, err = t.open(h, labelStream, streamInfo(aad))
	}
	l.left.Add(1)
	if err != nil {
		return nil, &Error{Op: "stream", Term: h.term(), Err: err}
	}
	return k.register(t, a)
}

// register makes a stream known to the owner, unless its term has gone
// meanwhile.
func (k *Keyring) register(t *termKey, a *aead.AEAD) (*streamKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v := k.view.Load()
	if v == nil || v.find(t.number) != t {
		a.Wipe()
		kind := ErrUnknownTerm
		if v == nil {
			kind = ErrSealed
		}
		return nil, &Error{Op: "stream", Term: t.number, Err: kind}
	}
	s := &streamKey{k: k, term: t, aead: a}
	k.streams[s] = struct{}{}
	return s, nil
}

// endStreams ends the streams of terms that are not kept. Keyring.mu is held.
func (k *Keyring) endStreams(why error, kept map[*termKey]bool) {
	for s := range k.streams {
		if !kept[s.term] {
			s.end(why)
			delete(k.streams, s)
		}
	}
}

// release ends a stream that is done with, or that nobody holds any more.
func (s *streamKey) release() {
	s.k.mu.Lock()
	delete(s.k.streams, s)
	s.k.mu.Unlock()
	s.end(ErrSealed)
}

func (s *streamKey) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aead != nil {
		s.aead.Wipe()
		s.aead, s.why = nil, why
	}
}

// seal appends a sealed chunk to dst.
func (s *streamKey) seal(dst, plaintext, aad []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aead == nil {
		return nil, &Error{Op: "stream", Term: s.term.number, Err: s.why}
	}
	return s.aead.Seal(dst, plaintext, aad), nil
}

// open appends the plaintext of a chunk to dst.
func (s *streamKey) open(dst, sealed, aad []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.aead == nil {
		return nil, &Error{Op: "stream", Term: s.term.number, Err: s.why}
	}
	plaintext, err := s.aead.Open(dst, sealed, aad)
	if err != nil {
		return nil, &Error{Op: "stream", Term: s.term.number, Err: ErrCorrupt}
	}
	return plaintext, nil
}

// chunkAAD is the associated data of a chunk: its index, and whether it is the
// last.
type chunkAAD [9]byte

func (a *chunkAAD) set(index uint64, last bool) []byte {
	binary.BigEndian.PutUint64(a[:], index)
	a[8] = 0
	if last {
		a[8] = 1
	}
	return a[:]
}

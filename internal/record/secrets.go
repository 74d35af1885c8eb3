package record

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
)

// The sealed part is binary, not JSON: a JSON decoder leaves copies of what it
// read in memory that nobody can wipe. All integers are big endian; a list is
// its length as four bytes, then its elements; a text is its length as two
// bytes, then UTF-8.

const secretsVersion = 1

// size is how many bytes Marshal returns.
func (s *Secrets) size() int {
	n := 17 + 45*len(s.Terms) + 36*len(s.Identities) + 32*len(s.Digests)
	for _, e := range s.Journal {
		n += 26 + len(e.Event) + len(e.Slot) + len(e.Actor) + len(e.Replica) + len(e.Operation)
	}
	return n
}

// Marshal returns the plaintext of the sealed part, to be wiped by the caller.
func (s *Secrets) Marshal() []byte {
	b := make([]byte, 0, s.size())
	b = append(b, secretsVersion)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Terms)))
	for i := range s.Terms {
		t := &s.Terms[i]
		b = binary.BigEndian.AppendUint32(b, t.Number)
		b = append(b, byte(t.State))
		b = binary.BigEndian.AppendUint64(b, uint64(t.Created))
		b = append(b, t.Key[:]...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Identities)))
	for _, id := range slices.Sorted(maps.Keys(s.Identities)) {
		secret := s.Identities[id]
		b = binary.BigEndian.AppendUint32(b, id)
		b = append(b, secret[:]...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Digests)))
	for _, d := range s.Digests {
		b = append(b, d[:]...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Journal)))
	for _, e := range s.Journal {
		b = binary.BigEndian.AppendUint64(b, e.Generation)
		b = binary.BigEndian.AppendUint64(b, uint64(e.At))
		for _, t := range []string{e.Event, e.Slot, e.Actor, e.Replica, e.Operation} {
			b = binary.BigEndian.AppendUint16(b, uint16(len(t)))
			b = append(b, t...)
		}
	}
	return b
}

// ParseSecrets reads the plaintext of a sealed part. It accepts only the bytes
// that Marshal would write for what it read. What it returns shares no memory
// with b.
func ParseSecrets(b []byte) (*Secrets, error) {
	r := reader{rest: b}
	if v := r.take(1); v == nil || v[0] != secretsVersion {
		return nil, fmt.Errorf("%w: sealed part of an unknown version", ErrMalformed)
	}
	// Keys are read to where they stay: a slice that grew would leave copies
	// behind that nobody can wipe.
	s := &Secrets{Terms: make([]Term, r.count(MaxTerms, 45)), Identities: make(map[uint32][32]byte, MaxSlots)}
	for i := range s.Terms {
		t := &s.Terms[i]
		t.Number, t.State, t.Created = r.uint32(), TermState(r.byte()), int64(r.uint64())
		copy(t.Key[:], r.take(32))
	}
	last, ordered := uint32(0), true
	for range r.count(MaxSlots, 36) {
		id := r.uint32()
		ordered = ordered && id > last
		last = id
		var secret [32]byte
		copy(secret[:], r.take(32))
		s.Identities[id] = secret
	}
	for range r.count(MaxDigests, 32) {
		var d Digest
		copy(d[:], r.take(32))
		s.Digests = append(s.Digests, d)
	}
	for range r.count(MaxJournal, 26) {
		e := Entry{Generation: r.uint64(), At: int64(r.uint64())}
		for _, t := range []*string{&e.Event, &e.Slot, &e.Actor, &e.Replica, &e.Operation} {
			*t = string(r.take(int(r.uint16())))
		}
		s.Journal = append(s.Journal, e)
	}
	err := s.validate()
	switch {
	case r.failed || len(r.rest) != 0:
		err = fmt.Errorf("%w: sealed part of the wrong length", ErrMalformed)
	case !ordered:
		err = fmt.Errorf("%w: identities out of order", ErrMalformed)
	}
	if err != nil {
		s.Wipe()
		return nil, err
	}
	return s, nil
}

// Wipe clears every key and identity.
func (s *Secrets) Wipe() {
	clear(s.Terms)
	clear(s.Identities)
	s.Terms, s.Identities = nil, nil
}

// A reader takes fields off a byte slice; past its end it yields zeros and
// remembers the failure.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.failed = true
		r.rest = nil
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (r *reader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// count reads the length of a list whose elements take at least size bytes, so
// that no length can make the reader allocate more than the input holds.
func (r *reader) count(limit, size int) int {
	n := int(r.uint32())
	if n > limit || n > len(r.rest)/size {
		r.failed = true
		r.rest = nil
		return 0
	}
	return n
}

package kmstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/kms"
)

// checks are the whole of [Conformance].
var checks = []struct {
	name string
	run  func(*suite) error
}{
	{"round trip", (*suite).roundTrip},
	{"blob", (*suite).blob},
	{"names", (*suite).names},
	{"ownership", (*suite).ownership},
	{"sizes", (*suite).sizes},
	{"binding", (*suite).binding},
	{"truncated", (*suite).truncated},
	{"extended", (*suite).extended},
	{"flipped", (*suite).flipped},
	{"no blob", (*suite).noBlob},
	{"other key", (*suite).otherKey},
	{"other type", (*suite).otherType},
	{"other version", (*suite).otherVersion},
	{"authenticates", (*suite).authenticates},
	{"rotation", (*suite).rotation},
	{"probe", (*suite).probe},
	{"context ended before", (*suite).endedBefore},
	{"context ends during", (*suite).endsDuring},
	{"concurrency", (*suite).concurrency},
	{"faults", (*suite).faults},
}

// roundTrip opens keys of every length, also with another Wrapper, as another
// replica would.
func (s *suite) roundTrip() error {
	w, other := s.wrapper("a"), s.wrapper("a")
	for n := 16; n <= kms.MaxKeySize; n += 8 {
		key := s.secret(n)
		blob, err := s.wrap(w, key)
		if err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
		if err := errors.Join(s.opens(w, blob, key), s.opens(other, blob, key)); err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
	}
	return nil
}

// blob checks what a blob says, and that it survives being stored.
func (s *suite) blob() error {
	w, key, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	if blob.Type == "" || blob.KeyID == "" || len(blob.Ciphertext) == 0 {
		return fmt.Errorf("a blob without Type, KeyID or Ciphertext: %q, %q, %d bytes", blob.Type, blob.KeyID, len(blob.Ciphertext))
	}
	if bytes.Contains(blob.Ciphertext, key) {
		return errors.New("the blob holds the key in the clear")
	}
	text, err := json.Marshal(blob)
	if err != nil {
		return fmt.Errorf("store the blob: %w", err)
	}
	if len(text) > 16<<10 {
		return fmt.Errorf("the blob takes %d bytes, more than 16 KiB", len(text))
	}
	stored := new(kms.Blob)
	if err := json.Unmarshal(text, stored); err != nil {
		return fmt.Errorf("load the blob: %w", err)
	}
	return s.opens(w, stored, key)
}

// names checks that blobs of one key have its name, and of another another.
func (s *suite) names() error {
	_, _, one, err := s.wrapped()
	if err != nil {
		return err
	}
	_, _, two, err := s.wrapped()
	if err != nil {
		return err
	}
	foreign, err := s.wrap(s.wrapper("b"), s.secret(32))
	if err != nil {
		return err
	}
	if one.Type != two.Type || one.KeyID != two.KeyID || one.Version != two.Version {
		return fmt.Errorf("one key has the names %q and %q", one.KeyID+" "+one.Version, two.KeyID+" "+two.Version)
	}
	if foreign.Type != one.Type || foreign.KeyID == one.KeyID {
		return fmt.Errorf("two keys have the names %q and %q", one.KeyID, foreign.KeyID)
	}
	return nil
}

// ownership checks that a Wrapper neither changes nor keeps what it is given,
// and gives out nothing that it keeps.
func (s *suite) ownership() error {
	w, room := s.wrapper("a"), bytes.Repeat([]byte{0xa5}, 256)
	key := s.secret(32)
	copy(room, key)
	blob, err := s.wrap(w, room[:32])
	if err != nil {
		return err
	}
	if !bytes.Equal(room, append(bytes.Clone(key), bytes.Repeat([]byte{0xa5}, 224)...)) {
		return errors.New("wrap changed the key, or the bytes behind it")
	}
	clear(room)

	before := *blob
	before.Ciphertext = bytes.Clone(blob.Ciphertext)
	got, err := w.Unwrap(s.t.Context(), blob, home)
	if err != nil {
		return fmt.Errorf("unwrap after the key was wiped: %w", err)
	}
	if !bytes.Equal(got, key) {
		return errors.New("the blob changed with the key that was wrapped")
	}
	if blob.Type != before.Type || blob.KeyID != before.KeyID || blob.Version != before.Version || !bytes.Equal(blob.Ciphertext, before.Ciphertext) {
		return errors.New("unwrap changed the blob")
	}
	clear(got)
	if err := s.opens(w, blob, key); err != nil {
		return fmt.Errorf("after the result was wiped: %w", err)
	}
	return nil
}

// sizes checks that lengths which not every KMS takes are refused by all.
func (s *suite) sizes() error {
	w := s.wrapper("a")
	for _, n := range []int{0, 1, 8, 15, 17, 20, kms.MaxKeySize - 1, kms.MaxKeySize + 1, kms.MaxKeySize + 8, 1 << 20} {
		blob, err := w.Wrap(s.t.Context(), make([]byte, n), home)
		if blob != nil {
			return fmt.Errorf("%d bytes were wrapped", n)
		}
		if err := s.refused(OpWrap, nil, err, kms.ErrMisconfigured); err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
	}
	return nil
}

// rotation checks that a new version of the key wraps, and the old one opens.
func (s *suite) rotation() error {
	if s.opts.Rotate == nil {
		return errSkip
	}
	w, key, old, err := s.wrapped()
	if err != nil {
		return err
	}
	s.opts.Rotate(s.t, "a")
	fresh, err := s.wrap(w, key)
	if err != nil {
		return err
	}
	if fresh.KeyID != old.KeyID {
		return fmt.Errorf("the rotated key has the names %q and %q", old.KeyID, fresh.KeyID)
	}
	if old.Version != "" && fresh.Version == old.Version {
		return fmt.Errorf("the rotated key still has the version %q", old.Version)
	}
	for _, w := range []kms.Wrapper{w, s.wrapper("a")} {
		if err := errors.Join(s.opens(w, old, key), s.opens(w, fresh, key)); err != nil {
			return fmt.Errorf("after the rotation: %w", err)
		}
	}
	return nil
}

func (s *suite) probe() error {
	w, _, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	p, ok := w.(kms.Prober)
	if !ok {
		return errSkip
	}
	h, err := p.Probe(s.t.Context())
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if h.KeyID != blob.KeyID || h.Version != blob.Version || !h.Enabled || !h.Deletion.IsZero() {
		return fmt.Errorf("probe: %+v of a healthy key whose blobs say %q %q", h, blob.KeyID, blob.Version)
	}
	return nil
}

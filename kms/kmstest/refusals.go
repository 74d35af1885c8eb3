package kmstest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/sealwright/sealwright/kms"
)

// binding checks that a blob opens in no other place.
func (s *suite) binding() error {
	if s.opts.Unbound {
		return errSkip
	}
	w, _, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	for _, b := range []kms.Binding{
		{},
		{Store: home.Store, Slot: home.Slot},
		{Store: home.Store, Path: home.Path},
		{Slot: home.Slot, Path: home.Path},
		{Store: home.Store, Slot: home.Slot, Path: "2.2"},
		{Store: home.Store, Slot: home.Slot + "2", Path: home.Path[1:]},
		{Store: home.Store + home.Slot[:1], Slot: home.Slot[1:], Path: home.Path},
		{Store: home.Slot, Slot: home.Store, Path: home.Path},
	} {
		got, err := w.Unwrap(s.t.Context(), blob, b)
		if err := s.refused(OpUnwrap, got, err, kms.ErrCorrupt, kms.ErrWrongKey); err != nil {
			return fmt.Errorf("binding %+v: %w", b, err)
		}
	}
	return nil
}

// altered checks that a blob with another ciphertext does not open.
func (s *suite) altered(w kms.Wrapper, blob *kms.Blob, ciphertext []byte, what string) error {
	bad := *blob
	bad.Ciphertext = ciphertext
	got, err := w.Unwrap(s.t.Context(), &bad, home)
	if err := s.refused(OpUnwrap, got, err, kms.ErrCorrupt, kms.ErrWrongKey); err != nil {
		return fmt.Errorf("ciphertext %s: %w", what, err)
	}
	return nil
}

// upTo returns the numbers below n, or about 100 of them spread evenly, with
// both ends.
func upTo(n int) []int {
	var out []int
	step := max(1, n/100)
	for i := 0; i < n; i += step {
		out = append(out, i)
	}
	if len(out) > 0 && out[len(out)-1] != n-1 {
		out = append(out, n-1)
	}
	return out
}

func (s *suite) truncated() error {
	w, _, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	for _, n := range upTo(len(blob.Ciphertext)) {
		if err := s.altered(w, blob, blob.Ciphertext[:n], fmt.Sprintf("cut to %d bytes", n)); err != nil {
			return err
		}
		if err := s.altered(w, blob, blob.Ciphertext[len(blob.Ciphertext)-n:], fmt.Sprintf("cut to the last %d bytes", n)); err != nil {
			return err
		}
	}
	return s.altered(w, blob, nil, "nil")
}

func (s *suite) extended() error {
	w, _, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	for _, tail := range [][]byte{{0}, {'\n'}, {'='}, {'A'}, make([]byte, 16), blob.Ciphertext, make([]byte, 1<<20)} {
		what := fmt.Sprintf("extended by %d bytes", len(tail))
		if err := s.altered(w, blob, slices.Concat(blob.Ciphertext, tail), what); err != nil {
			return err
		}
		if err := s.altered(w, blob, slices.Concat(tail, blob.Ciphertext), what+" in front"); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) flipped() error {
	w, _, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	for _, i := range upTo(len(blob.Ciphertext)) {
		bad := bytes.Clone(blob.Ciphertext)
		bad[i] ^= 1 << (i % 8)
		if err := s.altered(w, blob, bad, fmt.Sprintf("with bit %d of byte %d flipped", i%8, i)); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) noBlob() error {
	w := s.wrapper("a")
	for name, blob := range map[string]*kms.Blob{"nil": nil, "zero": {}} {
		got, err := w.Unwrap(s.t.Context(), blob, home)
		if err := s.refused(OpUnwrap, got, err, kms.ErrCorrupt, kms.ErrWrongKey); err != nil {
			return fmt.Errorf("%s blob: %w", name, err)
		}
	}
	return nil
}

// otherKey checks that a Wrapper opens no blob of another key, whether the blob
// says so or not.
func (s *suite) otherKey() error {
	a, key, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	b := s.wrapper("b")
	foreign, err := s.wrap(b, s.secret(32))
	if err != nil {
		return err
	}
	got, err := b.Unwrap(s.t.Context(), blob, home)
	if err := s.refused(OpUnwrap, got, err, kms.ErrWrongKey); err != nil {
		return fmt.Errorf("the blob of another key: %w", err)
	}
	renamed := *foreign
	renamed.KeyID, renamed.Version = blob.KeyID, blob.Version
	got, err = a.Unwrap(s.t.Context(), &renamed, home)
	if err := s.refused(OpUnwrap, got, err, kms.ErrWrongKey, kms.ErrCorrupt); err != nil {
		return fmt.Errorf("the blob of another key under this one's name: %w", err)
	}
	return s.opens(a, blob, key)
}

// authenticates checks that what a Wrapper calls authentic is its own, and that
// it is asked of the blob: whoever brings one along must not choose the answer.
func (s *suite) authenticates() error {
	w, _, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	a, ok := w.(kms.Authenticator)
	if !ok {
		return errSkip
	}
	foreign, err := s.wrap(s.wrapper("b"), s.secret(32))
	if err != nil {
		return err
	}
	typed, empty := *blob, *blob
	typed.Type, empty.KeyID = "another", ""
	for name, c := range map[string]struct {
		blob *kms.Blob
		want bool
	}{
		"its own blob":                {blob, !s.opts.Forgeable},
		"the blob of another key":     {foreign, false},
		"a blob of another type":      {&typed, false},
		"a blob that names no key":    {&empty, false},
		"a blob that is all zero":     {&kms.Blob{}, false},
		"no blob, which is a nil one": {nil, false},
	} {
		if a.Authenticates(c.blob) != c.want {
			return fmt.Errorf("%s: Authenticates is %v", name, !c.want)
		}
	}
	return nil
}

func (s *suite) otherType() error {
	w, _, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	bad := *blob
	bad.Type = "another"
	got, err := w.Unwrap(s.t.Context(), &bad, home)
	return s.refused(OpUnwrap, got, err, kms.ErrWrongKey)
}

// otherVersion checks that the version in the blob is the one that is asked,
// where there is one.
func (s *suite) otherVersion() error {
	w, _, blob, err := s.wrapped()
	if err != nil {
		return err
	}
	if blob.Version == "" {
		return errSkip
	}
	bad := *blob
	bad.Version += "9"
	got, err := w.Unwrap(s.t.Context(), &bad, home)
	return s.refused(OpUnwrap, got, err, kms.ErrWrongKey, kms.ErrCorrupt, kms.ErrKeyGone)
}

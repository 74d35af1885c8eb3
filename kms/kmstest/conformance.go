package kmstest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/sealwright/sealwright/kms"
)

// Options tell [Conformance] what a provider's KMS can do, and let it play the
// administrator of that KMS. The zero Options suit a KMS that authenticates
// associated data and cannot be disturbed, and leave the checks out that need
// more.
type Options struct {
	// Unbound says that the provider does not authenticate the binding, and
	// documents it: a blob opens under any.
	Unbound bool

	// Forgeable says that anybody can make a blob that opens, so that the
	// provider authenticates none. Of another that is a [kms.Authenticator] the
	// suite wants its own blobs to be authentic.
	Forgeable bool

	// Rotate adds a version to the key of that name.
	Rotate func(t *testing.T, key string)

	// Stall makes the KMS take requests and not answer them until t ends. It
	// calls arrived, which does not block, for each.
	Stall func(t *testing.T, arrived func())

	// Faults are what can be wrong with the KMS and with the key "a", and how
	// an unwrap must report it.
	Faults []FaultCase
}

// A FaultCase is one entry of a provider's table of faults.
type FaultCase struct {
	Name   string
	Inject func(t *testing.T) // takes effect at once, and lasts until t ends
	Want   error              // the kind of the error: a sentinel of package kms

	// RetryAfter is what [kms.Error.RetryAfter] must hold.
	RetryAfter time.Duration
}

// Conformance checks that a provider keeps the contract of [kms.Wrapper], and
// of [kms.Prober] where it is one. For each check newWrapper is called with the
// check's own t, for one or more Wrappers: those of one name use the same key
// of the same KMS, also across calls, and those of two names use two keys. The
// names are "a" and "b".
func Conformance(t *testing.T, newWrapper func(t *testing.T, key string) kms.Wrapper, opts Options) {
	t.Helper()
	for _, c := range checks {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			s := &suite{t: t, open: newWrapper, opts: opts}
			if err := c.run(s); err == errSkip {
				t.Skip("the Options leave this check out")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// errSkip is what a check returns that the Options leave out.
var errSkip = errors.New("left out")

// A suite is one run of one check. A check returns what it found, rather than
// call t, so that the tests of this package can see each of them fail.
type suite struct {
	t    *testing.T
	open func(t *testing.T, key string) kms.Wrapper
	opts Options

	mu      sync.Mutex
	secrets [][]byte
}

// home is the binding of the checks that are not about bindings.
var home = kms.Binding{Store: "0123456789abcdef", Slot: "cloud", Path: "2.1"}

func (s *suite) wrapper(key string) kms.Wrapper { return s.open(s.t, key) }

// secret returns a key of n bytes. No error may show it from then on.
func (s *suite) secret(n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := newMaterial(fmt.Sprintf("conformance/%d/%d", n, len(s.secrets))).stream(n)
	s.secrets = append(s.secrets, bytes.Clone(key))
	return key
}

// wrapped returns a Wrapper of the key "a", a secret of 32 bytes and its blob.
func (s *suite) wrapped() (kms.Wrapper, []byte, *kms.Blob, error) {
	w, key := s.wrapper("a"), s.secret(32)
	blob, err := s.wrap(w, key)
	return w, key, blob, err
}

func (s *suite) wrap(w kms.Wrapper, key []byte) (*kms.Blob, error) {
	blob, err := w.Wrap(s.t.Context(), key, home)
	switch {
	case err != nil:
		return nil, fmt.Errorf("wrap: %w", err)
	case blob == nil:
		return nil, errors.New("wrap: no blob and no error")
	}
	return blob, nil
}

// opens checks that blob holds key.
func (s *suite) opens(w kms.Wrapper, blob *kms.Blob, key []byte) error {
	got, err := w.Unwrap(s.t.Context(), blob, home)
	if err != nil {
		return fmt.Errorf("unwrap: %w", err)
	}
	if !bytes.Equal(got, key) {
		return fmt.Errorf("unwrap: a wrong key of %d bytes, want %d", len(got), len(key))
	}
	return nil
}

// refused checks that a call failed as it must, and gave nothing away: got is
// nil, and err an *kms.Error of one of the wanted kinds.
func (s *suite) refused(op string, got []byte, err error, want ...error) error {
	if err == nil {
		return fmt.Errorf("%s: no error, want %v", op, want)
	}
	if got != nil {
		return fmt.Errorf("%s: a result came with the error %v", op, err)
	}
	e, ok := errors.AsType[*kms.Error](err)
	if !ok {
		return fmt.Errorf("%s: the error is a %T, not a *kms.Error: %v", op, err, err)
	}
	if e.Op != op || e.Type == "" {
		return fmt.Errorf("%s: the error has Op %q and Type %q", op, e.Op, e.Type)
	}
	var kinds []error
	for _, k := range sentinels {
		if errors.Is(err, k) {
			kinds = append(kinds, k)
		}
	}
	if len(kinds) != 1 || kinds[0] != e.Kind {
		return fmt.Errorf("%s: the error has the kinds %v, want one: %v", op, kinds, err)
	}
	if text := err.Error(); !strings.HasPrefix(text, "kms: ") || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || len(text) > 1000 {
		return fmt.Errorf("%s: the text is not one short, printable line that begins with \"kms: \": %q", op, text)
	}
	if err := s.silent(err.Error()); err != nil {
		return err
	}
	for _, k := range want {
		if e.Kind == k {
			return nil
		}
	}
	return fmt.Errorf("%s: the error is %q, want %v", op, err, want)
}

// sentinels are all sentinels of package kms.
var sentinels = []error{
	kms.ErrUnavailable, kms.ErrThrottled, kms.ErrUnauthenticated, kms.ErrClockSkew, kms.ErrDenied,
	kms.ErrKeyDisabled, kms.ErrKeyGone, kms.ErrWrongKey, kms.ErrCorrupt, kms.ErrMisconfigured,
}

// silent checks that text shows none of the secrets, in any usual form.
func (s *suite) silent(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	lower := strings.ToLower(text)
	for _, key := range s.secrets {
		decimal := strings.Trim(fmt.Sprint(key), "[]")
		switch {
		case strings.Contains(text, string(key)),
			strings.Contains(lower, hex.EncodeToString(key)),
			strings.Contains(text, base64.RawStdEncoding.EncodeToString(key)),
			strings.Contains(text, base64.RawURLEncoding.EncodeToString(key)),
			strings.Contains(text, decimal):
			return errors.New("the text of an error shows the key")
		}
	}
	return nil
}

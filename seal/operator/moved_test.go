package operator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// A moving is a KMS under whose name there are two keys: the current one wraps,
// and both open.
type moving struct {
	*kmstest.Key
	previous *kmstest.Key
}

func (m moving) Unwrap(ctx context.Context, blob *kms.Blob, place kms.Binding) ([]byte, error) {
	key, err := m.Key.Unwrap(ctx, blob, place)
	if errors.Is(err, kms.ErrWrongKey) {
		return m.previous.Unwrap(ctx, blob, place)
	}
	return key, err
}

func (m moving) Authenticates(blob *kms.Blob) bool {
	return m.Key.Authenticates(blob) || m.previous.Authenticates(blob)
}

// startWith is a new process in which a KMS of that name is w.
func (s *server) startWith(name string, w kms.Wrapper) error {
	s.t.Helper()
	s.b.Close()
	var err error
	s.b, err = seal.Open(seal.Config{Store: s.store, KMS: map[string]kms.Wrapper{name: w}, Replica: s.name, Retry: s.retry})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.b.Close() })
	s.with(func(cfg *operator.Config) {
		cfg.Plan = func(context.Context) (migrate.Plan, error) { return s.plan, nil }
	})
	err = s.b.Unseal(s.t.Context())
	return err
}

// TestMigrateToAnotherKeyUnderItsName: the plan has not changed, and the key under
// its name has. The answer was that the migration is done, until a drill had looked,
// and the start without the old key was locked out.
func TestMigrateToAnotherKeyUnderItsName(t *testing.T) {
	s := newServer(t)
	one, two := s.kms.Key("one"), s.kms.Key("two")
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"auto": seal.KMS{Wrapper: "prod"}}}
	if err := s.startWith("prod", one); !errors.Is(err, seal.ErrUninitialized) {
		t.Fatal(err)
	}
	shares, token := s.init(object{"recovery_shares": 3, "recovery_threshold": 2})
	s.unseal(shares[:2]...)
	done := fmt.Sprint(s.migrate(token, shares[0])["notes"])
	if generation := s.b.Status().Generation; !strings.Contains(done, "the migration is done") || generation != 2 {
		t.Fatalf("before: generation %d, %s", generation, done)
	}

	if err := s.startWith("prod", moving{two, one}); err != nil {
		t.Fatal(err)
	}
	other := newServer(t)
	foreign, _ := other.init(object{"secret_shares": 3, "secret_threshold": 2})
	calls := len(s.kms.Calls())
	if s.migrate("", foreign[0]); len(s.kms.Calls()) != calls {
		t.Error("a stranger had the keys asked about")
	}
	s.kms.Script(func(kmstest.Call) kmstest.Fault { return kmstest.Fault{Failure: kmstest.NoDNS} })
	if out := fmt.Sprint(s.migrate("", shares[0])["notes"]); !strings.Contains(out, "as far as can be said") {
		t.Errorf("while no key answers: %s", out)
	}
	s.kms.Script(nil)

	if out := s.migrate(token, shares[0]); !strings.Contains(fmt.Sprint(out["notes"]), `wrapped with key "one", and the configuration has come to key "two"`) {
		t.Errorf("the first share: %v", out)
	}
	s.migrate("", shares[1])
	if err := s.startWith("prod", two); err != nil {
		t.Errorf("without the old key: %v", err)
	}
	if err := s.startWith("prod", one); !errors.Is(err, kms.ErrWrongKey) {
		t.Errorf("with the old key alone: %v", err)
	}
}

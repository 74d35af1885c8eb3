package migrate_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A moving is a KMS under whose name there are two keys: the current one wraps,
// and both open, as with an alias, or a static seal that has a previous key.
type moving struct {
	current, previous *localkms.Wrapper
	lags              bool // it says so, and still wraps with the previous one
}

func (m moving) Wrap(ctx context.Context, key []byte, place kms.Binding) (*kms.Blob, error) {
	if m.lags {
		return m.previous.Wrap(ctx, key, place)
	}
	return m.current.Wrap(ctx, key, place)
}

func (m moving) Unwrap(ctx context.Context, blob *kms.Blob, place kms.Binding) ([]byte, error) {
	key, err := m.current.Unwrap(ctx, blob, place)
	if errors.Is(err, kms.ErrWrongKey) {
		return m.previous.Unwrap(ctx, blob, place)
	}
	return key, err
}

func (m moving) Probe(ctx context.Context) (kms.Health, error) { return m.current.Probe(ctx) }

func (m moving) Authenticates(blob *kms.Blob) bool {
	return m.current.Authenticates(blob) || m.previous.Authenticates(blob)
}

// TestAWantedSlotFollowsItsKey: the plan has not changed, and the key under its
// name has. That was "nothing to do", until the old key was taken away.
func TestAWantedSlotFollowsItsKey(t *testing.T) {
	ctx := t.Context()
	newKey := func() *localkms.Wrapper {
		path := filepath.Join(t.TempDir(), "key")
		if err := localkms.Create(ctx, path); err != nil {
			t.Fatal(err)
		}
		w, err := localkms.New(localkms.Config{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	first, second := newKey(), newKey()
	store := seal.NewMemStore()
	start := func(w kms.Wrapper) (*seal.Barrier, error) {
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"static": w}, Retry: kms.Policy{Attempts: 1}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		err = b.Unseal(ctx)
		return b, err
	}
	plan := migrate.Plan{Slots: map[string]seal.Spec{"auto": seal.KMS{Wrapper: "static"}}}
	b, _ := start(first)
	if _, err := b.Init(ctx, plan.Slots, seal.By{}); err != nil {
		t.Fatal(err)
	}
	if r, err := migrate.Check(ctx, b, plan); err != nil || len(r.Moves) != 0 || !r.OK() {
		t.Fatalf("before: %v, %v", r, err)
	}

	lagging, err := start(moving{second, first, true})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := migrate.Reconcile(ctx, lagging, plan, migrate.Options{}); err == nil || r.Done || !strings.Contains(err.Error(), "still wrapped with the old key") {
		t.Errorf("a move that is not in force yet: %+v, %v", r, err)
	}

	b, err = start(moving{second, first, false})
	if err != nil {
		t.Fatal(err)
	}
	report, err := migrate.Check(ctx, b, plan)
	if err != nil || len(report.Moves) != 1 || report.Moves[0].String() != `renew "auto" (KMS static)` || !report.OK() {
		t.Errorf("%v, %v", report, err)
	}
	other := migrate.Plan{Slots: map[string]seal.Spec{"more": seal.KMS{Wrapper: "static"}}}
	if report, err := migrate.Check(ctx, b, other); err != nil || !strings.Contains(strings.Join(report.Warnings, "\n"), "a start without the old key will not open it") {
		t.Errorf("of a slot that the plan leaves as it is: %q, %v", report.Warnings, err)
	}
	r, err := migrate.Reconcile(ctx, b, plan, migrate.Options{})
	if err != nil || !r.Done || len(r.Moved) != 1 || r.Moved[0].Kind != migrate.MoveRenew {
		t.Errorf("%+v, %v", r, err)
	}
	generation := b.Status().Generation
	if r, err := migrate.Reconcile(ctx, b, plan, migrate.Options{}); err != nil || !r.Done || len(r.Moved) != 0 || b.Status().Generation != generation {
		t.Errorf("once more: %+v, %v", r, err)
	}
	if b, err := start(second); err != nil || b.Sealed() != nil {
		t.Errorf("without the old key: %v", err)
	}
	if _, err := start(first); !errors.Is(err, kms.ErrWrongKey) {
		t.Errorf("with the old key alone: %v", err)
	}
}

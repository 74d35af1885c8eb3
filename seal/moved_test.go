package seal_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/seal"
)

// A rotated is a KMS as OpenBao's static seal is while its key is rotated: the
// current key wraps, and the previous one still opens.
type rotated struct{ current, previous *localkms.Wrapper }

func (r rotated) Wrap(ctx context.Context, key []byte, place kms.Binding) (*kms.Blob, error) {
	return r.current.Wrap(ctx, key, place)
}

func (r rotated) Unwrap(ctx context.Context, blob *kms.Blob, place kms.Binding) ([]byte, error) {
	key, err := r.current.Unwrap(ctx, blob, place)
	if errors.Is(err, kms.ErrWrongKey) {
		return r.previous.Unwrap(ctx, blob, place)
	}
	return key, err
}

func (r rotated) Probe(ctx context.Context) (kms.Health, error) { return r.current.Probe(ctx) }

func (r rotated) Authenticates(blob *kms.Blob) bool {
	return r.current.Authenticates(blob) || r.previous.Authenticates(blob)
}

func localKey(t *testing.T) *localkms.Wrapper {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	must(t, localkms.Create(t.Context(), path))
	w, err := localkms.New(localkms.Config{Path: path})
	must(t, err)
	return w
}

func keyID(t *testing.T, w *localkms.Wrapper) string {
	t.Helper()
	health, err := w.Probe(t.Context())
	must(t, err)
	return health.KeyID
}

// TestASlotOfAKeyThatWasRotatedAway: a static seal gets a new key, and keeps the
// old one as previous. Drill, Check and Status said that all is well, and the
// start without the old key was locked out.
func TestASlotOfAKeyThatWasRotatedAway(t *testing.T) {
	for name, spec := range map[string]seal.Spec{
		"a key":          seal.KMS{Wrapper: "static"},
		"two of three":   seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "static"}, seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}}},
		"key and people": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "static"}, seal.Shamir{Shares: 2, Threshold: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			oldKey, newKey := localKey(t), localKey(t)
			fake := &kmstest.Fake{}
			store := seal.NewMemStore()
			var events []seal.Event
			start := func(static kms.Wrapper) *seal.Barrier {
				t.Helper()
				b, err := seal.Open(seal.Config{
					Store: store, KMS: map[string]kms.Wrapper{"static": static, "a": fake.Key("a"), "b": fake.Key("b")},
					Retry: kms.Policy{Attempts: 1}, Propagation: time.Hour,
					OnEvent: func(e seal.Event) { events = append(events, e) },
				})
				must(t, err)
				t.Cleanup(func() { b.Close() })
				return b
			}
			first := start(oldKey)
			d, err := first.Init(ctx, map[string]seal.Spec{"slot": spec}, seal.By{})
			must(t, err)
			unseal := func(b *seal.Barrier) error {
				err := b.Unseal(ctx)
				for _, set := range d.Sets {
					for _, s := range set.Shares {
						_, err = b.Submit(ctx, s, seal.By{})
					}
				}
				return err
			}
			must(t, unseal(first))
			ct, err := first.Keyring().Encrypt(nil, []byte("x"), nil)
			must(t, err)
			fake.Disable("b") // of two of three, the static key is needed then

			if err := unseal(start(newKey)); !errors.Is(err, kms.ErrWrongKey) {
				t.Errorf("a start without the old key: %v", err)
			}
			fake.Enable("b")
			b := start(rotated{newKey, oldKey})
			must(t, unseal(b))
			must(t, b.Admin().Drill(ctx))
			slot := b.Status().Slots[0]
			if !slot.Moved || len(slot.Notes) != 1 {
				t.Fatalf("moved %v, notes %q", slot.Moved, slot.Notes)
			}
			for _, words := range []string{keyID(t, oldKey), keyID(t, newKey), "a start without the old key will not open it", "renew the slot"} {
				if !strings.Contains(slot.Notes[0], words) || !strings.Contains(strings.Join(b.Status().Warnings, "\n"), words) {
					t.Errorf("%q, without %q", slot.Notes, words)
				}
			}
			if !slices.ContainsFunc(events, func(e seal.Event) bool { return e.Kind == seal.EventKeyMoved && e.Slot == "slot" }) {
				t.Error("no event tells of it")
			}

			must(t, b.Admin().Renew(ctx, "slot", seal.By{}))
			if slot := b.Status().Slots[0]; slot.Moved || len(slot.Notes) != 0 {
				t.Errorf("afterwards: moved %v, notes %q", slot.Moved, slot.Notes)
			}
			must(t, b.Admin().Drill(ctx))
			if slot := b.Status().Slots[0]; slot.Moved || len(slot.Notes) != 0 {
				t.Errorf("at the next drill: moved %v, notes %q", slot.Moved, slot.Notes)
			}
			fake.Disable("b")
			last := start(newKey)
			must(t, unseal(last))
			if got, err := last.Keyring().Decrypt(nil, ct, nil); err != nil || string(got) != "x" {
				t.Errorf("%q, %v", got, err)
			}
			must(t, first.Admin().Refresh(ctx)) // the root key is the same: it follows
		})
	}
}

// TestRunLeavesAnotherKeyToAnOperator: it follows newer versions by itself, and
// cannot know whether every replica has another key.
func TestRunLeavesAnotherKeyToAnOperator(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		oldKey, newKey := localKey(t), localKey(t)
		store := seal.NewMemStore()
		open := func(static kms.Wrapper) *seal.Barrier {
			b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"static": static}, Drill: time.Hour})
			must(t, err)
			return b
		}
		b := open(oldKey)
		defer b.Close()
		_, err := b.Init(ctx, map[string]seal.Spec{"slot": seal.KMS{Wrapper: "static"}}, seal.By{})
		must(t, err)
		must(t, newKey.Rotate(ctx)) // the blob's version is 1, as if there were a newer one
		b = open(rotated{newKey, oldKey})
		defer b.Close()
		go b.Run(ctx)
		must(t, b.Wait(ctx))
		generation := b.Status().Generation
		time.Sleep(testlevel.Most(24*time.Hour, 4*time.Hour)) // it drills each hour
		if s := b.Status(); s.Generation != generation || !s.Slots[0].Moved {
			t.Errorf("generation %d, then %d; moved %v", generation, s.Generation, s.Slots[0].Moved)
		}
		must(t, b.Admin().Renew(ctx, "slot", seal.By{}))
		if s := b.Status(); s.Generation != generation+1 || s.Slots[0].Moved {
			t.Errorf("renewed: generation %d, moved %v", s.Generation, s.Slots[0].Moved)
		}
	})
}

// TestANewKeyThatDoesNotOpenIsNotStored: the slot is opened through the new blob
// before the old one goes.
func TestANewKeyThatDoesNotOpenIsNotStored(t *testing.T) {
	ctx := t.Context()
	fake := &kmstest.Fake{}
	store := seal.NewMemStore()
	old := localKey(t)
	open := func(w kms.Wrapper) *seal.Barrier {
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"k": w}, Retry: kms.Policy{Attempts: 1}})
		must(t, err)
		t.Cleanup(func() { b.Close() })
		return b
	}
	_, err := open(old).Init(ctx, map[string]seal.Spec{"slot": seal.KMS{Wrapper: "k"}}, seal.By{})
	must(t, err)
	before, _, err := store.Load(ctx)
	must(t, err)
	b := open(halfRotated{rotated{localKey(t), old}})
	err = b.Unseal(ctx)
	must(t, err)
	if err := b.Admin().Renew(ctx, "slot", seal.By{}); !errors.Is(err, kms.ErrWrongKey) {
		t.Errorf("renewed by a key that does not open: %v", err)
	}
	if after, _, err := store.Load(ctx); err != nil || string(after) != string(before) {
		t.Errorf("the record changed: %v", err)
	}
	// And one of another kind under the same name is no move.
	b = open(otherKind{rotated{old, old}, fake.Key("x")})
	err = b.Unseal(ctx)
	must(t, err)
	if err := b.Admin().Renew(ctx, "slot", seal.By{}); err == nil || !strings.Contains(err.Error(), "a renewal changes blobs alone") {
		t.Errorf("renewed by another kind of KMS: %v", err)
	}
}

// halfRotated wraps with a key that it does not unwrap with.
type halfRotated struct{ rotated }

func (h halfRotated) Unwrap(ctx context.Context, blob *kms.Blob, place kms.Binding) ([]byte, error) {
	return h.previous.Unwrap(ctx, blob, place)
}

// otherKind wraps with a key of another provider.
type otherKind struct {
	rotated
	other kms.Wrapper
}

func (o otherKind) Wrap(ctx context.Context, key []byte, place kms.Binding) (*kms.Blob, error) {
	return o.other.Wrap(ctx, key, place)
}

func (o otherKind) Unwrap(ctx context.Context, blob *kms.Blob, place kms.Binding) ([]byte, error) {
	if blob.Type != localkms.Type {
		return o.other.Unwrap(ctx, blob, place)
	}
	return o.rotated.Unwrap(ctx, blob, place)
}

package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// TestRestore goes on with an older record: in a process that still has the
// lost keys, and in one that starts cold.
func TestRestore(t *testing.T) {
	for _, warm := range []bool{true, false} {
		bubble(t, func(t *testing.T) {
			ctx := t.Context()
			v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
			defer func() { b.Close() }()
			must(t, v.write(b))
			backup := v.stored(ctx)
			generation := b.Status().Generation
			must(t, b.Rotate(ctx, seal.By{}))
			must(t, b.Admin().RotateRoot(ctx, seal.By{}))
			lost, err := b.Keyring().Encrypt(nil, []byte("lost"), nil)
			must(t, err)
			lostTerm := lastTerm(b)

			v.put(ctx, backup)
			if !warm {
				b.Close()
				b = v.boot()
				must(t, v.unseal(ctx, b))
			} else if err := b.Admin().Refresh(ctx); !errors.Is(err, seal.ErrRolledBack) {
				t.Fatalf("an older record: %v", err)
			}
			if err := b.Admin().Restore(ctx, generation+1, seal.By{}); !errors.Is(err, seal.ErrConfig) {
				t.Errorf("another generation than named: %v", err)
			}
			must(t, b.Admin().Restore(ctx, generation, seal.By{Actor: "ops"}))
			if now := lastTerm(b); now <= lostTerm {
				t.Errorf("term %d after the restore: the lost records used up to %d", now, lostTerm)
			}
			must(t, b.Rotate(ctx, seal.By{}))
			must(t, v.write(b))
			must(t, v.readable(b))
			_, err = b.Keyring().Decrypt(nil, lost, nil)
			if warm && err != nil {
				t.Errorf("what the process still had the key of: %v", err)
			}
			if !warm && err == nil {
				t.Error("a key came from nowhere")
			}
			b.Close()
			b = v.boot()
			must(t, v.unseal(ctx, b))
			must(t, v.readable(b))
		})
	}
}

func lastTerm(b *seal.Barrier) uint32 {
	terms := b.Status().Terms
	return terms[len(terms)-1].Number
}

// TestJoin joins two halves that each went on alone.
func TestJoin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		begin := scenario{begin: threeSlots}.prepare(ctx, t)
		left, lb := begin.from(ctx, t, seal.NewMemStore())
		right, rb := begin.from(ctx, t, seal.NewMemStore())
		defer lb.Close()
		defer rb.Close()
		// The left half rotates by a restore, which leaves numbers out: its
		// terms are its own. The right one changes its root key as well.
		must(t, lb.Admin().Restore(ctx, lb.Status().Generation, seal.By{}))
		must(t, left.write(lb))
		must(t, rb.Rotate(ctx, seal.By{}))
		must(t, rb.Admin().RotateRoot(ctx, seal.By{}))
		must(t, right.write(rb))
		must(t, lb.Admin().Join(ctx, right.stored(ctx), seal.By{}))
		must(t, left.readable(lb))
		must(t, right.readable(lb))

		// Two halves that used one number for two keys are not mixed.
		left, lb2 := begin.from(ctx, t, seal.NewMemStore())
		defer lb2.Close()
		must(t, lb2.Rotate(ctx, seal.By{}))
		before := left.stored(ctx)
		if err := lb2.Admin().Join(ctx, right.stored(ctx), seal.By{}); !errors.Is(err, seal.ErrTermTwice) {
			t.Errorf("one number, two keys: %v", err)
		}
		if !bytes.Equal(before, left.stored(ctx)) {
			t.Error("a refused join changed the record")
		}
		other := newVault(t, seal.NewMemStore())
		ob := other.boot()
		defer ob.Close()
		must(t, other.initialize(ctx, ob, shapes[1].slots))
		if err := lb2.Admin().Join(ctx, other.stored(ctx), seal.By{}); !errors.Is(err, seal.ErrOtherStore) {
			t.Errorf("another store's record: %v", err)
		}
		if err := lb2.Admin().Join(ctx, []byte("x"), seal.By{}); !errors.Is(err, seal.ErrCorrupt) {
			t.Errorf("no record: %v", err)
		}
	})
}

// TestReissue: shares of a slot never proven are made anew without a quorum.
func TestReissue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v := newVault(t, seal.NewMemStore())
		b := v.boot()
		defer b.Close()
		lost, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}, "people": shapes[0].slots["people"]}, seal.By{})
		must(t, err)
		d, err := b.Admin().Reissue(ctx, "people", shapes[0].slots["people"], seal.By{})
		must(t, err)
		must(t, v.take(d))
		op, done, err := b.Admin().Prove(ctx, "people", seal.By{})
		must(t, err)
		if done {
			t.Fatal("people proved nothing")
		}
		if _, err := b.Submit(ctx, lost.Sets[0].Shares[0], seal.By{Operation: op}); !errors.Is(err, seal.ErrShareStale) {
			t.Errorf("a share of the lost delivery: %v", err)
		}
		must(t, v.gather(ctx, b, seal.By{Operation: op}))
		if _, err := b.Admin().Reissue(ctx, "people", shapes[0].slots["people"], seal.By{}); !errors.Is(err, seal.ErrSlotExists) {
			t.Errorf("a slot that was proven: %v", err)
		}
		if _, err := b.Admin().Reissue(ctx, "nobody", shapes[0].slots["people"], seal.By{}); !errors.Is(err, seal.ErrNoSlot) {
			t.Errorf("a slot that is not there: %v", err)
		}
	})
}

// reverser stands for age or OpenPGP: it turns the text around.
type reverser struct{ fail bool }

func (r reverser) Encrypt(_ context.Context, share string) ([]byte, error) {
	if r.fail {
		return nil, errors.New("no such key")
	}
	b := []byte(share)
	slices.Reverse(b)
	return b, nil
}

// A sleeper is a recipient whose plugin waits for a finger on a key.
type sleeper struct{ context bool }

func (s sleeper) Encrypt(ctx context.Context, _ string) ([]byte, error) {
	if s.context {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(time.Hour)
	return nil, nil
}

// TestHungRecipient: one that never answers holds up nothing for longer than a
// minute, and nothing is made.
func TestHungRecipient(t *testing.T) {
	virtual(t, func(t *testing.T) {
		for _, r := range []seal.Recipient{sleeper{context: true}, sleeper{}} {
			v := newVault(t, seal.NewMemStore())
			b := v.boot()
			start := time.Now()
			_, err := b.Init(t.Context(), map[string]seal.Spec{"people": seal.Shamir{Shares: 2, Threshold: 2, Custodians: []seal.Custodian{
				{Name: "anna", Recipient: reverser{}}, {Name: "ben", Recipient: r},
			}}}, seal.By{})
			if took := time.Since(start); !errors.Is(err, seal.ErrRecipient) || !strings.Contains(err.Error(), `share 2, to "ben"`) || took > 2*time.Minute {
				t.Errorf("%T: after %v: %v", r, took, err)
			}
			if err := b.Unseal(t.Context()); !errors.Is(err, seal.ErrUninitialized) {
				t.Errorf("the store after it: %v", err)
			}
			b.Close()
		}
		time.Sleep(2 * time.Hour) // the sleepers wake
	})
}

// TestCustodians: shares leave encrypted, and those who hold them are named.
func TestCustodians(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v := newVault(t, seal.NewMemStore())
		b := v.boot()
		defer func() { b.Close() }()
		spec := seal.Shamir{Shares: 3, Threshold: 2, Custodians: []seal.Custodian{
			{Name: "anna", Recipient: reverser{}}, {Name: "ben", Recipient: reverser{}}, {Name: "carla"},
		}}
		d, err := b.Init(ctx, map[string]seal.Spec{"people": spec}, seal.By{})
		must(t, err)
		set := d.Sets[0]
		if set.Shares[0].Reveal() != "" || set.Shares[2].Reveal() == "" || set.Encrypted[2] != nil || strings.Join(set.Custodians, " ") != "anna ben carla" {
			t.Fatalf("delivery: %v %v", set.Shares, set.Custodians)
		}
		for i := range 2 {
			text := slices.Clone(set.Encrypted[i])
			slices.Reverse(text)
			share, err := seal.ParseShare(string(text))
			must(t, err)
			_, err = b.Submit(ctx, share, seal.By{})
			must(t, err)
		}
		if got := fmt.Sprint(b.Status().Slots[0].Custodians); got != "[anna ben carla]" {
			t.Errorf("status names %s", got)
		}
		for name, bad := range map[string]seal.Spec{
			"too few":     seal.Shamir{Shares: 3, Threshold: 2, Custodians: spec.Custodians[:2]},
			"no such key": seal.Shamir{Shares: 2, Threshold: 2, Custodians: []seal.Custodian{{Name: "x", Recipient: reverser{fail: true}}, {Name: "y"}}},
		} {
			before := v.stored(ctx)
			if _, err := b.Admin().Add(ctx, "more", bad, seal.By{}); err == nil {
				t.Errorf("%s: accepted", name)
			}
			if !bytes.Equal(before, v.stored(ctx)) {
				t.Errorf("%s: the record was changed", name)
			}
		}
	})
}

// TestElsewhere: the replica that gathers an operation's shares is named, and
// another one can take over.
func TestElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[1].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		plan := migrate.Plan{Slots: shapes[0].slots, Drop: []string{"auto"}}
		r, err := migrate.Reconcile(ctx, b, plan, migrate.Options{Deliver: v.take})
		must(t, err)
		other, err := seal.Open(seal.Config{Store: v.inner, KMS: v.own(), Replica: "second"})
		must(t, err)
		defer other.Close()
		err = other.Unseal(ctx)
		must(t, err)
		by := seal.By{Operation: r.Operation}
		share := v.held[1].Shares[0]
		if _, err := other.Submit(ctx, share, by); !errors.Is(err, seal.ErrElsewhere) || !strings.Contains(err.Error(), `"test"`) {
			t.Errorf("a share sent to another replica: %v", err)
		}
		if _, err := other.Submit(ctx, share, seal.By{Operation: "guessed"}); !errors.Is(err, seal.ErrNoOperation) {
			t.Errorf("an operation that is not: %v", err)
		}
		// Reconcile on the other replica takes over.
		r, err = migrate.Reconcile(ctx, other, plan, migrate.Options{Deliver: v.take})
		must(t, err)
		must(t, v.gather(ctx, other, by))
		r, err = migrate.Reconcile(ctx, other, plan, migrate.Options{})
		must(t, err)
		if !r.Done {
			t.Errorf("%+v", r)
		}
	})
}

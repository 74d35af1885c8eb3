package seal_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// rekeyed is a store of people who were rekeyed, up to where the new shares wait
// for their verification.
type rekeyed struct {
	t        *testing.T
	store    *seal.MemStore
	old, new []seal.Share
	ct       []byte
	events   []seal.Event
}

func newRekeyed(t *testing.T, begin func(context.Context, *seal.Barrier) error) *rekeyed {
	t.Helper()
	ctx := t.Context()
	r := &rekeyed{t: t, store: seal.NewMemStore()}
	b := r.boot()
	d, err := b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
	must(t, err)
	r.old = d.Sets[0].Shares
	must(t, r.give(b, r.old[:2]))
	r.ct, err = b.Keyring().Encrypt(nil, []byte("x"), nil)
	must(t, err)
	d, err = b.Admin().Rekey(ctx, "people", seal.Shamir{Shares: 3, Threshold: 2}, seal.By{})
	must(t, err)
	r.new = d.Sets[0].Shares
	must(t, begin(ctx, b))
	return r
}

func (r *rekeyed) boot() *seal.Barrier {
	r.t.Helper()
	b, err := seal.Open(seal.Config{Store: r.store, OnEvent: func(e seal.Event) { r.events = append(r.events, e) }})
	must(r.t, err)
	r.t.Cleanup(func() { b.Close() })
	return b
}

// give gives shares to unseal; the first error is returned.
func (r *rekeyed) give(b *seal.Barrier, shares []seal.Share) error {
	for _, s := range shares {
		if _, err := b.Submit(r.t.Context(), s, seal.By{}); err != nil {
			return err
		}
	}
	return nil
}

func (r *rekeyed) readable(b *seal.Barrier) {
	r.t.Helper()
	if got, err := b.Keyring().Decrypt(nil, r.ct, nil); err != nil || string(got) != "x" {
		r.t.Errorf("%q, %v", got, err)
	}
}

func verify(ctx context.Context, b *seal.Barrier) error {
	_, _, err := b.Admin().Prove(ctx, "people", seal.By{})
	return err
}

// TestSharesThatWaitForTheirVerification: a script rekeys, is told that the new
// shares are complete, shreds the old ones, and restarts. The new shares were
// taken with success, progress stayed 0, and nobody was ever let in again. They
// are the verification that was asked for.
func TestSharesThatWaitForTheirVerification(t *testing.T) {
	r := newRekeyed(t, verify)
	b := r.boot()
	ctx := t.Context()
	if c, err := b.Admin().CheckShare(ctx, r.new[0], seal.By{}); err != nil || c.Slot != "people" {
		t.Errorf("Check: %+v, %v", c, err)
	}
	must(t, r.give(b, r.new[:1]))
	s, err := b.Admin().Inspect(ctx)
	must(t, err)
	if p := b.Status().Progress; len(p) != 1 || p[0].Set != 2 || p[0].Given != 1 || len(s.Progress) != 2 || !strings.Contains(s.Reason.Error(), "1 of 2 shares given") {
		t.Errorf("progress %+v, inspected %+v, %v", p, s.Progress, s.Reason)
	}
	must(t, r.give(b, r.new[1:2]))
	must(t, b.Sealed())
	r.readable(b)
	s = b.Status()
	if len(s.Slots) != 1 || s.Slots[0].State != seal.SlotActive || s.Slots[0].Sets[0] != 2 || s.Operation != nil {
		t.Errorf("%+v", s)
	}
	if e := r.events[len(r.events)-2]; e.Kind != seal.EventReplace || e.Err != nil || e.Slot != "people" {
		t.Errorf("%+v", e)
	}
	b = r.boot()
	if err := r.give(b, r.old); !errors.Is(err, seal.ErrShareStale) {
		t.Errorf("the old shares: %v", err)
	}
	must(t, r.give(b, r.new[1:]))
	r.readable(b)
}

// TestSharesOfARekeyThatWasGivenUp: they were said to be newer than the record. It knows
// that it had their set, and the old ones are what counts.
func TestSharesOfARekeyThatWasGivenUp(t *testing.T) {
	r := newRekeyed(t, func(ctx context.Context, b *seal.Barrier) error {
		_, _, err := b.Admin().Drop(ctx, []string{"people"}, seal.By{}, seal.SlotPending)
		return err
	})
	b := r.boot()
	err := r.give(b, r.new[:1])
	if e, ok := errors.AsType[*seal.ShareError](err); !ok || e.Kind != seal.ErrShareStale || e.Set != 2 || e.Want != 1 || !strings.Contains(err.Error(), "given up before it counted") {
		t.Errorf("%v", err)
	}
	must(t, r.give(b, r.old))
	r.readable(b)
}

// TestOldSharesAreGoodUntilTheVerification: also to a sealed server that has one
// of the new ones.
func TestOldSharesAreGoodUntilTheVerification(t *testing.T) {
	r := newRekeyed(t, verify)
	b := r.boot()
	must(t, r.give(b, []seal.Share{r.new[0], r.old[0], r.old[2]}))
	r.readable(b)
	if s := b.Status(); len(s.Slots) != 2 || s.Operation == nil {
		t.Errorf("one share of two was a proof: %+v", s)
	}
}

// TestSharesThatNobodyAskedFor: a delivery was intercepted, and no proof of its
// slot was ever begun, or it was cancelled. Its shares open nothing, replace
// nothing, and are told so; they were taken with success.
func TestSharesThatNobodyAskedFor(t *testing.T) {
	for name, begin := range map[string]func(context.Context, *seal.Barrier) error{
		"never begun": func(context.Context, *seal.Barrier) error { return nil },
		"cancelled": func(ctx context.Context, b *seal.Barrier) error {
			op, _, err := b.Admin().Prove(ctx, "people", seal.By{})
			must(t, err)
			return b.Admin().Cancel(ctx, seal.By{Operation: op})
		},
		"of a migration, which has its own id": func(ctx context.Context, b *seal.Barrier) error {
			_, err := b.Admin().BeginMigration(ctx, []seal.Goal{{Name: "people", Spec: seal.Shamir{Shares: 3, Threshold: 2}}}, seal.By{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			r := newRekeyed(t, begin)
			before, _, err := r.store.Load(ctx)
			must(t, err)
			for what, b := range map[string]*seal.Barrier{"sealed": r.boot(), "unsealed": func() *seal.Barrier { b := r.boot(); must(t, r.give(b, r.old[:2])); return b }()} {
				reason := b.Sealed()
				for _, s := range r.new {
					for way, err := range map[string]error{"Submit": r.give(b, []seal.Share{s}), "Check": second(b.Admin().CheckShare(ctx, s, seal.By{}))} {
						if !errors.Is(err, seal.ErrNoOperation) || !strings.Contains(err.Error(), `slot "people" opens nothing yet`) {
							t.Errorf("%s, %s: %v", what, way, err)
						}
					}
				}
				if s := b.Status(); len(s.Progress) != 0 || b.Sealed() != reason {
					t.Errorf("%s: progress %+v, reason %v", what, s.Progress, s.Reason)
				}
				if what == "sealed" {
					must(t, r.give(b, r.old[1:]))
				}
				r.readable(b)
			}
			if after, _, err := r.store.Load(ctx); err != nil || string(after) != string(before) {
				t.Errorf("the record has changed: %v", err)
			}
		})
	}
}

// TestAProofThatCannotBeStoredOpensNothing: a slot that waits to be proven opens
// the store together with its proof, or not at all.
func TestAProofThatCannotBeStoredOpensNothing(t *testing.T) {
	ctx := t.Context()
	r := newRekeyed(t, verify)
	faulty := &storetest.Faulty{Inner: r.store, OnSwap: map[int]storetest.Fault{1: {Effect: storetest.FailBefore}}}
	b, err := seal.Open(seal.Config{Store: faulty})
	must(t, err)
	defer b.Close()
	must(t, r.give(b, r.new[:1]))
	if err := r.give(b, r.new[1:2]); !errors.Is(err, seal.ErrOutcomeUnknown) || b.Sealed() == nil {
		t.Errorf("%v, sealed: %v", err, b.Sealed())
	}
	// A share given twice tries again.
	if _, err := b.Submit(ctx, r.new[1], seal.By{}); err != nil {
		t.Error(err)
	}
	must(t, b.Sealed())
	r.readable(b)
}

// TestAForgedQuestionIsNoQuestion: whoever can write to the store adds, in the
// clear part, the question for a proof that nobody has begun.
func TestAForgedQuestionIsNoQuestion(t *testing.T) {
	ctx := t.Context()
	r := newRekeyed(t, func(context.Context, *seal.Barrier) error { return nil })
	rec, rev, err := r.store.Load(ctx)
	must(t, err)
	forged := strings.Replace(string(rec), `,"sealed":"`, `,"operation":{"id":"x","kind":"prove","slot":"people","began":1,"at":0,"replica":"r"},"sealed":"`, 1)
	_, err = r.store.Swap(ctx, []byte(forged), rev)
	must(t, err)
	b := r.boot()
	if err := r.give(b, r.new[:2]); !errors.Is(err, seal.ErrCorrupt) || b.Sealed() == nil {
		t.Errorf("%v, sealed: %v", err, b.Sealed())
	}
}

// TestAWrongShareGivenToAnUnsealedServer is told what is wrong with it; it was
// thanked for.
func TestAWrongShareGivenToAnUnsealedServer(t *testing.T) {
	ctx := t.Context()
	r := newRekeyed(t, verify)
	b := r.boot()
	must(t, r.give(b, r.new[:2]))
	other := newRekeyed(t, verify)
	flipped := r.new[0].RevealRaw()
	flipped[0] ^= 1
	altered, err := seal.RawShare(flipped)
	must(t, err)
	generation := b.Status().Generation
	for name, tt := range map[string]struct {
		share seal.Share
		is    error
	}{
		"right":            {r.new[2], nil},
		"right, again":     {r.new[0], nil},
		"stale":            {r.old[0], seal.ErrShareStale},
		"another store's":  {other.new[0], seal.ErrShareOtherStore},
		"altered, in bare": {altered, seal.ErrShareOtherStore},
		"none":             {seal.Share{}, seal.ErrShareMalformed},
	} {
		done, err := b.Submit(ctx, tt.share, seal.By{})
		if s := b.Status(); !errors.Is(err, tt.is) || done || s.Sealed || s.Generation != generation {
			t.Errorf("%s: %v", name, err)
		}
		if e := r.events[len(r.events)-1]; e.Kind != seal.EventShare || !errors.Is(e.Err, tt.is) || !strings.Contains(e.Detail, "while unsealed") {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// TestAShareWhileTheStoreIsAway: an unsealed server compares it with what it
// holds.
func TestAShareWhileTheStoreIsAway(t *testing.T) {
	r := newRekeyed(t, verify)
	faulty := &storetest.Faulty{Inner: r.store}
	b, err := seal.Open(seal.Config{Store: faulty})
	must(t, err)
	defer b.Close()
	must(t, r.give(b, r.new[:2]))
	faulty.Outage(errors.New("no route to host"))
	must(t, r.give(b, r.new[2:]))
	if err := r.give(b, r.old[:1]); !errors.Is(err, seal.ErrShareStale) {
		t.Errorf("%v", err)
	}
}

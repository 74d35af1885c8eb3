package seal_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
)

// TestSubmitSaysWhatItCompleted: done is the last share's, of each thing that
// shares are given for, and of no other.
func TestSubmitSaysWhatItCompleted(t *testing.T) {
	people := seal.Shamir{Shares: 3, Threshold: 2}
	both := map[string]seal.Spec{"people": people, "auto": seal.KMS{Wrapper: "a"}}
	type purpose struct {
		slots map[string]seal.Spec
		begin func(ctx context.Context, t *testing.T, v *vault, b *seal.Barrier) (shares []seal.Share, op seal.OperationID)
		after func(b *seal.Barrier) bool // whether what the shares are for has come about
	}
	state := func(b *seal.Barrier, name string) (states []seal.SlotState) {
		for _, slot := range b.Status().Slots {
			if slot.Name == name {
				states = append(states, slot.State)
			}
		}
		return states
	}
	is := func(name string, states ...seal.SlotState) func(*seal.Barrier) bool {
		return func(b *seal.Barrier) bool {
			got := state(b, name)
			return len(got) == len(states) && (len(got) == 0 || got[0] == states[0])
		}
	}
	for name, p := range map[string]purpose{
		"unseal": {map[string]seal.Spec{"people": people}, func(_ context.Context, t *testing.T, v *vault, b *seal.Barrier) ([]seal.Share, seal.OperationID) {
			must(t, b.Seal(seal.By{}))
			return v.sharesOf(t, 1), ""
		}, func(b *seal.Barrier) bool { return b.Sealed() == nil }},
		"prove what is added": {map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, func(ctx context.Context, t *testing.T, v *vault, b *seal.Barrier) ([]seal.Share, seal.OperationID) {
			d, err := b.Admin().Add(ctx, "late", people, seal.By{})
			must(t, err)
			must(t, v.take(d))
			op, _, err := b.Admin().Prove(ctx, "late", seal.By{})
			must(t, err)
			return v.sharesOf(t, d.Sets[0].Set), op
		}, is("late", seal.SlotActive)},
		"a rekey": {both, func(ctx context.Context, t *testing.T, v *vault, b *seal.Barrier) ([]seal.Share, seal.OperationID) {
			d, err := b.Admin().Rekey(ctx, "people", people, seal.By{})
			must(t, err)
			must(t, v.take(d))
			op, _, err := b.Admin().Prove(ctx, "people", seal.By{})
			must(t, err)
			return v.sharesOf(t, d.Sets[0].Set), op
		}, is("people", seal.SlotActive)},
		"a drill": {both, func(ctx context.Context, t *testing.T, v *vault, b *seal.Barrier) ([]seal.Share, seal.OperationID) {
			op, _, err := b.Admin().Prove(ctx, "people", seal.By{})
			must(t, err)
			return v.sharesOf(t, 1), op
		}, func(b *seal.Barrier) bool { return b.Status().Operation == nil }},
		"a drop": {both, func(ctx context.Context, t *testing.T, v *vault, b *seal.Barrier) ([]seal.Share, seal.OperationID) {
			op, done, err := b.Admin().Drop(ctx, []string{"auto"}, seal.By{})
			must(t, err)
			if done {
				t.Fatal("dropped without people")
			}
			return v.sharesOf(t, 1), op
		}, is("auto")},
		"a slot of a migration": {map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, func(ctx context.Context, t *testing.T, v *vault, b *seal.Barrier) ([]seal.Share, seal.OperationID) {
			op, err := b.Admin().BeginMigration(ctx, []seal.Goal{{Name: "late", Spec: people}, {Name: "auto", Drop: true}}, seal.By{})
			must(t, err)
			d, err := b.Admin().Add(ctx, "late", people, seal.By{Operation: op})
			must(t, err)
			must(t, v.take(d))
			return v.sharesOf(t, d.Sets[0].Set), op
		}, is("late", seal.SlotActive)},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			v, b := scenario{begin: p.slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
			defer b.Close()
			shares, op := p.begin(ctx, t, v, b)
			by := seal.By{Operation: op}
			for i, want := range []struct {
				share seal.Share
				done  bool
				is    error
			}{
				{shares[0], false, nil},
				{shares[0], false, seal.ErrShareDuplicate},
				{seal.Share{}, false, seal.ErrShareMalformed},
				{shares[1], true, nil},
			} {
				done, err := b.Submit(ctx, want.share, by)
				if done != want.done || !errors.Is(err, want.is) {
					t.Errorf("share %d: done %v, %v", i+1, done, err)
				}
				if done != p.after(b) && i == 3 {
					t.Errorf("done %v, and the slots are %+v", done, b.Status().Slots)
				}
			}
			if done, err := b.Submit(ctx, shares[2], seal.By{}); done || b.Status().Sealed || op == "" && err != nil {
				t.Errorf("a share for unsealing what is unsealed: done %v, %v", done, err)
			}
		})
	}
}

// TestSubmitThatWaitedForItsKMS: people and a key open the slot together, and the
// key does not answer when the quorum is there. Nothing is done; the share that is
// given again does it.
func TestSubmitThatWaitedForItsKMS(t *testing.T) {
	ctx := t.Context()
	v, b := scenario{begin: map[string]seal.Spec{"both": seal.Threshold{K: 2, Of: []seal.Spec{
		seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 2, Threshold: 2},
	}}}}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
	defer b.Close()
	must(t, b.Seal(seal.By{}))
	shares := v.sharesOf(t, 1)
	done, err := b.Submit(ctx, shares[0], seal.By{})
	if done || err != nil {
		t.Errorf("the first: done %v, %v", done, err)
	}
	v.fake.Disable("a")
	if done, err := b.Submit(ctx, shares[1], seal.By{}); done || !errors.Is(err, kms.ErrKeyDisabled) {
		t.Errorf("with the KMS away: done %v, %v", done, err)
	}
	v.fake.Enable("a")
	if done, err := b.Submit(ctx, shares[1], seal.By{}); !done || err != nil || b.Sealed() != nil {
		t.Errorf("given again: done %v, %v", done, err)
	}
}

// sharesOf returns the shares that people hold of a set.
func (v *vault) sharesOf(t *testing.T, set uint32) []seal.Share {
	t.Helper()
	held, ok := v.held[set]
	if !ok {
		t.Fatalf("nobody holds set %d", set)
	}
	return held.Shares
}

// TestDropOfWhatWaits: with SlotPending, no slot goes that was proven, and what
// waits goes without anybody's proof; without, Drop takes the one that waits
// first.
func TestDropOfWhatWaits(t *testing.T) {
	ctx := t.Context()
	for name, states := range map[string][]seal.SlotState{"pending only": {seal.SlotPending}, "any": nil} {
		t.Run(name, func(t *testing.T) {
			v, b := scenario{begin: map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}, "auto": seal.KMS{Wrapper: "a"}}}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
			defer b.Close()
			_, err := b.Admin().Rekey(ctx, "auto", seal.KMS{Wrapper: "b"}, seal.By{})
			must(t, err)
			v.fake.Disable("a") // nobody is asked
			v.fake.Disable("b")
			op, done, err := b.Admin().Drop(ctx, []string{"auto"}, seal.By{}, states...)
			if err != nil || !done || op != "" {
				t.Errorf("what waits: operation %q, done %v, %v", op, done, err)
			}
			if got := b.Status().Slots; len(got) != 2 || got[0].State != seal.SlotActive || got[1].State != seal.SlotActive {
				t.Errorf("slots: %+v", got)
			}
			op, done, err = b.Admin().Drop(ctx, []string{"auto"}, seal.By{}, states...)
			switch {
			case states == nil && (err != nil || done || op == ""):
				t.Errorf("what opens the store, by people: operation %q, done %v, %v", op, done, err)
			case states != nil && (!errors.Is(err, seal.ErrNoSlot) || done || op != "" || b.Status().Operation != nil):
				t.Errorf("what opens the store: operation %q, done %v, %v", op, done, err)
			}
		})
	}
}

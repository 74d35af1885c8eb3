package seal_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A late store loses the answer to a swap, and makes the swap only when it is
// told to, as a slow network does. During a load or after a swap, somebody else
// has the time to act.
type late struct {
	seal.Store
	lose    bool
	deliver func() error
	loading func()
	swapped func()
}

func (l *late) Load(ctx context.Context) ([]byte, string, error) {
	if l.loading != nil {
		l.loading()
	}
	return l.Store.Load(ctx)
}

func (l *late) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if l.lose {
		l.lose = false
		rec = append([]byte{}, rec...)
		l.deliver = func() error {
			_, err := l.Store.Swap(context.WithoutCancel(ctx), rec, old)
			return err
		}
		return "", errors.New("the connection was lost")
	}
	rev, err := l.Store.Swap(ctx, rec, old)
	if l.swapped != nil && err == nil {
		l.swapped()
	}
	return rev, err
}

var ofPeople = map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}

// TestAttackRestoreOfUnknownOutcome: the restore of a store that people alone
// open reaches the store after this process has given it up. It has the new root
// key, and nobody else does: it goes on by itself, or by another restore.
func TestAttackRestoreOfUnknownOutcome(t *testing.T) {
	for _, again := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			ctx := t.Context()
			v, b := scenario{begin: ofPeople}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
			defer b.Close()
			older, generation := v.stored(ctx), b.Status().Generation
			must(t, b.Rotate(ctx, seal.By{}))
			must(t, v.write(b))
			v.put(ctx, older)
			store := &late{Store: v.inner, lose: true}
			b.SwapStore(store)
			if err := b.Admin().Restore(ctx, generation, seal.By{}); !errors.Is(err, seal.ErrOutcomeUnknown) {
				t.Fatal(err)
			}
			must(t, store.deliver())
			if again {
				must(t, b.Admin().Restore(ctx, generation+2, seal.By{}))
			} else {
				must(t, b.Admin().Refresh(ctx))
			}
			must(t, v.write(b))
			must(t, b.Rotate(ctx, seal.By{}))
			must(t, v.readable(b))
		})
	}
}

// TestAttackShareAfterSeal: a share that comes in while the server is sealed, or
// closed, is not kept: nothing would wipe it any more.
func TestAttackShareAfterSeal(t *testing.T) {
	for _, end := range []string{"seal", "close"} {
		bubble(t, func(t *testing.T) {
			ctx := t.Context()
			v, b := scenario{begin: ofPeople}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
			defer b.Close()
			op, _, err := b.Admin().Prove(ctx, "people", seal.By{})
			must(t, err)
			if end == "close" {
				must(t, b.Seal(seal.By{}))
				op = ""
			}
			store := &late{Store: v.inner}
			store.loading = sync.OnceFunc(func() {
				if end == "close" {
					b.Close()
				} else {
					must(t, b.Seal(seal.By{}))
				}
			})
			b.SwapStore(store)
			for _, set := range v.held {
				_, err = b.Submit(ctx, set.Shares[0], seal.By{Operation: op})
			}
			if n := b.GatheredFor(op); n != 0 || err == nil {
				t.Errorf("%s: %d shares kept, and the answer is %v", end, n, err)
			}
		})
	}
}

// TestAttackSealWhileProving: an operator seals a server that has just stored
// the proof it unseals by. It has seen that record, and does not take the one
// before for the newest.
func TestAttackSealWhileProving(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v := newVault(t, seal.NewMemStore())
		b := v.boot()
		slots := maps.Clone(ofPeople)
		slots["auto"] = seal.KMS{Wrapper: "a"}
		must(t, v.initialize(ctx, b, slots))
		b.Close()
		v.wrappers = map[string]kms.Wrapper{"a": new(kmstest.Fake).Key("another")}
		b = v.boot()
		defer b.Close()
		before := v.stored(ctx)
		store := &late{Store: v.inner}
		store.swapped = func() { must(t, b.Seal(seal.By{})) }
		b.SwapStore(store)
		if err := v.gather(ctx, b, seal.By{}); !errors.Is(err, seal.ErrSealed) {
			t.Fatal(err)
		}
		store.swapped = nil
		v.put(ctx, before)
		if err := v.gather(ctx, b, seal.By{}); !errors.Is(err, seal.ErrRolledBack) {
			t.Errorf("the record before was put back: %v", err)
		}
	})
}

// TestAttackRetiredWhileSealed: while a server was sealed, others rotated and
// retired the term that it last knew. It says that this may be, and what to do.
func TestAttackRetiredWhileSealed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		other := v.boot()
		defer other.Close()
		must(t, v.unseal(ctx, other))
		term := b.Status().Terms[0].Number
		must(t, b.Seal(seal.By{}))
		must(t, other.Rotate(ctx, seal.By{}))
		must(t, other.Admin().RetireUncounted(ctx, term, seal.By{}))
		err := b.Unseal(ctx)
		if !errors.Is(err, seal.ErrForked) || !strings.Contains(err.Error(), "retired") || !strings.Contains(err.Error(), "restart") {
			t.Errorf("it says: %v", err)
		}
		b = v.boot()
		must(t, v.unseal(ctx, b))
	})
}

// TestAttackCancelMeetsProof: a migration is cancelled here while another replica
// proves the slot that it added. The slot opens the store, and stays.
func TestAttackCancelMeetsProof(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		spec := seal.KMS{Wrapper: "b"}
		op, err := b.Admin().BeginMigration(ctx, []seal.Goal{{Name: "new", Spec: spec}}, seal.By{})
		must(t, err)
		_, err = b.Admin().Add(ctx, "new", spec, seal.By{Operation: op})
		must(t, err)
		other := v.boot()
		defer other.Close()
		must(t, v.unseal(ctx, other))
		store, loads := &late{Store: v.inner}, 0
		store.loading = func() {
			if loads++; loads == 2 { // after the cancel has had its look
				_, _, err := other.Admin().Prove(ctx, "new", seal.By{Operation: op})
				must(t, err)
			}
		}
		b.SwapStore(store)
		stay, err := migrate.Cancel(ctx, b, seal.By{})
		must(t, err)
		if s := b.Status(); len(stay) != 1 || stay[0] != "new" || len(s.Slots) != 2 || s.Operation != nil {
			t.Errorf("%q stay, of the slots %+v", stay, s.Slots)
		}
	})
}

package seal_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// threeSlots is a store that three custodians open, each alone.
var threeSlots = map[string]seal.Spec{
	"people": seal.Shamir{Shares: 3, Threshold: 2},
	"auto":   seal.KMS{Wrapper: "a"},
	"other":  seal.KMS{Wrapper: "b"},
}

// lose destroys what a slot's custodian holds, for good.
func (v *vault) lose(slot string) {
	switch slot {
	case "people":
		v.held = map[uint32]seal.ShareSet{}
	case "auto":
		v.fake.Destroy("a", "")
	case "other":
		v.fake.Destroy("b", "")
	}
}

// TestNoSingleLostKey loses one custodian for good, before each operation,
// between any two of its calls, and after it. The others open the store, and
// every acknowledged value decrypts.
func TestNoSingleLostKey(t *testing.T) {
	together(t)
	operations := map[string]func(context.Context, *vault, *seal.Barrier) error{
		"none":   func(context.Context, *vault, *seal.Barrier) error { return nil },
		"rotate": func(ctx context.Context, v *vault, b *seal.Barrier) error { return b.Rotate(ctx, seal.By{}) },
		"rotate root": func(ctx context.Context, v *vault, b *seal.Barrier) error {
			return b.Admin().RotateRoot(ctx, seal.By{})
		},
		"drill": func(ctx context.Context, v *vault, b *seal.Barrier) error {
			_, _, err := b.Admin().Prove(ctx, "auto", seal.By{})
			return err
		},
		"rekey people": func(ctx context.Context, v *vault, b *seal.Barrier) error {
			return v.migrate(ctx, b, migrate.Plan{Slots: map[string]seal.Spec{"people": seal.Shamir{Shares: 4, Threshold: 3}}})
		},
		"add a tree": func(ctx context.Context, v *vault, b *seal.Barrier) error {
			return v.migrate(ctx, b, migrate.Plan{Slots: shapes[4].slots})
		},
	}
	for name := range threeSlots {
		operations["drop "+name] = func(ctx context.Context, v *vault, b *seal.Barrier) error {
			op, done, err := b.Admin().Drop(ctx, []string{name}, seal.By{})
			if err == nil && !done {
				err = v.gather(ctx, b, seal.By{Operation: op})
			}
			return err
		}
	}
	begin := scenario{begin: threeSlots}.prepared(t)
	slots, cases, lost, step := len(threeSlots), 0, 0, 1
	if !testlevel.Whole() {
		step = 6
	}
	step = testlevel.Most(step, 12)
	for i, op := range slices.Sorted(maps.Keys(operations)) {
		for j, victim := range slices.Sorted(maps.Keys(threeSlots)) {
			if testing.Short() && (i+j)%len(threeSlots) != 0 { // each once
				continue
			}
			run := operations[op]
			over, sound := false, true
			for at := 0; !over && sound && at < 100; at += step { // the call before which it is lost; 0: before all
				sound = t.Run(fmt.Sprintf("%s/%s lost before call %d", op, victim, at), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						ctx := t.Context()
						v, b := begin.undamaged().from(ctx, t, seal.NewMemStore())
						defer func() { b.Close() }()
						must(t, v.write(b))
						calls := 0
						tick := func() {
							if calls++; calls == at {
								v.lose(victim)
							}
						}
						b.SwapStore(ticking{v.faulty, tick})
						v.fake.Script(func(kmstest.Call) kmstest.Fault { tick(); return kmstest.Fault{} })
						if at == 0 {
							v.lose(victim)
						}
						runErr := run(ctx, v, b)
						over = calls < at
						v.lose(victim) // also what it got in the meantime
						v.fake.Script(nil)
						cases++
						b.Close()
						b = v.boot()
						if err := errors.Join(v.unseal(ctx, b), v.readable(b)); err != nil {
							lost++
							t.Errorf("%v (it said: %v)", err, runErr)
						}
					})
				})
			}
		}
	}
	proved(t, "GUARANTEE 6 no-single-lost-key: slots=%d operations=%d cases=%d lost=%d", slots, len(operations), cases, lost)
}

// A ticking is a store that tells of every call.
type ticking struct {
	seal.Store
	tick func()
}

func (s ticking) Load(ctx context.Context) ([]byte, string, error) {
	s.tick()
	return s.Store.Load(ctx)
}

func (s ticking) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	s.tick()
	return s.Store.Swap(ctx, rec, old)
}

// TestDropNeedsAFreshProof: a key that opened the store yesterday may be dead
// today. Only a proof made now, against the stored record, lets a slot go.
func TestDropNeedsAFreshProof(t *testing.T) {
	two := map[string]seal.Spec{"people": threeSlots["people"], "auto": threeSlots["auto"]}
	dropPeople := func(t *testing.T, believe bool) (*vault, error) {
		ctx := t.Context()
		v, b := scenario{begin: two}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		if believe {
			b.BelieveAnyProof()
		}
		must(t, v.write(b))
		_, _, err := b.Admin().Prove(ctx, "auto", seal.By{})
		must(t, err)
		v.lose("auto")
		_, _, err = b.Admin().Drop(ctx, []string{"people"}, seal.By{})
		return v, err
	}
	bubble(t, func(t *testing.T) {
		v, err := dropPeople(t, false)
		if !errors.Is(err, seal.ErrNoProof) {
			t.Errorf("dropping people while the key is dead: %v", err)
		}
		b := v.boot()
		defer b.Close()
		must(t, v.unseal(t.Context(), b))
		must(t, v.readable(b))
	})
	bubble(t, func(t *testing.T) {
		v, err := dropPeople(t, true)
		must(t, err)
		b := v.boot()
		defer b.Close()
		if v.unseal(t.Context(), b) == nil {
			t.Error("planted fault, a drop on a stale proof: not caught")
		}
	})
}

// TestLastSlotStays: the last proven slot cannot go, whatever is pending.
func TestLastSlotStays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		_, b := scenario{begin: shapes[0].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		for _, add := range []string{"", "auto"} {
			if add != "" {
				_, err := b.Admin().Add(ctx, add, seal.KMS{Wrapper: "a"}, seal.By{})
				must(t, err)
			}
			if _, _, err := b.Admin().Drop(ctx, []string{"people"}, seal.By{}); !errors.Is(err, seal.ErrLastSlot) {
				t.Errorf("with %q pending: %v", add, err)
			}
		}
		if _, _, err := b.Admin().Drop(ctx, []string{"people", "auto"}, seal.By{}); !errors.Is(err, seal.ErrLastSlot) {
			t.Errorf("all at once: %v", err)
		}
		if _, _, err := b.Admin().Drop(ctx, []string{"nobody"}, seal.By{}); !errors.Is(err, seal.ErrNoSlot) {
			t.Errorf("a slot that is not there: %v", err)
		}
	})
}

// TestRollback replays every earlier record to a process that has seen later
// ones, sealed and unsealed, and forks of the same length.
func TestRollback(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer func() { b.Close() }()
		history := [][]byte{v.stored(ctx)}
		remember := func(err error) { must(t, err); history = append(history, v.stored(ctx)) }
		remember(b.Rotate(ctx, seal.By{}))
		ct, err := b.Keyring().Encrypt(nil, []byte("late"), nil)
		must(t, err)
		remember(b.Admin().RotateRoot(ctx, seal.By{}))
		_, _, err = b.Admin().Drop(ctx, []string{"people"}, seal.By{})
		remember(err)
		remember(b.Rotate(ctx, seal.By{}))

		// A fork: the same beginning, another end, made by a process that
		// knows of nothing else.
		fork := &vault{t: t, inner: seal.NewMemStore(), fake: v.fake, held: v.held}
		fork.faulty = &storetest.Faulty{Inner: fork.inner}
		_, err = fork.inner.Swap(ctx, history[0], "")
		must(t, err)
		fb := fork.boot()
		must(t, fork.unseal(ctx, fb))
		var forks [][]byte
		for range len(history) + 2 {
			must(t, fb.Rotate(ctx, seal.By{}))
			forks = append(forks, fork.stored(ctx))
		}
		fb.Close()

		latest := history[len(history)-1]
		tried, noticed := 0, 0
		for _, sealed := range []bool{false, true} {
			for i, old := range append(history[:len(history)-1:len(history)-1], forks...) {
				if testing.Short() && sealed == (i%2 == 0) {
					continue
				}
				v.put(ctx, latest)
				b.Close()
				b = v.boot()
				must(t, v.unseal(ctx, b))
				if sealed {
					must(t, b.Seal(seal.By{}))
				}
				v.put(ctx, old)
				var err error
				if sealed {
					err = b.Unseal(ctx)
				} else {
					err = b.Admin().Refresh(ctx)
				}
				tried++
				if errors.Is(err, seal.ErrRolledBack) || errors.Is(err, seal.ErrForked) {
					noticed++
				} else {
					t.Errorf("record %d, sealed=%v: %v", i, sealed, err)
				}
			}
		}
		// The same met by processes that start cold, with an anchor; and none at all.
		cold := func(rec []byte) error {
			v.anchor = seal.NewMemStore()
			defer func() { v.anchor = nil }()
			v.put(ctx, latest)
			before := v.boot()
			must(t, v.unseal(ctx, before))
			before.Close()
			v.put(ctx, rec)
			after := v.boot()
			defer after.Close()
			return v.unseal(ctx, after)
		}
		coldTried, coldNoticed := 0, 0
		for i, old := range append(history[:len(history)-1:len(history)-1], forks...) {
			if testing.Short() && i%3 != 0 {
				continue
			}
			coldTried++
			if err := cold(old); errors.Is(err, seal.ErrRolledBack) || errors.Is(err, seal.ErrForked) {
				coldNoticed++
			} else {
				t.Errorf("record %d, at a cold start: %v", i, err)
			}
		}
		must(t, cold(latest))

		// Data that is newer than the record, met by a process that starts cold.
		v.put(ctx, history[0])
		b.Close()
		b = v.boot()
		must(t, v.unseal(ctx, b))
		tried++
		if _, err := b.Admin().Decrypt(ctx, nil, ct, nil); errors.Is(err, seal.ErrRolledBack) {
			noticed++
		} else {
			t.Errorf("newer data: %v", err)
		}
		testlevel.Counted(t, "GUARANTEE 16 rollback: replays=%d noticed=%d cold_starts=%d noticed_by_anchor=%d", tried, noticed, coldTried, coldNoticed)
	})
}

func (v *vault) stored(ctx context.Context) []byte {
	rec, _, err := v.inner.Load(ctx)
	must(v.t, err)
	return rec
}

// put replaces the record as somebody with write access to the store.
func (v *vault) put(ctx context.Context, rec []byte) {
	_, rev, err := v.inner.Load(ctx)
	must(v.t, err)
	_, err = v.inner.Swap(ctx, rec, rev)
	must(v.t, err)
}

// TestNothingUnderAnUnstoredTerm: whatever Encrypt returns, at any moment of a
// rotation, is under a term that stands in the stored record.
func TestNothingUnderAnUnstoredTerm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[1].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		written, unstored := 0, 0
		check := func() {
			ct, err := b.Keyring().Encrypt(nil, []byte("x"), nil)
			must(t, err)
			written++
			cold := v.boot()
			defer cold.Close()
			must(t, v.unseal(ctx, cold))
			if _, err := cold.Keyring().Decrypt(nil, ct, nil); err != nil {
				unstored++
				t.Errorf("write %d: %v", written, err)
			}
		}
		for _, effect := range []storetest.Effect{0, storetest.FailBefore, storetest.FailAfter, storetest.Conflict} {
			v.faulty = &storetest.Faulty{Inner: v.inner}
			b.SwapStore(ticking{v.faulty, check})
			v.faulty.OnSwap = map[int]storetest.Fault{}
			if effect != 0 {
				v.faulty.OnSwap[1] = storetest.Fault{Effect: effect}
			}
			for _, change := range []func() error{
				func() error { return b.Rotate(ctx, seal.By{}) },
				func() error { return b.Admin().RotateRoot(ctx, seal.By{}) },
			} {
				if err := change(); err != nil && effect == 0 {
					t.Error(err)
				}
				v.faulty.OnSwap = nil
				check()
			}
		}
		t.Logf("GUARANTEE 9 stored-terms-only: written=%d unstored=%d", written, unstored)
	})
}

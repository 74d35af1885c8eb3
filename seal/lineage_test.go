package seal_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// What the model of internal/record found when it learnt to restore, each fault
// as it would have met an operator.

// TestRestoreShutsOut: a slot that only a lost record had opens nothing of what
// comes after a restore, nor does one that only a fork had after a join: they go
// as a dropped one would, with the root key.
func TestRestoreShutsOut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[1].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		backup, generation := v.stored(ctx), b.Status().Generation
		_, err := b.Admin().Add(ctx, "intruder", seal.KMS{Wrapper: "b"}, seal.By{})
		must(t, err)
		_, _, err = b.Admin().Prove(ctx, "intruder", seal.By{})
		must(t, err)
		root := b.SecretsNow()["root key"] // which the intruder's slot in the lost record yields
		if seal.OpenWith(t, v.stored(ctx), root) == nil {
			t.Fatal("the control does not open")
		}
		lost := v.stored(ctx)
		v.put(ctx, backup)
		must(t, b.Admin().Restore(ctx, generation, seal.By{}))
		if seal.OpenWith(t, v.stored(ctx), root) != nil {
			t.Error("who was let in by the lost record opens the one restored")
		}
		root = b.SecretsNow()["root key"]
		must(t, b.Admin().Join(ctx, lost, seal.By{}))
		if seal.OpenWith(t, v.stored(ctx), root) != nil {
			t.Error("the root key outlives a join")
		}
	})
}

// TestRestoreOfATermTwice: a process that knows a data key does not go on with
// a record that has another key of its number.
func TestRestoreOfATermTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[1].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		backup := v.stored(ctx)
		must(t, b.Rotate(ctx, seal.By{}))
		must(t, v.write(b))
		v.put(ctx, backup)
		other := v.boot() // which knows nothing of the lost term
		defer other.Close()
		must(t, v.unseal(ctx, other))
		must(t, other.Rotate(ctx, seal.By{}))
		before := v.stored(ctx)
		if err := b.Admin().Restore(ctx, other.Status().Generation, seal.By{}); !errors.Is(err, seal.ErrNotKnown) {
			t.Errorf("a record that was changed since it was put back: %v", err)
		}
		if err := b.Admin().RestoreUnknown(ctx, digestOf(before), nil, seal.By{}); !errors.Is(err, seal.ErrTermTwice) {
			t.Errorf("one number, two keys: %v", err)
		}
		if !bytes.Equal(before, v.stored(ctx)) {
			t.Error("a refused restore changed the record")
		}
		must(t, v.readable(b))
	})
}

// TestRestoreSkipsGenerations: whether a record comes after the one that a
// process saw does not show in their generations alone, since a restore leaves
// some out.
func TestRestoreSkipsGenerations(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[1].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		backup, generation := v.stored(ctx), b.Status().Generation
		onIt, beyond := v.boot(), v.boot()
		defer onIt.Close()
		defer beyond.Close()
		must(t, v.unseal(ctx, onIt))
		must(t, b.Admin().RotateRoot(ctx, seal.By{}))
		must(t, v.unseal(ctx, beyond)) // it saw one record of those that are lost
		for range 2 * generation {
			must(t, b.Admin().RotateRoot(ctx, seal.By{}))
		}
		v.put(ctx, backup)
		must(t, b.Admin().Restore(ctx, generation, seal.By{}))
		if err := beyond.Admin().Refresh(ctx); !errors.Is(err, seal.ErrForked) {
			t.Errorf("a record that does not come after the one it saw: %v", err)
		}
		if err := onIt.Admin().Refresh(ctx); err != nil {
			t.Errorf("a record that does: %v", err)
		}
	})
}

// TestKeyDiesBesidePeople: people prove a slot that needs them and a key, and
// the key dies. What they proved lets nothing go any more.
func TestKeyDiesBesidePeople(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[0].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer func() { b.Close() }()
		must(t, v.write(b))
		plan := migrate.Plan{Slots: shapes[4].slots, Drop: []string{"people"}}
		r, err := migrate.Reconcile(ctx, b, plan, migrate.Options{Deliver: v.take})
		must(t, err)
		must(t, v.gather(ctx, b, seal.By{Operation: r.Operation}))
		v.fake.Destroy("a", "")
		if r, err = migrate.Reconcile(ctx, b, plan, migrate.Options{}); r.Done {
			t.Errorf("migrated to a dead key: %v", err)
		}
		b.Close()
		b = v.boot()
		must(t, v.unseal(ctx, b))
		must(t, v.readable(b))
	})
}

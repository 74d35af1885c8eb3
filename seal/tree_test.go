package seal

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// What the forgeries of the external tests are made with.

// Opened returns a copy of what an unsealed Barrier holds.
func (b *Barrier) Opened(t testing.TB) (record.State, []byte) {
	t.Helper()
	o, err := b.current()
	if err != nil {
		t.Fatal(err)
	}
	return o.State, o.Root
}

// SealRecord returns the stored form of a state under a root key.
func SealRecord(s record.State, root []byte) ([]byte, error) {
	_, stored, err := ledger.Draft(s, root)
	return stored, err
}

// WrapRootFor returns the root key encrypted to a slot of that store.
func WrapRootFor(t testing.TB, store string, slot *record.Slot, number uint32, root []byte) []byte {
	t.Helper()
	wrap, err := custody.WrapRoot(slot.PublicKey, store, slot.ID, number, root)
	if err != nil {
		t.Fatal(err)
	}
	return wrap
}

// NewSlotFor makes what would be the next slot of a record.
func (b *Barrier) NewSlotFor(t testing.TB, rec *record.Record, name string, spec Spec, root []byte) (record.NewSlot, []ShareSet) {
	t.Helper()
	n, sets, err := b.newSlot(t.Context(), rec, name, spec, root)
	if err != nil {
		t.Fatal(err)
	}
	return n, sets
}

// contended meets another writer at the first swap of each change.
type contended struct {
	*MemStore
	armed bool
}

func (c *contended) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if c.armed {
		c.armed = false
		return "", ErrConflict
	}
	return c.MemStore.Swap(ctx, rec, old)
}

// TestNoSecretIsSplitTwice goes through all that makes shares, each also where
// the first attempt meets another writer, and compares every share, seed and
// number ever delivered or stored.
func TestNoSecretIsSplitTwice(t *testing.T) {
	ctx := t.Context()
	store := &contended{MemStore: NewMemStore()}
	fake := &kmstest.Fake{}
	b, err := Open(Config{Store: store, KMS: map[string]kms.Wrapper{"a": fake.Key("a")}, Retry: kms.Policy{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	people, crowd := Shamir{Shares: 3, Threshold: 2}, Shamir{Shares: 5, Threshold: 3}
	tree := Threshold{2, []Spec{KMS{"a"}, people, crowd}}

	seen := map[string]string{} // every number and secret, and what it was first
	reused := func(kind string, value any, what string) (first string, ok bool) {
		key := fmt.Sprintf("%s %v", kind, value)
		first, ok = seen[key]
		if !ok {
			seen[key] = what
		}
		return first, ok && first != what
	}
	note := func(kind string, value any, what string) {
		t.Helper()
		if first, ok := reused(kind, value, what); ok {
			t.Errorf("the %s of %s is that of %s", kind, what, first)
		}
	}
	splits, shares, contests := 0, 0, 0
	deliver := func(what string, d Delivery, err error) Delivery {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if len(d.Sets) == 0 {
			t.Fatalf("%s delivers no shares", what)
		}
		for _, set := range d.Sets {
			splits++
			what := fmt.Sprintf("%s, path %q", what, set.Path)
			note("set", set.Set, what)
			for i, s := range set.Shares {
				shares++
				note("share", fmt.Sprintf("%x", s.RevealRaw()[:32]), fmt.Sprint(what, i))
			}
		}
		// The shares handed out are those of the slot that was stored.
		stored, _, err := store.Load(ctx)
		if err != nil {
			t.Fatal(err)
		}
		rec, _, _, err := record.Parse(stored)
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range d.Sets {
			for _, s := range set.Shares {
				if _, number, err := custody.Match(rec, s.part); err != nil || number != set.Set {
					t.Errorf("%s: a delivered share is not in the record: %v", what, err)
				}
			}
		}
		for i := range rec.Slots {
			note("public key", rec.Slots[i].PublicKey, fmt.Sprint("slot ", rec.Slots[i].ID))
			note("fingerprint", rec.Slots[i].Fingerprint, fmt.Sprint("slot ", rec.Slots[i].ID))
		}
		return d
	}
	submit := func(d Delivery, op OperationID) {
		t.Helper()
		for _, set := range d.Sets {
			for _, s := range set.Shares[:set.Threshold] {
				if _, err := b.Submit(ctx, s, By{Operation: op}); err != nil && !errors.Is(err, ErrNoOperation) {
					t.Fatal(err)
				}
			}
		}
	}
	prove := func(name string, d Delivery) {
		t.Helper()
		op, done, err := b.Admin().Prove(ctx, name, By{})
		if err != nil || done {
			t.Fatalf("done %v, %v", done, err)
		}
		submit(d, op)
	}
	// twice does it once in peace, and once against another writer.
	twice := func(what string, make func() (Delivery, error), undo func(Delivery)) {
		t.Helper()
		for _, armed := range []bool{false, true} {
			store.armed = armed
			if armed {
				contests++
			}
			d, err := make()
			undo(deliver(fmt.Sprintf("%s, contended %v", what, armed), d, err))
		}
	}
	drop := func(name string) func(Delivery) {
		return func(Delivery) {
			if _, done, err := b.Admin().Drop(ctx, []string{name}, By{}); err != nil || !done {
				t.Fatalf("drop %s: done %v, %v", name, done, err)
			}
		}
	}

	spec := map[string]Spec{"people": people, "tree": tree}
	first, err := b.Init(ctx, spec, By{Operation: "op-1"})
	deliver("init", first, err)
	again, err := b.Init(ctx, spec, By{Operation: "op-1"})
	deliver("init, repeated", again, err)
	last, err := b.Admin().InitAgain(ctx, spec, By{})
	deliver("init, again", last, err)
	for _, set := range last.Sets {
		if set.Slot == "people" {
			submit(Delivery{Sets: []ShareSet{set}}, "")
		}
	}
	if b.Status().Sealed {
		t.Fatal(b.Status().Reason)
	}
	twice("add", func() (Delivery, error) { return b.Admin().Add(ctx, "more", crowd, By{}) }, drop("more"))
	twice("add a tree", func() (Delivery, error) { return b.Admin().Add(ctx, "more", tree, By{}) }, drop("more"))
	twice("rekey", func() (Delivery, error) { return b.Admin().Rekey(ctx, "people", people, By{}) }, func(d Delivery) { prove("people", d) })
	twice("rekey given up", func() (Delivery, error) { return b.Admin().Rekey(ctx, "people", people, By{}) }, drop("people"))
	d, err := b.Admin().Add(ctx, "late", people, By{})
	deliver("add late", d, err)
	twice("reissue", func() (Delivery, error) { return b.Admin().Reissue(ctx, "late", people, By{}) }, func(Delivery) {})

	if _, ok := reused("set", d.Sets[0].Set, "a planted split"); !ok {
		t.Error("a planted second split was not seen")
	}
	t.Logf("GUARANTEE 13 no-second-split: splits=%d shares=%d seen_twice=0 contended=%d", splits, shares, contests)
}

package seal_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestFullRecord: a store at its limit refuses to grow, says so from the half on,
// and still drops a slot by the proof of people.
func TestFullRecord(t *testing.T) {
	testlevel.NeedsWhole(t, "makes large records")
	together(t)
	ctx := t.Context()
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a"), "b": fake.Key("b")}}
	made := seal.NewMemStore()
	maker := l.barrier(made, nil)
	defer maker.Close()
	d, err := maker.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
	must(t, err)
	l.proveSlot(maker, "people", d)
	c := l.copyOf("proven", made, maker, nil)
	// Pending slots with large trees fill it, so that few keys have to be made.
	filled := func(left int) *seal.Barrier {
		t.Helper()
		s := c.state.Clone()
		const each = 64 + 3 + 64 + 3 // bytes of a share: commitment and custodian
		of := func(leaf *record.Shares, shares int) {
			leaf.Shares, leaf.Threshold = shares, 2
			leaf.Commitments = slices.Repeat([]record.HexBytes{make([]byte, 32)}, shares)
			leaf.Custodians = slices.Repeat([]string{strings.Repeat("c", 64)}, shares)
		}
		target := record.MaxSize - record.ReserveSize - left
		var last *record.Shares
		for i := 0; target-s.Size() > 64<<10; i++ {
			s.LastSlot++
			tree := &record.Tree{Threshold: 2}
			s.Slots = append(s.Slots, record.Slot{
				ID: s.LastSlot, Name: "fat" + string(rune('a'+i)), State: record.Pending, Fingerprint: make([]byte, 12),
				PublicKey: s.Slots[0].PublicKey, Wrap: s.Slots[0].Wrap, Tree: record.Node{Threshold: tree},
			})
			s.Identities[s.LastSlot] = [32]byte{}
			for room := target - s.Size() - 8<<10; len(tree.Of) < 2 || len(tree.Of) < record.MaxLeaves && room > 0; room -= each * last.Shares {
				s.LastSet++
				last = &record.Shares{Set: s.LastSet}
				of(last, min(240, max(2, room/each)))
				tree.Of = append(tree.Of, record.Node{Shamir: last})
			}
		}
		of(last, last.Shares+(target-s.Size())/each)
		stored, err := seal.SealRecord(s, c.root)
		must(t, err)
		if size := s.Size(); size != len(stored) {
			t.Errorf("Size says %d, stored are %d bytes", size, len(stored))
		}
		store := seal.NewMemStore()
		_, err = store.Swap(ctx, stored, "")
		must(t, err)
		b := l.barrier(store, nil)
		err = b.Unseal(ctx)
		must(t, err)
		return b
	}
	full := func(b *seal.Barrier) bool {
		return strings.Contains(strings.Join(b.Status().Warnings, "\n"), "% full (bytes:")
	}
	const limit = record.MaxSize - record.ReserveSize
	few := filled(limit/2 - 128<<10)
	defer few.Close()
	if !full(few) {
		t.Errorf("no warning at the half: %q", few.Status().Warnings)
	}
	fewer := filled(limit/2 + 128<<10)
	defer fewer.Close()
	if full(fewer) {
		t.Error("a warning below the half")
	}

	b := filled(300)
	defer b.Close()
	steps := 0
	for err = nil; err == nil && steps < 20; steps++ {
		err = b.Rotate(ctx, seal.By{})
	}
	if !errors.Is(err, seal.ErrFull) || !strings.Contains(err.Error(), "retire old terms") || steps < 2 {
		t.Errorf("rotate, %d times: %v", steps, err)
	}
	op, done, err := b.Admin().Drop(ctx, []string{"auto"}, seal.By{})
	must(t, err)
	if !done {
		l.giveShares(b, d, "people", seal.By{Operation: op})
	}
	if slices.ContainsFunc(b.Status().Slots, func(s seal.SlotStatus) bool { return s.Name == "auto" }) {
		t.Error("the slot is still there")
	}
	if _, err := b.Admin().Add(ctx, "more", seal.Shamir{Shares: 255, Threshold: 2}, seal.By{}); !errors.Is(err, seal.ErrFull) {
		t.Errorf("add: %v", err)
	}
	must(t, b.Admin().RotateRoot(ctx, seal.By{}))
	must(t, b.Admin().RetireUncounted(ctx, 1, seal.By{}))
	_, done, err = b.Admin().Drop(ctx, []string{"fata"}, seal.By{}, seal.SlotPending)
	must(t, err)
	if !done {
		t.Error("a slot that opens nothing waits for a proof")
	}
	must(t, b.Rotate(ctx, seal.By{}))
}

// A smallStore takes 64 KiB, and says so.
type smallStore struct{ seal.Store }

func (smallStore) MaxRecord() int { return 64 << 10 }

func (s smallStore) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if len(rec) > s.MaxRecord() {
		return "", seal.ErrTooLarge
	}
	return s.Store.Swap(ctx, rec, old)
}

// TestFullSmallStore: a store that takes less is not filled to its last byte
// either, and a slot can still be dropped.
func TestFullSmallStore(t *testing.T) {
	ctx := t.Context()
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a")}}
	b := l.barrier(smallStore{seal.NewMemStore()}, nil)
	defer b.Close()
	d, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}, "people": seal.Shamir{Shares: 255, Threshold: 2}}, seal.By{})
	must(t, err)
	l.proveSlot(b, "people", d)
	for err == nil {
		_, err = b.Admin().Add(ctx, "more"+string(rune('a'+len(b.Status().Slots))), seal.Shamir{Shares: 60, Threshold: 2}, seal.By{})
	}
	for err = nil; err == nil; {
		err = b.Rotate(ctx, seal.By{})
	}
	if !errors.Is(err, seal.ErrFull) {
		t.Fatal(err)
	}
	if !warned(b, "the record is ") {
		t.Errorf("warnings %q", b.Status().Warnings)
	}
	op, done, err := b.Admin().Drop(ctx, []string{"auto"}, seal.By{})
	must(t, err)
	if !done {
		l.giveShares(b, d, "people", seal.By{Operation: op})
	}
	if slices.ContainsFunc(b.Status().Slots, func(s seal.SlotStatus) bool { return s.Name == "auto" }) {
		t.Error("the slot is still there")
	}
}

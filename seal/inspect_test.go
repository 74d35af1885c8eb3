package seal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

func TestInspect(t *testing.T) {
	ctx := t.Context()
	store := seal.NewMemStore()
	open := func() *seal.Barrier {
		b, err := seal.Open(seal.Config{Store: store, Replica: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	b := open()
	if _, err := b.Admin().Inspect(ctx); !errors.Is(err, seal.ErrUninitialized) || !strings.Contains(err.Error(), "not initialized") {
		t.Fatalf("an empty store: %v", err)
	}
	d, err := b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}

	b = open()
	if s := b.Status(); s.Slots != nil || s.Progress != nil {
		t.Fatalf("Status looked into the store: %+v", s)
	}
	want := []seal.SetProgress{{Slot: "people", Set: 1, Threshold: 2, Shares: 3}}
	for given := range 2 {
		want[0].Given = given
		s, err := b.Admin().Inspect(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, s.Progress, cmpopts.IgnoreFields(seal.SetProgress{}, "Expires")); diff != "" {
			t.Errorf("after %d shares (-want +got):\n%s", given, diff)
		}
		if len(s.Slots) != 1 || s.Slots[0].Spec.String() != "2 of 3 people" || s.Slots[0].State != seal.SlotInitial {
			t.Errorf("after %d shares: slots %+v", given, s.Slots)
		}
		if _, err := b.Submit(ctx, d.Sets[0].Shares[given], seal.By{}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.Admin().Inspect(ctx)
	if err != nil || s.Sealed {
		t.Fatalf("unsealed: sealed=%v, %v", s.Sealed, err)
	}
	if diff := cmp.Diff(b.Status().Slots, s.Slots); diff != "" {
		t.Errorf("unsealed, Inspect is Status (-status +inspect):\n%s", diff)
	}
}

func TestInspectUnreachable(t *testing.T) {
	store := &storetest.Faulty{Inner: seal.NewMemStore()}
	store.Outage(errors.New("no route to host"))
	b, err := seal.Open(seal.Config{Store: store, Replica: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Admin().Inspect(t.Context())
	if !errors.Is(err, seal.ErrStoreUnavailable) || errors.Is(err, seal.ErrUninitialized) {
		t.Fatalf("a dead store: %v", err)
	}
	if !s.Sealed || s.Replica != "test" {
		t.Fatalf("a dead store: %+v", s)
	}
}

package ledger_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/internal/ledger"
)

// anchorOf is what an anchor holds that has seen the branch.
func anchorOf(t *testing.T, b *branch) *store {
	t.Helper()
	a := &store{}
	l := newLedger(ledger.Config{Store: &store{}, Anchor: a})
	l.Saw(b.open)
	if _, _, err := l.AdvanceAnchor(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestAColdStartAsksItsAnchor: a process that has seen nothing knows what the
// ones before it saw.
func TestAColdStartAsksItsAnchor(t *testing.T) {
	second := newBranch(t, storeID).proven()
	third := second.next(1, "main")
	for name, tt := range map[string]struct {
		anchor *store
		rec    []byte
		is     error
	}{
		"the record of the anchor":   {anchorOf(t, third), third.rec, nil},
		"a later record":             {anchorOf(t, second), third.rec, nil},
		"an empty anchor":            {&store{}, second.rec, nil},
		"an older record":            {anchorOf(t, third), second.rec, ledger.ErrRolledBack},
		"another of that generation": {anchorOf(t, third), second.next(1, "fork").rec, ledger.ErrForked},
		"another store's":            {anchorOf(t, third), newBranch(t, otherID).proven().next(2, "main").rec, ledger.ErrOtherStore},
		"no record":                  {anchorOf(t, third), nil, ledger.ErrMissing},
		"an anchor that is away":     {&store{onLoad: func() error { return errors.New("no route to host") }}, third.rec, ledger.ErrAnchor},
		"the record as the anchor":   {&store{rec: third.rec, rev: 1}, third.rec, ledger.ErrAnchor},
		"a newer anchor":             {&store{rec: []byte(`{"anchor":3}`), rev: 1}, third.rec, ledger.ErrNewerFormat},
		"a long anchor":              {&store{rec: make([]byte, 513), rev: 1}, third.rec, ledger.ErrAnchor},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{rec: tt.rec, rev: 1}
			l := newLedger(ledger.Config{Store: s, Anchor: tt.anchor})
			for range 2 {
				if _, err := l.Load(t.Context()); !errors.Is(err, tt.is) {
					t.Fatalf("%v, want %v", err, tt.is)
				}
			}
			if errors.Is(tt.is, ledger.ErrAnchor) && s.loads != 0 {
				t.Error("the record was loaded without its anchor")
			}
		})
	}
}

// TestAdvanceAnchor has what the anchor may hold when the third record was seen.
func TestAdvanceAnchor(t *testing.T) {
	second := newBranch(t, storeID).proven()
	third := second.next(1, "main")
	fourth := third.next(1, "main")
	away := errors.New("no route to host")
	for name, tt := range map[string]struct {
		anchor *store
		is     error
		tell   bool
		holds  *branch // afterwards; nil for what was there
		swaps  int     // which it takes at most
	}{
		"nothing":                     {anchor: &store{}, tell: true, holds: third, swaps: 1},
		"the second":                  {anchor: anchorOf(t, second), tell: true, holds: third, swaps: 2},
		"the third":                   {anchor: anchorOf(t, third), tell: true, holds: third, swaps: 1},
		"a later one, of a replica":   {anchor: anchorOf(t, fourth), tell: true, holds: fourth, swaps: 1},
		"another of its generation":   {anchor: anchorOf(t, second.next(1, "fork")), is: ledger.ErrForked, tell: true, swaps: 1},
		"another store's":             {anchor: anchorOf(t, newBranch(t, otherID)), is: ledger.ErrAnchor, tell: true, swaps: 1},
		"it's away":                   {anchor: &store{onLoad: func() error { return away }}, is: away, tell: true},
		"it may not be written":       {anchor: &store{onSwap: func() error { return away }}, is: away, tell: true, swaps: 1},
		"others advance it all along": {anchor: &store{onSwap: func() error { return ledger.ErrConflict }}, is: ledger.ErrConflict, tell: true, swaps: ledger.Attempts},
	} {
		t.Run(name, func(t *testing.T) {
			before := string(tt.anchor.rec)
			l := newLedger(ledger.Config{Store: &store{}, Anchor: tt.anchor})
			l.Saw(third.open)
			generation, tell, err := l.AdvanceAnchor(t.Context())
			if !errors.Is(err, tt.is) || tell != tt.tell || generation != 3 || !errors.Is(l.AnchorError(), tt.is) {
				t.Errorf("generation %d, to be told %v: %v", generation, tell, err)
			}
			switch {
			case tt.holds != nil && !holds(tt.anchor, tt.holds):
				t.Errorf("it holds %s", tt.anchor.rec)
			case tt.holds == nil && string(tt.anchor.rec) != before:
				t.Errorf("it was changed to %s", tt.anchor.rec)
			}
			if tt.anchor.swaps > tt.swaps {
				t.Errorf("%d swaps", tt.anchor.swaps)
			}
			if tt.is != nil {
				return
			}
			swaps := tt.anchor.swaps
			if _, tell, err := l.AdvanceAnchor(t.Context()); tell || err != nil || tt.anchor.swaps != swaps {
				t.Errorf("once more: to be told %v, %d swaps: %v", tell, tt.anchor.swaps-swaps, err)
			}
		})
	}
}

func holds(a *store, b *branch) bool {
	term := sha256.Sum256(b.open.State.ActiveTerm().Key[:])
	return string(a.rec) == fmt.Sprintf(`{"anchor":2,"store":%q,"generation":%d,"digest":"%x","term":"%x"}`+"\n", b.open.State.Store, b.open.State.Generation, b.open.Digest, term)
}

// TestAnAnchorThatWasAwayIsAdvancedLater: its failure stands in Status until
// then.
func TestAnAnchorThatWasAwayIsAdvancedLater(t *testing.T) {
	second := newBranch(t, storeID).proven()
	a := anchorOf(t, second)
	l := newLedger(ledger.Config{Store: &store{}, Anchor: a})
	a.onSwap = func() error { return errors.New("read only") }
	third := second.next(1, "main")
	l.Saw(third.open)
	if _, _, err := l.AdvanceAnchor(t.Context()); err == nil {
		t.Fatal("it is read only")
	}
	a.onSwap = nil
	if _, _, err := l.AdvanceAnchor(t.Context()); err != nil || l.AnchorError() != nil || !holds(a, third) {
		t.Errorf("of the same record it holds %s: %v, %v", a.rec, err, l.AnchorError())
	}
	fourth := third.next(1, "main")
	l.Saw(fourth.open)
	if _, _, err := l.AdvanceAnchor(t.Context()); err != nil || l.AnchorError() != nil || !holds(a, fourth) {
		t.Errorf("it holds %s: %v, %v", a.rec, err, l.AnchorError())
	}
}

// TestAnAnchorIsAdvancedWhenTheCallerHasLeft, over another replica that was faster, and
// its second time is not told.
func TestAnAnchorIsAdvancedWhenTheCallerHasLeft(t *testing.T) {
	second := newBranch(t, storeID).proven()
	third := second.next(1, "main")
	a := anchorOf(t, second)
	l := newLedger(ledger.Config{Store: &store{rec: second.rec, rev: 1}, Anchor: a})
	if _, err := l.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	loads := a.loads
	if _, err := l.Load(t.Context()); err != nil || a.loads != loads {
		t.Errorf("the anchor was asked %d times more: %v", a.loads-loads, err)
	}
	l.Saw(third.open)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	once := true
	a.onSwap = func() error {
		if once {
			once = false
			return ledger.ErrConflict
		}
		return nil
	}
	if _, tell, err := l.AdvanceAnchor(ctx); err != nil || tell || !holds(a, third) {
		t.Errorf("it holds %s, to be told %v: %v", a.rec, tell, err)
	}
	loads = a.loads
	if _, _, err := l.AdvanceAnchor(t.Context()); err != nil || a.loads != loads {
		t.Errorf("once more it was asked: %v", err)
	}
}

func TestWithoutAnAnchor(t *testing.T) {
	b := newBranch(t, storeID)
	l := newLedger(ledger.Config{Store: &store{}})
	l.Saw(b.open)
	if generation, tell, err := l.AdvanceAnchor(t.Context()); tell || err != nil || generation != 1 {
		t.Errorf("%d, %v, %v", generation, tell, err)
	}
}

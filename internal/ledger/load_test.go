package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// TestLoad has what a store may answer, to a process that has seen nothing yet
// and to one that has seen the third record.
func TestLoad(t *testing.T) {
	third := newBranch(t, storeID).proven().next(1, "main")
	older, newer := newBranch(t, storeID).proven(), third.next(1, "main")
	fork := newBranch(t, storeID).proven().next(1, "fork")
	other := newBranch(t, otherID).proven().next(3, "other")
	torn := bytes.Clone(third.rec)
	torn[len(torn)-1] ^= 1
	far := bytes.Replace(third.rec, []byte(`"format":1,"min_reader":1`), []byte(`"format":9,"min_reader":9`), 1)
	if bytes.Equal(far, third.rec) {
		t.Fatal("the record's clear part is not as it was")
	}
	for name, tt := range map[string]struct {
		rec    []byte
		fails  error
		pinned bool
		fresh  error // to a process that has seen nothing
		seen   error // to one that has seen the third
		says   string
	}{
		"what was seen":         {rec: third.rec},
		"a newer record":        {rec: newer.rec},
		"an older record":       {rec: older.rec, seen: ledger.ErrRolledBack, says: "generation 2, and generation 3 was seen"},
		"another third":         {rec: fork.rec, seen: ledger.ErrForked, says: "another record of generation 3"},
		"another store's":       {rec: other.rec, seen: ledger.ErrOtherStore, says: otherID},
		"nothing":               {fresh: ledger.ErrUninitialized, seen: ledger.ErrMissing, says: "generation 3 of it was seen: restore it"},
		"nothing, where pinned": {pinned: true, fresh: ledger.ErrMissing, seen: ledger.ErrMissing},
		"a torn record":         {rec: torn, fresh: ledger.ErrCorrupt, seen: ledger.ErrCorrupt},
		"half a record":         {rec: third.rec[:len(third.rec)/2], fresh: ledger.ErrCorrupt, seen: ledger.ErrCorrupt, says: "restore it from a backup"},
		"no record":             {rec: []byte("<html>"), fresh: ledger.ErrCorrupt, seen: ledger.ErrCorrupt},
		"a newer format":        {rec: far, fresh: ledger.ErrNewerFormat, seen: ledger.ErrNewerFormat},
		"too long a record":     {rec: make([]byte, ledger.MaxRecordSize+1), fresh: ledger.ErrCorrupt, seen: ledger.ErrCorrupt},
		"no answer":             {rec: third.rec, fails: errors.New("no route to host"), fresh: ledger.ErrUnavailable, seen: ledger.ErrUnavailable, says: "no route to host"},
		"a damaged file":        {rec: third.rec, fails: fmt.Errorf("file: %w", ledger.ErrCorrupt), fresh: ledger.ErrCorrupt, seen: ledger.ErrCorrupt},
		"an exposed file":       {rec: third.rec, fails: fmt.Errorf("file: %w", ledger.ErrExposed), fresh: ledger.ErrExposed, seen: ledger.ErrExposed},
	} {
		t.Run(name, func(t *testing.T) {
			for who, want := range map[string]error{"fresh": tt.fresh, "seen": tt.seen} {
				s := &store{rec: tt.rec, rev: 1}
				if tt.fails != nil {
					s.onLoad = func() error { return tt.fails }
				}
				l := newLedger(ledger.Config{Store: s, Pinned: tt.pinned})
				if who == "seen" {
					l.Saw(third.open)
				}
				got, err := l.Load(t.Context())
				if !errors.Is(err, want) || (got == nil) != (want != nil) {
					t.Errorf("%s: %v, want %v", who, err, want)
				}
				if errors.Is(err, ledger.ErrUnavailable) != (want == ledger.ErrUnavailable) || errors.Is(err, ledger.ErrCorrupt) != (want == ledger.ErrCorrupt) {
					t.Errorf("%s: %v, want %v alone", who, err, want)
				}
				if who == "seen" && want != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: %v, without %q", who, err, tt.says)
				}
				if got != nil && (got.Rev != s.at() || got.Digest != record.DigestOf(tt.rec)) {
					t.Errorf("%s: revision %q", who, got.Rev)
				}
				if newest := l.Newest().Generation; who == "fresh" && newest != 0 || who == "seen" && newest != 3 {
					t.Errorf("%s: a load made generation %d the newest", who, newest)
				}
			}
		})
	}
}

func TestLoadKeepsWhatTheStoreSaysOfItself(t *testing.T) {
	b := newBranch(t, storeID)
	s := &store{warnings: []string{"open to its group"}}
	s.put(b.rec)
	l := newLedger(ledger.Config{Store: s, Anchor: &store{warnings: []string{"the anchor's"}}})
	if got := l.Warnings(); len(got) != 0 {
		t.Errorf("before a load: %q", got)
	}
	if _, err := l.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.Saw(b.open)
	if _, _, err := l.AdvanceAnchor(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := l.Warnings(); !slices.Equal(got, s.warnings) {
		t.Errorf("%q", got)
	}
	l.Warnings()[0] = "whoever asks has a copy"
	s.onLoad = func() error { return errors.New("away") }
	if _, err := l.Load(t.Context()); err == nil || !slices.Equal(l.Warnings(), s.warnings) {
		t.Errorf("while it is away: %q", l.Warnings())
	}
	s.onLoad, s.warnings = nil, []string{"\x1b[31mred"}
	if _, err := l.Load(t.Context()); err != nil || !slices.Equal(l.Warnings(), []string{"[31mred"}) {
		t.Errorf("%q", l.Warnings())
	}
}

// TestUnlockChecksLineage: what opens with the root key must also come after
// what this process knew.
func TestUnlockChecksLineage(t *testing.T) {
	seen := newBranch(t, storeID).proven().next(1, "main")
	forked := newBranch(t, storeID).proven()
	moved := seen.retired()
	for name, tt := range map[string]struct {
		seen, stored *branch
		root         []byte
		is           error
		missed       string
	}{
		"the same":               {seen, seen, rootKey, nil, ""},
		"the next":               {seen, seen.next(1, "main"), rootKey, nil, ""},
		"as far as is told":      {seen, seen.next(record.MaxDigests, "main"), rootKey, nil, ""},
		"further than is told":   {seen, seen.next(record.MaxDigests+2, "main"), rootKey, nil, "66 changes were missed, and the record tells of 64"},
		"of a fork":              {seen, forked.next(3, "fork"), rootKey, ledger.ErrForked, ""},
		"of a fork, far":         {seen, forked.next(record.MaxDigests, "fork"), rootKey, ledger.ErrForked, ""},
		"without the key in use": {moved, moved.with(moved.without(moved.open.State.ActiveTerm().Number)), rootKey, ledger.ErrForked, ""},
		"with another root key":  {seen, seen, bytes.Repeat([]byte{8}, 32), aead.ErrWrongKey, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			l := saw(t, s, tt.seen)
			s.put(tt.stored.rec)
			stored, err := l.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			o, err := l.Unlock(stored, tt.root)
			if !errors.Is(err, tt.is) || (o == nil) != (tt.is != nil) {
				t.Fatalf("%v, want %v", err, tt.is)
			}
			if tt.is == nil && (o.Missed != tt.missed || o.State.Generation != stored.Generation) {
				t.Errorf("missed %q, want %q", o.Missed, tt.missed)
			}
		})
	}
}

// TestDescends: a record that was unlocked without the turn may be taken in as long as
// it comes after what was seen meanwhile.
func TestDescends(t *testing.T) {
	second := newBranch(t, storeID).proven()
	third := second.next(1, "main")
	moved := third.retired()
	for name, tt := range map[string]struct {
		meanwhile *branch
		unlocked  *branch
		is        error
	}{
		"nothing more was seen":      {second, third, nil},
		"it was seen itself":         {third, third, nil},
		"one before it":              {third, third.next(2, "main"), nil},
		"another one of the same":    {second.next(1, "fork"), third, ledger.ErrForked},
		"one of a fork, before it":   {second.next(1, "fork"), third.next(3, "main"), ledger.ErrForked},
		"a later one":                {third.next(2, "main"), third, ledger.ErrForked},
		"one with another key":       {moved, moved.with(moved.without(2)), ledger.ErrForked},
		"one of a key that it keeps": {moved, moved.with(moved.rotated()), nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			l := newLedger(ledger.Config{Store: s})
			s.put(tt.unlocked.rec)
			stored, err := l.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			o, err := l.Unlock(stored, rootKey)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Descends(o); err != nil {
				t.Fatalf("of a process that has seen nothing: %v", err)
			}
			l.Saw(tt.meanwhile.open)
			if err := l.Descends(o); !errors.Is(err, tt.is) {
				t.Errorf("%v, want %v", err, tt.is)
			}
			if o.Root == nil {
				t.Error("it is wiped, and is the caller's")
			}
		})
	}
}

// TestUnlockAfterALaterOneWasSeen: it was loaded before that, and is loaded again.
func TestUnlockAfterALaterOneWasSeen(t *testing.T) {
	second := newBranch(t, storeID).proven()
	s := &store{}
	l := saw(t, s, second)
	stored, err := l.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.Saw(second.next(1, "main").open)
	if o, err := l.Unlock(stored, rootKey); !errors.Is(err, ledger.ErrConflict) || o != nil {
		t.Errorf("%v", err)
	}
	l.Saw(newBranch(t, otherID).proven().next(2, "other").open)
	if _, err := l.Unlock(stored, rootKey); errors.Is(err, ledger.ErrConflict) {
		t.Errorf("a later one of another store: %v", err)
	}
}

// TestUnlockOwn: a root key in use is had by nobody who was locked out, also where the
// data key that was used last is retired. A fork is one all the same.
func TestUnlockOwn(t *testing.T) {
	moved := newBranch(t, storeID).proven().retired()
	for name, tt := range map[string]struct {
		seen, stored *branch
		root         []byte
		is           error
	}{
		"without the key in use": {moved, moved.with(moved.without(2)), rootKey, nil},
		"a fork":                 {moved, newBranch(t, storeID).proven().next(3, "fork"), rootKey, ledger.ErrForked},
		"another root key":       {moved, moved.next(1, "main"), make([]byte, 32), aead.ErrWrongKey},
	} {
		s := &store{}
		l := saw(t, s, tt.seen)
		s.put(tt.stored.rec)
		stored, err := l.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if o, err := l.UnlockOwn(stored, tt.root); !errors.Is(err, tt.is) || (o == nil) != (tt.is != nil) {
			t.Errorf("%s: %v, want %v", name, err, tt.is)
		}
	}
}

// TestParsed is the clear part of the record last loaded, of no later one.
func TestParsed(t *testing.T) {
	second := newBranch(t, storeID).proven()
	s := &store{}
	l := saw(t, s, second)
	if l.Parsed() != nil {
		t.Error("it was parsed before it was loaded")
	}
	for _, b := range []*branch{second, second.next(1, "main")} {
		s.put(b.rec)
		for range 2 {
			if _, err := l.Load(t.Context()); err != nil || l.Parsed() == nil || l.Parsed().Generation != b.open.State.Generation {
				t.Errorf("%v, %v", l.Parsed(), err)
			}
		}
	}
}

// TestLoadAny reads also what Load refuses.
func TestLoadAny(t *testing.T) {
	second := newBranch(t, storeID).proven()
	s := &store{}
	l := newLedger(ledger.Config{Store: s})
	l.Saw(second.next(1, "main").open)
	if _, err := l.LoadAny(t.Context()); !errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrUnavailable) {
		t.Errorf("of nothing: %v", err)
	}
	s.put(second.rec)
	if _, err := l.Load(t.Context()); !errors.Is(err, ledger.ErrRolledBack) {
		t.Errorf("%v", err)
	}
	if got, err := l.LoadAny(t.Context()); err != nil || got.Generation != 2 || got.Rev != s.at() {
		t.Errorf("%v", err)
	}
}

// rotated is the state after one more rotation.
func (b *branch) rotated() record.State {
	b.t.Helper()
	next, err := b.open.State.Rotate(b.step(), term(3, 3, record.TermActive))
	if err != nil {
		b.t.Fatal(err)
	}
	return next
}

// retired is the branch after a rotation whose first term was retired.
func (b *branch) retired() *branch {
	b.t.Helper()
	next, err := b.open.State.Rotate(b.step(), term(2, 2, record.TermActive))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.with(next)
}

// without is the state after one more rotation, and a retirement of that term.
func (b *branch) without(number uint32) record.State {
	b.t.Helper()
	next, err := b.open.State.Rotate(b.step(), term(number+1, byte(number+1), record.TermActive))
	if err != nil {
		b.t.Fatal(err)
	}
	after := b.with(next)
	next, err = after.open.State.Retire(after.step(), number)
	if err != nil {
		b.t.Fatal(err)
	}
	return next
}

// TestMark: the newest record seen is kept, and is not what is merely loaded.
func TestMark(t *testing.T) {
	b := newBranch(t, storeID)
	s := &store{}
	l := saw(t, s, b)
	newest := l.Newest()
	fingerprint := [12]byte(b.open.State.Slots[0].Fingerprint)
	for what, knows := range map[string]bool{
		"its slot":            newest.Knows(storeID, fingerprint),
		"another store's":     !newest.Knows(otherID, fingerprint),
		"a slot it never had": !newest.Knows(storeID, [12]byte{1}),
	} {
		if !knows {
			t.Errorf("the mark is wrong about %s", what)
		}
	}
	other := newest
	other.Generation++
	another := newest
	another.Digest[0] ^= 1
	if !newest.Same(newest) || newest.Same(other) || newest.Same(another) {
		t.Error("a mark is the same as another, or not as itself")
	}
	if newest.Store != storeID || newest.Generation != 1 || newest.Digest != b.open.Digest {
		t.Errorf("%+v", newest)
	}
	s.put(b.proven().rec)
	if _, err := l.Load(t.Context()); err != nil || l.Newest().Generation != 1 {
		t.Errorf("generation %d after a load: %v", l.Newest().Generation, err)
	}
}

// TestAStoreThatHangsIsAskedOnce: those who come meanwhile wait for their own
// time, leave no goroutine of their own behind, and are told that it was not
// asked.
func TestAStoreThatHangsIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wake := make(chan struct{})
		b := newBranch(t, storeID)
		s := &store{onLoad: func() error { <-wake; return nil }}
		s.put(b.rec)
		l := newLedger(ledger.Config{Store: s, Timeout: 10 * time.Second})
		for i := range 5 {
			start := time.Now()
			_, err := l.Load(t.Context())
			if !errors.Is(err, ledger.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within 10s (Config.StoreTimeout)") {
				t.Errorf("load %d: %v", i, err)
			}
			if took := time.Since(start); took > 11*time.Second {
				t.Errorf("load %d took %v", i, took)
			}
		}
		synctest.Wait() // with the load that hangs
		if s.loads != 1 {
			t.Errorf("the store was asked %d times", s.loads)
		}
		close(wake)
		synctest.Wait()
		if _, err := l.Load(t.Context()); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	})
}

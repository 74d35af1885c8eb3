package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// TestSwap has what a store may do with a change, and what the ledger says then.
// The swap of the third record is sent to a store that holds the second.
func TestSwap(t *testing.T) {
	lost := errors.New("connection reset")
	fails := func(times int, err error) func() error {
		return func() error {
			if times == 0 {
				return nil
			}
			times--
			return err
		}
	}
	for name, tt := range map[string]struct {
		plant  func(s *store, second, third *branch)
		is     error
		not    error
		says   string
		stored uint64        // the generation in the store then
		took   time.Duration // what the ledger waits at most
		sent   int
	}{
		"stored":   {plant: func(*store, *branch, *branch) {}, stored: 3, sent: 1},
		"conflict": {plant: func(s *store, second, _ *branch) { s.put(second.rec) }, is: ledger.ErrConflict, stored: 2, sent: 1},
		"the answer is lost": {plant: func(s *store, _, _ *branch) {
			s.swapped = fails(1, lost)
		}, stored: 3, sent: 1},
		"the answer is lost, and the store for a second": {plant: func(s *store, _, _ *branch) {
			s.swapped = func() error { s.onLoad = fails(3, lost); return lost }
		}, stored: 3, sent: 1, took: time.Second},
		"the answer is lost, and another changed it since": {plant: func(s *store, _, third *branch) {
			s.swapped = func() error { s.put(third.next(1, "main").rec); return lost }
		}, stored: 4, sent: 1},
		"the request is lost": {plant: func(s *store, _, _ *branch) {
			s.onSwap = fails(1, lost)
		}, is: ledger.ErrUnknown, not: ledger.ErrUnavailable, says: "it is not in the store now, and may arrive yet: connection reset", stored: 2, sent: 1},
		"the request is lost, and another is there": {plant: func(s *store, second, _ *branch) {
			s.onSwap = func() error { s.put(second.next(1, "other").rec); return lost }
		}, is: ledger.ErrConflict, stored: 3, sent: 1},
		"the request is lost, and a later fork is there": {plant: func(s *store, second, _ *branch) {
			s.onSwap = func() error { s.put(second.next(2, "other").rec); return lost }
		}, is: ledger.ErrConflict, stored: 4, sent: 1},
		"the store is gone with it": {plant: func(s *store, _, _ *branch) {
			s.onSwap = func() error { s.onLoad = fails(1<<30, lost); return lost }
		}, is: ledger.ErrUnknown, not: ledger.ErrUnavailable, says: "connection reset", stored: 2, sent: 1, took: 15 * time.Second},
		"too large for the store": {plant: func(s *store, _, _ *branch) {
			s.onSwap = fails(1, fmt.Errorf("etcd: %w", ledger.ErrTooLarge))
		}, is: ledger.ErrTooLarge, not: ledger.ErrUnknown, says: "the store refused the change", stored: 2, sent: 1},
		"newer code than the store's": {plant: func(s *store, _, _ *branch) {
			s.onSwap = fails(1, ledger.ErrNewerFormat)
		}, is: ledger.ErrNewerFormat, not: ledger.ErrUnknown, stored: 2, sent: 1},
		"an exposed file": {plant: func(s *store, _, _ *branch) {
			s.onSwap = fails(1, ledger.ErrExposed)
		}, is: ledger.ErrExposed, not: ledger.ErrUnknown, stored: 2, sent: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				second := newBranch(t, storeID).proven()
				third := second.next(1, "main")
				s := &store{}
				l := saw(t, s, second)
				old := s.at()
				tt.plant(s, second, third)
				start := time.Now()
				draft := third.open
				err := l.Swap(t.Context(), third.rec, old, draft)
				if tt.is == ledger.ErrConflict {
					tt.not = ledger.ErrUnknown
				}
				if !errors.Is(err, tt.is) || tt.not != nil && errors.Is(err, tt.not) {
					t.Fatalf("%v, want %v", err, tt.is)
				}
				if err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%v, without %q", err, tt.says)
				}
				if err == nil && draft.Rev != s.at() {
					t.Errorf("revision %q, and the store is at %q", draft.Rev, s.at())
				}
				if wiped := draft.Root == nil; wiped != (err != nil) {
					t.Errorf("the root key is wiped: %v", wiped)
				}
				if took := time.Since(start); took > tt.took {
					t.Errorf("it took %v", took)
				}
				if now, err := ledger.Parse(s.rec); err != nil || now.Generation != tt.stored || s.swaps != tt.sent {
					t.Errorf("generation %d is stored, after %d swaps: %v", now.Generation, s.swaps, err)
				}
			})
		})
	}
}

// TestASwapAtTheFirstRecord: nothing is there before it, and nothing afterwards
// where it is lost.
func TestASwapAtTheFirstRecord(t *testing.T) {
	b := newBranch(t, storeID)
	lost := errors.New("connection reset")
	s := &store{onSwap: func() error { return lost }}
	l := newLedger(ledger.Config{Store: s})
	if err := l.Swap(t.Context(), b.rec, "", b.open); !errors.Is(err, ledger.ErrUnknown) || !errors.Is(err, lost) {
		t.Errorf("%v", err)
	}
}

// TestASwapThatCannotBeSent: the caller has left, or the store hangs in the swap
// before. Nothing was sent, so nothing is unknown.
func TestASwapThatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := newBranch(t, storeID).proven()
		s := &store{}
		l := saw(t, s, second)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		gone := second.next(1, "gone")
		if err := l.Swap(ctx, gone.rec, s.at(), gone.open); !errors.Is(err, context.Canceled) || s.swaps != 0 || gone.open.Root != nil {
			t.Errorf("of a caller that has left: %v, %d swaps", err, s.swaps)
		}
		wake := make(chan struct{})
		old := s.at()
		s2 := &hanging{store: s, wake: wake}
		l.Replace(s2)
		first, next := second.next(1, "first"), second.next(1, "next")
		if err := l.Swap(t.Context(), first.rec, old, first.open); !errors.Is(err, ledger.ErrUnknown) {
			t.Errorf("of one that hangs: %v", err)
		}
		err := l.Swap(t.Context(), next.rec, old, next.open)
		if !errors.Is(err, ledger.ErrUnavailable) || errors.Is(err, ledger.ErrUnknown) || !strings.Contains(err.Error(), "the change was not sent") {
			t.Errorf("of one behind it: %v", err)
		}
		if next.open.Root != nil {
			t.Error("its root key is kept")
		}
		close(wake)
		synctest.Wait()
	})
}

// hanging is a store whose swaps hang.
type hanging struct {
	*store
	wake chan struct{}
}

func (h *hanging) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	<-h.wake
	return h.store.Swap(ctx, rec, old)
}

// TestASwapThatWasStoredLaterIsFollowed: it was called "not stored", and then
// it was. The process that sent it has its root key, as long as it is unsealed.
func TestASwapThatWasStoredLaterIsFollowed(t *testing.T) {
	second := newBranch(t, storeID).proven()
	for name, tt := range map[string]struct {
		before, after func(*ledger.Ledger)
		later         int // swaps that are lost as well
		is            error
	}{
		"unsealed":          {before: (*ledger.Ledger).Unsealed, after: func(*ledger.Ledger) {}},
		"sealed":            {before: func(*ledger.Ledger) {}, after: func(*ledger.Ledger) {}, is: aead.ErrWrongKey},
		"sealed in between": {before: (*ledger.Ledger).Unsealed, after: (*ledger.Ledger).Sealed, is: aead.ErrWrongKey},
		"three ago":         {before: (*ledger.Ledger).Unsealed, later: 3, after: func(*ledger.Ledger) {}},
		"too long ago":      {before: (*ledger.Ledger).Unsealed, later: 4, after: func(*ledger.Ledger) {}, is: aead.ErrWrongKey},
	} {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			l := saw(t, s, second)
			tt.before(l)
			s.onSwap = func() error { return errors.New("lost") }
			sent := *second
			sent.root = []byte("the root key of that change: 32.")
			third := sent.next(1, "main")
			if err := l.Swap(t.Context(), third.rec, s.at(), third.open); !errors.Is(err, ledger.ErrUnknown) {
				t.Fatal(err)
			}
			for i := range tt.later {
				b := second.next(1, fmt.Sprint("later", i))
				if err := l.Swap(t.Context(), b.rec, s.at(), b.open); !errors.Is(err, ledger.ErrUnknown) {
					t.Fatal(err)
				}
			}
			tt.after(l)
			s.put(third.rec) // it arrives
			stored, err := l.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Unlock(stored, rootKey); !errors.Is(err, aead.ErrWrongKey) {
				t.Fatalf("it has the root key from before: %v", err)
			}
			o, err := l.Follow(stored)
			if !errors.Is(err, tt.is) || (o == nil) != (tt.is != nil) {
				t.Errorf("%v, want %v", err, tt.is)
			}
		})
	}
}

// TestASwapOutlivesItsCaller, who leaves while it is stored and its answer is lost.
func TestASwapOutlivesItsCaller(t *testing.T) {
	second := newBranch(t, storeID).proven()
	third := second.next(1, "main")
	s := &store{}
	l := saw(t, s, second)
	ctx, leave := context.WithCancel(t.Context())
	s.swapped = func() error { leave(); return errors.New("lost") }
	if err := l.Swap(ctx, third.rec, s.at(), third.open); err != nil || third.open.Rev != s.at() || third.open.Root == nil {
		t.Errorf("%v", err)
	}
}

// TestWhichChangesAreKept: those whose outcome is unknown, also where the store was gone
// to the end, and none of a process that was sealed by then.
func TestWhichChangesAreKept(t *testing.T) {
	for name, tt := range map[string]struct {
		gone, sealed bool
		says         string
	}{
		"not there yet":          {says: "it is not in the store now"},
		"the store is gone":      {gone: true, says: "no answer"},
		"of a sealed process":    {sealed: true, says: "it is not in the store now"},
		"sealed, and it is gone": {sealed: true, gone: true, says: "no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				second := newBranch(t, storeID).proven()
				sent := *second
				sent.root = []byte("the root key of that change: 32.")
				third := sent.next(1, "main")
				s := &store{}
				l := saw(t, s, second)
				l.Unsealed()
				if tt.sealed {
					l.Sealed()
				}
				s.onSwap = func() error {
					if tt.gone {
						s.onLoad = func() error { return errors.New("gone") }
					}
					return errors.New("no answer")
				}
				err := l.Swap(t.Context(), third.rec, s.at(), third.open)
				if !errors.Is(err, ledger.ErrUnknown) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%v", err)
				}
				if l.Sent(third.open.Digest) == tt.sealed {
					t.Errorf("it is kept: %v", !tt.sealed)
				}
				_, err = l.Follow(third.stored())
				if followed := err == nil; followed == tt.sealed {
					t.Errorf("it is followed: %v, %v", followed, err)
				}
				if (third.open.Root == nil) != tt.sealed {
					t.Error("the root key of what is kept alone stays")
				}
			})
		})
	}
}

// TestAFirstRecordThatIsNotThere: that is known at once, and what a store has lost is
// not.
func TestAFirstRecordThatIsNotThere(t *testing.T) {
	for name, first := range map[string]bool{"the first": true, "a later one": false} {
		synctest.Test(t, func(t *testing.T) {
			second := newBranch(t, storeID).proven()
			s := &store{onSwap: func() error { return errors.New("lost") }}
			l := newLedger(ledger.Config{Store: s})
			old := ""
			if !first {
				old = "1ns"
			}
			start := time.Now()
			if err := l.Swap(t.Context(), second.rec, old, second.open); !errors.Is(err, ledger.ErrUnknown) || strings.Contains(err.Error(), "it is not in the store now") != first || (time.Since(start) == 0) != first {
				t.Errorf("%s: %v, after %v", name, err, time.Since(start))
			}
		})
	}
}

// TestAChangeThatWasSent, and whose outcome is unknown: its record is known by its
// digest, and opens with its own root key, until the process is sealed.
func TestAChangeThatWasSent(t *testing.T) {
	second := newBranch(t, storeID).proven()
	fresh, newer := *second, *second
	fresh.root, newer.root = []byte("the root key of that change: 32."), []byte("the root key of another one: 32.")
	sent, another, never := fresh.next(1, "main"), newer.next(1, "other"), second.next(1, "never")
	stranger := *second
	stranger.root = bytes.Repeat([]byte{9}, 32)
	s := &store{}
	l := saw(t, s, second)
	l.Unsealed()
	s.onSwap = func() error { return errors.New("lost") }
	digests := map[string]record.Digest{}
	for name, b := range map[string]*branch{"sent": sent, "another": another, "never": never} {
		if digests[name] = b.open.Digest; l.Sent(b.open.Digest) {
			t.Errorf("%s: before it was", name)
		}
		if name == "never" {
			continue
		}
		if err := l.Swap(t.Context(), b.rec, s.at(), b.open); !errors.Is(err, ledger.ErrUnknown) {
			t.Fatal(err)
		}
	}
	check := func(when string, kept bool) {
		t.Helper()
		for name, want := range map[string]bool{"sent": kept, "another": kept, "never": false} {
			if l.Sent(digests[name]) != want {
				t.Errorf("%s: %s was sent: %v", when, name, !want)
			}
		}
		lost := aead.ErrWrongKey
		if kept {
			lost = nil
		}
		spliced := bytes.Replace(second.rec, []byte(`"name":"people"`), []byte(`"name":"poeple"`), 1)
		for name, tt := range map[string]struct {
			rec []byte
			is  error
		}{
			"the root key in use":   {never.rec, nil},
			"that of the change":    {sent.rec, lost},
			"that of another":       {another.rec, lost},
			"a fork of that key":    {fresh.next(3, "fork").rec, lost},
			"one before, in use":    {newBranch(t, storeID).rec, nil},
			"a key that nobody has": {stranger.next(1, "stranger").rec, aead.ErrWrongKey},
			"another clear part":    {spliced, aead.ErrCorrupt},
		} {
			stored, err := ledger.Parse(tt.rec)
			if err != nil {
				t.Fatal(err)
			}
			o, err := l.OpenAny(stored, rootKey)
			if !errors.Is(err, tt.is) || (o == nil) != (tt.is != nil) || o != nil && o.State.Generation != stored.Generation {
				t.Errorf("%s, %s: %v, want %v", when, name, err, tt.is)
			}
		}
	}
	check("unsealed", true)
	check("once more", true) // the keys were copies
	l.Sealed()
	check("sealed", false)
}

// TestFollow: of a change that was sent the record opens also where it does not
// descend, as that of a restore. Others of that root key must.
func TestFollow(t *testing.T) {
	second := newBranch(t, storeID).proven()
	restored := newBranch(t, storeID).proven()
	restored.root = []byte("the root key of that change: 32.")
	sent := restored.next(3, "restored")
	for name, tt := range map[string]struct {
		stored *branch
		is     error
	}{
		"the change itself": {sent, nil},
		"one after it":      {sent.next(1, "restored"), aead.ErrWrongKey}, // of a branch that this process has not seen
		"one of another":    {second.next(3, "main"), aead.ErrWrongKey},
	} {
		s := &store{}
		l := saw(t, s, second)
		l.Unsealed()
		s.onSwap = func() error { return errors.New("lost") }
		draft, err := sent.stored().Open(sent.root)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Swap(t.Context(), sent.rec, s.at(), draft); !errors.Is(err, ledger.ErrUnknown) {
			t.Fatal(err)
		}
		if o, err := l.Follow(tt.stored.stored()); !errors.Is(err, tt.is) || (o == nil) != (tt.is != nil) {
			t.Errorf("%s: %v, want %v", name, err, tt.is)
		}
	}
}

// stored is the branch's newest record, parsed.
func (b *branch) stored() *ledger.Stored {
	b.t.Helper()
	s, err := ledger.Parse(b.rec)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

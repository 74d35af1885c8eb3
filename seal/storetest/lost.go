package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// lostAnswers is which answers of a call are lost, one at a time: the longest
// conversation of a known store has fewer.
const lostAnswers = 16

// RunLostAnswers checks what a store makes of an answer that is lost on its way: a
// Swap that took place must not be [seal.ErrConflict], which says that nothing was
// changed. That is what it is where a client tries again by itself, with or without
// the store's knowledge, and meets its own record: have it try once, or return an
// error that leaves the outcome open. Load must not be [seal.ErrNotFound].
//
// Open returns a store with an empty backend of its own, and what has the n-th
// answer from then on be lost, and none for 0: [Wire.Lose], or the like.
func RunLostAnswers(t *testing.T, open func(t *testing.T) (s seal.Store, lose func(n int))) {
	for n := 1; n <= lostAnswers; n++ {
		t.Run(fmt.Sprintf("answer %d", n), func(t *testing.T) {
			s, lose := open(t)
			loseAnswer(t, s, func() { lose(n) }, func() { lose(0) })
		})
	}
}

// loseAnswer has an answer be lost in a Swap of a first record, in one of a second,
// and in a Load.
func loseAnswer(t testing.TB, s seal.Store, begin, end func()) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	rev := ""
	for _, rec := range []string{"one", "two"} {
		begin()
		next, err := s.Swap(ctx, []byte(rec), rev)
		end()
		got, now := settled(ctx, t, s)
		switch stored := now != "" && string(got) == rec; {
		case errors.Is(err, seal.ErrConflict):
			t.Fatalf("Swap whose answer was lost: error %v, and nobody else writes; the record is stored: %v. Does the client try again by itself?", err, stored)
		case err == nil && (!stored || now != next):
			t.Fatalf("Swap = %q, but the store holds %s at %q", next, brief(string(got)), now)
		case !stored && now != rev:
			t.Fatalf("after a Swap of %q, error %v, the store holds %s at %q", rec, err, brief(string(got)), now)
		}
		if now == "" { // it did not take place
			now = mustSwap(t, s, rec, "")
		}
		rev = now
	}
	want, _ := settled(ctx, t, s)
	begin()
	rec, now, err := s.Load(ctx)
	end()
	if errors.Is(err, seal.ErrNotFound) || err == nil && (string(rec) != string(want) || now != rev) {
		t.Errorf("Load whose answer was lost = %q, %q, error %v, want %q at %q or an error that leaves it open", rec, now, err, want, rev)
	}
}

// settled loads the record when the store can be reached again; none has no
// revision.
func settled(ctx context.Context, t testing.TB, s seal.Store) (rec []byte, rev string) {
	t.Helper()
	for {
		rec, rev, err := s.Load(ctx)
		if err == nil || errors.Is(err, seal.ErrNotFound) {
			return rec, rev
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("Load after a lost answer: %v", err)
		}
	}
}

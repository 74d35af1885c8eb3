package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// A check takes a testing.TB so that the package's own tests can run it on a
// faulty store and see it fail.
type check struct {
	name string
	run  func(t testing.TB, s seal.Store)
}

// A suite is the checks for stores of a kind, all of them or a sample of each.
type suite struct {
	Config
	short bool
}

func (c suite) checks() []check {
	return []check{
		{"empty", empty},
		{"create", create},
		{"create conflict", createConflict},
		{"swap", swap},
		{"stale swap", staleSwap},
		{"unknown revision", unknownRevision},
		{"same content", sameContent},
		{"ownership", ownership},
		{"any bytes", anyBytes},
		{"largest record", c.largest},
		{"oversized record", c.oversized},
		{"cancelled context", cancelled},
		{"fresh reads", c.freshReads},
		{"racing creators", racingCreators},
		{"racing writers", c.racingWriters},
		{"whole records", c.wholeRecords},
		{"watch", watch},
		{"watch unattended", watchUnattended},
	}
}

func empty(t testing.TB, s seal.Store) {
	rec, rev, err := s.Load(t.Context())
	if !errors.Is(err, seal.ErrNotFound) {
		t.Fatalf("Load of an empty store: error %v, want seal.ErrNotFound", err)
	}
	if len(rec) != 0 || rev != "" {
		t.Errorf("Load of an empty store returned %d bytes at revision %q beside the error", len(rec), rev)
	}
}

func create(t testing.TB, s seal.Store) {
	rev := mustSwap(t, s, "one", "")
	expect(t, s, "one", rev)
	expect(t, s, "one", rev) // loading changes nothing
}

func createConflict(t testing.TB, s seal.Store) {
	rev := mustSwap(t, s, "one", "")
	mustConflict(t, s, "two", "")
	expect(t, s, "one", rev)
}

func swap(t testing.TB, s seal.Store) {
	rev := mustSwap(t, s, "one", "")
	for _, rec := range []string{"two, which is longer", "3", "four"} {
		next := mustSwap(t, s, rec, rev)
		if next == rev {
			t.Fatalf("Swap returned the revision %q that it replaced", rev)
		}
		rev = next
		expect(t, s, rec, rev)
	}
}

func staleSwap(t testing.TB, s seal.Store) {
	first := mustSwap(t, s, "one", "")
	second := mustSwap(t, s, "two", first)
	for _, old := range []string{first, ""} {
		mustConflict(t, s, "three", old)
		expect(t, s, "two", second)
	}
	third := mustSwap(t, s, "three", second) // a conflict spoils nothing
	expect(t, s, "three", third)
}

func unknownRevision(t testing.TB, s seal.Store) {
	foreign := []string{"1", "0", "-1", "no such revision", strings.Repeat("f", 64), "'\"; --"}
	for _, old := range foreign {
		mustConflict(t, s, "one", old)
		empty(t, s)
	}
	rev := mustSwap(t, s, "one", "")
	for _, old := range foreign {
		if old == rev { // a store may well count from 1
			continue
		}
		mustConflict(t, s, "two", old)
		expect(t, s, "one", rev)
	}
}

func sameContent(t testing.TB, s seal.Store) {
	seen := map[string]bool{}
	rev, first := "", ""
	for i, rec := range []string{"a", "a", "b", "a", "b", "a", "a"} {
		rev = mustSwap(t, s, rec, rev)
		if seen[rev] {
			t.Fatalf("Swap %d returned the revision %q a second time: a revision must not depend on the content alone", i+1, rev)
		}
		seen[rev] = true
		if first == "" {
			first = rev
		}
		expect(t, s, rec, rev)
	}
	mustConflict(t, s, "c", first) // the content is what it was then; the revision is not
	expect(t, s, "a", rev)
}

func ownership(t testing.TB, s seal.Store) {
	rec := []byte("one")
	rev, err := s.Swap(t.Context(), rec, "")
	if err != nil {
		t.Fatalf("Swap: %v", err)
	}
	if string(rec) != "one" {
		t.Errorf("Swap changed the caller's record to %q", rec)
	}
	copy(rec, "xxx")
	expect(t, s, "one", rev)
	got, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	copy(got, "yyy")
	expect(t, s, "one", rev)
}

func anyBytes(t testing.TB, s seal.Store) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	rev := ""
	for _, rec := range []string{string(every), "\n", " one \r\n", "\x00\x00", "{\"é\":\"\xff\"}", "\x1a"} {
		rev = mustSwap(t, s, rec, rev)
		expect(t, s, rec, rev)
	}
}

func (c suite) largest(t testing.TB, s seal.Store) {
	size := c.MaxRecordSize
	if c.short {
		size = min(size, 4*MinRecordSize)
	}
	rec := strings.Repeat("\x00sealwright\xff012", size/15+1)[:size]
	rev := mustSwap(t, s, rec, "")
	expect(t, s, rec, rev)
	rev = mustSwap(t, s, "small again", rev)
	expect(t, s, "small again", rev)
}

func (c suite) oversized(t testing.TB, s seal.Store) {
	rev := mustSwap(t, s, "one", "")
	sizes := slices.Compact([]int{c.MaxRecordSize + 1, seal.MaxRecordSize + 1})
	if c.short {
		sizes = sizes[:1]
	}
	for _, size := range sizes {
		_, err := s.Swap(t.Context(), bytes.Repeat([]byte{'b'}, size), rev)
		if errors.Is(err, seal.ErrConflict) {
			t.Errorf("Swap of an oversized record: %v, and there was no conflict", err)
		} else if !errors.Is(err, seal.ErrTooLarge) {
			t.Errorf("Swap of a record of %d bytes, more than %d: error %v, want seal.ErrTooLarge", size, c.MaxRecordSize, err)
		}
		expect(t, s, "one", rev)
	}
}

func cancelled(t testing.TB, s seal.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mustFail := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, context.Canceled) || errors.Is(err, seal.ErrNotFound) || errors.Is(err, seal.ErrConflict) {
			t.Errorf("%s with a cancelled context: error %v, want context.Canceled alone", what, err)
		}
	}
	_, _, err := s.Load(ctx)
	mustFail("Load of an empty store", err)
	_, err = s.Swap(ctx, []byte("one"), "")
	mustFail("Swap into an empty store", err)
	empty(t, s)
	rev := mustSwap(t, s, "one", "")
	_, _, err = s.Load(ctx)
	mustFail("Load", err)
	_, err = s.Swap(ctx, []byte("two"), rev)
	mustFail("Swap", err)
	for _, old := range []string{"", "no such revision"} {
		_, err = s.Swap(ctx, []byte("two"), old)
		mustFail("Swap with a stale revision", err)
	}
	expect(t, s, "one", rev)
}

func unreachable(t testing.TB, s seal.Store) {
	mustFail := func(what string, err error) {
		t.Helper()
		if err == nil || errors.Is(err, seal.ErrNotFound) || errors.Is(err, seal.ErrConflict) {
			t.Errorf("%s while the backend is out of reach: error %v, want one that is neither seal.ErrNotFound nor seal.ErrConflict", what, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, _, err := s.Load(ctx)
	mustFail("Load", err)
	_, err = s.Swap(ctx, []byte("one"), "")
	mustFail("Swap of a first record", err)
	_, err = s.Swap(ctx, []byte("one"), "1")
	mustFail("Swap", err)
}

// patience is how long a check waits for what must happen at some time. It is
// no measure of speed.
const patience = time.Minute

func mustSwap(t testing.TB, s seal.Store, rec, old string) (rev string) {
	t.Helper()
	rev, err := s.Swap(t.Context(), []byte(rec), old)
	if err != nil {
		t.Fatalf("Swap of %d bytes at revision %q: %v", len(rec), old, err)
	}
	if rev == "" {
		t.Fatalf("Swap of %d bytes at revision %q returned an empty revision", len(rec), old)
	}
	return rev
}

func mustConflict(t testing.TB, s seal.Store, rec, old string) {
	t.Helper()
	rev, err := s.Swap(t.Context(), []byte(rec), old)
	if !errors.Is(err, seal.ErrConflict) {
		t.Fatalf("Swap at revision %q, which is not the present one: revision %q, error %v, want seal.ErrConflict", old, rev, err)
	}
}

func expect(t testing.TB, s seal.Store, rec, rev string) {
	t.Helper()
	got, gotRev, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if string(got) != rec {
		t.Fatalf("Load returned %s, want %s", brief(string(got)), brief(rec))
	}
	if gotRev != rev {
		t.Fatalf("Load returned revision %q, want %q", gotRev, rev)
	}
}

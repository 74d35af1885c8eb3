// Package namedtest is the conformance suite of stores for named keys: whoever
// adapts another database proves the adapter with it.
//
//	func TestStore(t *testing.T) {
//		namedtest.Run(t, func(t *testing.T) named.Store { return boltkeys.Open(…) })
//	}
//
// A store in which a stale writer wins loses the rotation of another: everything
// that was encrypted under it.
package namedtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/named"
)

// Run runs the suite. Each call of open returns a store that is empty, and that
// nobody else uses meanwhile.
func Run(t *testing.T, open func(t *testing.T) named.Store) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// A check takes a testing.TB so that this package's own tests can see it fail.
type check struct {
	name string
	run  func(t testing.TB, s named.Store)
}

var checks = []check{
	{"empty", empty},
	{"create", create},
	{"swap", swap},
	{"remove", remove},
	{"revisions", revisions},
	{"names", names},
	{"list", list},
	{"ownership", ownership},
	{"largest document", largest},
	{"canceled context", canceled},
	{"racing writers", racingWriters},
	{"racing creators", racingCreators},
}

func put(t testing.TB, s named.Store, name, doc, revision string) string {
	t.Helper()
	next, err := s.Swap(context.Background(), name, []byte(doc), revision)
	if err != nil {
		t.Fatalf("Swap of %q at revision %q: %v", name, revision, err)
	}
	if next == "" {
		t.Fatalf("Swap of %q returned no revision", name)
	}
	return next
}

func holds(t testing.TB, s named.Store, name, want, revision string) {
	t.Helper()
	doc, got, err := s.Load(context.Background(), name)
	if err != nil || string(doc) != want || got != revision {
		t.Fatalf("Load of %q: %d bytes at revision %q, %v; want %d at %q", name, len(doc), got, err, len(want), revision)
	}
}

func absent(t testing.TB, s named.Store, name string) {
	t.Helper()
	if doc, revision, err := s.Load(context.Background(), name); !errors.Is(err, named.ErrNotFound) || len(doc) > 0 || revision != "" {
		t.Fatalf("Load of %q, which is not there: %d bytes at revision %q, %v; want named.ErrNotFound", name, len(doc), revision, err)
	}
}

func conflicts(t testing.TB, s named.Store, name string, doc []byte, revision string) {
	t.Helper()
	if next, err := s.Swap(context.Background(), name, doc, revision); !errors.Is(err, named.ErrConflict) {
		t.Fatalf("Swap of %q at revision %q, which is not there: %q, %v; want named.ErrConflict", name, revision, next, err)
	}
}

func empty(t testing.TB, s named.Store) {
	absent(t, s, "k")
	if got, err := s.List(context.Background(), "", 10); len(got) > 0 || err != nil {
		t.Errorf("an empty store lists %v, %v", got, err)
	}
}

func create(t testing.TB, s named.Store) {
	rev := put(t, s, "k", "one", "")
	holds(t, s, "k", "one", rev)
	conflicts(t, s, "k", []byte("two"), "")
	holds(t, s, "k", "one", rev)
	absent(t, s, "l")
}

func swap(t testing.TB, s named.Store) {
	first := put(t, s, "k", "one", "")
	other := put(t, s, "l", "other", "")
	second := put(t, s, "k", "two", first)
	holds(t, s, "k", "two", second)
	holds(t, s, "l", "other", other)
	conflicts(t, s, "k", []byte("three"), first)
	conflicts(t, s, "k", []byte("three"), "no revision of yours")
	conflicts(t, s, "m", []byte("three"), second)
	holds(t, s, "k", "two", second)
	put(t, s, "k", "two", second) // the same again is a swap, too
	conflicts(t, s, "k", []byte("three"), second)
}

func remove(t testing.TB, s named.Store) {
	first := put(t, s, "k", "one", "")
	second := put(t, s, "k", "two", first)
	conflicts(t, s, "k", nil, first)
	conflicts(t, s, "l", nil, second)
	if _, err := s.Swap(context.Background(), "k", nil, second); err != nil {
		t.Fatalf("Swap of nil, to remove: %v", err)
	}
	absent(t, s, "k")
	if got, err := s.List(context.Background(), "", 10); len(got) > 0 || err != nil {
		t.Errorf("lists %v, %v after the only one was removed", got, err)
	}
	conflicts(t, s, "k", []byte("three"), second)
	conflicts(t, s, "k", nil, second)
	holds(t, s, "k", "new", put(t, s, "k", "new", ""))
}

// revisions: none comes twice, or a writer who slept wins over a key that was made
// anew meanwhile.
func revisions(t testing.TB, s named.Store) {
	seen := map[string]bool{}
	for range 3 {
		rev := ""
		for i := range 3 {
			rev = put(t, s, "k", fmt.Sprint(i), rev)
			if seen[rev] {
				t.Fatalf("revision %q comes twice", rev)
			}
			seen[rev] = true
		}
		if _, err := s.Swap(context.Background(), "k", nil, rev); err != nil {
			t.Fatal(err)
		}
	}
}

func names(t testing.TB, s named.Store) {
	all := []string{"k", "K", "k-1", "k.1", "k_1", ".wrapping-key", "0", "k1", strings.Repeat("n", named.MaxName)}
	revs := map[string]string{}
	for _, name := range all {
		revs[name] = put(t, s, name, "of "+name, "")
	}
	for _, name := range all {
		holds(t, s, name, "of "+name, revs[name])
	}
}

func list(t testing.TB, s named.Store) {
	want := []string{"k", "K", "k-1", "k.1", "k_1", ".wrapping-key", "0", "k1", "Zz", "a", "ka"}
	for _, name := range want {
		put(t, s, name, "d", "")
	}
	slices.Sort(want)
	for _, limit := range []int{1, 3, len(want), 100} {
		var got []string
		for after := ""; ; {
			page, err := s.List(context.Background(), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			if len(page) > limit || len(got) > len(want) {
				t.Fatalf("List returns %d names after %q, at most %d were asked for", len(page), after, limit)
			}
			got = append(got, page...)
			after = page[len(page)-1]
		}
		if !slices.Equal(got, want) {
			t.Fatalf("listed by %d:\n%q, want the order of the bytes:\n%q", limit, got, want)
		}
	}
	if got, err := s.List(context.Background(), "k", 1); err != nil || len(got) != 1 || got[0] != "k-1" {
		t.Errorf("after k comes %q, %v; want k-1", got, err)
	}
}

func ownership(t testing.TB, s named.Store) {
	doc := []byte("document")
	rev, err := s.Swap(context.Background(), "k", doc, "")
	if err != nil {
		t.Fatal(err)
	}
	clear(doc)
	got, _, err := s.Load(context.Background(), "k")
	if err != nil {
		t.Fatal(err)
	}
	clear(got)
	holds(t, s, "k", "document", rev)
}

func largest(t testing.TB, s named.Store) {
	doc := make([]byte, named.MaxDocument+keyring.Overhead)
	for i := range doc {
		doc[i] = byte(i * 31)
	}
	put(t, s, "k", string(doc), "")
	if got, _, err := s.Load(context.Background(), "k"); err != nil || !bytes.Equal(got, doc) {
		t.Fatalf("the largest document comes back as %d bytes, %v", len(got), err)
	}
}

func canceled(t testing.TB, s named.Store) {
	rev := put(t, s, "k", "one", "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Swap(ctx, "k", []byte("two"), rev); err == nil {
		t.Error("Swap under a canceled context succeeds")
	}
	if _, _, err := s.Load(ctx, "k"); err == nil || errors.Is(err, named.ErrNotFound) {
		t.Errorf("Load under a canceled context: %v", err)
	}
}

// racingWriters count up together: each number once, and no count is lost.
func racingWriters(t testing.TB, s named.Store) {
	const writers, times = 4, 25
	put(t, s, "k", "-", "")
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < times; {
				doc, rev, err := s.Load(context.Background(), "k")
				if err != nil {
					t.Error(err)
					return
				}
				_, err = s.Swap(context.Background(), "k", append(doc, 'x'), rev)
				if err == nil {
					done++
				} else if !errors.Is(err, named.ErrConflict) {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if doc, _, err := s.Load(context.Background(), "k"); len(doc) != 1+writers*times || err != nil {
		t.Errorf("%d of %d changes are there, %v: a stale writer won", len(doc)-1, writers*times, err)
	}
}

func racingCreators(t testing.TB, s named.Store) {
	for i := range 10 {
		name := fmt.Sprintf("k%d", i)
		var won atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				_, err := s.Swap(context.Background(), name, []byte("mine"), "")
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, named.ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d created one key", won.Load())
		}
	}
}

package migrate_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
)

// A memSource keeps items in order of their ids.
type memSource struct {
	onPage    func(after string) error
	onReplace func(id string) error     // before the compare
	aad       func(id ...string) []byte // nil: the id itself

	mu    sync.Mutex
	items []migrate.Item
	puts  int
}

func (s *memSource) Page(_ context.Context, after string, limit int) ([]migrate.Item, error) {
	if s.onPage != nil {
		if err := s.onPage(after); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.find(after)
	if found {
		i++
	}
	return slices.Clone(s.items[i:min(len(s.items), i+limit)]), nil
}

func (s *memSource) Replace(_ context.Context, id string, old, next []byte) (bool, error) {
	s.mu.Lock()
	before := s.onReplace
	s.mu.Unlock()
	if before != nil {
		if err := before(id); err != nil {
			return false, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.find(id)
	if !found || !bytes.Equal(s.items[i].Ciphertext, old) {
		return false, nil
	}
	s.items[i].Ciphertext = bytes.Clone(next)
	s.puts++
	return true, nil
}

// setReplace is for a source that is at work: what comes before the next compare.
func (s *memSource) setReplace(f func(id string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onReplace = f
}

// replaced is how often an item was replaced.
func (s *memSource) replaced() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.puts
}

func (s *memSource) find(id string) (int, bool) {
	return slices.BinarySearchFunc(s.items, id, func(it migrate.Item, id string) int { return strings.Compare(it.ID, id) })
}

// put adds or changes an item, as a live writer does.
func (s *memSource) put(id string, ciphertext []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.find(id)
	if !found {
		aad := []byte(id)
		if s.aad != nil {
			aad = s.aad(id)
		}
		s.items = slices.Insert(s.items, i, migrate.Item{ID: id, AAD: aad})
	}
	s.items[i].Ciphertext = ciphertext
}

func (s *memSource) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, found := s.find(id); found {
		s.items = slices.Delete(s.items, i, i+1)
	}
}

func (s *memSource) stored(id string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.find(id)
	if !found {
		return nil
	}
	return s.items[i].Ciphertext
}

// all is what there is now.
func (s *memSource) all() []migrate.Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.items)
}

// virtual runs f in virtual time. In FIPS mode crypto/rand finds no entropy there
// before Go 1.27.
func virtual(t *testing.T, f func(*testing.T)) {
	t.Helper()
	if fips140.Enabled() && strings.HasPrefix(runtime.Version(), "go1.26") {
		t.Skip("crypto/rand finds no entropy in virtual time there")
	}
	synctest.Test(t, f)
}

// terms makes the terms 1 to n, of which one is active; the same number has
// the same key each time.
func terms(n, active uint32) []keyring.Term {
	var out []keyring.Term
	for i := range n {
		t := keyring.Term{Number: i + 1, Active: i+1 == active}
		t.Key[0], t.Key[31] = byte(i+1), 0x5e
		out = append(out, t)
	}
	return out
}

// newKeyring returns a keyring with the terms 1 to n.
func newKeyring(tb testing.TB, n, active uint32) (*keyring.Owner, *keyring.Keyring) {
	tb.Helper()
	owner := keyring.New()
	install(tb, owner, n, active)
	return owner, owner.Keyring()
}

func install(tb testing.TB, owner *keyring.Owner, n, active uint32) {
	tb.Helper()
	if err := owner.Install("a store", terms(n, active)); err != nil {
		tb.Fatal(err)
	}
}

func encrypt(tb testing.TB, kr *keyring.Keyring, plaintext, aad string) []byte {
	tb.Helper()
	out, err := kr.Encrypt(nil, []byte(plaintext), []byte(aad))
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

func encryptString(tb testing.TB, kr *keyring.Keyring, plaintext, aad string) []byte {
	tb.Helper()
	out, err := kr.EncryptString(plaintext, []byte(aad))
	if err != nil {
		tb.Fatal(err)
	}
	return []byte(out)
}

// filled returns a source of n items under the keyring's active term.
func filled(tb testing.TB, kr *keyring.Keyring, n int) *memSource {
	tb.Helper()
	s := &memSource{}
	for i := range n {
		id := fmt.Sprintf("%04d", i)
		s.items = append(s.items, migrate.Item{ID: id, AAD: []byte(id), Ciphertext: encrypt(tb, kr, "value of "+id, id)})
	}
	return s
}

// checkAll decrypts every item, and checks its term.
func checkAll(t *testing.T, kr *keyring.Keyring, s *memSource, term uint32) {
	t.Helper()
	for _, it := range s.items {
		if got, err := keyring.TermOf(it.Ciphertext); err != nil || got != term {
			t.Errorf("item %s is under term %d, %v; want %d", it.ID, got, err, term)
		}
		got, err := kr.Decrypt(nil, it.Ciphertext, it.AAD)
		if err != nil || string(got) != "value of "+it.ID {
			t.Errorf("item %s: %q, %v", it.ID, got, err)
		}
	}
}

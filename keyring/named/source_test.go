package named_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
)

// The keys are counted under the terms they are under, rewrapped while they are
// used, and outlive the term: without the source a retirement would have taken
// them along.
func TestRewrapKeys(t *testing.T) {
	h := open(t, nil)
	if len(h.sources) != 1 {
		t.Fatalf("Keep was called %d times", len(h.sources))
	}
	texts := map[string]string{}
	n := 300
	if testing.Short() {
		n = 120
	}
	for i := range n {
		name := fmt.Sprintf("k%03d", i)
		h.create(name, named.Spec{})
		texts[name] = must(h.key(name).Encrypt(named.Message{Plaintext: []byte(name)}))(t)
	}
	if err := h.putWrappingKey(); err != nil {
		t.Fatal(err)
	}
	wrapping := must(h.WrappingKey(t.Context()))(t)
	second := h.ring.Rotate()
	census := must(migrate.Count(t.Context(), h.ring.Keyring, h.sources...))(t)
	if census.Terms[1].Items != int64(n+1) || census.Terms[second].Items != 0 {
		t.Errorf("counted %+v", census)
	}
	rotated := false
	for p, err := range migrate.Rewrap(t.Context(), h.ring.Keyring, h.sources[0], migrate.RewrapOptions{PageSize: 50}) {
		if err != nil {
			t.Fatal(err)
		}
		if !rotated { // somebody changes a key in the midst
			must(h.Rotate(t.Context(), fmt.Sprintf("k%03d", n-1)))(t)
			rotated = true
		}
		_ = p
	}
	census = must(migrate.Count(t.Context(), h.ring.Keyring, h.sources...))(t)
	if census.Terms[1].Items != 0 || census.Terms[second].Items != int64(n+1) {
		t.Errorf("after the rewrap: %+v", census)
	}
	h.ring.Retire(1)
	later := open(t, func(c *named.Config) { c.Keyring, c.Store = h.ring.Keyring, h.store }) // a process that starts now
	for name, text := range texts {
		if got, err := later.key(name).Decrypt(named.Ciphertext{Text: text}); string(got) != name || err != nil {
			t.Fatalf("%s: %q, %v", name, got, err)
		}
	}
	if got := must(later.WrappingKey(t.Context()))(t); got != wrapping {
		t.Error("the wrapping key is another")
	}
}

// What happens without it: the control for the test above.
func TestRetireUncounted(t *testing.T) {
	h := open(t, func(c *named.Config) { c.CacheFor = -1 })
	h.create("k", named.Spec{})
	h.ring.Rotate()
	h.ring.Retire(1)
	if _, err := h.Key(t.Context(), "k"); !errors.Is(err, keyring.ErrUnknownTerm) {
		t.Errorf("%v, want ErrUnknownTerm", err)
	}
}

// A key that another replica stored under a term that this one does not know yet
// is met by a refresh.
func TestRefresh(t *testing.T) {
	owners, terms := [2]*keyring.Owner{keyring.New(), keyring.New()}, make([]keyring.Term, 2)
	for i := range terms {
		terms[i].Number, terms[i].Active = uint32(i+1), i == 1
		rand.Read(terms[i].Key[:])
	}
	install := func(o *keyring.Owner, n int) {
		some := append([]keyring.Term(nil), terms[:n]...)
		some[n-1].Active = true
		if err := o.Install("store", some); err != nil {
			t.Fatal(err)
		}
	}
	install(owners[0], 1)
	install(owners[1], 2)
	failing := errors.New("the record is away")
	refresh := failing
	store := named.NewMemStore()
	behind := open(t, func(c *named.Config) {
		c.Keyring, c.Store = owners[0].Keyring(), store
		c.Refresh = func(context.Context) error {
			if refresh == nil {
				install(owners[0], 2)
			}
			return refresh
		}
	})
	ahead := open(t, func(c *named.Config) { c.Keyring, c.Store = owners[1].Keyring(), store })
	ahead.create("k", named.Spec{})
	_, err := behind.Key(t.Context(), "k")
	wantError(t, err, failing, "a term that is not known yet")
	refresh = nil
	if _, err := behind.Key(t.Context(), "k"); err != nil {
		t.Error(err)
	}
}

// A document is bound to its name: who can write to the store can't put one key
// in another's place.
func TestMoved(t *testing.T) {
	h := open(t, nil)
	h.create("a", named.Spec{})
	h.create("b", named.Spec{})
	stored, _, err := h.store.Load(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	_, revision, err := h.store.Load(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	must(h.store.Swap(t.Context(), "b", stored, revision))(t)
	_, err = h.Key(t.Context(), "b")
	wantError(t, err, keyring.ErrCorrupt, "corrupt")
	must(h.store.Swap(t.Context(), "c", []byte("{}"), ""))(t)
	if _, err := h.Key(t.Context(), "c"); err == nil {
		t.Error("what is not encrypted is taken for a key")
	}
	must(h.store.Swap(t.Context(), "d", make([]byte, named.MaxDocument+keyring.Overhead+1), ""))(t)
	_, err = h.Key(t.Context(), "d")
	wantError(t, err, named.ErrCorrupt, "longer than any")
}

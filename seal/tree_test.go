package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// What the forgeries of the external tests are made with.

// Opened returns a copy of what an unsealed Barrier holds.
func (b *Barrier) Opened(t testing.TB) (record.State, []byte) {
	t.Helper()
	o, err := b.current()
	if err != nil {
		t.Fatal(err)
	}
	return o.state, o.root
}

// SealRecord returns the stored form of a state under a root key.
func SealRecord(s record.State, root []byte) ([]byte, error) {
	_, stored, err := draftOf(s, root)
	return stored, err
}

// WrapRootFor returns the root key encrypted to a slot of that store.
func WrapRootFor(t testing.TB, store string, slot *record.Slot, number uint32, root []byte) []byte {
	t.Helper()
	wrap, err := wrapRoot(slot.PublicKey, wrapPlace(store, slot.ID, number), root)
	if err != nil {
		t.Fatal(err)
	}
	return wrap
}

// NewSlotFor makes what would be the next slot of a record.
func (b *Barrier) NewSlotFor(t testing.TB, rec *record.Record, name string, spec Spec, root []byte) (record.NewSlot, []ShareSet) {
	t.Helper()
	n, sets, err := b.newSlot(t.Context(), rec, name, spec, root)
	if err != nil {
		t.Fatal(err)
	}
	return n, sets
}

func newTreeBarrier(t testing.TB, fake *kmstest.Fake, more map[string]kms.Wrapper) *Barrier {
	t.Helper()
	cfg := Config{Store: NewMemStore(), KMS: map[string]kms.Wrapper{}, Retry: kms.Policy{Attempts: 1}}
	for _, name := range []string{"a", "b", "c", "d"} {
		cfg.KMS[name] = fake.Key(name)
	}
	for name, w := range more {
		cfg.KMS[name] = w
	}
	b, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A planted is a tree made for a test, and what it protects.
type planted struct {
	seed []byte
	slot *record.Slot
	sets []ShareSet
}

const treeStore = "00112233445566778899aabbccddeeff"

func plant(t testing.TB, b *Barrier, spec Spec) planted {
	t.Helper()
	p := planted{seed: randomKey(), slot: &record.Slot{Name: "tree"}}
	g := growth{barrier: b, store: treeStore, slot: "tree", identity: record.FingerprintOf([32]byte{1})}
	var err error
	if p.slot.Tree, err = g.grow(t.Context(), spec.record(), p.seed, "", 1, 1); err != nil {
		t.Fatal(err)
	}
	p.sets = g.sets
	fingerprint := g.identity
	p.slot.Fingerprint = fingerprint[:12]
	return p
}

// harvest opens the tree with the first n shares of each set.
func (p planted) harvest(ctx context.Context, b *Barrier, n int) ([]byte, *harvest, error) {
	g := &gather{shares: map[uint32]map[byte]Share{}}
	for _, set := range p.sets {
		g.shares[set.Set] = map[byte]Share{}
		for _, s := range set.Shares[:n] {
			g.shares[set.Set][s.X()] = s
		}
	}
	h := &harvest{barrier: b, store: treeStore, slot: p.slot}
	g.into(h)
	seed, err := h.open(ctx, &p.slot.Tree, "", 1, 1)
	return seed, h, err
}

// TestTreeOpensByEveryQuorum takes away every set of custodians, and asks no KMS
// where the rest cannot open the tree.
func TestTreeOpensByEveryQuorum(t *testing.T) {
	spec := Threshold{2, []Spec{
		KMS{"a"}, Shamir{Shares: 3, Threshold: 2}, Threshold{2, []Spec{KMS{"b"}, KMS{"c"}, KMS{"d"}}},
	}}
	fake := &kmstest.Fake{}
	b := newTreeBarrier(t, fake, nil)
	p := plant(t, b, spec)
	names := []string{"a", "b", "c", "d"}
	opened, refused := 0, 0
	for alive := range uint(1 << len(names)) {
		for i, name := range names {
			if alive&(1<<i) != 0 {
				fake.Enable(name)
			} else {
				fake.Disable(name)
			}
		}
		for given := range 4 {
			parts := 0
			if given >= 2 {
				parts++
			}
			if alive&1 != 0 {
				parts++
			}
			if bits.OnesCount(alive>>1) >= 2 {
				parts++
			}
			seed, h, err := p.harvest(t.Context(), b, given)
			switch {
			case parts >= 2 && (err != nil || !bytes.Equal(seed, p.seed)):
				t.Fatalf("keys %04b and %d shares do not open it: %v", alive, given, err)
			case parts >= 2:
				opened++
				if !h.vouches([32]byte{1}) || h.vouches([32]byte{2}) || !h.bound {
					t.Fatal("what the custodians hold does not name the identity")
				}
			case err == nil:
				t.Fatalf("keys %04b and %d shares open it", alive, given)
			default:
				refused++
				if given < 2 && !errors.Is(err, errNeedsPeople) && !errors.Is(err, kms.ErrKeyDisabled) {
					t.Fatalf("keys %04b and %d shares: %v", alive, given, err)
				}
			}
		}
	}
	t.Logf("%d combinations of custodians open the tree, %d do not", opened, refused)

	only := plant(t, b, Threshold{3, []Spec{KMS{"a"}, KMS{"b"}, Shamir{Shares: 2, Threshold: 2}}})
	before := fake.Count(kmstest.OpUnwrap)
	if _, _, err := only.harvest(t.Context(), b, 1); !errors.Is(err, errNeedsPeople) {
		t.Errorf("without people: %v", err)
	}
	if n := fake.Count(kmstest.OpUnwrap) - before; n != 0 {
		t.Errorf("%d unwraps for a tree that people are missing from", n)
	}
}

// TestTreeNamesTheLiar: of three keys one answers wrongly. Two open the tree
// without it, and where it is needed the error names it.
func TestTreeNamesTheLiar(t *testing.T) {
	spec := Threshold{2, []Spec{KMS{"a"}, KMS{"b"}, KMS{"c"}}}
	named := 0
	for _, failure := range kmstest.Failures() {
		if failure == kmstest.Hang || failure == kmstest.NoDNS || failure == kmstest.ServerError || failure == kmstest.BadCRC || failure == kmstest.Throttled {
			continue // no lies, and slow
		}
		fake := &kmstest.Fake{}
		b := newTreeBarrier(t, fake, nil)
		p := plant(t, b, spec)
		kind := failure.Kind()
		if kind == nil {
			kind = kms.ErrCorrupt
		}
		fake.Script(func(c kmstest.Call) kmstest.Fault {
			if c.Key == "a" {
				return kmstest.Fault{Failure: failure}
			}
			return kmstest.Fault{}
		})
		if seed, _, err := p.harvest(t.Context(), b, 0); err != nil || !bytes.Equal(seed, p.seed) {
			t.Errorf("%s: the other two do not open it: %v", failure, err)
		}
		fake.Disable("b")
		_, _, err := p.harvest(t.Context(), b, 0)
		if !errors.Is(err, kind) || !errors.Is(err, kms.ErrKeyDisabled) || !strings.Contains(err.Error(), `KMS "a"`) || !strings.Contains(err.Error(), "0 of the 2 parts needed") {
			t.Errorf("%s: %v", failure, err)
		} else {
			named++
		}
	}
	t.Logf("%d kinds of failing members named", named)
}

// fixedAnswer is a KMS that unwraps everything to one answer.
type fixedAnswer struct{ plain []byte }

func (f fixedAnswer) Wrap(context.Context, []byte, kms.Binding) (*kms.Blob, error) {
	return &kms.Blob{Type: "fixed", KeyID: "k", Ciphertext: []byte("c")}, nil
}

func (f fixedAnswer) Unwrap(context.Context, *kms.Blob, kms.Binding) ([]byte, error) {
	return bytes.Clone(f.plain), nil
}

func TestKMSAnswersOfTheWrongShape(t *testing.T) {
	w := randomKey()
	blob := kms.Blob{Type: "fixed", KeyID: "k", Ciphertext: []byte("c")}
	box := func(value []byte, slot string) []byte {
		sealed, err := aead.SealBox(w, leafInfo(treeStore, slot, "", 1, 1, &blob), value, nil)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	good := append(bytes.Clone(w), randomKey()...)
	for _, tt := range []struct {
		name   string
		answer []byte
		box    []byte
		says   string
	}{
		{"nothing", nil, box(randomKey(), "tree"), "an answer of the wrong length"},
		{"63 bytes", good[:63], box(randomKey(), "tree"), "an answer of the wrong length"},
		{"65 bytes", append(bytes.Clone(good), 0), box(randomKey(), "tree"), "an answer of the wrong length"},
		{"another key", append(randomKey(), good[32:]...), box(randomKey(), "tree"), "aead: wrong key"},
		{"a box of another slot", good, box(randomKey(), "other"), "aead: wrong key"},
		{"a box cut short", good, box(randomKey(), "tree")[:50], "aead: corrupt"},
		{"a box that was changed", good, func() []byte { b := box(randomKey(), "tree"); b[len(b)-1] ^= 1; return b }(), "aead: corrupt"},
		{"a value of 31 bytes", good, box(randomKey()[:31], "tree"), "a value of the wrong length"},
		{"no value", good, box(nil, "tree"), "a value of the wrong length"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newTreeBarrier(t, &kmstest.Fake{}, map[string]kms.Wrapper{"fixed": fixedAnswer{tt.answer}})
			p := planted{slot: &record.Slot{Name: "tree", Tree: record.Node{KMS: &record.Key{Name: "fixed", Blob: blob, Box: tt.box}}}}
			_, _, err := p.harvest(t.Context(), b, 0)
			if !errors.Is(err, kms.ErrCorrupt) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), `KMS "fixed" answered, but not with the key of slot "tree"`) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("as it should be", func(t *testing.T) {
		b := newTreeBarrier(t, &kmstest.Fake{}, map[string]kms.Wrapper{"fixed": fixedAnswer{good}})
		value := randomKey()
		p := planted{slot: &record.Slot{Name: "tree", Tree: record.Node{KMS: &record.Key{Name: "fixed", Blob: blob, Box: box(value, "tree")}}}}
		got, h, err := p.harvest(t.Context(), b, 0)
		if err != nil || !bytes.Equal(got, value) {
			t.Errorf("%v", err)
		}
		if h.bound {
			t.Error("a wrapper that is no Authenticator binds")
		}
	})
}

// TestAKMSThatLiesIsFoundWhileWrapping: nothing is stored that its KMS
// would not open.
func TestAKMSThatLiesIsFoundWhileWrapping(t *testing.T) {
	for _, failure := range []kmstest.Failure{kmstest.WrongPlaintext, kmstest.OtherPlaintext, kmstest.Truncated, kmstest.Extended} {
		fake := &kmstest.Fake{}
		b := newTreeBarrier(t, fake, nil)
		plant(t, b, KMS{"a"}) // so that there is another plaintext to answer with
		fake.Script(func(c kmstest.Call) kmstest.Fault {
			if c.Op == kmstest.OpWrap {
				return kmstest.Fault{Failure: failure}
			}
			return kmstest.Fault{}
		})
		g := growth{barrier: b, store: treeStore, slot: "tree"}
		_, err := g.grow(t.Context(), record.Spec{KMS: "a"}, randomKey(), "", 1, 1)
		if !errors.Is(err, kms.ErrCorrupt) || !strings.Contains(err.Error(), `KMS "a"`) {
			t.Errorf("%s: %v", failure, err)
		}
	}
	b := newTreeBarrier(t, &kmstest.Fake{}, map[string]kms.Wrapper{"empty": emptyBlob{}})
	g := growth{barrier: b, store: treeStore, slot: "tree"}
	if _, err := g.grow(t.Context(), record.Spec{KMS: "empty"}, randomKey(), "", 1, 1); !errors.Is(err, kms.ErrCorrupt) || !strings.Contains(err.Error(), "answered without a blob") {
		t.Errorf("%v", err)
	}
}

type emptyBlob struct{ fixedAnswer }

func (emptyBlob) Wrap(context.Context, []byte, kms.Binding) (*kms.Blob, error) { return nil, nil }

// TestPlacesOfLeavesAndShares: whatever names a place changes what is bound to it.
func TestPlacesOfLeavesAndShares(t *testing.T) {
	seen := map[string]bool{}
	note := func(s string) {
		t.Helper()
		if seen[s] {
			t.Error("two places are the same")
		}
		seen[s] = true
	}
	blob := kms.Blob{Type: "t", KeyID: "k", Version: "1"}
	note(leafInfo("s", "n", "1", 2, 3, &blob))
	note(leafInfo("S", "n", "1", 2, 3, &blob))
	note(leafInfo("s", "N", "1", 2, 3, &blob))
	note(leafInfo("s", "n", "2", 2, 3, &blob))
	note(leafInfo("s", "n", "1", 3, 3, &blob))
	note(leafInfo("s", "n", "1", 2, 4, &blob))
	note(leafInfo("s", "n", "1", 2, 3, &kms.Blob{Type: "T", KeyID: "k", Version: "1"}))
	note(leafInfo("s", "n", "1", 2, 3, &kms.Blob{Type: "t", KeyID: "K", Version: "1"}))
	note(leafInfo("s", "n", "1", 2, 3, &kms.Blob{Type: "t", KeyID: "k", Version: "2"}))
	y := bytes.Repeat([]byte{7}, 32)
	for _, c := range [][32]byte{
		commitment("s", "n", "", 1, 1, y), commitment("S", "n", "", 1, 1, y), commitment("s", "N", "", 1, 1, y),
		commitment("s", "n", "1", 1, 1, y), commitment("s", "n", "", 2, 1, y), commitment("s", "n", "", 1, 2, y),
		commitment("s", "n", "", 1, 1, bytes.Repeat([]byte{8}, 32)),
	} {
		note(string(c[:]))
	}
}

// contended meets another writer at the first swap of each change.
type contended struct {
	*MemStore
	armed bool
}

func (c *contended) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if c.armed {
		c.armed = false
		return "", ErrConflict
	}
	return c.MemStore.Swap(ctx, rec, old)
}

// TestNoSecretIsSplitTwice goes through all that makes shares, each also where
// the first attempt meets another writer, and compares every share, seed and
// number ever delivered or stored.
func TestNoSecretIsSplitTwice(t *testing.T) {
	ctx := t.Context()
	store := &contended{MemStore: NewMemStore()}
	fake := &kmstest.Fake{}
	b, err := Open(Config{Store: store, KMS: map[string]kms.Wrapper{"a": fake.Key("a")}, Retry: kms.Policy{Attempts: 1}})
	if err != nil {
		t.Fatal(err)
	}
	people, crowd := Shamir{Shares: 3, Threshold: 2}, Shamir{Shares: 5, Threshold: 3}
	tree := Threshold{2, []Spec{KMS{"a"}, people, crowd}}

	seen := map[string]string{} // every number and secret, and what it was first
	reused := func(kind string, value any, what string) (first string, ok bool) {
		key := fmt.Sprintf("%s %v", kind, value)
		first, ok = seen[key]
		if !ok {
			seen[key] = what
		}
		return first, ok && first != what
	}
	note := func(kind string, value any, what string) {
		t.Helper()
		if first, ok := reused(kind, value, what); ok {
			t.Errorf("the %s of %s is that of %s", kind, what, first)
		}
	}
	splits, shares, contests := 0, 0, 0
	deliver := func(what string, d Delivery, err error) Delivery {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if len(d.Sets) == 0 {
			t.Fatalf("%s delivers no shares", what)
		}
		for _, set := range d.Sets {
			splits++
			what := fmt.Sprintf("%s, path %q", what, set.Path)
			note("set", set.Set, what)
			for i, s := range set.Shares {
				shares++
				note("share", fmt.Sprintf("%x", s.RevealRaw()[:32]), fmt.Sprint(what, i))
			}
		}
		// The shares handed out are those of the slot that was stored.
		stored, _, err := store.Load(ctx)
		if err != nil {
			t.Fatal(err)
		}
		rec, _, _, err := record.Parse(stored)
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range d.Sets {
			for _, s := range set.Shares {
				if _, number, err := matchShare(rec, s); err != nil || number != set.Set {
					t.Errorf("%s: a delivered share is not in the record: %v", what, err)
				}
			}
		}
		for i := range rec.Slots {
			note("public key", rec.Slots[i].PublicKey, fmt.Sprint("slot ", rec.Slots[i].ID))
			note("fingerprint", rec.Slots[i].Fingerprint, fmt.Sprint("slot ", rec.Slots[i].ID))
		}
		return d
	}
	submit := func(d Delivery, op OperationID) {
		t.Helper()
		for _, set := range d.Sets {
			for _, s := range set.Shares[:set.Threshold] {
				if _, err := b.Submit(ctx, s, By{Operation: op}); err != nil && !errors.Is(err, ErrNoOperation) {
					t.Fatal(err)
				}
			}
		}
	}
	prove := func(name string, d Delivery) {
		t.Helper()
		op, done, err := b.Prove(ctx, name, By{})
		if err != nil || done {
			t.Fatalf("done %v, %v", done, err)
		}
		submit(d, op)
	}
	// twice does it once in peace, and once against another writer.
	twice := func(what string, make func() (Delivery, error), undo func(Delivery)) {
		t.Helper()
		for _, armed := range []bool{false, true} {
			store.armed = armed
			if armed {
				contests++
			}
			d, err := make()
			undo(deliver(fmt.Sprintf("%s, contended %v", what, armed), d, err))
		}
	}
	drop := func(name string) func(Delivery) {
		return func(Delivery) {
			if _, done, err := b.Drop(ctx, []string{name}, By{}); err != nil || !done {
				t.Fatalf("drop %s: done %v, %v", name, done, err)
			}
		}
	}

	spec := map[string]Spec{"people": people, "tree": tree}
	first, err := b.Init(ctx, spec, By{Operation: "op-1"})
	deliver("init", first, err)
	again, err := b.Init(ctx, spec, By{Operation: "op-1"})
	deliver("init, repeated", again, err)
	last, err := b.InitAgain(ctx, spec, By{})
	deliver("init, again", last, err)
	for _, set := range last.Sets {
		if set.Slot == "people" {
			submit(Delivery{Sets: []ShareSet{set}}, "")
		}
	}
	if b.Status().Sealed {
		t.Fatal(b.Status().Reason)
	}
	twice("add", func() (Delivery, error) { return b.Add(ctx, "more", crowd, By{}) }, drop("more"))
	twice("add a tree", func() (Delivery, error) { return b.Add(ctx, "more", tree, By{}) }, drop("more"))
	twice("rekey", func() (Delivery, error) { return b.Rekey(ctx, "people", people, By{}) }, func(d Delivery) { prove("people", d) })
	twice("rekey given up", func() (Delivery, error) { return b.Rekey(ctx, "people", people, By{}) }, drop("people"))
	d, err := b.Add(ctx, "late", people, By{})
	deliver("add late", d, err)
	twice("reissue", func() (Delivery, error) { return b.Reissue(ctx, "late", people, By{}) }, func(Delivery) {})

	if _, ok := reused("set", d.Sets[0].Set, "a planted split"); !ok {
		t.Error("a planted second split was not seen")
	}
	t.Logf("GUARANTEE 13 no-second-split: splits=%d shares=%d seen_twice=0 contended=%d", splits, shares, contests)
}

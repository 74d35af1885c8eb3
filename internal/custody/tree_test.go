package custody

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"math/bits"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

func newKeys(fake *kmstest.Fake, more map[string]kms.Wrapper) *Keys {
	wrappers := map[string]kms.Wrapper{}
	for _, name := range []string{"a", "b", "c", "d"} {
		wrappers[name] = fake.Key(name)
	}
	maps.Copy(wrappers, more)
	return NewKeys(wrappers, kms.Policy{Attempts: 1}, 2*time.Second)
}

// The shapes of the tests.
func kmsKey(name string) record.Spec { return record.Spec{KMS: name} }

func people(shares, threshold int) record.Spec {
	return record.Spec{Shares: shares, Threshold: threshold}
}

func tree(threshold int, of ...record.Spec) record.Spec {
	return record.Spec{Threshold: threshold, Of: of}
}

// A planted is a tree made for a test, and what it protects.
type planted struct {
	seed []byte
	slot *record.Slot
	sets []ShareSet
}

const treeStore = "00112233445566778899aabbccddeeff"

func plant(t testing.TB, k *Keys, spec record.Spec) planted {
	t.Helper()
	p := planted{seed: RandomKey(), slot: &record.Slot{Name: "tree"}}
	g := builder{keys: k, store: treeStore, slot: "tree", identity: record.FingerprintOf([32]byte{1})}
	var err error
	defer g.wipe()
	if p.slot.Tree, err = g.grow(spec, p.seed, top); err != nil {
		t.Fatal(err)
	}
	if err := g.askKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.sets = g.sets
	fingerprint := g.identity
	p.slot.Fingerprint = fingerprint[:12]
	return p
}

// open opens the tree with the first n shares of each set.
func (p planted) open(ctx context.Context, k *Keys, n int) ([]byte, *Answer, error) {
	q := &Quorum{shares: map[uint32]map[byte]given{}}
	for _, set := range p.sets {
		q.shares[set.Set] = map[byte]given{}
		for _, s := range set.Shares[:n] {
			q.shares[set.Set][s.X] = given{Share: s}
		}
	}
	o := &opener{keys: k, store: treeStore, slot: p.slot}
	q.into(o)
	seed, err := o.open(ctx, &p.slot.Tree, top)
	return seed.value, &Answer{Bound: seed.bound, identities: append(seed.identities, o.named...)}, err
}

// TestTreeOpensByEveryQuorum takes away every set of custodians, and asks no KMS
// where the rest cannot open the tree.
func TestTreeOpensByEveryQuorum(t *testing.T) {
	spec := tree(2, kmsKey("a"), people(3, 2), tree(2, kmsKey("b"), kmsKey("c"), kmsKey("d")))
	fake := &kmstest.Fake{}
	k := newKeys(fake, nil)
	p := plant(t, k, spec)
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
			seed, h, err := p.open(t.Context(), k, given)
			switch {
			case parts >= 2 && (err != nil || !bytes.Equal(seed, p.seed)):
				t.Fatalf("keys %04b and %d shares do not open it: %v", alive, given, err)
			case parts >= 2:
				opened++
				if !h.Names([32]byte{1}) || h.Names([32]byte{2}) || !h.Bound {
					t.Fatal("what the custodians hold does not name the identity")
				}
			case err == nil:
				t.Fatalf("keys %04b and %d shares open it", alive, given)
			default:
				refused++
				if given < 2 && !errors.Is(err, ErrNeedsPeople) && !errors.Is(err, kms.ErrKeyDisabled) {
					t.Fatalf("keys %04b and %d shares: %v", alive, given, err)
				}
			}
		}
	}
	t.Logf("%d combinations of custodians open the tree, %d do not", opened, refused)

	only := plant(t, k, tree(3, kmsKey("a"), kmsKey("b"), people(2, 2)))
	before := fake.Count(kmstest.OpUnwrap)
	if _, _, err := only.open(t.Context(), k, 1); !errors.Is(err, ErrNeedsPeople) {
		t.Errorf("without people: %v", err)
	}
	if n := fake.Count(kmstest.OpUnwrap) - before; n != 0 {
		t.Errorf("%d unwraps for a tree that people are missing from", n)
	}
}

// TestTreeNamesTheLiar: of three keys one answers wrongly. Two open the tree
// without it, and where it is needed the error names it.
func TestTreeNamesTheLiar(t *testing.T) {
	spec := tree(2, kmsKey("a"), kmsKey("b"), kmsKey("c"))
	named := 0
	for _, failure := range kmstest.Failures() {
		if failure == kmstest.Hang || failure == kmstest.NoDNS || failure == kmstest.ServerError || failure == kmstest.BadCRC || failure == kmstest.Throttled {
			continue // no lies, and slow
		}
		fake := &kmstest.Fake{}
		k := newKeys(fake, nil)
		p := plant(t, k, spec)
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
		if seed, _, err := p.open(t.Context(), k, 0); err != nil || !bytes.Equal(seed, p.seed) {
			t.Errorf("%s: the other two do not open it: %v", failure, err)
		}
		fake.Disable("b")
		_, _, err := p.open(t.Context(), k, 0)
		if !errors.Is(err, kind) || !errors.Is(err, kms.ErrKeyDisabled) || !strings.Contains(err.Error(), `KMS "a"`) || !strings.Contains(err.Error(), "of the 2 parts needed") {
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
	w := RandomKey()
	blob := kms.Blob{Type: "fixed", KeyID: "k", Ciphertext: []byte("c")}
	box := func(value []byte, slot string) []byte {
		sealed, err := aead.SealBox(w, LeafContext(treeStore, slot, "", 1, 1, &blob), value, nil)
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	good := append(bytes.Clone(w), RandomKey()...)
	for _, tt := range []struct {
		name   string
		answer []byte
		box    []byte
		says   string
	}{
		{"nothing", nil, box(RandomKey(), "tree"), "an answer of the wrong length"},
		{"63 bytes", good[:63], box(RandomKey(), "tree"), "an answer of the wrong length"},
		{"65 bytes", append(bytes.Clone(good), 0), box(RandomKey(), "tree"), "an answer of the wrong length"},
		{"another key", append(RandomKey(), good[32:]...), box(RandomKey(), "tree"), "aead: wrong key"},
		{"a box of another slot", good, box(RandomKey(), "other"), "aead: wrong key"},
		{"a box cut short", good, box(RandomKey(), "tree")[:50], "aead: corrupt"},
		{"a box that was changed", good, func() []byte { b := box(RandomKey(), "tree"); b[len(b)-1] ^= 1; return b }(), "aead: corrupt"},
		{"a value of 31 bytes", good, box(RandomKey()[:31], "tree"), "a value of the wrong length"},
		{"no value", good, box(nil, "tree"), "a value of the wrong length"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKeys(&kmstest.Fake{}, map[string]kms.Wrapper{"fixed": fixedAnswer{tt.answer}})
			p := planted{slot: &record.Slot{Name: "tree", Tree: record.Node{KMS: &record.Key{Name: "fixed", Blob: blob, Box: tt.box}}}}
			_, _, err := p.open(t.Context(), k, 0)
			if !errors.Is(err, kms.ErrCorrupt) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), `KMS "fixed" answered, but not with the key of slot "tree"`) {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("as it should be", func(t *testing.T) {
		k := newKeys(&kmstest.Fake{}, map[string]kms.Wrapper{"fixed": fixedAnswer{good}})
		value := RandomKey()
		p := planted{slot: &record.Slot{Name: "tree", Tree: record.Node{KMS: &record.Key{Name: "fixed", Blob: blob, Box: box(value, "tree")}}}}
		got, h, err := p.open(t.Context(), k, 0)
		if err != nil || !bytes.Equal(got, value) {
			t.Errorf("%v", err)
		}
		if h.Bound {
			t.Error("a wrapper that is no Authenticator binds")
		}
	})
}

// TestAKMSThatLiesIsFoundWhileWrapping: nothing is stored that its KMS
// would not open.
func TestAKMSThatLiesIsFoundWhileWrapping(t *testing.T) {
	for _, failure := range []kmstest.Failure{kmstest.WrongPlaintext, kmstest.OtherPlaintext, kmstest.Truncated, kmstest.Extended} {
		fake := &kmstest.Fake{}
		k := newKeys(fake, nil)
		plant(t, k, kmsKey("a")) // so that there is another plaintext to answer with
		fake.Script(func(c kmstest.Call) kmstest.Fault {
			if c.Op == kmstest.OpWrap {
				return kmstest.Fault{Failure: failure}
			}
			return kmstest.Fault{}
		})
		g := builder{keys: k, store: treeStore, slot: "tree"}
		g.growKey("a", RandomKey(), top)
		err := g.askKeys(t.Context())
		if !errors.Is(err, kms.ErrCorrupt) || !strings.Contains(err.Error(), `KMS "a"`) {
			t.Errorf("%s: %v", failure, err)
		}
	}
	k := newKeys(&kmstest.Fake{}, map[string]kms.Wrapper{"empty": emptyBlob{}})
	g := builder{keys: k, store: treeStore, slot: "tree"}
	g.growKey("empty", RandomKey(), top)
	if err := g.askKeys(t.Context()); !errors.Is(err, kms.ErrCorrupt) || !strings.Contains(err.Error(), "answered without a blob") {
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
	note(LeafContext("s", "n", "1", 2, 3, &blob))
	note(LeafContext("S", "n", "1", 2, 3, &blob))
	note(LeafContext("s", "N", "1", 2, 3, &blob))
	note(LeafContext("s", "n", "2", 2, 3, &blob))
	note(LeafContext("s", "n", "1", 3, 3, &blob))
	note(LeafContext("s", "n", "1", 2, 4, &blob))
	note(LeafContext("s", "n", "1", 2, 3, &kms.Blob{Type: "T", KeyID: "k", Version: "1"}))
	note(LeafContext("s", "n", "1", 2, 3, &kms.Blob{Type: "t", KeyID: "K", Version: "1"}))
	note(LeafContext("s", "n", "1", 2, 3, &kms.Blob{Type: "t", KeyID: "k", Version: "2"}))
	y := bytes.Repeat([]byte{7}, 32)
	for _, c := range [][32]byte{
		commitment("s", "n", "", 1, 1, y), commitment("S", "n", "", 1, 1, y), commitment("s", "N", "", 1, 1, y),
		commitment("s", "n", "1", 1, 1, y), commitment("s", "n", "", 2, 1, y), commitment("s", "n", "", 1, 2, y),
		commitment("s", "n", "", 1, 1, bytes.Repeat([]byte{8}, 32)),
	} {
		note(string(c[:]))
	}
}

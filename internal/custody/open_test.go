package custody_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// TestOpen has who opens a slot, and what they say of it.
func TestOpen(t *testing.T) {
	authentic, forgeable := false, true
	both := tree(2, onKMS("a"), people(2, 2))
	for name, tt := range map[string]struct {
		spec      record.Spec
		given     []int // shares, of each leaf that people hold
		bare      bool  // in Vault's form
		forgeable bool
		nobody    bool // no quorum: keys alone
		do        func(*fixture, *kmstest.Fake)
		is        error
		says      string
		want      custody.Answer
	}{
		"a key":                   {spec: onKMS("a"), nobody: true, want: custody.Answer{Bound: true, KMS: []string{"a"}}},
		"a key, forgeable":        {spec: onKMS("a"), nobody: true, forgeable: forgeable, want: custody.Answer{KMS: []string{"a"}}},
		"people":                  {spec: people(3, 2), given: []int{2}, want: custody.Answer{People: true}},
		"people, in bare form":    {spec: people(3, 2), given: []int{2}, bare: true, want: custody.Answer{}},
		"one alone":               {spec: people(1, 1), given: []int{1}, want: custody.Answer{People: true}},
		"too few":                 {spec: people(3, 2), given: []int{1}, is: custody.ErrNeedsPeople},
		"both":                    {spec: both, given: []int{2}, forgeable: authentic, want: custody.Answer{Bound: true, People: true, KMS: []string{"a"}}},
		"both, without people":    {spec: both, nobody: true, is: custody.ErrNeedsPeople, says: "0 of the 2 parts needed"},
		"both, without the key":   {spec: both, given: []int{2}, do: func(_ *fixture, f *kmstest.Fake) { f.Disable("a") }, is: kms.ErrKeyDisabled, says: `KMS "a"`},
		"one of two that binds":   {spec: tree(2, onKMS("a"), onKMS("mirror")), nobody: true, want: custody.Answer{Bound: true, KMS: []string{"a", "mirror"}}},
		"a seed of another slot":  {spec: onKMS("a"), nobody: true, do: func(f *fixture, _ *kmstest.Fake) { f.slots["tree"].PublicKey = f.slots["other"].PublicKey }, is: custody.ErrWrongSeed},
		"a damaged copy":          {spec: onKMS("a"), nobody: true, do: func(f *fixture, _ *kmstest.Fake) { f.slots["tree"].Wrap[1200] ^= 1 }, is: custody.ErrDamaged, says: `the root key of slot "tree"`},
		"of another root key":     {spec: onKMS("a"), nobody: true, do: func(f *fixture, _ *kmstest.Fake) { f.rec.Root++ }, is: custody.ErrDamaged},
		"of another slot's place": {spec: onKMS("a"), nobody: true, do: func(f *fixture, _ *kmstest.Fake) { f.slots["tree"].ID++ }, is: custody.ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &kmstest.Fake{Forgeable: tt.forgeable}
			keys := onFake(fake)
			f := fixtureOf(t, keys, shape{"other", people(2, 2)}, shape{"tree", tt.spec})
			q := &custody.Quorum{}
			for leaf, n := range tt.given {
				for _, s := range f.shares["tree"][leaf][:n] {
					if tt.bare {
						s = raw(s)
					}
					if _, err := q.Add(f.rec, s); err != nil {
						t.Fatal(err)
					}
				}
			}
			if tt.nobody {
				q = nil
			}
			if tt.do != nil {
				tt.do(f, fake)
			}
			a, err := keys.Open(t.Context(), f.rec, f.slots["tree"], q)
			if !errors.Is(err, tt.is) || (a == nil) != (tt.is != nil) {
				t.Fatalf("%v, want %v", err, tt.is)
			}
			if err != nil {
				if !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%v, without %q", err, tt.says)
				}
				return
			}
			slices.Sort(a.KMS)
			if !bytes.Equal(a.Root, rootKey) || a.Bound != tt.want.Bound || a.People != tt.want.People || !slices.Equal(a.KMS, tt.want.KMS) {
				t.Errorf("bound %v, people %v, keys %q", a.Bound, a.People, a.KMS)
			}
			silent := tt.bare || len(tt.want.KMS) == 0 && !tt.want.People // whom any name suits
			if !a.Names(f.identities["tree"]) || a.Names(f.identities["other"]) != silent {
				t.Error("it names another identity than its own")
			}
			if tt.given != nil && q.Len() != tt.given[0] {
				t.Errorf("%d shares are left", q.Len())
			}
			a.Wipe()
		})
	}
}

// TestAskKeys asks what stands beside people, as a whole, and nobody else.
func TestAskKeys(t *testing.T) {
	for name, tt := range map[string]struct {
		spec  record.Spec
		down  []string
		is    error
		asked map[string]int // calls, by key
	}{
		"a key beside people":                 {spec: tree(2, onKMS("a"), people(2, 2)), asked: map[string]int{"a": 1}},
		"it's down":                           {spec: tree(2, onKMS("a"), people(2, 2)), down: []string{"a"}, is: kms.ErrKeyDisabled, asked: map[string]int{"a": 1}},
		"two keys beside people":              {spec: tree(3, people(2, 2), onKMS("a"), onKMS("b")), asked: map[string]int{"a": 1, "b": 1}},
		"one of them is down":                 {spec: tree(3, people(2, 2), onKMS("a"), onKMS("b")), down: []string{"b"}, is: kms.ErrKeyDisabled, asked: map[string]int{"a": 1, "b": 1}},
		"two of three":                        {spec: tree(2, people(2, 2), tree(2, onKMS("a"), onKMS("b"), onKMS("c"))), asked: map[string]int{"a": 1, "b": 1}},
		"two of three, one is down":           {spec: tree(2, people(2, 2), tree(2, onKMS("a"), onKMS("b"), onKMS("c"))), down: []string{"a"}, asked: map[string]int{"a": 1, "b": 1, "c": 1}},
		"two of two":                          {spec: tree(2, people(2, 2), tree(2, onKMS("a"), onKMS("b"))), down: []string{"a"}, is: kms.ErrKeyDisabled},
		"within a part that people belong to": {spec: tree(2, tree(2, people(1, 1), onKMS("b")), people(2, 2)), asked: map[string]int{"b": 1}},
		"within such a part, and it's down":   {spec: tree(2, tree(2, people(1, 1), onKMS("b")), people(2, 2)), down: []string{"b"}, is: kms.ErrKeyDisabled, asked: map[string]int{"b": 1}},
		"people alone":                        {spec: people(2, 2)},
		"two teams":                           {spec: tree(2, people(2, 2), people(2, 2))},
		"keys alone, as a whole":              {spec: tree(2, onKMS("a"), onKMS("b")), asked: map[string]int{"a": 1, "b": 1}},
		"people that keys can do without too": {spec: tree(2, onKMS("a"), people(2, 2), onKMS("b")), asked: map[string]int{"a": 1, "b": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &kmstest.Fake{}
			keys := onFake(fake)
			f := fixtureOf(t, keys, shape{"other", people(2, 2)}, shape{"tree", tt.spec})
			for _, name := range tt.down {
				fake.Disable(name)
			}
			before := len(fake.Calls())
			a, err := keys.AskKeys(t.Context(), f.rec.Store, f.slots["tree"])
			if !errors.Is(err, tt.is) {
				t.Errorf("%v, want %v", err, tt.is)
			}
			asked := map[string]int{}
			for _, c := range fake.Calls()[before:] {
				asked[c.Key]++
			}
			if (tt.asked != nil || tt.is == nil) && !maps.Equal(tt.asked, asked) { // else the one may be down before the other is asked
				t.Errorf("asked %v, want %v", asked, tt.asked)
			}
			if err == nil && (a.Root != nil || !a.Names(f.identities["tree"]) || len(asked) > 0 && a.Names(f.identities["other"])) {
				t.Error("it names another identity than its own")
			}
		})
	}
}

// TestKeysOfAnotherPlace: what was wrapped elsewhere, or for another slot of that
// name, does not pass for this slot's.
func TestKeysOfAnotherPlace(t *testing.T) {
	both := tree(2, onKMS("a"), people(2, 2))
	keys := onFake(&kmstest.Fake{})
	f := fixtureOf(t, keys, shape{"tree", both}, shape{"elsewhere", both})
	namesake := fixtureOf(t, keys, shape{"tree", both})
	f.slots["tree"].Tree = namesake.slots["tree"].Tree
	if a, err := keys.AskKeys(t.Context(), f.rec.Store, f.slots["tree"]); err != nil || a.Names(f.identities["tree"]) {
		t.Errorf("a slot of that name: %v", err)
	}
	f.slots["tree"].Tree = f.slots["elsewhere"].Tree
	if _, err := keys.AskKeys(t.Context(), f.rec.Store, f.slots["tree"]); !errors.Is(err, kms.ErrCorrupt) {
		t.Errorf("another slot: %v", err)
	}
	if _, err := keys.AskKeys(t.Context(), strings.Repeat("f", 32), f.slots["elsewhere"]); !errors.Is(err, kms.ErrCorrupt) {
		t.Errorf("another store: %v", err)
	}
}

// TestEveryKeyNamesTheSlot: also where another one of them does.
func TestEveryKeyNamesTheSlot(t *testing.T) {
	for i, name := range []string{"a", "b"} {
		virtual(t, func(t *testing.T) {
			fake := &kmstest.Fake{}
			keys := onFake(fake)
			both := shape{"tree", tree(2, onKMS("a"), onKMS("b"))}
			f, namesake := fixtureOf(t, keys, both), fixtureOf(t, keys, both)
			f.slots["tree"].Tree.Threshold.Of[i] = namesake.slots["tree"].Tree.Threshold.Of[i]
			fake.Script(func(c kmstest.Call) (fault kmstest.Fault) {
				if c.Key == name {
					return fault
				}
				return kmstest.Fault{Delay: time.Millisecond} // and has the last word
			})
			a, err := keys.AskKeys(t.Context(), f.rec.Store, f.slots["tree"])
			if err != nil || a.Names(f.identities["tree"]) || a.Names(namesake.identities["tree"]) {
				t.Errorf("key %q is another slot's: %v", name, err)
			}
		})
	}
}

// TestWrapRoot: what is wrapped to a slot opens there, and nothing is wrapped to what
// is no key.
func TestWrapRoot(t *testing.T) {
	keys := onFake(&kmstest.Fake{})
	f := fixtureOf(t, keys, shape{"other", onKMS("b")}, shape{"tree", onKMS("a")})
	slot := f.slots["tree"]
	fresh := bytes.Repeat([]byte{8}, 32)
	var err error
	if slot.Wrap, err = custody.WrapRoot(slot.PublicKey, f.rec.Store, slot.ID, 2, fresh); err != nil {
		t.Fatal(err)
	}
	f.rec.Root = 2
	if a, err := keys.Open(t.Context(), f.rec, slot, nil); err != nil || !bytes.Equal(a.Root, fresh) {
		t.Errorf("%v", err)
	}
	if wrap, err := custody.WrapRoot(slot.PublicKey[1:], f.rec.Store, slot.ID, 2, fresh); err == nil || wrap != nil {
		t.Errorf("to no key: %d bytes, %v", len(wrap), err)
	}
}

// TestRenew wraps every KMS leaf anew, and leaves what people hold as it is.
func TestRenew(t *testing.T) {
	for name, tt := range map[string]struct {
		spec  record.Spec
		do    func(*kmstest.Fake)
		given []int
		is    error
		want  []string // the keys and versions that wrap then
	}{
		"a key":                  {spec: onKMS("a"), do: func(f *kmstest.Fake) { f.Rotate("a") }, want: []string{"a 2"}},
		"a key as it was":        {spec: onKMS("a"), do: func(*kmstest.Fake) {}, want: []string{"a 1"}},
		"a key beside people":    {spec: tree(2, people(3, 2), onKMS("a")), do: func(f *kmstest.Fake) { f.Rotate("a") }, given: []int{2}, want: []string{"a 2"}},
		"three, at their places": {spec: tree(3, onKMS("a"), tree(2, onKMS("b"), people(2, 2), onKMS("c")), people(1, 1)), given: []int{2, 1}, do: func(f *kmstest.Fake) { f.Rotate("b"); f.Rotate("c"); f.Rotate("c") }, want: []string{"a 1", "b 2", "c 3"}},
		"people alone":           {spec: people(2, 2), given: []int{2}, do: func(*kmstest.Fake) {}},
		"a key that is off":      {spec: tree(2, onKMS("a"), onKMS("b"), onKMS("c")), do: func(f *kmstest.Fake) { f.Rotate("a"); f.Disable("b") }, is: kms.ErrKeyDisabled},
		"one that cannot wrap":   {spec: onKMS("a"), do: func(f *kmstest.Fake) { f.Script(kmstest.Nth(f.Count("")+2, kmstest.Fault{Failure: kmstest.Denied})) }, is: kms.ErrDenied},
		"one that wraps lies": {spec: onKMS("a"), do: func(f *kmstest.Fake) {
			f.Script(kmstest.Nth(f.Count("")+2, kmstest.Fault{Failure: kmstest.WrongPlaintext}))
		}, is: kms.ErrCorrupt},
		"another key by now": {spec: onKMS("a"), do: func(f *kmstest.Fake) { f.Alias("a", "z") }, is: kms.ErrWrongKey},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &kmstest.Fake{}
			keys := onFake(fake)
			f := fixtureOf(t, keys, shape{"other", onKMS("c")}, shape{"tree", tt.spec})
			slot := *f.slots["tree"]
			blobs := func(tree *record.Node) (out []*kms.Blob) {
				tree.Leaves(func(l *record.Node) bool {
					if l.KMS != nil {
						out = append(out, &l.KMS.Blob)
					}
					return true
				})
				return out
			}
			old := blobs(&slot.Tree)
			was := make([]kms.Blob, len(old))
			for i, b := range old {
				was[i] = *b
			}
			tt.do(fake)
			renewed, err := keys.Renew(t.Context(), f.rec.Store, &slot, f.identities["tree"])
			if !errors.Is(err, tt.is) {
				t.Fatalf("%v, want %v", err, tt.is)
			}
			for i, b := range old {
				if d := cmp.Diff(was[i], *b); d != "" {
					t.Errorf("the slot that is stored was changed: %s", d)
				}
			}
			if err != nil {
				return
			}
			if !renewed.Spec().Equal(tt.spec) {
				t.Errorf("another shape: %v", renewed.Spec())
			}
			var wrap []string
			for i, b := range blobs(&renewed) {
				wrap = append(wrap, b.KeyID+" "+b.Version)
				if bytes.Equal(b.Ciphertext, was[i].Ciphertext) {
					t.Errorf("%s: it was not wrapped anew", b.KeyID)
				}
			}
			if d := cmp.Diff(tt.want, wrap); d != "" {
				t.Error(d)
			}
			q := &custody.Quorum{}
			give(t, q, f, "tree", tt.given...)
			for which, tree := range map[string]record.Node{"the old tree": slot.Tree, "the new one": renewed} {
				slot := slot
				slot.Tree = tree
				a, err := keys.Open(t.Context(), f.rec, &slot, q)
				if err != nil || !bytes.Equal(a.Root, rootKey) || !a.Names(f.identities["tree"]) || a.Names(f.identities["other"]) {
					t.Errorf("%s: %v", which, err)
				}
				if a != nil {
					a.Wipe()
				}
			}
		})
	}
}

// TestNewSlotThatFails gives out no share, and none it made is left.
func TestNewSlotThatFails(t *testing.T) {
	fake := &kmstest.Fake{}
	keys := onFake(fake)
	fake.Disable("a")
	rec := &record.Record{Store: storeID, Root: 1, LastSet: 4}
	if _, sets, err := keys.NewSlot(t.Context(), rec, "tree", tree(2, people(2, 2), onKMS("a")), rootKey); !errors.Is(err, kms.ErrKeyDisabled) || sets != nil {
		t.Errorf("%v, and %d sets", err, len(sets))
	}
	_, sets, err := keys.NewSlot(t.Context(), rec, "tree", tree(2, people(2, 2), people(3, 2)), rootKey)
	if err != nil || len(sets) != 2 || rec.LastSet != 4 {
		t.Fatalf("%v, and %d sets", err, len(sets))
	}
	for i, s := range sets {
		if want := uint32(5 + i); s.Set != want || s.Path != []string{"1", "2"}[i] || s.Threshold != 2 || len(s.Shares) != 2+i || s.Shares[0].Set != want {
			t.Errorf("set %d of %q: %d shares, threshold %d", s.Set, s.Path, len(s.Shares), s.Threshold)
		}
		s.Wipe()
		for _, share := range s.Shares {
			if y := share.Y.Reveal(); len(y) != 0 {
				t.Error("a share is still there")
			}
		}
	}
}

// TestShapesThatCannotBe: nobody is asked, and nothing is given out.
func TestShapesThatCannotBe(t *testing.T) {
	fake := &kmstest.Fake{}
	keys := onFake(fake)
	for name, spec := range map[string]record.Spec{
		"any of two keys":      tree(1, onKMS("a"), onKMS("b")),
		"any of two people":    people(2, 1),
		"more than there are":  people(2, 3),
		"within another shape": tree(2, people(2, 2), tree(3, onKMS("a"), onKMS("b"))),
	} {
		if _, sets, err := keys.NewSlot(t.Context(), &record.Record{Store: storeID}, "tree", spec, rootKey); err == nil || sets != nil || !strings.Contains(err.Error(), "seal: split: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := fake.Count(""); n != 0 {
		t.Errorf("%d calls", n)
	}
}

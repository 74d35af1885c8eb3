package seal_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

var bindFull = flag.Bool("bind.full", false, "swap between all records, into each of them")

// refusals are the errors by which a Barrier refuses what is not of its place.
var refusals = []error{
	seal.ErrCorrupt, seal.ErrForged, seal.ErrUnpinned, seal.ErrWrongSeed,
	kms.ErrCorrupt, kms.ErrWrongKey,
	seal.ErrShareOtherStore, seal.ErrShareStale, seal.ErrShareAltered,
}

func refusal(err error) error {
	for _, kind := range refusals {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return nil
}

// A copied is a store as it was at one generation, with what an insider knows.
type copied struct {
	name   string
	stored []byte
	state  record.State
	root   []byte
	shares []seal.Share // of all its people, at that time
}

func (c *copied) record(t testing.TB) *record.Record {
	t.Helper()
	r, _, _, err := record.Parse(c.stored)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var boundSlots = map[string]seal.Spec{
	"people": seal.Shamir{Shares: 3, Threshold: 2},
	"team":   seal.Shamir{Shares: 3, Threshold: 2},
	"auto":   seal.KMS{Wrapper: "a"},
	"other":  seal.KMS{Wrapper: "b"},
	"tree":   seal.Threshold{K: 3, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}, seal.Shamir{Shares: 3, Threshold: 2}}},
}

// A locksmith makes stores and forgeries, all with the keys of one KMS.
type locksmith struct {
	testing.TB
	wrappers map[string]kms.Wrapper
}

func (l locksmith) barrier(store seal.Store, change func(*seal.Config)) *seal.Barrier {
	l.Helper()
	cfg := seal.Config{Store: store, KMS: l.wrappers, Replica: "test", Retry: kms.Policy{Attempts: 1}}
	if change != nil {
		change(&cfg)
	}
	b, err := seal.Open(cfg)
	if err != nil {
		l.Fatal(err)
	}
	return b
}

func (l locksmith) copyOf(name string, store seal.Store, b *seal.Barrier, shares []seal.Share) *copied {
	l.Helper()
	stored, _, err := store.Load(context.Background())
	if err != nil {
		l.Fatal(err)
	}
	c := &copied{name: name, stored: stored, shares: slices.Clone(shares)}
	c.state, c.root = b.Opened(l)
	return c
}

// history makes a store and returns it at several generations: proven; with
// another root key; with people rekeyed.
func (l locksmith) history(name string, slots map[string]seal.Spec) []*copied {
	l.Helper()
	ctx := context.Background()
	store := seal.NewMemStore()
	b := l.barrier(store, nil)
	defer b.Close()
	var shares []seal.Share
	keep := func(d seal.Delivery) {
		for _, set := range d.Sets {
			shares = append(shares, set.Shares...)
		}
	}
	d, err := b.Init(ctx, slots, seal.By{})
	must(l, err)
	keep(d)
	for _, slot := range slices.Sorted(maps.Keys(slots)) {
		l.proveSlot(b, slot, d)
	}
	out := []*copied{l.copyOf(name+" proven", store, b, shares)}
	must(l, b.Admin().RotateRoot(ctx, seal.By{}))
	out = append(out, l.copyOf(name+" with another root key", store, b, shares))
	if _, ok := slots["people"]; ok {
		d, err = b.Admin().Rekey(ctx, "people", slots["people"], seal.By{})
		must(l, err)
		keep(d)
		l.proveSlot(b, "people", d)
		out = append(out, l.copyOf(name+" rekeyed", store, b, shares))
	}
	return out
}

func (l locksmith) proveSlot(b *seal.Barrier, name string, d seal.Delivery) {
	l.Helper()
	ctx := context.Background()
	if b.Status().Sealed {
		l.giveShares(b, d, name, seal.By{})
		if b.Status().Sealed {
			l.Fatal(b.Status().Reason)
		}
		return
	}
	op, done, err := b.Admin().Prove(ctx, name, seal.By{})
	must(l, err)
	if !done {
		l.giveShares(b, d, name, seal.By{Operation: op})
	}
}

func (l locksmith) giveShares(b *seal.Barrier, d seal.Delivery, slot string, by seal.By) {
	l.Helper()
	for _, set := range d.Sets {
		if set.Slot != slot {
			continue
		}
		for _, s := range set.Shares[:set.Threshold] {
			_, err := b.Submit(context.Background(), s, by)
			must(l, err)
		}
	}
}

// An attempt is a cold start over a stored record, tried by every custodian.
type attempt struct {
	sealed bool
	errs   []error // of the KMS slots, and of each share
}

func (a attempt) refusal() error {
	for _, err := range a.errs {
		if kind := refusal(err); kind != nil {
			return kind
		}
	}
	return nil
}

func (a attempt) is(kind error) bool {
	return slices.ContainsFunc(a.errs, func(err error) bool { return errors.Is(err, kind) })
}

func (l locksmith) try(stored []byte, shares []seal.Share, change func(*seal.Config)) attempt {
	l.Helper()
	ctx := context.Background()
	store := seal.NewMemStore()
	_, err := store.Swap(ctx, stored, "")
	must(l, err)
	b := l.barrier(store, change)
	defer b.Close()
	var a attempt
	if err := b.Unseal(ctx); err != nil {
		a.errs = append(a.errs, err)
	}
	for _, s := range shares {
		if _, err := b.Submit(ctx, s, seal.By{}); err != nil {
			a.errs = append(a.errs, err)
		}
	}
	a.sealed = b.Status().Sealed
	return a
}

// A spot is a place in a record; what stands there can be put into any other
// spot of its kind. Ptrs points at the fields.
type spot struct {
	kind, where string
	slot        int
	ptrs        []any
	identity    bool // the fingerprint is among the fields
}

func spotsOf(r *record.Record) []spot {
	var out []spot
	for i := range r.Slots {
		s := &r.Slots[i]
		add := func(kind string, identity bool, ptrs ...any) {
			out = append(out, spot{kind, s.Name, i, ptrs, identity})
		}
		add("public key", false, &s.PublicKey)
		add("wrap", false, &s.Wrap)
		add("public key and wrap", false, &s.PublicKey, &s.Wrap)
		add("fingerprint", true, &s.Fingerprint)
		add("tree", false, &s.Tree)
		add("tree and public key", false, &s.Tree, &s.PublicKey)
		add("tree and fingerprint", true, &s.Tree, &s.Fingerprint)
		add("all but wrap", true, &s.Tree, &s.PublicKey, &s.Fingerprint)
		add("all", true, &s.Tree, &s.PublicKey, &s.Fingerprint, &s.Wrap)
		s.Tree.Walk("", func(path string, n *record.Node) {
			add := func(kind string, ptrs ...any) {
				out = append(out, spot{kind, s.Name + " " + path, i, ptrs, false})
			}
			if k := n.KMS; k != nil {
				add("blob", &k.Blob)
				add("ciphertext", &k.Blob.Ciphertext)
				add("box", &k.Box)
				add("blob and box", &k.Blob, &k.Box)
				add("leaf", k)
				return
			}
			add("commitments", &n.Shamir.Commitments)
			add("set", &n.Shamir.Set)
			add("shares", n.Shamir)
		})
	}
	return out
}

func (s spot) equal(o spot) bool {
	for i := range s.ptrs {
		if !reflect.DeepEqual(s.ptrs[i], o.ptrs[i]) {
			return false
		}
	}
	return true
}

func (s spot) take(o spot) {
	for i := range s.ptrs {
		reflect.ValueOf(s.ptrs[i]).Elem().Set(reflect.ValueOf(o.ptrs[i]).Elem())
	}
}

// TestEverythingIsBoundToItsPlace puts everything that stands in a record into
// every other place of its kind: of other slots, generations and stores. Each
// swap is made twice: by somebody who can write to the store, and, over a record
// of that slot alone, by somebody who has the root key as well and seals the
// result properly, so that no swap is told by the record's seal alone. What a wrap
// or a leaf is bound to in its own context stands beside commitments and a root key
// that say the same here: internal/custody's tests of the format see each part.
func TestEverythingIsBoundToItsPlace(t *testing.T) {
	together(t)
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a"), "b": fake.Key("b")}}
	first, second := l.history("first", boundSlots), l.history("second", boundSlots)
	targets := []*copied{first[2]}
	sources := []*copied{first[0], first[2], second[2]}
	if *bindFull {
		targets = append(slices.Clone(first), second...)
		sources = targets
	}
	if !testlevel.Whole() {
		sources = []*copied{first[2], second[2]}
	}
	var everyone []seal.Share
	for _, c := range append(first[2:], second[2]) {
		everyone = append(everyone, c.shares...)
	}

	swaps, accepted, seen := 0, 0, 0
	by := map[error]int{}
	judge := func(a attempt, how, what string) {
		t.Helper()
		swaps++
		kind := a.refusal()
		switch {
		case !a.sealed:
			accepted++
			t.Errorf("%s, %s: accepted", what, how)
		case kind == nil:
			t.Errorf("%s, %s: refused, but not told as such: %v", what, how, errors.Join(a.errs...))
		}
		by[kind]++
	}
	spots := map[*copied][]spot{} // of what is taken from
	for _, source := range sources {
		spots[source] = spotsOf(source.record(t))
	}
	for _, target := range targets {
		_, _, sealed, err := record.Parse(target.stored)
		must(t, err)
		if a := l.try(target.stored, nil, nil); a.sealed {
			t.Fatalf("%s does not open as it is: %v", target.name, a.errs)
		}
		for i := range target.state.Slots {
			stored, err := reseal(target, target.record(t), i, nil)
			must(t, err)
			if a := l.try(stored, everyone, nil); a.sealed {
				t.Fatalf("%s, slot %q alone, does not open as it is: %v", target.name, target.state.Slots[i].Name, a.errs)
			}
		}
		for i, at := range spotsOf(target.record(t)) {
			for _, source := range sources {
				for _, found := range spots[source] {
					if found.kind != at.kind || found.equal(at) {
						continue
					}
					if seen++; !testlevel.Whole() && seen%shortly != 0 || testing.Short() && seen%(6*shortly) != 0 {
						continue
					}
					what := fmt.Sprintf("%s of %s in %s, into %s of %s", found.kind, found.where, source.name, at.where, target.name)
					edited := target.record(t)
					spotsOf(edited)[i].take(found)
					if stored, ok := canonical(edited, sealed); ok {
						judge(l.try(stored, everyone[:2], nil), "by who writes to the store", what)
					} else {
						judge(attempt{sealed: true, errs: []error{seal.ErrCorrupt}}, "refused by Parse", what)
					}
					var identity *[32]byte
					if at.identity {
						id := source.state.Identities[source.state.Slots[found.slot].ID]
						identity = &id
					}
					stored, err := reseal(target, edited, at.slot, identity)
					if err != nil {
						if !errors.Is(err, record.ErrMalformed) {
							t.Fatal(err)
						}
						judge(attempt{sealed: true, errs: []error{seal.ErrCorrupt}}, "refused by Parse", what)
						continue
					}
					judge(l.try(stored, everyone, nil), "by who has the root key", what)
				}
			}
		}
	}
	// Sealed parts, among all records.
	all := append(slices.Clone(first), second...)
	for i, target := range all {
		_, clear, _, err := record.Parse(target.stored)
		must(t, err)
		for j, source := range all {
			_, _, sealed, err := record.Parse(source.stored)
			must(t, err)
			if source == target || testing.Short() && (i+j)%3 != 0 {
				continue
			}
			what := fmt.Sprintf("sealed part of %s, into %s", source.name, target.name)
			judge(l.try(record.Assemble(clear, sealed), everyone, nil), "by who writes to the store", what)
		}
	}
	var kinds []string
	for kind, n := range by {
		kinds = append(kinds, fmt.Sprintf("%q=%d", strings.TrimPrefix(fmt.Sprint(kind), "seal: "), n))
	}
	slices.Sort(kinds)
	t.Logf("refused as: %s", strings.Join(kinds, ", "))
	proved(t, "GUARANTEE 14 bound-to-place: swaps=%d accepted=%d", swaps, accepted)
}

// canonical returns the record with that sealed part, if it is a record at all.
func canonical(r *record.Record, sealed []byte) ([]byte, bool) {
	clear, err := r.Clear()
	if err != nil {
		return nil, false
	}
	stored := record.Assemble(clear, sealed)
	_, _, _, err = record.Parse(stored)
	return stored, err == nil
}

// reseal seals an edited record of one slot under the target's own root key.
func reseal(target *copied, edited *record.Record, slot int, identity *[32]byte) ([]byte, error) {
	s := record.State{Record: *edited, Secrets: target.state.Clone().Secrets}
	only := edited.Slots[slot]
	s.Slots, s.Former = []record.Slot{only}, nil
	secret := s.Identities[only.ID]
	if identity != nil {
		secret = *identity
	}
	s.Identities = map[uint32][32]byte{only.ID: secret}
	return seal.SealRecord(s, target.root)
}

// forge returns the record with a root key and data keys of the forger's own,
// encrypted to the public keys that stand in it: all that needs no secret of
// the store. Know says which identities the forger has.
func (l locksmith) forge(r *record.Record, know func(*record.Slot) ([32]byte, bool)) []byte {
	l.Helper()
	root := bytes.Repeat([]byte{0x66}, 32)
	s := record.State{Record: *r, Secrets: record.Secrets{
		Terms:      []record.Term{{Number: r.LastTerm, State: record.TermActive, Key: [32]byte{0x66}}},
		Identities: map[uint32][32]byte{},
		Digests:    []record.Digest{record.Digest(r.Previous)},
	}}
	for i := range s.Slots {
		slot := &s.Slots[i]
		slot.Wrap = seal.WrapRootFor(l, s.Store, slot, s.Root, root)
		identity, ok := know(slot)
		if !ok {
			identity = [32]byte{0x66, byte(i)}
		}
		s.Identities[slot.ID] = identity
	}
	stored, err := seal.SealRecord(s, root)
	must(l, err)
	return stored
}

func nothing(*record.Slot) ([32]byte, bool) { return [32]byte{}, false }

func knownTo(c *copied) func(*record.Slot) ([32]byte, bool) {
	return func(s *record.Slot) ([32]byte, bool) {
		id, ok := c.state.Identities[s.ID]
		return id, ok
	}
}

// lone is a record with one of its slots only.
func lone(r *record.Record, name string) *record.Record {
	out := *r
	out.Slots, out.Former = []record.Slot{*r.Find(name, record.Active)}, nil
	return &out
}

// TestForgedStore builds the records that somebody with write access to the
// store can make, each opened by honest custodians at a cold start.
func TestForgedStore(t *testing.T) {
	fake := &kmstest.Fake{}
	rsa := &kmstest.Fake{Type: "rsa", Forgeable: true}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a"), "b": fake.Key("b"), "rsa": rsa.Key("rsa")}}
	slots := maps.Clone(boundSlots)
	slots["soft"] = seal.KMS{Wrapper: "rsa"}
	slots["clouds"] = seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}}}
	store := l.history("store", slots)
	old, now := store[0], store[2]
	fingerprint := func(slot string) string { return fmt.Sprintf("%x", now.state.Find(slot, record.Active).Fingerprint) }
	pinned := func(pins ...string) func(*seal.Config) {
		return func(c *seal.Config) { c.Pins = pins }
	}
	unpinned := func(c *seal.Config) { c.TrustUnpinned = true }
	raw := func(shares []seal.Share) (out []seal.Share) {
		for _, s := range shares {
			r, err := seal.RawShare(s.RevealRaw())
			must(t, err)
			out = append(out, r)
		}
		return out
	}
	ownFingerprints := func(r *record.Record) *record.Record {
		out := *r
		out.Slots = slices.Clone(r.Slots)
		for i := range out.Slots {
			f := record.FingerprintOf([32]byte{0x66, byte(i)})
			out.Slots[i].Fingerprint = f[:12]
		}
		return &out
	}
	// The forger's own slot: seed, tree, public key and wrap are good. A KMS
	// that anybody can encrypt for lets the forger make it for a key not his.
	root := bytes.Repeat([]byte{0x66}, 32)
	forgers := l.barrier(seal.NewMemStore(), nil)
	ownSlot := func(name string, spec seal.Spec, change func(*record.Slot)) ([]byte, []seal.Share) {
		t.Helper()
		base := record.Record{
			Format: 1, MinReader: 1, Store: now.state.Store, Generation: now.state.Generation, Previous: now.state.Previous,
			Root: now.state.Root, LastTerm: now.state.LastTerm, LastSlot: now.state.LastSlot, LastSet: now.state.LastSet,
		}
		n, sets := forgers.NewSlotFor(t, &base, name, spec, root)
		base.LastSlot++
		f := record.FingerprintOf(n.Identity)
		slot := record.Slot{
			ID: base.LastSlot, Name: name, State: record.Active, Fingerprint: f[:12], Tree: n.Tree,
			PublicKey: n.PublicKey, Wrap: n.Wrap, Proven: &record.Proof{Root: base.Root, Generation: 1},
		}
		if change != nil {
			change(&slot)
		}
		base.Slots = []record.Slot{slot}
		var shares []seal.Share
		for _, set := range sets {
			base.LastSet = max(base.LastSet, set.Set)
			shares = append(shares, set.Shares...)
		}
		stored, err := seal.SealRecord(record.State{Record: base, Secrets: record.Secrets{
			Terms:      []record.Term{{Number: base.LastTerm, State: record.TermActive, Key: [32]byte{0x66}}},
			Identities: map[uint32][32]byte{slot.ID: n.Identity},
			Digests:    []record.Digest{record.Digest(base.Previous)},
		}}, root)
		must(t, err)
		return stored, shares
	}
	planted, _ := ownSlot("soft", seal.KMS{Wrapper: "rsa"}, nil)
	plantedHard, _ := ownSlot("auto", seal.KMS{Wrapper: "a"}, func(s *record.Slot) {
		s.Tree.KMS.Blob = now.state.Find("auto", record.Active).Tree.KMS.Blob // the forger may not wrap with this key
	})
	plantedOther, _ := ownSlot("auto", seal.KMS{Wrapper: "a"}, func(s *record.Slot) {
		s.Tree.KMS.Blob = now.state.Find("other", record.Active).Tree.KMS.Blob
	})

	mixed := func(clearOf, sealedOf *copied) []byte {
		_, clear, _, err := record.Parse(clearOf.stored)
		must(t, err)
		_, _, sealed, err := record.Parse(sealedOf.stored)
		must(t, err)
		return record.Assemble(clear, sealed)
	}
	underOldRoot := func(rewrap bool) []byte {
		s := record.State{Record: *now.record(t), Secrets: now.state.Clone().Secrets}
		if rewrap {
			for i := range s.Slots {
				s.Slots[i].Wrap = seal.WrapRootFor(t, s.Store, &s.Slots[i], s.Root, old.root)
			}
			for i := range s.Slots { // what the former holder knew is not what is in use
				s.Identities[s.Slots[i].ID] = [32]byte{1}
			}
		}
		stored, err := seal.SealRecord(s, old.root)
		must(t, err)
		return stored
	}
	swappedBlob := func() []byte {
		r := lone(now.record(t), "auto")
		r.Slots[0].Tree.KMS.Blob = now.record(t).Find("other", record.Active).Tree.KMS.Blob
		return l.forge(r, nothing)
	}

	forgeries, accepted := 0, 0
	for _, tt := range []struct {
		name   string
		stored []byte
		shares []seal.Share
		config func(*seal.Config)
		want   error
	}{
		{"copied public keys, own root key; a KMS slot", l.forge(lone(now.record(t), "auto"), nothing), nil, nil, seal.ErrForged},
		{"copied public keys, own root key; a tree of KMS slots", l.forge(lone(now.record(t), "clouds"), nothing), nil, nil, seal.ErrForged},
		{"copied public keys, own root key; a KMS and people together", l.forge(lone(now.record(t), "tree"), nothing), now.shares, nil, seal.ErrForged},
		{"copied public keys, own root key; text shares", l.forge(lone(now.record(t), "people"), nothing), now.shares, nil, seal.ErrForged},
		{"copied public keys, own root key; all slots", l.forge(now.record(t), nothing), now.shares, nil, seal.ErrForged},
		{"copied public keys, own root key; a pinned forgeable slot", l.forge(lone(now.record(t), "soft"), nothing), nil, pinned(fingerprint("soft")), seal.ErrForged},
		{"copied public keys, own root key; a forgeable slot", l.forge(lone(now.record(t), "soft"), nothing), nil, nil, seal.ErrForged},
		{"copied public keys, own root key; a forgeable slot believed", l.forge(lone(now.record(t), "soft"), nothing), nil, unpinned, seal.ErrForged},
		{"copied public keys, own root key; raw shares", l.forge(lone(now.record(t), "people"), nothing), raw(now.shares), nil, seal.ErrUnpinned},
		{"copied public keys, own root key; raw shares, pinned", l.forge(lone(now.record(t), "people"), nothing), raw(now.shares), pinned(fingerprint("people")), seal.ErrForged},
		{"own fingerprints too; text shares", l.forge(ownFingerprints(lone(now.record(t), "people")), nothing), now.shares, nil, seal.ErrShareOtherStore},
		{"own fingerprints too; a KMS slot", l.forge(ownFingerprints(lone(now.record(t), "auto")), nothing), nil, nil, seal.ErrForged},
		{"own fingerprints too; a pinned forgeable slot", l.forge(ownFingerprints(lone(now.record(t), "soft")), nothing), nil, pinned(fingerprint("soft")), seal.ErrForged},
		{"own fingerprints too; raw shares, pinned", l.forge(ownFingerprints(lone(now.record(t), "people")), nothing), raw(now.shares), pinned(fingerprint("people")), seal.ErrForged},

		{"a planted forgeable slot", planted, nil, nil, seal.ErrUnpinned},
		{"a planted forgeable slot, where another is pinned", planted, nil, pinned(fingerprint("soft")), seal.ErrForged},
		{"a planted slot on a blob that was there", plantedHard, nil, nil, kms.ErrCorrupt},
		{"a planted slot on a blob of another slot", plantedOther, nil, nil, kms.ErrWrongKey},

		{"a former root holder; the present wraps", underOldRoot(false), now.shares, nil, seal.ErrCorrupt},
		{"a former root holder; wraps of the former key", underOldRoot(true), now.shares, nil, seal.ErrForged},
		{"a former root holder who knew the identities; people were rekeyed", l.forge(lone(now.record(t), "people"), knownTo(old)), now.shares, nil, seal.ErrForged},

		{"the clear part of now, the sealed part of before", mixed(now, old), now.shares, nil, seal.ErrCorrupt},
		{"the clear part of before, the sealed part of now", mixed(old, now), now.shares, nil, seal.ErrCorrupt},
		{"a swapped blob", swappedBlob(), nil, nil, kms.ErrWrongKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			forgeries++
			a := l.try(tt.stored, tt.shares, tt.config)
			if !a.sealed {
				accepted++
				t.Fatal("accepted")
			}
			if !a.is(tt.want) {
				t.Errorf("not told as %v: %v", tt.want, errors.Join(a.errs...))
			}
		})
	}

	// What is refused above is refused for its identities alone: made by the
	// same code, the record opens once they are known.
	controls := 0
	for _, tt := range []struct {
		name   string
		stored []byte
		shares []seal.Share
		config func(*seal.Config)
	}{
		{"a KMS slot", l.forge(lone(now.record(t), "auto"), knownTo(now)), nil, nil},
		{"a tree of KMS slots", l.forge(lone(now.record(t), "clouds"), knownTo(now)), nil, nil},
		{"a KMS and people together", l.forge(lone(now.record(t), "tree"), knownTo(now)), now.shares, nil},
		{"text shares", l.forge(lone(now.record(t), "people"), knownTo(now)), now.shares, nil},
		{"a pinned forgeable slot", l.forge(lone(now.record(t), "soft"), knownTo(now)), nil, pinned(fingerprint("soft"))},
		{"raw shares, pinned", l.forge(lone(now.record(t), "people"), knownTo(now)), raw(now.shares), pinned(fingerprint("people"))},
		{"a planted forgeable slot, believed without a pin", planted, nil, unpinned},
		{"the store itself", now.stored, nil, nil},
		{"the store itself by a pinned slot", now.stored, nil, pinned(fingerprint("soft"))},
	} {
		t.Run("control: "+tt.name, func(t *testing.T) {
			if a := l.try(tt.stored, tt.shares, tt.config); a.sealed {
				t.Fatalf("does not open: %v", errors.Join(a.errs...))
			}
			controls++
		})
	}
	t.Logf("GUARANTEE 17 forged-store: forgeries=%d accepted=%d controls_opened=%d", forgeries, accepted, controls)
}

// TestForgedStoreMeetsAProcess puts forgeries under a process that has the store
// open, as its next generation and as one far ahead.
func TestForgedStoreMeetsAProcess(t *testing.T) {
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a")}}
	ctx := context.Background()
	tried, accepted := 0, 0
	for _, slot := range []struct {
		name string
		spec seal.Spec
	}{
		{"auto", seal.KMS{Wrapper: "a"}},
		{"people", seal.Shamir{Shares: 3, Threshold: 2}},
	} {
		for _, tt := range []struct {
			name  string
			ahead uint64
		}{
			{"the next generation", 1},
			{"a few generations ahead", 3},
			{"more generations ahead than a record tells of", record.MaxDigests + 2},
		} {
			for _, sealedFirst := range []bool{false, true} {
				if testing.Short() && sealedFirst == (tt.ahead == 3) { // half of them, each thing with both
					continue
				}
				name := fmt.Sprintf("%s, %s, sealed %v", slot.name, tt.name, sealedFirst)
				t.Run(name, func(t *testing.T) {
					l := l
					l.TB = t
					store := seal.NewMemStore()
					maker := l.barrier(store, nil)
					defer maker.Close()
					d, err := maker.Init(ctx, map[string]seal.Spec{slot.name: slot.spec}, seal.By{})
					must(t, err)
					l.proveSlot(maker, slot.name, d)
					var shares []seal.Share
					for _, set := range d.Sets {
						shares = append(shares, set.Shares...)
					}
					c := l.copyOf("store", store, maker, shares)
					pin := fmt.Sprintf("%x", c.state.Slots[0].Fingerprint)
					b := l.barrier(store, func(c *seal.Config) { c.Pins = []string{pin} })
					defer b.Close()
					if err := b.Unseal(ctx); err != nil {
						for _, s := range c.shares {
							_, err := b.Submit(ctx, s, seal.By{})
							must(t, err)
						}
					}
					ct, err := b.Keyring().Encrypt(nil, []byte("value"), nil)
					must(t, err)
					if sealedFirst {
						must(t, b.Seal(seal.By{}))
					}

					// The forger knows the record, so also its digest.
					r := c.record(t)
					digest := record.DigestOf(c.stored)
					r.Generation += tt.ahead
					r.Previous = digest[:]
					forged := l.forge(r, nothing)
					_, rev, err := store.Load(ctx)
					must(t, err)
					_, err = store.Swap(ctx, forged, rev)
					must(t, err)

					tried++
					refused := b.Admin().Refresh(ctx)
					if sealedFirst {
						refused = b.Unseal(ctx)
						for _, s := range c.shares {
							if _, err := b.Submit(ctx, s, seal.By{}); err != nil {
								refused = err
							}
						}
					}
					if refused == nil || b.Status().Generation != c.state.Generation {
						accepted++
						t.Fatalf("accepted: generation %d", b.Status().Generation)
					}
					if !errors.Is(refused, seal.ErrForged) && !errors.Is(refused, seal.ErrForked) && !errors.Is(refused, seal.ErrRootMoved) {
						t.Errorf("%v", refused)
					}
					if sealedFirst {
						return
					}
					if pt, err := b.Keyring().Decrypt(nil, ct, nil); err != nil || string(pt) != "value" {
						t.Errorf("the process lost its keys: %v", err)
					}
				})
			}
		}
	}
	testlevel.Counted(t, "GUARANTEE 17 forged-under-a-process: forgeries=%d accepted=%d", tried, accepted)
}

// TestLimitsOfForgery shows what no cold start without an anchor can tell, and
// FORMAT.md says so: each of these opens.
func TestLimitsOfForgery(t *testing.T) {
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a")}}
	ctx := context.Background()
	store := seal.NewMemStore()
	b := l.barrier(store, nil)
	defer b.Close()
	d, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{})
	must(t, err)
	before := l.copyOf("before", store, b, nil)
	must(t, b.Admin().RotateRoot(ctx, seal.By{}))
	rotated := l.copyOf("root key rotated", store, b, nil)
	_, err = b.Admin().Rekey(ctx, "auto", seal.KMS{Wrapper: "a"}, seal.By{})
	must(t, err)
	l.proveSlot(b, "auto", d)
	rekeyed := l.copyOf("rekeyed", store, b, nil)

	other := seal.NewMemStore()
	strangers := l.barrier(other, nil)
	defer strangers.Close()
	d, err = strangers.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
	must(t, err)
	l.proveSlot(strangers, "people", d)
	theirs := l.copyOf("a stranger's", other, strangers, d.Sets[0].Shares)

	replayed := rekeyed.record(t)
	slot := *before.record(t).Find("auto", record.Active)
	replayed.Slots = []record.Slot{slot}
	for name, a := range map[string]attempt{
		"whoever read the sealed part once knows the identities, and no new root key changes them": l.try(l.forge(rotated.record(t), knownTo(before)), nil, nil),
		"a KMS unwraps the blob of a slot that is gone":                                            l.try(l.forge(replayed, knownTo(before)), nil, nil),
		"a stranger's whole store opens with the stranger's shares":                                l.try(theirs.stored, theirs.shares, nil),
	} {
		if a.sealed {
			t.Errorf("no limit any more, so FORMAT.md must change: %s: %v", name, errors.Join(a.errs...))
		}
	}
	// Where the limit ends.
	if a := l.try(l.forge(rekeyed.record(t), knownTo(before)), nil, nil); !a.sealed || !a.is(seal.ErrForged) {
		t.Errorf("the identity of a slot that was rekeyed opens the new one: %v", errors.Join(a.errs...))
	}
}

// TestForgeableSlots: what opens the honest store by means that a stranger could
// have forged is believed on a pin, or on the host's word.
func TestForgeableSlots(t *testing.T) {
	rsa := &kmstest.Fake{Type: "rsa", Forgeable: true}
	l := locksmith{t, map[string]kms.Wrapper{"rsa": rsa.Key("rsa")}}
	ctx := context.Background()
	store := seal.NewMemStore()
	maker := l.barrier(store, func(c *seal.Config) { c.TrustUnpinned = true })
	defer maker.Close()
	d, err := maker.Init(ctx, map[string]seal.Spec{"soft": seal.KMS{Wrapper: "rsa"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
	must(t, err)
	l.proveSlot(maker, "people", d)
	c := l.copyOf("store", store, maker, d.Sets[0].Shares)
	var raw []seal.Share
	for _, s := range c.shares {
		r, err := seal.RawShare(s.RevealRaw())
		must(t, err)
		raw = append(raw, r)
	}
	only := func(name string) []byte { return l.forge(lone(c.record(t), name), knownTo(c)) }
	pin := func(name string) string { return fmt.Sprintf("%x", c.state.Find(name, record.Active).Fingerprint) }

	for _, way := range []struct {
		slot   string
		shares []seal.Share
	}{{"soft", nil}, {"people", raw}} {
		for _, tt := range []struct {
			name   string
			config func(*seal.Config)
			want   error // nil: it opens
			says   string
		}{
			{"no pin", nil, seal.ErrUnpinned, "set Config.Pins to the fingerprint that Status showed"},
			{"its pin", func(cfg *seal.Config) { cfg.Pins = []string{strings.Repeat("0", 24), pin(way.slot)} }, nil, ""},
			{"its pin in upper case", func(cfg *seal.Config) { cfg.Pins = []string{strings.ToUpper(pin(way.slot))} }, nil, ""},
			{"another pin", func(cfg *seal.Config) { cfg.Pins = []string{strings.Repeat("0", 24)} }, seal.ErrForged, "is not one of the pinned ones"},
			{"unpinned", func(cfg *seal.Config) { cfg.TrustUnpinned = true }, nil, ""},
		} {
			t.Run(way.slot+", "+tt.name, func(t *testing.T) {
				var unpinned int
				a := l.try(only(way.slot), way.shares, func(cfg *seal.Config) {
					if tt.config != nil {
						tt.config(cfg)
					}
					cfg.OnEvent = func(e seal.Event) {
						if e.Kind == seal.EventUnpinned {
							unpinned++
						}
					}
				})
				if a.sealed != (tt.want != nil) {
					t.Fatalf("sealed: %v: %v", a.sealed, errors.Join(a.errs...))
				}
				if err := errors.Join(a.errs...); tt.want != nil && (!errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says)) {
					t.Errorf("%v is no %v that says %q", err, tt.want, tt.says)
				}
				if want := tt.name == "unpinned"; want != (unpinned > 0) {
					t.Errorf("%d events say that the store was believed without a pin", unpinned)
				}
			})
		}
	}
	// One share as text names the identity for the others.
	if a := l.try(only("people"), []seal.Share{raw[0], c.shares[1]}, nil); a.sealed {
		t.Errorf("a raw share beside one as text: %v", errors.Join(a.errs...))
	}
	if a := l.try(only("people"), c.shares, nil); a.sealed {
		t.Errorf("shares as text need no pin: %v", errors.Join(a.errs...))
	}
}

package seal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// A rival is a store that a stranger made under the id of another: a record of
// the next generation, with one slot, opened by what is theirs.
func (l locksmith) rival(t *testing.T, over *copied, name string, spec seal.Spec) (stored []byte, shares []seal.Share) {
	t.Helper()
	root := []byte(strings.Repeat("r", 32))
	digest := record.DigestOf(over.stored)
	s := record.State{Record: record.Record{
		Format: 1, MinReader: 1, Store: over.state.Store, Generation: over.state.Generation + 1, Previous: digest[:],
		Root: 1, LastTerm: 1,
	}, Secrets: record.Secrets{
		Terms: []record.Term{{Number: 1, State: record.TermActive, Key: [32]byte{0x66}}}, Digests: []record.Digest{digest},
	}}
	maker := l.barrier(seal.NewMemStore(), nil)
	defer maker.Close()
	n, sets := maker.NewSlotFor(t, &s.Record, name, spec, root)
	print := record.FingerprintOf(n.Identity)
	s.LastSlot, s.LastSet = 1, uint32(len(sets))
	s.Slots = []record.Slot{{
		ID: 1, Name: name, State: record.Active, Fingerprint: print[:12], Tree: n.Tree,
		PublicKey: n.PublicKey, Wrap: n.Wrap, Proven: &record.Proof{Root: 1, Generation: 1},
	}}
	s.Identities = map[uint32][32]byte{1: n.Identity}
	stored, err := seal.SealRecord(s, root)
	must(t, err)
	for _, set := range sets {
		shares = append(shares, set.Shares...)
	}
	return stored, shares
}

// TestOwnShareOfAForgedStore: whoever could write to the store put a store of
// their own there and gave its share, for which no token is needed. It opened,
// also with pins and an anchor.
func TestOwnShareOfAForgedStore(t *testing.T) {
	ctx := context.Background()
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a")}}
	for _, tt := range []struct {
		pins, anchor bool
		is           error // nil: it opens, as THREATS says
	}{
		{false, false, nil},
		{true, false, seal.ErrForged},
		{false, true, seal.ErrForked},
		{true, true, seal.ErrForked},
	} {
		t.Run(fmt.Sprintf("pins %v, anchor %v", tt.pins, tt.anchor), func(t *testing.T) {
			l := l
			l.TB = t
			store := seal.NewMemStore()
			var anchor seal.Store
			if tt.anchor {
				anchor = seal.NewMemStore()
			}
			b := l.barrier(store, func(c *seal.Config) { c.Anchor = anchor })
			defer b.Close()
			d, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
			must(t, err)
			l.proveSlot(b, "people", d)
			c := l.copyOf("true", store, b, nil)
			forged, shares := l.rival(t, c, "people", seal.Shamir{Shares: 1, Threshold: 1})
			change := func(cfg *seal.Config) {
				cfg.Anchor = anchor
				if tt.pins {
					cfg.Pins = []string{fmt.Sprintf("%x", c.state.Find("auto", record.Active).Fingerprint)}
				}
			}
			a := l.try(forged, shares, change)
			switch {
			case tt.is == nil && a.sealed:
				t.Errorf("the control does not open: %v", errors.Join(a.errs...))
			case tt.is != nil && (!a.sealed || !a.is(tt.is)):
				t.Errorf("sealed=%v: %v", a.sealed, errors.Join(a.errs...))
			}
			// The true one opens by the same people, where the KMS is gone.
			l.wrappers = map[string]kms.Wrapper{}
			if a := l.try(c.stored, d.Sets[0].Shares, change); a.sealed {
				t.Errorf("the true store: %v", errors.Join(a.errs...))
			}
		})
	}
}

// TestShapes: one cloud of a tree, with write access to the store, put a store of
// its own there, under the tree's name and opened by its own key alone.
func TestShapes(t *testing.T) {
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a"), "b": fake.Key("b"), "c": fake.Key("c")}}
	ctx := context.Background()
	tree := seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}, seal.KMS{Wrapper: "c"}}}
	store := seal.NewMemStore()
	b := l.barrier(store, nil)
	defer b.Close()
	_, err := b.Init(ctx, map[string]seal.Spec{"clouds": tree}, seal.By{})
	must(t, err)
	if !warned(b, "neither pinned nor among Config.Shapes") {
		t.Errorf("no warning: %q", b.Status().Warnings)
	}
	c := l.copyOf("true", store, b, nil)
	expects := func(shapes map[string]seal.Spec) func(*seal.Config) {
		return func(cfg *seal.Config) { cfg.Shapes = shapes }
	}
	want := map[string]seal.Spec{"clouds": tree}
	for _, tt := range []struct {
		name   string
		slot   string
		shape  seal.Spec
		shapes map[string]seal.Spec
		says   string // "": it opens
	}{
		{"nothing is expected", "clouds", seal.KMS{Wrapper: "a"}, nil, ""},
		{"under its name", "clouds", seal.KMS{Wrapper: "a"}, want, `slot "clouds" is KMS a, where Config.Shapes has`},
		{"with a lower threshold", "clouds", seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 1, Threshold: 1}}}, want, "where Config.Shapes has"},
		{"under another name", "other", seal.KMS{Wrapper: "a"}, want, `Config.Shapes has no slot "other"`},
		{"as people", "people", seal.Shamir{Shares: 1, Threshold: 1}, want, `Config.Shapes has no slot "people"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := l
			l.TB = t
			forged, shares := l.rival(t, c, tt.slot, tt.shape)
			a := l.try(forged, shares, expects(tt.shapes))
			text := ""
			if err := errors.Join(a.errs...); err != nil {
				text = err.Error()
			}
			if a.sealed != (tt.says != "") || !strings.Contains(text, tt.says) || tt.says != "" && !a.is(seal.ErrForged) {
				t.Errorf("sealed=%v: %s", a.sealed, text)
			}
		})
	}
	if a := l.try(c.stored, nil, expects(want)); a.sealed {
		t.Errorf("the true store: %v", errors.Join(a.errs...))
	}

	// A process that runs takes in what others change, and warns of the restart.
	running := l.barrier(store, expects(want))
	defer running.Close()
	err = running.Unseal(ctx)
	must(t, err)
	if warned(running, "Config.Shapes") {
		t.Errorf("warnings %q", running.Status().Warnings)
	}
	_, err = running.Admin().Add(ctx, "more", seal.KMS{Wrapper: "a"}, seal.By{})
	must(t, err)
	_, err = running.Admin().Rekey(ctx, "clouds", seal.KMS{Wrapper: "b"}, seal.By{})
	must(t, err)
	for _, words := range []string{`slot "more" is not among Config.Shapes`, `slot "clouds" is KMS b, and Config.Shapes has`} {
		if !warned(running, words) {
			t.Errorf("no warning %q: %q", words, running.Status().Warnings)
		}
	}
	for name, shapes := range map[string]map[string]seal.Spec{"no spec": {"a": nil}, "a bad name": {"a b": tree}, "a bad shape": {"a": seal.Shamir{}}} {
		if _, err := seal.Open(seal.Config{Store: store, Shapes: shapes}); !errors.Is(err, seal.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoPinOfAnUnvouchedRecord: the error that asks for a pin does not tell to read
// it from the record that nothing vouches for.
func TestNoPinOfAnUnvouchedRecord(t *testing.T) {
	rsa := &kmstest.Fake{Type: "rsa", Forgeable: true}
	l := locksmith{t, map[string]kms.Wrapper{"rsa": rsa.Key("rsa")}}
	store := seal.NewMemStore()
	b := l.barrier(store, func(c *seal.Config) { c.TrustUnpinned = true })
	defer b.Close()
	_, err := b.Init(t.Context(), map[string]seal.Spec{"soft": seal.KMS{Wrapper: "rsa"}}, seal.By{})
	must(t, err)
	c := l.copyOf("store", store, b, nil)
	fingerprint := fmt.Sprintf("%x", c.state.Slots[0].Fingerprint)
	a := l.try(c.stored, nil, nil)
	text := errors.Join(a.errs...).Error()
	if !a.is(seal.ErrUnpinned) || strings.Contains(text, fingerprint) || !strings.Contains(text, "none that stands in a record which nothing vouches for") {
		t.Error(text)
	}
}

package sealotel_test

import (
	"context"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// TestConformance: a wrapper and a store that are told of are what they were.
func TestConformance(t *testing.T) {
	s := newBench(t)
	t.Run("wrapper", func(t *testing.T) {
		kmstest.Conformance(t, func(_ *testing.T, key string) kms.Wrapper { return s.tel.Wrapper(key, s.fake.Key(key)) },
			kmstest.Options{Rotate: func(_ *testing.T, key string) { s.fake.Rotate(key) }})
	})
	t.Run("store", func(t *testing.T) {
		storetest.Run(t, func(*testing.T) seal.Store { return s.tel.Store(seal.NewMemStore()) })
	})
}

type named struct{ kms.Wrapper }

func (named) SameKey(a, b string) bool { return a == "arn:1" && b == "arn:2" }

type foreign struct{ kms.Wrapper }

func (foreign) UnwrapForeign(_ context.Context, c []byte, name string) ([]byte, error) {
	return append(c, name...), nil
}

type probing struct {
	kms.Wrapper
	kms.Prober
}

type both struct {
	probing
	foreign
}

func (b both) Wrap(ctx context.Context, key []byte, at kms.Binding) (*kms.Blob, error) {
	return b.probing.Wrap(ctx, key, at)
}

func (b both) Unwrap(ctx context.Context, blob *kms.Blob, at kms.Binding) ([]byte, error) {
	return b.probing.Unwrap(ctx, blob, at)
}

// TestOptionalInterfaces: what a wrapper or a store is besides, it stays, and it
// becomes nothing that it was not.
func TestOptionalInterfaces(t *testing.T) {
	s := newBench(t)
	key := s.fake.Key("prod")
	plain := struct{ kms.Wrapper }{key}
	ctx := t.Context()
	blob, err := key.Wrap(ctx, make([]byte, 32), kms.Binding{})
	must(t, err)
	for name, tt := range map[string]struct {
		w                                  kms.Wrapper
		probes, opens, names, authenticate bool
	}{
		"plain":         {w: plain},
		"prober":        {w: probing{plain, key}, probes: true},
		"foreign":       {w: foreign{plain}, opens: true},
		"both":          {w: both{probing{plain, key}, foreign{plain}}, probes: true, opens: true},
		"namer":         {w: named{plain}, names: true},
		"fake":          {w: key, probes: true, authenticate: true},
		"told of twice": {w: s.tel.Wrapper("outer", both{probing{plain, key}, foreign{plain}}), probes: true, opens: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := s.tel.Wrapper("cloud", tt.w)
			p, probes := w.(kms.Prober)
			f, opens := w.(kms.Foreign)
			if probes != tt.probes || opens != tt.opens {
				t.Errorf("prober %v, foreign %v", probes, opens)
			}
			if probes {
				if h, err := p.Probe(ctx); err != nil || !h.Enabled {
					t.Errorf("probe: %+v, %v", h, err)
				}
			}
			if opens {
				if got, err := f.UnwrapForeign(ctx, []byte("c"), "n"); err != nil || string(got) != "cn" {
					t.Errorf("foreign: %q, %v", got, err)
				}
			}
			if n, ok := w.(kms.Namer); ok && n.SameKey("arn:1", "arn:2") != tt.names || !ok && tt.names {
				t.Error("namer")
			}
			if a, ok := w.(kms.Authenticator); ok && a.Authenticates(blob) != tt.authenticate || !ok && tt.authenticate {
				t.Error("authenticator")
			}
		})
	}
	mem := seal.NewMemStore()
	bare := struct{ seal.Store }{mem}
	watch := seal.Store(mem).(seal.Watcher)
	for name, tt := range map[string]struct {
		s              seal.Store
		watch, limited bool
	}{
		"plain":   {s: bare},
		"watcher": {s: mem, watch: true},
		"limited": {s: struct {
			seal.Store
			limit
		}{bare, 1 << 16}, limited: true},
		"both": {s: struct {
			seal.Store
			seal.Watcher
			limit
		}{bare, watch, 1 << 16}, watch: true, limited: true},
	} {
		st := s.tel.Store(tt.s)
		_, watches := st.(seal.Watcher)
		l, limited := st.(seal.Limited)
		if watches != tt.watch || limited != tt.limited || limited && l.MaxRecord() != 1<<16 {
			t.Errorf("%s: watcher %v, limited %v", name, watches, limited)
		}
	}
}

type limit int

func (l limit) MaxRecord() int { return int(l) }

package seal_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// What a host does with the maps and slices of a Config after Open is its own affair: a
// pin that it put in the place of another, or a shape, was trusted by a process at
// work, which read them meanwhile.
func TestOpenKeepsNothingOfTheHosts(t *testing.T) {
	ctx, fake := t.Context(), &kmstest.Fake{}
	wrappers := func() map[string]kms.Wrapper {
		return map[string]kms.Wrapper{"a": fake.Key("a"), "b": fake.Key("b"), "c": fake.Key("c")}
	}
	shape := func() seal.Threshold {
		return seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}}}
	}
	for name, change := range map[string]func(cfg *seal.Config, of []seal.Spec){
		"a KMS":               func(cfg *seal.Config, _ []seal.Spec) { delete(cfg.KMS, "c") },
		"a pin":               func(cfg *seal.Config, _ []seal.Spec) { cfg.Pins[0] = strings.Repeat("0", 24) },
		"a shape":             func(cfg *seal.Config, _ []seal.Spec) { cfg.Shapes["tree"] = seal.KMS{Wrapper: "a"} },
		"a part of the shape": func(_ *seal.Config, of []seal.Spec) { of[1] = seal.KMS{Wrapper: "c"} },
	} {
		t.Run(name, func(t *testing.T) {
			store := seal.NewMemStore()
			first, err := seal.Open(seal.Config{Store: store, KMS: wrappers()})
			must(t, err)
			defer first.Close()
			_, err = first.Init(ctx, map[string]seal.Spec{"tree": shape()}, seal.By{})
			must(t, err)
			pin := first.Status().Slots[0].Fingerprint
			tree := shape()
			cfg := seal.Config{Store: store, KMS: wrappers(), Pins: []string{pin}, Shapes: map[string]seal.Spec{"tree": tree}}
			b, err := seal.Open(cfg)
			must(t, err)
			defer b.Close()
			change(&cfg, tree.Of)
			must(t, b.Unseal(ctx))
			for _, w := range b.Status().Warnings {
				if strings.Contains(w, "Shapes") || strings.Contains(w, "pinned") {
					t.Error(w)
				}
			}
			_, err = b.Admin().Add(ctx, "more", seal.KMS{Wrapper: "c"}, seal.By{})
			must(t, err)
		})
	}
}

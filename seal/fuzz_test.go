package seal_test

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
)

// FuzzRecord puts a record under a Barrier that has the keys and the shares of
// every golden: a golden unseals, and nothing else does.
func FuzzRecord(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(formatDir, "*.json"))
	must(f, err)
	goldens := map[string]bool{}
	var shares []seal.Share
	for _, path := range paths {
		g, stored := readGolden(f, path)
		goldens[string(stored)] = true
		f.Add(stored)
		f.Add([]byte(strings.Replace(string(stored), `"active"`, `"pending"`, 1)))
		f.Add(stored[:len(stored)-1])
		for _, name := range slices.Sorted(maps.Keys(g.Shares)) {
			s, err := seal.ParseShare(g.Shares[name])
			must(f, err)
			shares = append(shares, s)
		}
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		ctx := t.Context()
		store := seal.NewMemStore()
		if _, err := store.Swap(ctx, stored, ""); err != nil {
			t.Skip(err)
		}
		b := goldenBarrier(t, store)
		told := func(err error) {
			if _, ok := errors.AsType[*seal.Error](err); err != nil && !ok || errors.Is(err, seal.ErrUninitialized) {
				t.Errorf("%v", err)
			}
		}
		_, err := b.Admin().Inspect(ctx)
		told(err)
		err = b.Unseal(ctx)
		told(err)
		if err != nil && !errors.Is(err, seal.ErrCorrupt) && !errors.Is(err, seal.ErrNewerFormat) {
			for _, s := range shares {
				_, err := b.Submit(ctx, s, seal.By{})
				told(err)
			}
		}
		if open := !b.Status().Sealed; open != goldens[string(stored)] {
			t.Errorf("unsealed: %t, by %q", open, stored)
		}
	})
}

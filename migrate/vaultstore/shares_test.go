package vaultstore_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/migrate/vaultstore"
	"github.com/sealwright/sealwright/shamir"
)

// TestWrongShares: what the data allows to be said of them, by Open and by
// Diagnose alike.
func TestWrongShares(t *testing.T) {
	const name = "vault-shamir-5of3"
	good := shares(t, name)
	flipped := bytes.Clone(good[1])
	flipped[5] ^= 1
	moved := bytes.Clone(good[1])
	moved[32] = good[0][32]
	other := shares(t, "shamir-5of3")
	larger, err := shamir.Split(bytes.Repeat([]byte{1}, 32), 6, 4)
	if err != nil {
		t.Fatal(err)
	}
	for text, c := range map[string]struct {
		given [][]byte
		state vaultstore.State
		named []int
		opens bool
		words string
	}{
		"right":                         {good[:3], "", nil, true, ""},
		"others":                        {good[2:], "", nil, true, ""},
		"all":                           {good, "", nil, true, ""},
		"none":                          {nil, vaultstore.SharesMissing, nil, false, "it takes 3 shares, and none was given"},
		"two":                           {good[:2], vaultstore.SharesMissing, nil, false, "it takes 3 different shares, and 2 were given"},
		"one twice":                     {[][]byte{good[0], good[1], good[0]}, vaultstore.ShareTwice, []int{3}, false, "it takes 3 different shares, and 2 were given"},
		"one twice, and enough":         {[][]byte{good[0], good[1], good[0], good[4]}, vaultstore.ShareTwice, []int{3}, true, ""},
		"one mistyped of three":         {[][]byte{good[0], flipped, good[2]}, vaultstore.SharesWrong, []int{1, 2, 3}, false, "nothing tells which"},
		"one mistyped of four":          {[][]byte{good[0], flipped, good[2], good[3]}, vaultstore.ShareForeign, []int{2}, true, ""},
		"two mistyped of five":          {[][]byte{good[0], flipped, good[2], moved, good[4]}, vaultstore.ShareForeign, []int{2, 4}, true, ""},
		"one of another store of three": {[][]byte{good[0], other[1], good[2]}, vaultstore.SharesWrong, []int{1, 2, 3}, false, "mistyped or of another set"},
		"one of another store of four":  {[][]byte{good[0], other[1], good[2], good[3]}, vaultstore.ShareForeign, []int{2}, true, ""},
		"three of another store":        {other[:3], vaultstore.SharesWrong, []int{1, 2, 3}, false, ""},
		"five of another store":         {other, vaultstore.SharesForeign, nil, false, "belong together"},
		"four of another, and one":      {[][]byte{other[0], other[1], good[0], other[2], other[3]}, vaultstore.ShareForeign, []int{3}, false, "share 3 does not belong"},
		"of another threshold":          {larger, vaultstore.SharesForeign, nil, false, "nothing tells which"},
		"one cut":                       {[][]byte{good[0], good[1][:20], good[2]}, vaultstore.ShareUnfit, []int{2}, false, "share 2 has a length"},
		"a whole key":                   {[][]byte{bytes.Repeat([]byte{1}, 32)}, vaultstore.SharesMissing, nil, false, ""},
	} {
		t.Run(text, func(t *testing.T) {
			s, err := vaultstore.Open(t.Context(), fixture(name), vaultstore.Keys{Shares: c.given})
			if c.opens != (err == nil) || err != nil && (!errors.Is(err, vaultstore.ErrShares) || !strings.Contains(err.Error(), c.words)) {
				t.Fatalf("Open: %v", err)
			}
			if err == nil {
				sameContents(t, s, name)
				if got := s.Info().Wrong; c.state == vaultstore.ShareForeign && !slices.Equal(got, c.named) {
					t.Errorf("Open names %v", got)
				}
				s.Close()
			}
			d := diagnose(t, fixture(name), vaultstore.Options{Keys: vaultstore.Keys{Shares: c.given}})
			if d.Opens != c.opens || c.state == "" && !d.Healthy() {
				t.Errorf("Diagnose: opens %t", d.Opens)
			}
			if c.state != "" {
				if f := found(t, d, c.state); c.named != nil && !slices.Equal(f.Shares, c.named) {
					t.Errorf("%s names %v, want %v", c.state, f.Shares, c.named)
				}
			}
		})
	}
}

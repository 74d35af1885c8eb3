package sharetext_test

import (
	"bytes"
	"testing"

	"github.com/sealwright/sealwright/examples/sealwright/internal/sharetext"
	"github.com/sealwright/sealwright/seal"
)

// FuzzSplit: shares are found whatever stands around them that is no part of one,
// and what is found is no more than what was there.
func FuzzSplit(f *testing.F) {
	f.Add("gpg: encrypted with rsa3072 key", "\n\n", "age: warning")
	f.Add("", "", "")
	f.Add("SW1", " sw1. ", "sw")
	f.Add("sw1qqqq\n", "\t", "qqqq")
	f.Add("", "gpg: WARNING", "")
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		f.Fatal(err)
	}
	d, err := b.Init(f.Context(), map[string]seal.Spec{"people": seal.Shamir{Shares: 2, Threshold: 2}}, seal.By{})
	if err != nil {
		f.Fatal(err)
	}
	one, two := d.Sets[0].Shares[0].Reveal(), d.Sets[0].Shares[1].Reveal()
	f.Fuzz(func(t *testing.T, before, between, after string) {
		text := before + "\n;\n" + one + between + "\n;\n" + two + "\n;\n" + after
		found := sharetext.Split([]byte(text))
		size := 0
		for _, got := range found {
			size += len(got)
		}
		if size > len(text) {
			t.Fatalf("%d bytes of %d", size, len(text))
		}
		has := func(want string) bool {
			for _, got := range found {
				if bytes.EqualFold(got, []byte(want)) {
					return true
				}
			}
			return false
		}
		if !has(one) || !has(two) {
			t.Errorf("%q of %q, %q and %q", found, before, between, after)
		}
	})
}

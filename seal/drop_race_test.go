package seal_test

import (
	"context"
	"errors"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// A betweenStore lets something happen between a load and the next swap.
type betweenStore struct {
	seal.Store
	between func()
}

func (s *betweenStore) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if f := s.between; f != nil {
		s.between = nil
		f()
	}
	return s.Store.Swap(ctx, rec, old)
}

// A drop asks people for a proof, and begins an operation for it, while another
// replica drops the very slot whose people would be asked. It was begun all the
// same once, for the last slot, and nobody could end it but by Cancel.
func TestDropWhileItsProofGoes(t *testing.T) {
	ctx, mem, cloud := t.Context(), seal.NewMemStore(), &kmstest.Fake{}
	open := func(store seal.Store) *seal.Barrier {
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"cloud": cloud.Key("k")}, Retry: kms.Policy{Attempts: 1}})
		must(t, err)
		t.Cleanup(func() { b.Close() })
		return b
	}
	one, two := &betweenStore{Store: mem}, open(mem)
	b := open(one)
	d, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}, "people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
	must(t, err)
	op, _, err := b.Admin().Prove(ctx, "people", seal.By{})
	must(t, err)
	_, err = b.Submit(ctx, d.Sets[0].Shares[0], seal.By{Operation: op})
	must(t, err)
	err = two.Unseal(ctx)
	must(t, err)

	one.between = func() {
		if _, done, err := two.Admin().Drop(ctx, []string{"people"}, seal.By{}); err != nil || !done {
			t.Errorf("the other drop: %t, %v", done, err)
		}
	}
	if _, done, err := b.Admin().Drop(ctx, []string{"auto"}, seal.By{}); done || !errors.Is(err, seal.ErrLastSlot) {
		t.Errorf("%t, %v, want %v", done, err, seal.ErrLastSlot)
	}
	if s := b.Status(); s.Operation != nil || len(s.Slots) != 1 {
		t.Errorf("%+v", s)
	}
}

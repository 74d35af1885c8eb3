package seal_test

import (
	"errors"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestAttackStrangerTurnsTheReason: why a server is sealed is not what was wrong
// with the last share that anybody sent.
func TestAttackStrangerTurnsTheReason(t *testing.T) {
	ctx := t.Context()
	fake := &kmstest.Fake{}
	cfg := seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": fake.Key("k")}, Retry: kms.Policy{Attempts: 1}}
	b, err := seal.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	d, err := b.Init(ctx, map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Seal(seal.By{}); err != nil {
		t.Fatal(err)
	}
	fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.ServerError}))
	if err := b.Unseal(ctx); !errors.Is(err, kms.ErrUnavailable) {
		t.Fatal(err)
	}
	other, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	foreign, err := other.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Submit(ctx, foreign.Sets[0].Shares[0], seal.By{}); !errors.Is(err, seal.ErrShareOtherStore) {
		t.Fatal(err)
	}
	if why := b.Status().Reason; !errors.Is(why, kms.ErrUnavailable) {
		t.Errorf("the reason is now %v", why)
	}
	// Nor that one was given twice.
	b.Submit(ctx, d.Sets[0].Shares[0], seal.By{})
	why := b.Status().Reason
	if _, err := b.Submit(ctx, d.Sets[0].Shares[0], seal.By{}); !errors.Is(err, seal.ErrShareDuplicate) {
		t.Fatal(err)
	}
	if now := b.Status().Reason; now.Error() != why.Error() {
		t.Errorf("given twice, the reason is %v, and was %v", now, why)
	}
}

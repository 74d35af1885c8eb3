package awskms_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestAnAliasThatWasMoved: what the old key wrapped still opens, so drills said
// that all is well, until the old key was deleted.
func TestAnAliasThatWasMoved(t *testing.T) {
	ctx := t.Context()
	s := start(t)
	first, second := s.CreateKey(), s.CreateKey()
	s.Alias("alias/prod", first)
	cfg := with(s, "alias/prod")
	cfg.Region = awskmstest.Region
	store := seal.NewMemStore()
	boot := func() (*seal.Barrier, error) {
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"aws": open(t, cfg)}, Retry: kms.Policy{Attempts: 1}, TrustUnpinned: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		err = b.Unseal(ctx)
		return b, err
	}
	b, _ := boot()
	if _, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "aws"}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	drill := func() seal.SlotStatus {
		t.Helper()
		if err := b.Admin().Drill(ctx); err != nil {
			t.Fatal(err)
		}
		return b.Status().Slots[0]
	}
	if slot := drill(); slot.Moved || len(slot.Notes) != 0 {
		t.Fatalf("before: %+v", slot)
	}
	s.Alias("alias/prod", second)
	slot := drill()
	if !slot.Moved || len(slot.Notes) != 1 || !strings.Contains(slot.Notes[0], first) || !strings.Contains(slot.Notes[0], second) {
		t.Errorf("moved: %q", slot.Notes)
	}
	if err := b.Admin().Renew(ctx, "auto", seal.By{}); err != nil {
		t.Fatal(err)
	}
	if slot := drill(); slot.Moved || len(slot.Notes) != 0 {
		t.Errorf("renewed: %q", slot.Notes)
	}
	s.DeleteKey(first)
	if _, err := boot(); err != nil {
		t.Errorf("without the first key: %v", err)
	}
	s.DeleteKey(second)
	if _, err := boot(); !errors.Is(err, kms.ErrKeyGone) {
		t.Errorf("without either: %v", err)
	}
}

// TestSameKey: a replica of a multi-Region key in another region is no other
// key, and to say so would have each replica wrap anew what the other wrapped.
func TestSameKey(t *testing.T) {
	s := start(t)
	key, other, global := s.CreateKey(), s.CreateKey(), s.CreateMultiRegionKey()
	inRegion := func(arn string) string { return strings.Replace(arn, awskmstest.Region, "us-east-1", 1) }
	inAccount := func(arn string) string { return strings.Replace(arn, awskmstest.AccountID, "444455556666", 1) }
	w := open(t, with(s, global))
	for name, c := range map[string]struct {
		a, b string
		same bool
	}{
		"one key":                      {key, key, true},
		"two keys":                     {key, other, false},
		"an id that is in two regions": {key, inRegion(key), false},
		"replicas":                     {global, inRegion(global), true},
		"of another account":           {global, inAccount(global), false},
		"no names":                     {"", "", true},
		"no ARN":                       {global, "mrk-1", false},
	} {
		if got := w.SameKey(c.a, c.b); got != c.same || w.SameKey(c.b, c.a) != got {
			t.Errorf("%s: %v", name, got)
		}
	}
}

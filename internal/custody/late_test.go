package custody

import (
	"bytes"
	"context"
	"crypto/fips140"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// A slowKey wraps only after an hour, whatever became of its context.
type slowKey struct {
	kms.Wrapper
	kept chan bool // whether the key it was given was still the same then
}

func (w *slowKey) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	was := bytes.Clone(key)
	time.Sleep(time.Hour)
	w.kept <- bytes.Equal(was, key)
	return w.Wrapper.Wrap(context.WithoutCancel(ctx), key, b)
}

// TestAWrapGivenUpOnKeepsItsKey: a KMS that hangs sends what it was asked to wrap, and
// no zeros that it reads while they are written.
func TestAWrapGivenUpOnKeepsItsKey(t *testing.T) {
	fake := &kmstest.Fake{}
	wrapper := &slowKey{fake.Key("slow"), make(chan bool, 1)}
	k := newKeys(fake, map[string]kms.Wrapper{"slow": wrapper})
	if fips140.Enabled() && strings.HasPrefix(runtime.Version(), "go1.26") {
		t.Skip("needs virtual time, in which crypto/rand finds no entropy in FIPS mode before Go 1.27")
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, _, err := k.NewSlot(ctx, &record.Record{Store: treeStore}, "slow", kmsKey("slow"), make([]byte, 32))
		if !errors.Is(err, kms.ErrUnavailable) {
			t.Errorf("%v", err)
		}
		time.Sleep(2 * time.Hour)
	})
	if !<-wrapper.kept {
		t.Error("the key was cleared in the hands of the KMS")
	}
}

// An endKey unwraps nothing: it says that it was asked, and waits for the end of its
// context.
type endKey struct {
	kms.Wrapper
	asked chan struct{}
}

func (w endKey) Unwrap(ctx context.Context, _ *kms.Blob, _ kms.Binding) ([]byte, error) {
	w.asked <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

// A secondKey answers once the endKey was asked.
type secondKey struct {
	kms.Wrapper
	asked chan struct{}
}

func (w secondKey) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	<-w.asked
	return w.Wrapper.Unwrap(ctx, blob, b)
}

// TestALateMemberIsNoRace: a member of the tree that goes on when the others have
// opened it looks for shares still, while they are wiped.
func TestALateMemberIsNoRace(t *testing.T) {
	fake, asked := &kmstest.Fake{}, make(chan struct{}, 1)
	spec := tree(2, kmsKey("a"), kmsKey("b"), tree(2, kmsKey("end"), kmsKey("c"), tree(2, people(2, 2), kmsKey("d"))))
	rec := &record.Record{Store: treeStore}
	n, sets, err := newKeys(fake, map[string]kms.Wrapper{"end": fake.Key("end")}).NewSlot(t.Context(), rec, "tree", spec, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	fingerprint := record.FingerprintOf(n.Identity)
	rec.Slots = []record.Slot{{ID: 1, Name: "tree", Fingerprint: fingerprint[:12], Tree: n.Tree, PublicKey: n.PublicKey, Wrap: n.Wrap}}
	q := &Quorum{}
	for _, s := range sets[0].Shares {
		if _, err := q.Add(rec, s); err != nil {
			t.Fatal(err)
		}
	}
	k := newKeys(fake, map[string]kms.Wrapper{"end": endKey{fake.Key("end"), asked}, "b": secondKey{fake.Key("b"), asked}})
	k.head = 50 * time.Millisecond
	for range 5 {
		a, err := k.Open(t.Context(), rec, &rec.Slots[0], q)
		if err != nil {
			t.Fatal(err)
		}
		a.Wipe()
	}
}

// TestALateMemberFindsNoShares: and no zeros in the place of those that were wiped.
func TestALateMemberFindsNoShares(t *testing.T) {
	leaf := record.Node{Shamir: &record.Shares{Set: 1, Shares: 1, Threshold: 1}}
	o := opener{shares: map[uint32][]heldShare{1: {{x: 1, y: RandomKey()}}}}
	if _, err := o.openShares(leaf.Shamir); err != nil || !o.could(&leaf) {
		t.Fatalf("with shares: %v", err)
	}
	o.wipe()
	if _, err := o.openShares(leaf.Shamir); !errors.Is(err, ErrNeedsPeople) || o.could(&leaf) {
		t.Errorf("after wipe: %v", err)
	}
}

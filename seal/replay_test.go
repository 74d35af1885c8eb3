package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/internal/bech32m"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestForgedStoreMeetsAPinnedProcess: a process that has the store open, with
// the pin of its RSA-OAEP slot, meets a record whose slot a stranger made.
func TestForgedStoreMeetsAPinnedProcess(t *testing.T) {
	for i, generation := range []uint64{4, 6, 80, 1 << 52, record.MaxGeneration - 1, record.MaxGeneration} {
		for _, resealed := range []bool{false, true} {
			if testing.Short() && resealed == (i%2 == 0) {
				continue
			}
			t.Run(fmt.Sprintf("generation %d, sealed %v", generation, resealed), func(t *testing.T) {
				rsa := &kmstest.Fake{Type: "rsa", Forgeable: true}
				l := locksmith{t, map[string]kms.Wrapper{"rsa": rsa.Key("rsa")}}
				ctx, store := context.Background(), seal.NewMemStore()
				maker := l.barrier(store, func(c *seal.Config) { c.TrustUnpinned = true })
				defer maker.Close()
				_, err := maker.Init(ctx, map[string]seal.Spec{"soft": seal.KMS{Wrapper: "rsa"}}, seal.By{})
				must(t, err)
				c := l.copyOf("store", store, maker, nil)
				b := l.barrier(store, func(cfg *seal.Config) { cfg.Pins = []string{fmt.Sprintf("%x", c.state.Slots[0].Fingerprint)} })
				defer b.Close()
				err = b.Unseal(ctx)
				must(t, err)
				if resealed {
					must(t, b.Seal(seal.By{}))
				}
				r := c.record(t)
				digest := record.DigestOf(c.stored)
				r.Generation, r.Previous = generation, digest[:]
				n, _ := maker.NewSlotFor(t, r, "soft", seal.KMS{Wrapper: "rsa"}, bytes.Repeat([]byte{0x66}, 32))
				f, s := record.FingerprintOf(n.Identity), &r.Slots[0]
				s.Tree, s.PublicKey, s.Fingerprint = n.Tree, n.PublicKey, f[:12]
				forged := l.forge(r, func(*record.Slot) ([32]byte, bool) { return n.Identity, true })
				_, rev, err := store.Load(ctx)
				must(t, err)
				_, err = store.Swap(ctx, forged, rev)
				must(t, err)
				if resealed {
					err = b.Unseal(ctx)
				} else {
					err = b.Admin().Refresh(ctx)
				}
				if !errors.Is(err, seal.ErrForged) && !errors.Is(err, seal.ErrForked) {
					t.Errorf("a forged record of generation %d: %v; the process is at %d", generation, err, b.Status().Generation)
				}
			})
		}
	}
}

// TestPinsHoldAfterARekey: the old slot of a KMS is put back by somebody who knew
// its identity; the configuration pins the new one (the runbook "Compromise").
func TestPinsHoldAfterARekey(t *testing.T) {
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a")}}
	ctx, store := context.Background(), seal.NewMemStore()
	b := l.barrier(store, nil)
	defer b.Close()
	d, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{})
	must(t, err)
	before := l.copyOf("before", store, b, nil)
	_, err = b.Admin().Rekey(ctx, "auto", seal.KMS{Wrapper: "a"}, seal.By{})
	must(t, err)
	l.proveSlot(b, "auto", d)
	now := l.copyOf("now", store, b, nil)
	replayed := now.record(t)
	replayed.Slots = []record.Slot{*before.record(t).Find("auto", record.Active)}
	a := l.try(l.forge(replayed, knownTo(before)), nil, func(c *seal.Config) {
		c.Pins = []string{fmt.Sprintf("%x", now.state.Slots[0].Fingerprint)}
	})
	if !a.sealed {
		t.Error("a slot that is not pinned opens the store")
	}
}

// TestWrongShareOfATree: a slot with two groups of people has two sets, and an
// altered share of the first is altered, not stale.
func TestWrongShareOfATree(t *testing.T) {
	ctx := t.Context()
	l := locksmith{t, nil}
	b := l.barrier(seal.NewMemStore(), nil)
	defer b.Close()
	group := seal.Shamir{Shares: 3, Threshold: 2}
	d, err := b.Init(ctx, map[string]seal.Spec{"both": seal.Threshold{K: 2, Of: []seal.Spec{group, group}}}, seal.By{})
	must(t, err)
	for i, set := range d.Sets {
		_, payload, err := bech32m.Decode(set.Shares[2].Reveal())
		must(t, err)
		payload[len(payload)-1] ^= 1
		text, err := bech32m.Encode("sw", payload)
		must(t, err)
		s, err := seal.ParseShare(text)
		must(t, err)
		if _, err := b.Submit(ctx, s, seal.By{}); !errors.Is(err, seal.ErrShareAltered) {
			t.Errorf("an altered share of group %d: %v", i+1, err)
		}
	}
	l.giveShares(b, d, "both", seal.By{})
	if b.Status().Sealed {
		t.Error(b.Status().Reason)
	}
}

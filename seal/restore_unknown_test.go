package seal_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

func digestOf(stored []byte) string { return fmt.Sprintf("%x", record.DigestOf(stored)) }

// TestRestoreOfAFormerCustodiansRecord: after every slot was rekeyed, somebody who
// once had the root key writes an "older" record, with a slot of her own. The
// runbook's Restore encrypted the new root key to it, and with it all data keys.
func TestRestoreOfAFormerCustodiansRecord(t *testing.T) {
	ctx := t.Context()
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a")}}
	store := seal.NewMemStore()
	b := l.barrier(store, nil)
	defer b.Close()
	d, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{})
	must(t, err)
	former := l.copyOf("what she had", store, b, nil)
	_, err = b.Admin().Rekey(ctx, "auto", seal.KMS{Wrapper: "a"}, seal.By{})
	must(t, err)
	l.proveSlot(b, "auto", d)

	s := former.state.Clone()
	mine, _ := b.NewSlotFor(t, &s.Record, "mine", seal.Shamir{Shares: 1, Threshold: 1}, former.root)
	print := record.FingerprintOf(mine.Identity)
	s.LastSlot, s.LastSet = s.LastSlot+1, s.LastSet+1
	s.Slots = append(s.Slots, record.Slot{
		ID: s.LastSlot, Name: "mine", State: record.Active, Fingerprint: print[:12], Tree: mine.Tree,
		PublicKey: mine.PublicKey, Wrap: mine.Wrap, Proven: &record.Proof{Root: s.Root, Generation: s.Generation - 1},
	})
	s.Identities[s.LastSlot] = mine.Identity
	older, err := seal.SealRecord(s, former.root)
	must(t, err)
	put := func(stored []byte) {
		t.Helper()
		_, rev, err := store.Load(ctx)
		must(t, err)
		_, err = store.Swap(ctx, stored, rev)
		must(t, err)
	}
	put(older)
	refused := func(what string, err, is error, says ...string) {
		t.Helper()
		if !errors.Is(err, is) {
			t.Errorf("%s: %v", what, err)
		}
		for _, words := range says {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v does not say %q", what, err, words)
			}
		}
		if now, _, _ := store.Load(ctx); !bytes.Equal(now, older) {
			t.Fatalf("%s: the record was changed", what)
		}
	}
	fingerprint := fmt.Sprintf("%x", print[:12])
	old := fmt.Sprintf("%x", former.state.Slots[0].Fingerprint)
	refused("the runbook's call", b.Admin().Restore(ctx, s.Generation, seal.By{}), seal.ErrNotKnown, digestOf(older), "RestoreUnknown")
	refused("another digest", b.Admin().RestoreUnknown(ctx, digestOf(former.stored), nil, seal.By{}), seal.ErrConfig, digestOf(older))
	refused("no digest", b.Admin().RestoreUnknown(ctx, "x", nil, seal.By{}), seal.ErrConfig, "64 hexadecimal digits")
	refused("a slot that nobody named", b.Admin().RestoreUnknown(ctx, digestOf(older), nil, seal.By{}), seal.ErrNotKnown, `"auto"`, old)
	refused("her slot, which nobody named", b.Admin().RestoreUnknown(ctx, digestOf(older), []string{old}, seal.By{}), seal.ErrNotKnown, `"mine"`, fingerprint)

	// The true one of that generation is known, and goes on.
	put(former.stored)
	must(t, b.Admin().Restore(ctx, former.state.Generation, seal.By{}))

	// Control: whoever names the record and her slot lets her in.
	put(older)
	must(t, b.Admin().RestoreUnknown(ctx, strings.ToUpper(digestOf(older)), []string{old, fingerprint}, seal.By{}))
	if now, _, _ := store.Load(ctx); !bytes.Contains(now, []byte(`"name":"mine"`)) {
		t.Error("the control has no effect")
	}
}

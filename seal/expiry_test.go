package seal_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestExpiryIsToldAhead: a key that will cease to work by itself is told in its
// last month, and when that is over, in words that are true of it.
func TestExpiryIsToldAhead(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		for _, c := range []struct {
			left time.Duration
			says string
			not  string
		}{
			{60 * 24 * time.Hour, "", "expire"},
			{20 * 24 * time.Hour, "the key expires on ", "expired"},
			{-time.Hour, "the key expired on ", "enable it"},
		} {
			v.fake.Expire("a", time.Now().Add(c.left))
			if err := b.Drill(ctx); err != nil {
				t.Errorf("%v left: drill: %v", c.left, err) // an expired key still unwraps
			}
			all := strings.Join(b.Status().Warnings, "\n")
			if !strings.Contains(all, c.says) || strings.Contains(all, c.not) {
				t.Errorf("%v left: warnings: %s", c.left, all)
			}
		}
	})
}

// TestDrillAnswersForTheProcessThatStarts: this one knows the slot, and believes
// it; the next one needs its pin, and is told which, while there is time.
func TestDrillAnswersForTheProcessThatStarts(t *testing.T) {
	ctx, store, rsa := t.Context(), seal.NewMemStore(), &kmstest.Fake{Type: "rsa", Forgeable: true}
	barrier := func(pins ...string) *seal.Barrier {
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"rsa": rsa.Key("k")}, Pins: pins})
		must(t, err)
		t.Cleanup(func() { b.Close() })
		return b
	}
	maker := barrier()
	_, err := maker.Init(ctx, map[string]seal.Spec{"soft": seal.KMS{Name: "rsa"}}, seal.By{})
	must(t, err)
	must(t, maker.Drill(ctx))
	pin := maker.Status().Slots[0].Fingerprint
	if all := strings.Join(maker.Status().Warnings, "\n"); !strings.Contains(all, "will not unseal after a restart; add "+pin+" to the pins") {
		t.Errorf("warnings: %s", all)
	}
	if _, err := barrier().Unseal(ctx); !errors.Is(err, seal.ErrUnpinned) {
		t.Errorf("without the pin: %v", err)
	}
	if _, err := barrier(pin).Unseal(ctx); err != nil {
		t.Errorf("with it: %v", err)
	}
}

package seal_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
)

// TestCheck: a share is named as Submit would name it, sealed or not, and counts
// for nothing afterwards.
func TestCheck(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		var events []seal.Event
		b, err := seal.Open(seal.Config{Store: v.faulty, KMS: v.own(), Replica: "test", OnEvent: func(e seal.Event) { events = append(events, e) }})
		must(t, err)
		defer b.Close()
		right := v.held[1].Shares[0]
		foreign := scenario{begin: threeSlots}.prepare(ctx, t).held[1].Shares[0]

		check := func(when string) {
			t.Helper()
			before := b.Status()
			if c, err := b.Admin().CheckShare(ctx, right, seal.By{Actor: "anna"}); err != nil || c != (seal.Checked{Slot: "people", Set: right.Set(), Number: 1}) {
				t.Errorf("%s: a right share: %+v, %v", when, c, err)
			}
			if e := events[len(events)-1]; e.Kind != seal.EventShare || e.Actor != "anna" || e.Slot != "people" || e.Err != nil || !strings.Contains(e.Detail, "checked") {
				t.Errorf("%s: the event is %+v", when, e)
			}
			if _, err := b.Admin().CheckShare(ctx, foreign, seal.By{}); !errors.Is(err, seal.ErrShareOtherStore) || !strings.Contains(err.Error(), "share 1 of set 1") {
				t.Errorf("%s: a foreign share: %v", when, err)
			}
			if e := events[len(events)-1]; e.Kind != seal.EventShare || !errors.Is(e.Err, seal.ErrShareOtherStore) {
				t.Errorf("%s: the event is %+v", when, e)
			}
			if _, err := b.Admin().CheckShare(ctx, seal.Share{}, seal.By{}); !errors.Is(err, seal.ErrShareMalformed) {
				t.Errorf("%s: no share: %v", when, err)
			}
			if _, err := b.Admin().CheckShare(ctx, right, seal.By{Operation: "\n"}); !errors.Is(err, seal.ErrConfig) {
				t.Errorf("%s: a bad actor: %v", when, err)
			}
			v.faulty.Outage(errors.New("gone"))
			if _, err := b.Admin().CheckShare(ctx, right, seal.By{}); !errors.Is(err, seal.ErrStoreUnavailable) {
				t.Errorf("%s, without the store: %v", when, err)
			}
			v.faulty.Outage(nil)
			after := b.Status()
			if after.Sealed != before.Sealed || after.Generation != before.Generation || len(after.Progress) != 0 {
				t.Errorf("%s: something changed: %+v", when, after)
			}
		}
		check("sealed")
		// None of the checks counted: of two shares that are needed, one is one.
		_, err = b.Submit(ctx, right, seal.By{})
		must(t, err)
		if s := b.Status(); !s.Sealed || s.Progress[0].Given != 1 {
			t.Fatalf("a share that was checked, and then given: %+v", s)
		}
		err = b.Unseal(ctx)
		must(t, err)
		check("unsealed")

		// A share of a slot that waits for its proof is no share that opens.
		d, err := b.Admin().Rekey(ctx, "people", seal.Shamir{Shares: 2, Threshold: 2}, seal.By{})
		must(t, err)
		if c, err := b.Admin().CheckShare(ctx, d.Sets[0].Shares[0], seal.By{}); !errors.Is(err, seal.ErrNoOperation) || c != (seal.Checked{Slot: "people", Set: d.Sets[0].Set, Number: 1}) {
			t.Errorf("a share of a pending slot: %+v, %v", c, err)
		}
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := b.Admin().CheckShare(cancelled, right, seal.By{}); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who has left: %v", err)
		}
		b.Close()
		if _, err := b.Admin().CheckShare(ctx, right, seal.By{}); !errors.Is(err, seal.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	})
}

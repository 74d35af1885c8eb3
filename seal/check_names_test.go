package seal_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/bech32m"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// altered is a share with another key, under the same name.
func altered(t *testing.T, s seal.Share) seal.Share {
	t.Helper()
	prefix, payload, err := bech32m.Decode(s.Reveal())
	must(t, err)
	payload[len(payload)-1] ^= 1
	text, err := bech32m.Encode(prefix, payload)
	must(t, err)
	other, err := seal.ParseShare(text)
	must(t, err)
	return other
}

// TestACheckNamesWhose: of each share, right or wrong, given or only checked, the
// event says which it is and whose, as far as anybody can know; who brings one that
// is not right hears no name.
func TestACheckNamesWhose(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		people := func(names ...string) seal.Spec {
			s := seal.Shamir{Shares: len(names), Threshold: 2}
			for _, n := range names {
				s.Custodians = append(s.Custodians, seal.Custodian{Name: n})
			}
			return s
		}
		events, fake := &eventList{}, &kmstest.Fake{}
		b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), OnEvent: events.add, KMS: map[string]kms.Wrapper{"cloud": fake.Key("k")}})
		must(t, err)
		defer b.Close()
		first, err := b.Init(ctx, map[string]seal.Spec{"auto": key("cloud"), "people": people("anna", "ben", "carla")}, seal.By{})
		must(t, err)
		must(t, b.Unseal(ctx))
		_, _, err = b.Admin().Prove(ctx, "people", seal.By{Operation: "proof"})
		must(t, err)
		for _, s := range first.Sets[0].Shares[:2] {
			must(t, second(b.Submit(ctx, s, seal.By{Operation: "proof"})))
		}
		old := first.Sets[0].Shares
		next, err := b.Admin().Rekey(ctx, "people", people("dora", "emil"), seal.By{})
		must(t, err)
		_, _, err = b.Admin().Prove(ctx, "people", seal.By{Operation: "again"})
		must(t, err)
		for _, s := range next.Sets[0].Shares {
			must(t, second(b.Submit(ctx, s, seal.By{Operation: "again"})))
		}
		last, err := b.Admin().Rekey(ctx, "people", people("fay", "gus"), seal.By{})
		must(t, err)
		other := scenario{begin: threeSlots}.prepare(ctx, t).held[1].Shares[0]
		now := next.Sets[0].Shares

		for name, tt := range map[string]struct {
			share seal.Share
			err   error // of a check; nil: it is right, and opens
			want  seal.Event
		}{
			"right":         {now[1], nil, seal.Event{Slot: "people", Set: 2, Number: 2, Custodian: "emil", Verdict: seal.ShareRight}},
			"in bare form":  {raw(t, now[0]), nil, seal.Event{Slot: "people", Set: 2, Number: 1, Custodian: "dora", Verdict: seal.ShareRight}},
			"of a new set":  {last.Sets[0].Shares[0], seal.ErrNoOperation, seal.Event{Slot: "people", Set: 3, Number: 1, Custodian: "fay", Verdict: seal.ShareRight}},
			"altered":       {altered(t, now[0]), seal.ErrShareAltered, seal.Event{Slot: "people", Set: 2, Number: 1, Custodian: "dora", Verdict: seal.ShareAltered}},
			"stale":         {old[2], seal.ErrShareStale, seal.Event{Set: 1, Number: 3, Verdict: seal.ShareStale}},
			"of other":      {other, seal.ErrShareOtherStore, seal.Event{Set: 1, Number: 1, Verdict: seal.ShareForeign}},
			"bare of other": {raw(t, other), seal.ErrShareOtherStore, seal.Event{Number: 1, Verdict: seal.ShareForeign}},
			"none":          {seal.Share{}, seal.ErrShareMalformed, seal.Event{Verdict: seal.ShareMalformed}},
		} {
			for _, sealed := range []bool{false, true} {
				if sealed != (b.Sealed() != nil) {
					if sealed {
						must(t, b.Seal(seal.By{}))
					} else {
						must(t, b.Unseal(ctx))
					}
				}
				compare := func(how string) {
					t.Helper()
					list := events.of(seal.EventShare)
					e := list[len(list)-1]
					got := seal.Event{Slot: e.Slot, Set: e.Set, Number: e.Number, Custodian: e.Custodian, Verdict: e.Verdict}
					if got != tt.want {
						t.Errorf("%s, sealed %v, %s: the event has %+v, want %+v", name, sealed, how, got, tt.want)
					}
				}
				c, err := b.Admin().CheckShare(ctx, tt.share, seal.By{})
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Errorf("%s, sealed %v: %v", name, sealed, err)
				}
				want := seal.Checked{Slot: tt.want.Slot, Set: tt.want.Set, Number: tt.want.Number, Custodian: tt.want.Custodian}
				if tt.want.Verdict != seal.ShareRight {
					want = seal.Checked{}
				}
				if c != want {
					t.Errorf("%s, sealed %v: %+v, want %+v", name, sealed, c, want)
				}
				compare("checked")
				for _, who := range []string{"anna", "dora", "emil", "people"} {
					if err != nil && tt.want.Verdict != seal.ShareRight && strings.Contains(err.Error(), who) {
						t.Errorf("%s: the answer names %s: %v", name, who, err)
					}
				}
				_, err = b.Submit(ctx, tt.share, seal.By{})
				compare("given")
				if tt.want.Verdict != seal.ShareRight && err == nil {
					t.Errorf("%s, sealed %v: taken", name, sealed)
				}
			}
		}
		if b.Sealed() != nil {
			must(t, b.Unseal(ctx))
		}
		var log bytes.Buffer
		seal.LogEvents(slog.New(slog.NewTextHandler(&log, nil)))(seal.Event{Kind: seal.EventShare, Slot: "people", Custodian: "emil"})
		if !strings.Contains(log.String(), "custodian=emil") {
			t.Errorf("the log: %s", log.String())
		}
		s := b.Status()
		if !slices.Equal(s.Former, []uint32{1}) {
			t.Errorf("former sets: %v", s.Former)
		}
		must(t, b.Seal(seal.By{}))
		s, err = b.Admin().Inspect(ctx)
		must(t, err)
		if !slices.Equal(s.Former, []uint32{1}) || s.Slots[0].Proven.IsZero() {
			t.Errorf("former sets while sealed: %v, proven %v", s.Former, s.Slots[0].Proven)
		}
		for _, slot := range s.Slots {
			leaf := slot.Leaves[0]
			switch {
			case slot.Name == "auto" && (leaf.KMS != "cloud" || leaf.KeyID == "" || leaf.Type == ""),
				slot.Name == "people" && slot.State == seal.SlotActive && (leaf.Set != 2 || leaf.Threshold != 2 || leaf.Shares != 2 || !slices.Equal(leaf.Custodians, []string{"dora", "emil"})):
				t.Errorf("%s: %+v", slot.Name, leaf)
			}
		}
	})
}

func raw(t *testing.T, s seal.Share) seal.Share {
	t.Helper()
	b := s.RevealRaw()
	out, err := seal.ParseShare(base64.StdEncoding.EncodeToString(b))
	must(t, err)
	return out
}

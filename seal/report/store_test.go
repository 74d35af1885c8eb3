package report_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/secret/secrettest"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/report"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func named(threshold int, names ...string) seal.Spec {
	s := seal.Shamir{Shares: len(names), Threshold: threshold}
	for _, n := range names {
		s.Custodians = append(s.Custodians, seal.Custodian{Name: n})
	}
	return s
}

// A house is a store that lives through what a report tells of.
type house struct {
	t      *testing.T
	b      *seal.Barrier
	fake   *kmstest.Fake
	memory report.Memory
	events []seal.Event
	later  time.Duration // than it is, by events and reports
}

func newHouse(t *testing.T) *house {
	h := &house{t: t, fake: &kmstest.Fake{}}
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(), Replica: "one", KMS: map[string]kms.Wrapper{"cloud": h.fake.Key("k")}, Retry: kms.Policy{Attempts: 1},
		OnEvent: func(e seal.Event) {
			e.Time = e.Time.Add(h.later)
			h.events = append(h.events, e)
			h.memory.Add(e)
		},
	})
	must(t, err)
	t.Cleanup(func() { b.Close() })
	h.b = b
	return h
}

// report is the same by all the events and by what the memory has of them.
func (h *house) report(campaigns ...report.Campaign) *report.Report {
	h.t.Helper()
	status, err := h.b.Admin().Inspect(h.t.Context())
	must(h.t, err)
	at := time.Now().Add(h.later)
	r := made(h.t, report.Input{Status: status, Events: past(nil, h.events...), At: at, Campaigns: campaigns})
	short := made(h.t, report.Input{Status: status, Events: h.memory.Events(), At: at, Campaigns: campaigns})
	all, some := *r, *short
	all.Trail, some.Trail = report.Trail{}, report.Trail{}
	if a, b := written(h.t, &all, "json"), written(h.t, &some, "json"); a != b {
		h.t.Errorf("by memory:\n%s\nby all events:\n%s", b, a)
	}
	return r
}

// prove has the shares prove a slot.
func (h *house) prove(slot string, op seal.OperationID, shares []seal.Share) {
	h.t.Helper()
	ctx := h.t.Context()
	_, _, err := h.b.Admin().Prove(ctx, slot, seal.By{Operation: op})
	must(h.t, err)
	for _, s := range shares {
		_, err := h.b.Submit(ctx, s, seal.By{Operation: op, Actor: "page"})
		must(h.t, err)
	}
}

// TestAStoresLife: what a report says of a true store, from its init to a rekey and
// a custody drill, with each secret looked for in each of its forms.
func TestAStoresLife(t *testing.T) {
	ctx := t.Context()
	h := newHouse(t)
	first, err := h.b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}, "people": named(2, "anna", "ben", "carla")}, seal.By{Operation: "credential-of-the-init", Actor: "ops"})
	must(t, err)
	secrets := map[string][]byte{"op": []byte("credential-of-the-init")}
	texts := shareTexts(secrets, first)
	reports := []*report.Report{}
	say := func(r *report.Report) *report.Report { reports = append(reports, r); return r }

	must(t, h.b.Seal(seal.By{Actor: "ops"}))
	r := say(h.report())
	if !r.Sealed || r.Vouched || len(r.Slots) != 2 {
		t.Errorf("sealed: %+v", r)
	}
	must(t, h.b.Unseal(ctx))
	r = say(h.report())
	if got := proofs(r); got["auto"] != report.ByUnseal && got["auto"] != report.ByProof && got["auto"] != report.ByRecord {
		t.Errorf("after the unseal: %v", got)
	}
	unproven := slices.IndexFunc(r.Overdue, func(i report.Item) bool { return i.Kind == report.Unproven && i.Slot == "people" })
	if unproven < 0 {
		t.Errorf("what init made for people is not called unproven: %+v", r.Overdue)
	}
	for _, i := range r.Overdue {
		if i.Kind == report.Warned && (strings.Contains(i.What, "never proven") || strings.Contains(i.What, "not pinned")) {
			t.Errorf("said twice: %+v", i)
		}
	}
	h.prove("people", "one", first.Sets[0].Shares[:2])
	must(t, h.b.Admin().Drill(ctx))
	r = say(h.report())
	if got := proofs(r); got["people"] == "" || got["auto"] == "" {
		t.Errorf("after proof and drill: %v", got)
	}
	if set := setOf(r, "people"); set.Confirmed != 2 || set.Custodians[2].Missing != true {
		t.Errorf("a share that is given confirms: %+v", set)
	}

	// A rekey: those who had shares are named stale, with their names.
	next, err := h.b.Admin().Rekey(ctx, "people", named(3, "anna", "ben", "dora", "emil", "fay"), seal.By{Actor: "ops"})
	must(t, err)
	texts = append(texts, shareTexts(secrets, next)...)
	if _, err := h.b.Admin().CheckShare(ctx, next.Sets[0].Shares[4], seal.By{Actor: "page"}); !errors.Is(err, seal.ErrNoOperation) {
		t.Fatal(err)
	}
	r = say(h.report())
	if set := r.Slots[2].Sets[0]; r.Slots[2].Opens || set.Confirmed != 1 || set.Custodians[4].Name != "fay" || set.Custodians[4].Missing {
		t.Errorf("a new share that arrived: %+v", set)
	}
	h.prove("people", "two", next.Sets[0].Shares[:3])
	h.later = 90 * day
	began := time.Now().Add(h.later)
	for _, s := range []seal.Share{next.Sets[0].Shares[1], next.Sets[0].Shares[2], next.Sets[0].Shares[3], next.Sets[0].Shares[3]} {
		checked, err := h.b.Admin().CheckShare(ctx, s, seal.By{Actor: "page"})
		must(t, err)
		if checked.Custodian == "" {
			t.Errorf("%+v", checked)
		}
	}
	must(t, h.b.Seal(seal.By{Actor: "ops"})) // the drill goes on
	if _, err := h.b.Admin().CheckShare(ctx, first.Sets[0].Shares[0], seal.By{Actor: "page"}); !errors.Is(err, seal.ErrShareStale) {
		t.Fatal(err)
	}
	for _, s := range next.Sets[0].Shares[3:] { // a check in between counts for no unseal
		_, err := h.b.Admin().CheckShare(ctx, s, seal.By{})
		must(t, err)
	}
	if s := h.b.Status(); !s.Sealed || len(s.Progress) != 0 {
		t.Errorf("checks count: %+v", s)
	}
	must(t, h.b.Unseal(ctx))
	r = say(h.report(report.Campaign{Slot: "people", Began: began}))
	d := r.Drills[0]
	if d.Confirmed != 4 || d.Asked != 5 || !d.Met || d.State != report.DrillRunning || !d.Sets[0].Custodians[0].Missing {
		t.Errorf("the drill: %+v", d)
	}
	if w := d.Sets[0].Custodians[0].Wrong; w == nil || w.Verdict != seal.ShareStale || w.Name != "anna" || len(d.Attempts) != 1 {
		t.Errorf("anna's old share: %+v", d.Attempts)
	}
	if got := kinds(r.Destroy); !slices.Contains(got, report.StaleShares) {
		t.Errorf("nothing of the old set: %v", got)
	}

	leaks := 0
	for _, r := range reports {
		for form := range forms {
			text := written(t, r, form)
			leaks += len(secrettest.FindAny(text, secrets))
			leaks += found(text, texts)
		}
	}
	control := written(t, made(t, report.Input{Status: h.b.Status(), At: time.Now(), Title: texts[0]}), "html")
	if leaks != 0 || found(control, texts) == 0 {
		t.Errorf("%d leaks", leaks)
	}
	t.Logf("GUARANTEE 20 report: secrets=%d reports=%d forms=%d leaks=%d control=true", len(secrets), len(reports), len(forms), leaks)
}

func proofs(r *report.Report) map[string]report.Evidence {
	out := map[string]report.Evidence{}
	for _, s := range r.Slots {
		if s.Proven != nil {
			out[s.Name] = s.Proven.By
		}
	}
	return out
}

func setOf(r *report.Report, slot string) report.Set {
	for _, s := range r.Slots {
		if s.Name == slot && len(s.Sets) > 0 {
			return s.Sets[0]
		}
	}
	return report.Set{}
}

// shareTexts adds the shares to the secrets, and returns what is secret of their texts.
func shareTexts(secrets map[string][]byte, d seal.Delivery) (texts []string) {
	for _, set := range d.Sets {
		for _, s := range set.Shares {
			text := s.Reveal()
			secrets[s.String()] = s.RevealRaw()[:32]
			texts = append(texts, text[len(text)-50:])
		}
	}
	return texts
}

// found counts the texts of which any twelve characters stand in another.
func found(in string, texts []string) (n int) {
	in = strings.ToLower(in)
	for _, text := range texts {
		for i := range len(text) - 12 {
			if strings.Contains(in, text[i:i+12]) {
				n++
				break
			}
		}
	}
	return n
}

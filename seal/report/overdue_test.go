package report_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/report"
)

// TestOverdue: each thing that is overdue is named, with what to do next, and with a
// limit away from it is not.
func TestOverdue(t *testing.T) {
	type input = report.Input
	slot := func(in *input) *seal.SlotStatus { return &in.Status.Slots[1] }
	for name, tt := range map[string]struct {
		change func(in *input)
		kind   report.Kind
		what   string // words of it
		do     string
		calm   func(in *input) // makes that it is not
	}{
		"a slot that fails": {func(in *input) { in.Status.Slots[0].DrillError = errors.New("kms: key disabled") }, report.Failing, "kms: key disabled", "do not restart",
			func(in *input) { in.Status.Slots[0].DrillError = nil }},
		"a pin": {func(in *input) { in.Status.Slots[0].NeedsPin = true }, report.NoPin, "not pinned", strings.Repeat("cd", 12),
			func(in *input) { in.Status.Slots[0].NeedsPin = false }},
		"another shape than is expected": {func(in *input) { in.Status.Slots[0].AtStart = seal.ErrUnexpected }, report.NoPin, "not as Config.Shapes has it", "add it to Config.Shapes",
			func(in *input) { in.Status.Slots[0].AtStart = nil }},
		"a lone slot": {func(in *input) { in.Status.Slots = in.Status.Slots[1:] }, report.OnlySlot, "alone opens", "add another",
			func(in *input) { in.Status.Slots = append(in.Status.Slots, cloud()) }},
		"one that was only made": {func(in *input) { slot(in).State = seal.SlotInitial }, report.Unproven, "made by init", "unseal with it once",
			func(in *input) { slot(in).State = seal.SlotActive }},
		"one that nothing speaks for": {func(in *input) { in.Status.Slots[0].Proven, in.Status.Slots[0].Drilled = time.Time{}, time.Time{} }, report.Unproven, "nothing shows", "drill it",
			func(in *input) { in.Status.Slots[0].Proven = now }},
		"an old proof": {func(in *input) { in.Status.Slots[0].Proven, in.Status.Slots[0].Drilled = ago(101), time.Time{} }, report.OldProof, "101 days ago", "drill it",
			func(in *input) { in.Limits.Proof = 102 * day }},
		"an old proof by people": {func(in *input) { in.Limits.Proof = 10 * day }, report.OldProof, "18 days ago", "custody drill", func(in *input) { in.Limits.Proof = -1 }},
		"nobody heard of": {func(in *input) { slot(in).Leaves[0].Set = 9 }, report.NotHeard, "of anna: never confirmed", "ask anna",
			func(in *input) { in.Limits.Share = -1 }},
		"not heard of for long": {func(in *input) { in.Limits.Share = 19 * day }, report.NotHeard, "share 1 of set 2, of anna: last confirmed on 2026-11-10 12:00 UTC, 20 days ago", "ask anna",
			func(in *input) { in.Limits.Share = 20 * day }},
		"too few of them": {func(in *input) { in.Limits.Share = 17 * day }, report.Thin, "fewer custodians", "custody drill now", func(in *input) { in.Limits.Share = 18 * day }},
		"without names": {func(in *input) { slot(in).Leaves[0].Custodians = nil }, report.Unnamed, "does not name who holds 5", "next rekey",
			func(in *input) { slot(in).Leaves[0].Custodians = []string{"a", "b", "c", "d", "e"} }},
		"an altered share": {func(in *input) {
			in.Events = past(nil, append(quarter(), share(ago(1), 2, 3, "carla", seal.ShareAltered))...)
		}, report.WrongShare, "of carla: what was brought as it on 2026-11-29 12:00 UTC was altered", "ask carla to compare",
			func(in *input) {
				in.Events = past(nil, append(quarter(), share(ago(2), 2, 3, "carla", seal.ShareAltered), share(ago(1), 2, 3, "carla", seal.ShareRight),
					share(now, 2, 3, "", seal.ShareStale))...) // of another slot, with a number of this one
			}},
		"an old share": {func(in *input) {
			in.Events = past(nil, append(append([]seal.Event{quarter()[0], share(ago(300), 1, 9, "carla", seal.ShareRight)}, quarter()[1:]...), share(ago(1), 1, 9, "", seal.ShareStale))...)
		}, report.WrongShare, "of carla: what was brought as it on 2026-11-29 12:00 UTC was stale", "whether the newer share is there",
			func(in *input) { in.Events = past(nil, append(quarter(), share(ago(1), 1, 9, "", seal.ShareStale))...) }},
		"a campaign": {func(in *input) { in.Campaigns = []report.Campaign{{Slot: "people", Began: ago(17)}} }, report.Drilling, "2 of 5 confirmed, fewer than open the slot", "ask: anna, ben, carla",
			func(in *input) { in.Campaigns[0].Began = ago(20) }},
		"a campaign that is over": {func(in *input) { in.Campaigns = []report.Campaign{{Slot: "people", Began: ago(19), Until: ago(17)}} }, report.Drilling, "3 of 5 confirmed", "ask: anna, emil",
			func(in *input) { in.Campaigns[0].Until = ago(16); in.Campaigns[0].Began = ago(20) }},
		"a slot that waits": {func(in *input) { in.Status.Slots = append(in.Status.Slots, waits()) }, report.LeftBehind, "nobody knows since when", "prove it, or drop it",
			func(in *input) { in.Status.Operation = &seal.OperationStatus{Slot: "more", Began: ago(1)} }},
		"a slot that waits for long": {func(in *input) {
			in.Status.Slots = append(in.Status.Slots, waits())
			in.Events = past(nil, append(quarter(), seal.Event{Time: ago(8), Kind: seal.EventAdd, Slot: "more"})...)
		}, report.LeftBehind, "since 2026-11-22 12:00 UTC", "drop it", func(in *input) { in.Limits.Pending = 8 * day }},
		"a slot that a migration wants": {func(in *input) { in.Status.Slots = append(in.Status.Slots, waits()) }, report.LeftBehind, "waits", "prove it",
			func(in *input) {
				in.Status.Operation = &seal.OperationStatus{Kind: "migrate", Began: ago(1), Goals: []seal.Goal{{Name: "more", Spec: seal.KMS{Wrapper: "aws"}}}}
			}},
		"an operation": {func(in *input) {
			in.Status.Operation = &seal.OperationStatus{Kind: "prove", Slot: "people", Began: ago(8)}
		}, report.Unended, "prove of slot people is in progress since 2026-11-22", "complete or cancel",
			func(in *input) { in.Status.Operation.Began = ago(7) }},
		"a term": {func(in *input) { in.Status.Terms[1].Created = ago(401) }, report.OldTerm, "term 2 encrypts since", "rotate",
			func(in *input) { in.Limits.Term = -1 }},
		"a warning": {func(in *input) { in.Status.Warnings = []string{"the anchor is behind"} }, report.Warned, "the anchor is behind", "what it says",
			func(in *input) { in.Status.Warnings = nil }},
		"no events": {func(in *input) { in.Events = nil }, report.Untold, "no events", "keep a journal", func(in *input) { in.Events = past(nil, quarter()...) }},
		"events that fail": {func(in *input) { in.Events = past(errors.New("line 7: not the one before"), quarter()...) }, report.Untold, "line 7: not the one before", "verify",
			func(in *input) { in.Events = past(nil, quarter()...) }},
		"events that were lost": {func(in *input) {
			in.Events = past(nil, append(quarter(), seal.Event{Time: ago(1), Kind: "journal-lost"})...)
		}, report.Untold, "missing", "verify",
			func(in *input) { in.Events = past(nil, quarter()...) }},
		"events of late": {func(in *input) { in.Events = past(nil, quarter()[1:]...) }, report.Untold, "reach back to 2026-11-10", "the store is younger",
			func(in *input) { in.Limits.Share, in.Limits.Proof = 19*day, 19*day }},
	} {
		t.Run(name, func(t *testing.T) {
			in := report.Input{Status: status(cloud(), people()), Events: past(nil, quarter()...), At: now}
			tt.change(&in)
			r := made(t, in)
			i := slices.IndexFunc(r.Overdue, func(i report.Item) bool { return i.Kind == tt.kind })
			if i < 0 {
				t.Fatalf("not told: %+v", r.Overdue)
			}
			if it := r.Overdue[i]; !strings.Contains(it.What, tt.what) || !strings.Contains(it.Do, tt.do) {
				t.Errorf("%q: %q", it.What, it.Do)
			}
			for form := range forms {
				if text := written(t, r, form); !strings.Contains(text, tt.do) {
					t.Errorf("%s does not say what to do", form)
				}
			}
			tt.calm(&in)
			if got := kinds(made(t, in).Overdue); slices.Contains(got, tt.kind) {
				t.Errorf("still %v", got)
			}
		})
	}
}

func waits() seal.SlotStatus {
	return seal.SlotStatus{Name: "more", Spec: seal.KMS{Wrapper: "aws"}, State: seal.SlotPending, Leaves: []seal.Leaf{{KMS: "aws", Type: "awskms", KeyID: "k"}}}
}

// TestDestroy: what nothing needs is named, and nothing else; of a sealed store
// nothing is.
func TestDestroy(t *testing.T) {
	in := eventful()
	old := cloud()
	old.Name, old.State, old.Leaves[0].Version = "old cloud", seal.SlotPending, "beef"
	in.Status.Slots = append(in.Status.Slots, old)
	var got []string
	for _, i := range made(t, in).Destroy {
		got = append(got, string(i.Kind)+": "+i.What)
		if i.Do == "" {
			t.Errorf("%+v", i)
		}
	}
	want := []string{
		"stale-shares: shares of set 1: they open nothing in the store",
		"unused-term: term 1: the host has counted no value under it", // and not term 2, which encrypts
		"old-versions: of the azurekeyvault key https://vault.example/keys/seal, each older version that is none of beef, f00d: no slot is wrapped by it",
	} // of the AWS key nothing: it says no versions
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	in.Status.Sealed = true
	if r := made(t, in); len(r.Destroy) != 0 || r.Vouched {
		t.Errorf("sealed: %+v", r.Destroy)
	}
}

// TestInput: what no report can be made of is said, in words.
func TestInput(t *testing.T) {
	for want, in := range map[string]report.Input{
		"Input.At is zero":            {Status: status(cloud())},
		"has no slots":                {Status: seal.Status{Sealed: true}, At: now},
		"no beginning":                {Status: status(people()), At: now, Campaigns: []report.Campaign{{Slot: "people"}}},
		"after the report":            {Status: status(people()), At: now, Campaigns: []report.Campaign{{Slot: "people", Began: ago(-1)}}},
		"before it begins":            {Status: status(people()), At: now, Campaigns: []report.Campaign{{Slot: "people", Began: ago(2), Until: ago(3)}}},
		"no such slot is held by":     {Status: status(people()), At: now, Campaigns: []report.Campaign{{Slot: "x\x1b[2J", Began: ago(2)}}},
		"slot \"cloud\", and no such": {Status: status(cloud()), At: now, Campaigns: []report.Campaign{{Slot: "cloud", Began: ago(2)}}},
	} {
		if _, err := report.New(in); !errors.Is(err, report.ErrInput) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

package report_test

import (
	"errors"
	"iter"
	"slices"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/report"
)

func event(kind seal.EventKind, days int) seal.Event {
	return seal.Event{Time: ago(days), Kind: kind, Slot: "people", Actor: "ops", Replica: "two"}
}

func failed(e seal.Event) seal.Event { e.Err = errors.New("no"); return e }

// TestEvidence: each kind of evidence is found, the newest is named, and what is of
// another slot, another store or another time is none.
func TestEvidence(t *testing.T) {
	tree := func(p *seal.SlotStatus) { // any two of: a key, three people, two others
		p.Spec = seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "azure"}, seal.Shamir{Shares: 3, Threshold: 2}, seal.Shamir{Shares: 2, Threshold: 2}}}
		p.Leaves = []seal.Leaf{{Path: "1", KMS: "azure"}, {Path: "2", Set: 2, Threshold: 2, Shares: 3}, {Path: "3", Set: 3, Threshold: 2, Shares: 2}}
		p.Sets = []uint32{2, 3}
	}
	right := func(days int, set uint32, n int) seal.Event { return share(ago(days), set, n, "", seal.ShareRight) }
	for name, tt := range map[string]struct {
		change func(*seal.SlotStatus)
		events []seal.Event
		want   []report.Evidence
		at     int // days ago, of the first
	}{
		"none":                  {},
		"the record":            {change: func(p *seal.SlotStatus) { p.Proven = ago(3) }, want: []report.Evidence{report.ByRecord}, at: 3},
		"this process":          {change: func(p *seal.SlotStatus) { p.Drilled = ago(3) }, want: []report.Evidence{report.ByDrill}, at: 3},
		"this process, in vain": {change: func(p *seal.SlotStatus) { p.Drilled, p.DrillError = ago(3), errors.New("no") }},
		"a proof":               {events: []seal.Event{event(seal.EventProve, 4)}, want: []report.Evidence{report.ByProof}, at: 4},
		"a proof in vain":       {events: []seal.Event{failed(event(seal.EventProve, 4))}},
		"a rekey":               {events: []seal.Event{event(seal.EventReplace, 4)}, want: []report.Evidence{report.ByRekey}, at: 4},
		"an unseal":             {events: []seal.Event{event(seal.EventUnseal, 4)}, want: []report.Evidence{report.ByUnseal}, at: 4},
		"an unseal in vain":     {events: []seal.Event{failed(event(seal.EventUnseal, 4))}},
		"a drill":               {events: []seal.Event{event(seal.EventDrill, 9), event(seal.EventDrill, 4)}, want: []report.Evidence{report.ByDrill}, at: 4},
		"a drill, out of order": {events: []seal.Event{event(seal.EventDrill, 4), event(seal.EventDrill, 9)}, want: []report.Evidence{report.ByDrill}, at: 4},
		"a renewal":             {events: []seal.Event{event(seal.EventRenew, 4)}, want: []report.Evidence{report.ByRenew}, at: 4},
		"shares": {events: []seal.Event{right(9, 2, 1), right(8, 2, 2), right(7, 2, 3), right(3, 2, 3)},
			want: []report.Evidence{report.ByShares}, at: 9},
		"shares, too few":            {events: []seal.Event{right(9, 2, 1), right(8, 2, 2), right(7, 2, 2)}},
		"shares of another set":      {events: []seal.Event{right(9, 1, 1), right(8, 1, 2), right(7, 1, 3)}},
		"shares that were wrong":     {events: []seal.Event{right(9, 2, 1), right(8, 2, 2), share(ago(7), 2, 3, "carla", seal.ShareAltered)}},
		"shares that were refused":   {events: []seal.Event{right(9, 2, 1), right(8, 2, 2), failed(right(7, 2, 3))}, want: []report.Evidence{report.ByShares}, at: 9},
		"shares of a tree":           {change: tree, events: []seal.Event{right(9, 2, 1), right(8, 2, 3), right(7, 3, 1), right(6, 3, 2)}, want: []report.Evidence{report.ByShares}, at: 9},
		"shares of a part of a tree": {change: tree, events: []seal.Event{right(9, 2, 1), right(8, 2, 3), right(7, 3, 1)}},
		"the newest of all": {change: func(p *seal.SlotStatus) { p.Proven = ago(3) }, events: []seal.Event{event(seal.EventProve, 9), event(seal.EventUnseal, 2), event(seal.EventDrill, 5)},
			want: []report.Evidence{report.ByUnseal, report.ByRecord, report.ByDrill, report.ByProof}, at: 2},
		"of another slot":            {events: []seal.Event{{Time: ago(4), Kind: seal.EventProve, Slot: "cloud"}, {Time: ago(4), Kind: seal.EventUnseal}}},
		"before the rekey":           {events: []seal.Event{event(seal.EventUnseal, 9), event(seal.EventReplace, 4)}, want: []report.Evidence{report.ByRekey}, at: 4},
		"before it went":             {events: []seal.Event{event(seal.EventUnseal, 9), {Time: ago(4), Kind: seal.EventDrop, Slot: "other people"}}},
		"a successor went":           {events: []seal.Event{event(seal.EventUnseal, 9), event(seal.EventAdd, 5), event(seal.EventDrop, 4)}, want: []report.Evidence{report.ByUnseal}, at: 9},
		"before it was reissued":     {events: []seal.Event{event(seal.EventProve, 9), event(seal.EventReissue, 4)}},
		"of the store before":        {events: []seal.Event{event(seal.EventProve, 9), right(9, 2, 1), right(8, 2, 2), right(7, 2, 3), {Time: ago(4), Kind: seal.EventInit}}},
		"before a restore":           {events: []seal.Event{event(seal.EventProve, 9), right(9, 2, 1), right(8, 2, 2), right(7, 2, 3), {Time: ago(4), Kind: seal.EventRestore}}},
		"after the report":           {events: []seal.Event{event(seal.EventProve, -1), right(-1, 2, 1), right(-1, 2, 2), right(-1, 2, 3)}},
		"of one that waits, by name": {change: func(p *seal.SlotStatus) { p.State = seal.SlotPending }, events: []seal.Event{event(seal.EventUnseal, 4)}},
		"of one that waits, by its shares": {change: func(p *seal.SlotStatus) { p.State = seal.SlotPending }, events: []seal.Event{right(9, 2, 1), right(8, 2, 2), failed(right(7, 2, 3))},
			want: []report.Evidence{report.ByShares}, at: 9},
	} {
		t.Run(name, func(t *testing.T) {
			p := people()
			if tt.change != nil {
				tt.change(&p)
			}
			var memory report.Memory
			for _, e := range tt.events {
				memory.Add(e)
			}
			for from, events := range map[string]iter.Seq2[seal.Event, error]{"the events": past(nil, tt.events...), "memory": memory.Events()} {
				if name == "after the report" && from == "memory" {
					continue
				}
				slot := made(t, report.Input{Status: status(p), Events: events}).Slots[0]
				var got []report.Evidence
				for _, p := range slot.Evidence {
					got = append(got, p.By)
				}
				if !slices.Equal(got, tt.want) {
					t.Fatalf("%s: %v, want %v", from, got, tt.want)
				}
				if (slot.Proven == nil) != (len(tt.want) == 0) || slot.Proven != nil && (slot.Proven.By != tt.want[0] || !slot.Proven.At.Equal(ago(tt.at))) {
					t.Errorf("%s: the last is %+v", from, slot.Proven)
				}
			}
		})
	}
}

// TestWhoBroughtIt: what is known of a proof, and of a confirmation, besides.
func TestWhoBroughtIt(t *testing.T) {
	r := made(t, report.Input{Status: status(people()), Events: past(nil, event(seal.EventProve, 9), share(ago(3), 2, 2, "ben", seal.ShareRight))})
	if p := r.Slots[0].Proven; p.Actor != "ops" || p.Replica != "two" {
		t.Errorf("%+v", p)
	}
	set := r.Slots[0].Sets[0]
	if c := set.Custodians[1]; c.Actor != "page" || c.Name != "ben" || c.Missing || !c.Confirmed.Equal(ago(3)) || set.Confirmed != 1 {
		t.Errorf("%+v", set)
	}
	if c := set.Custodians[0]; c.Name != "anna" || !c.Missing || !c.Confirmed.IsZero() {
		t.Errorf("%+v", c)
	}
}

// TestMemoryIsBounded: however many wrong shares are brought, those who confirmed
// are not forgotten.
func TestMemoryIsBounded(t *testing.T) {
	var m report.Memory
	for _, e := range quarter() {
		m.Add(e)
	}
	for i := range 6000 {
		m.Add(share(now, uint32(i), i%255, "", seal.ShareStale))
		m.Add(seal.Event{Time: now, Kind: seal.EventShare, Set: uint32(i), Verdict: seal.ShareForeign})
		m.Add(seal.Event{Time: now, Kind: "request", Slot: "x"})
	}
	n := 0
	for range m.Events() {
		n++
	}
	if n > 5000 {
		t.Errorf("%d events are kept", n)
	}
	r := made(t, report.Input{Status: status(people()), Events: m.Events()})
	if c := r.Slots[0].Sets[0].Confirmed; c != 5 {
		t.Errorf("%d are remembered", c)
	}
	if len(r.Attempts) != 50 || r.More < 500 {
		t.Errorf("%d attempts, and %d more", len(r.Attempts), r.More)
	}
}

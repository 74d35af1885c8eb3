package report_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/report"
)

// TestHostileNames: whatever names are in a record, in events and in errors, no form
// of a report moves a cursor, turns text around, or has elements that are not ours.
func TestHostileNames(t *testing.T) {
	const marker = "EVIL"
	for name, evil := range map[string]string{
		"an element": "<script>alert('" + marker + "')</script><img src=x onerror=" + marker + ">",
		"a quote":    `"><b style="` + marker + `">&amp;'`,
		"an escape":  "\x1b[2J\x1b]0;" + marker + "\x07\x9b31m\r\b\x00",
		"lines":      "a\n\nTO DO\n  nothing is overdue\n" + marker + "\u2028\u2029\v\f",
		"bidi":       "\u202e\u2066" + marker + "\u2069\u200b\u00ad\ufeff",
		"no UTF-8":   "\xff\xfe" + marker + "\xc0",
		"very long":  marker + strings.Repeat("x", 1<<16),
		"a template": "{{.}}{{template \"set\"}}" + marker,
	} {
		t.Run(name, func(t *testing.T) {
			s := status(seal.SlotStatus{
				Name: evil, Spec: seal.Shamir{Shares: 2, Threshold: 2}, State: seal.SlotState(evil), Fingerprint: evil, Sets: []uint32{2}, NeedsPin: true, DrillError: errors.New(evil),
				Leaves: []seal.Leaf{{Path: evil, Set: 2, Threshold: 2, Shares: 2, Custodians: []string{evil, evil}}},
			}, seal.SlotStatus{
				Name: "cloud", Spec: seal.KMS{Wrapper: evil}, State: seal.SlotActive, Drilled: now,
				Leaves: []seal.Leaf{{KMS: evil, Type: evil, KeyID: evil, Version: evil}},
			})
			s.Store, s.Replica, s.Reason, s.Warnings = evil, evil, errors.New(evil), []string{evil}
			s.Operation = &seal.OperationStatus{Kind: seal.OperationKind(evil), Slot: evil, Actor: evil, Began: ago(20)}
			s.Terms = append(s.Terms, seal.TermStatus{Number: 3, State: seal.TermState(evil), Created: ago(3)})
			events := []seal.Event{
				{Time: ago(3), Kind: seal.EventKind(evil), Slot: evil}, {Time: ago(3), Kind: seal.EventUnseal, Slot: evil, Actor: evil, Replica: evil},
				{Time: ago(3), Kind: seal.EventShare, Slot: evil, Set: 2, Number: 1, Custodian: evil, Actor: evil, Verdict: seal.ShareRight},
				{Time: ago(2), Kind: seal.EventShare, Slot: evil, Set: 2, Number: 1, Custodian: evil, Actor: evil, Verdict: seal.ShareAltered},
				{Time: ago(2), Kind: seal.EventShare, Slot: evil, Set: 1, Number: 1, Custodian: evil, Actor: evil, Verdict: seal.Verdict(evil)},
			}
			r := made(t, report.Input{Status: s, Events: past(errors.New(evil), events...), Title: evil, Campaigns: []report.Campaign{{Slot: evil, Began: ago(9)}}})
			for form := range forms {
				text := written(t, r, form)
				if !strings.Contains(text, marker) {
					t.Errorf("%s: it is not even there", form)
				}
				if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("%s: %q", form, text[max(0, i-20):min(len(text), i+20)])
				}
				if len(text) > 200_000 {
					t.Errorf("%s: %d bytes", form, len(text))
				}
				for _, line := range strings.Split(text, "\n") {
					if form == "txt" && line == "  nothing is overdue" {
						t.Error("a name forges a line")
					}
				}
				if form == "json" && !json.Valid([]byte(text)) {
					t.Error("no JSON")
				}
			}
			page := written(t, r, "html")
			for _, bad := range []string{"<script", "<img", "<b ", "onerror=" + marker + ">", `style="` + marker} {
				if strings.Contains(page, bad) {
					t.Errorf("the page has %s", bad)
				}
			}
		})
	}
}

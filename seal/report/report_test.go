package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/report"
)

var update = flag.Bool("update", false, "rewrite the goldens")

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func ago(days int) time.Time { return now.Add(-time.Duration(days) * day) }

// past is events, and then an error if there is one.
func past(err error, events ...seal.Event) iter.Seq2[seal.Event, error] {
	return func(yield func(seal.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(seal.Event{}, err)
		}
	}
}

func share(at time.Time, set uint32, n int, name string, v seal.Verdict) seal.Event {
	return seal.Event{Time: at, Kind: seal.EventShare, Slot: "people", Set: set, Number: n, Custodian: name, Verdict: v, Actor: "page"}
}

// people is a slot of five, three of whom open.
func people() seal.SlotStatus {
	return seal.SlotStatus{
		Name: "people", Spec: seal.Shamir{Shares: 5, Threshold: 3}, State: seal.SlotActive, Fingerprint: strings.Repeat("ab", 12), Sets: []uint32{2},
		Leaves: []seal.Leaf{{Set: 2, Threshold: 3, Shares: 5, Custodians: []string{"anna", "ben", "carla", "dora", "emil"}}},
	}
}

func cloud() seal.SlotStatus {
	return seal.SlotStatus{
		Name: "cloud", Spec: seal.KMS{Wrapper: "azure"}, State: seal.SlotActive, Fingerprint: strings.Repeat("cd", 12),
		Leaves: []seal.Leaf{{KMS: "azure", Type: "azurekeyvault", KeyID: "https://vault.example/keys/seal", Version: "f00d"}},
		Proven: ago(30), Drilled: now.Add(-time.Hour),
	}
}

// status is a store without a fault.
func status(slots ...seal.SlotStatus) seal.Status {
	return seal.Status{
		Replica: "one", Store: strings.Repeat("0f", 16), Generation: 7, Slots: slots,
		Terms: []seal.TermStatus{{Number: 1, State: seal.TermOld, Created: ago(500)}, {Number: 2, State: seal.TermActive, Created: ago(100)}},
	}
}

// quarter is a custody drill in which all confirmed, after years of others.
func quarter() []seal.Event {
	list := []seal.Event{{Time: ago(500), Kind: seal.EventInit, Actor: "ops"}}
	for i, name := range []string{"anna", "ben", "carla", "dora", "emil"} {
		list = append(list, share(ago(20-i), 2, i+1, name, seal.ShareRight))
	}
	return list
}

func made(t *testing.T, in report.Input) *report.Report {
	t.Helper()
	if in.At.IsZero() {
		in.At = now
	}
	r, err := report.New(in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var forms = map[string]func(*report.Report, io.Writer) error{
	"txt": (*report.Report).WriteText, "json": (*report.Report).WriteJSON, "html": (*report.Report).WriteHTML,
}

func written(t *testing.T, r *report.Report, form string) string {
	t.Helper()
	var b bytes.Buffer
	if err := forms[form](r, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// eventful is a store of which there is much to say.
func eventful() report.Input {
	p := people()
	p.Proven = ago(200)
	next := seal.SlotStatus{
		Name: "people", Spec: seal.Shamir{Shares: 2, Threshold: 2}, State: seal.SlotPending, Fingerprint: strings.Repeat("12", 12), Sets: []uint32{3},
		Leaves: []seal.Leaf{{Set: 3, Threshold: 2, Shares: 2}},
	}
	both := seal.SlotStatus{
		Name: "both", Spec: seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "aws"}, seal.Shamir{Shares: 2, Threshold: 2}}}, State: seal.SlotInitial,
		Fingerprint: strings.Repeat("34", 12), Sets: []uint32{4},
		Leaves: []seal.Leaf{{Path: "1", KMS: "aws", Type: "awskms", KeyID: "arn:aws:kms:eu-west-1:111122223333:key/1234abcd"},
			{Path: "2", Set: 4, Threshold: 2, Shares: 2, Custodians: []string{"fay", "gus"}}},
	}
	c := cloud()
	c.DrillError, c.Drilled = &kms.Error{Op: "unwrap", Type: "azurekeyvault", KeyID: "seal", Kind: kms.ErrKeyDisabled}, now.Add(-time.Hour)
	s := status(c, p, next, both)
	s.Former = []uint32{1}
	s.Warnings = []string{`slot "cloud" does not open the store now: do not restart`, "the anchor is behind"}
	s.Operation = &seal.OperationStatus{ID: "x", Kind: "prove", Slot: "both", Actor: "ops", Began: ago(9)}
	old := share(ago(300), 1, 2, "ben", seal.ShareRight)
	events := append([]seal.Event{
		{Time: ago(500), Kind: seal.EventInit, Actor: "ops"}, old,
		{Time: ago(200), Kind: seal.EventReplace, Slot: "people", Actor: "ops", Replica: "one"},
		{Time: ago(150), Kind: seal.EventUnseal, Slot: "people", Actor: "page", Replica: "two"},
		{Time: ago(40), Kind: seal.EventAdd, Slot: "people"},
		{Time: ago(31), Kind: seal.EventDrill, Slot: "cloud", Replica: "two"},
		{Time: ago(30), Kind: seal.EventDrill, Slot: "cloud", Err: errors.New("disabled")},
	}, share(ago(150), 2, 5, "emil", seal.ShareRight), share(ago(9), 2, 1, "anna", seal.ShareRight), share(ago(8), 2, 3, "carla", seal.ShareRight),
		share(ago(7), 2, 4, "dora", seal.ShareRight), share(ago(6), 2, 4, "dora", seal.ShareAltered),
		seal.Event{Time: ago(5), Kind: seal.EventShare, Set: 1, Number: 2, Verdict: seal.ShareStale, Actor: "page"},
		seal.Event{Time: ago(4), Kind: seal.EventShare, Set: 1, Number: 1, Verdict: seal.ShareForeign, Actor: "page"})
	return report.Input{Status: s, Events: past(nil, events...), At: now, Title: "payments, production", Unused: []uint32{1, 2},
		Campaigns: []report.Campaign{{Slot: "people", Began: ago(10), Until: ago(1)}}}
}

// TestGolden: the whole of a report in each of its forms, word for word.
func TestGolden(t *testing.T) {
	sealed := eventful()
	sealed.Status.Sealed, sealed.Status.Reason, sealed.Status.Warnings, sealed.Status.Terms = true, errors.New("seal: sealed: waiting for people"), nil, nil
	for name, in := range map[string]report.Input{
		"eventful": eventful(), "sealed": sealed,
		"well": {Status: status(cloud(), people()), Events: past(nil, quarter()...), At: now},
	} {
		r := made(t, in)
		for form := range forms {
			file := filepath.Join("testdata", name+"."+form)
			got := written(t, r, form)
			if again := written(t, made(t, in), form); again != got {
				t.Errorf("%s: not the same twice", file)
			}
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s: if that is meant, go test ./seal/report -update (-want +got)\n%s", file, diff)
			}
		}
	}
}

// TestJSONReads: what is written reads back as the same.
func TestJSONReads(t *testing.T) {
	r := made(t, eventful())
	var back report.Report
	if err := json.Unmarshal([]byte(written(t, r, "json")), &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, &back); diff != "" {
		t.Error(diff)
	}
}

func kinds(items []report.Item) (out []report.Kind) {
	for _, i := range items {
		out = append(out, i.Kind)
	}
	return slices.Compact(out)
}

// TestNothingIsOverdue: of a store that is well, nothing is to be done.
func TestNothingIsOverdue(t *testing.T) {
	if got := made(t, report.Input{Status: status(cloud(), people()), Events: past(nil, quarter()...)}).Overdue; len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

package report_test

import (
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/report"
)

// TestMerge: the events of several replicas come by their times, and what one of them
// cannot read is told, and stops no other.
func TestMerge(t *testing.T) {
	at := func(days ...int) iter.Seq2[seal.Event, error] {
		var list []seal.Event
		for _, d := range days {
			list = append(list, seal.Event{Time: ago(d), Detail: fmt.Sprint(d)})
		}
		return past(nil, list...)
	}
	bad := past(errors.New("bad"), seal.Event{Time: ago(6), Detail: "6"})
	for want, sources := range map[string][]iter.Seq2[seal.Event, error]{
		"":              {nil, at()},
		"9 8 7 5 4 1":   {at(8, 5, 1), nil, at(9, 7, 4), at()},
		"9 6 bad 5 4":   {at(9, 5), bad, at(4)},
		"6 bad 6 bad 5": {bad, at(5), bad},
	} {
		var got []string
		for e, err := range report.Merge(sources...) {
			if err != nil {
				e.Detail = err.Error()
			}
			got = append(got, e.Detail)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%q, want %q", text, want)
		}
		for range report.Merge(sources...) {
			break // whoever stops early leaves nothing behind
		}
	}
	// One replica restored a record; another had asked the custodians before, and a
	// third afterwards.
	r := made(t, report.Input{Status: status(people()), Events: report.Merge(
		past(nil, seal.Event{Time: ago(5), Kind: seal.EventRestore}),
		past(nil, share(ago(9), 2, 1, "anna", seal.ShareRight), share(ago(4), 2, 2, "ben", seal.ShareRight)),
		past(nil, share(ago(8), 2, 3, "carla", seal.ShareRight), share(ago(3), 2, 4, "dora", seal.ShareRight)),
	)})
	if set := r.Slots[0].Sets[0]; set.Confirmed != 2 || set.Custodians[0].Missing == set.Custodians[1].Missing {
		t.Errorf("%+v", set)
	}
}

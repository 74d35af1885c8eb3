package seal

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

func TestSkew(t *testing.T) {
	at := func(replica string, at int64) record.Entry { return record.Entry{Replica: replica, At: at} }
	const now = 1_800_000_000
	for name, tc := range map[string]struct {
		journal []record.Entry
		want    string // "" for none
	}{
		"no journal":        {nil, ""},
		"in the past":       {[]record.Entry{at("a", now-5000), at("b", 0), at("a", -1<<62)}, ""},
		"within tolerance":  {[]record.Entry{at("a", now+120)}, ""},
		"ahead":             {[]record.Entry{at("a", now), at("b", now+121), at("a", now)}, `"b" was at 2027-01-15T08:02:01Z with its last change, where this one is at 2027-01-15T08:00:00Z`},
		"the worst of two":  {[]record.Entry{at("b", now+800), at("c", now+900), at("d", now+700)}, `"c"`},
		"two alike":         {[]record.Entry{at("c", now+800), at("b", now+800)}, `"b"`},
		"set since":         {[]record.Entry{at("b", now+9000), at("b", now)}, ""},
		"its own, set back": {[]record.Entry{at("self", now+9000)}, ""},
		"far":               {[]record.Entry{at("b", 1<<62)}, `"b"`},
	} {
		got := skew(tc.journal, now, "self")
		if !strings.Contains(got, tc.want) || (got == "") != (tc.want == "") {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// TestSkewInStatus: the replica whose clock is behind is told.
func TestSkewInStatus(t *testing.T) {
	b := &Barrier{cfg: Config{Replica: "self"}, ledger: ledger.New(ledger.Config{})}
	o := &ledger.Opened{}
	o.State.Journal = []record.Entry{{Replica: "fast", At: now() + 1000}}
	b.open = func() *ledger.Opened { return o }
	if w := b.Status().Warnings; len(w) != 1 || !strings.Contains(w[0], `replica "fast"`) {
		t.Errorf("warnings %q", w)
	}
}

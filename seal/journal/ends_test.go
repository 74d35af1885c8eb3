package journal_test

import (
	"os"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal/journal"
)

// A process is said to have crashed when the next one finds that it has not ended,
// and not while it may still be writing.
func TestWhoWritesNowHasNotCrashed(t *testing.T) {
	text, err := os.ReadFile(golden)
	must(t, err)
	lines := strings.SplitAfter(string(text), "\n")
	a := map[string]string{"open": lines[0], "share": lines[2], "lost": lines[5], "close": lines[6]}
	a["reopen"] = strings.Replace(lines[0], string(journal.KindOpen), string(journal.KindReopen), 1)
	for kinds, want := range map[string]struct {
		crashed uint64
		unended bool
	}{
		"":                                   {0, false},
		"open":                               {0, true},
		"open share close":                   {0, false},
		"open share close open share":        {0, true},
		"open share open":                    {1, true},
		"open open open close":               {2, false},
		"open close open share open close":   {1, false},
		"open share reopen share close":      {0, false},
		"open reopen open lost":              {1, true},
		"share close open close":             {0, false}, // its beginning is in the archive
		"share open":                         {1, true},
		"close open":                         {0, true},
		"lost":                               {0, true},
		"open share close share":             {0, true}, // of two at once, by mistake
		"open close open close reopen close": {0, false},
	} {
		var all []string
		for kind := range strings.FieldsSeq(kinds) {
			all = append(all, a[kind])
		}
		r, err := journal.Verify(t.Context(), journal.Bytes(journal.Rechain(all...)))
		if err != nil || r.Crashed != want.crashed || r.Unended != want.unended {
			t.Errorf("%s: %d crashed, unended %v, %v, want %d, %v", kinds, r.Crashed, r.Unended, err, want.crashed, want.unended)
		}
	}
}

// While a journal is written to, and after its end.
func TestALiveJournalHasNoCrash(t *testing.T) {
	place := inDir(t)
	j := open(t, journal.Config{Place: place})
	for n, want := range []bool{true, false} {
		j.Event(event(n))
		if !want {
			must(t, j.Close())
		}
		if r, err := journal.Verify(t.Context(), place); err != nil || r.Crashed != 0 || r.Unended != want {
			t.Errorf("%+v, %v", r, err)
		}
	}
	// Torn bytes at the end do not begin it again.
	must(t, appendText(place.Path, `{"v":1,"chain":"AB`))
	if r, err := journal.Verify(t.Context(), place); err != nil || r.Unended || r.Tail == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestAProcessThatHadNothingToSayHasNotCrashed: a server that was ended before its first
// event wrote that it began, and not that it ended.
func TestAProcessThatHadNothingToSayHasNotCrashed(t *testing.T) {
	place := inDir(t)
	const runs = 3
	for range runs {
		j, err := journal.Open(journal.Config{Place: place, Name: "a"})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := journal.Verify(t.Context(), place)
	if err != nil || r.Opened != runs || r.Closed != runs || r.Crashed != 0 || r.Unended {
		t.Errorf("%+v, %v; want %d runs, each ended in order", r, err, runs)
	}
}

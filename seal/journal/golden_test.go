package journal_test

import (
	"bytes"
	"crypto/fips140"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

var update = flag.Bool("update", false, "write testdata/journal-1 anew; never after a release")

const golden = "testdata/journal-1"

// tell has a journal written with a line of each kind that a whole one has: two
// processes, the first of which is killed in the middle of a line, and a disk that
// is full for a time.
func tell(t *testing.T, place journal.File) journal.Head {
	t.Helper()
	var full fault
	gate := journal.Gate{File: place, Before: full.ask}
	first, err := journal.Open(journal.Config{Place: gate, Name: "server-1", Keep: 2})
	must(t, err)
	first.Event(seal.Event{Time: time.Now(), Kind: seal.EventInit, Replica: "server-1", Actor: "alice", Generation: 1, Detail: "people"})
	first.Event(seal.Event{Time: time.Now(), Kind: seal.EventShare, Replica: "server-1", Actor: "Zoë", Operation: "OP", Slot: "people", Err: errors.New("wrong share:\n\"1\"")})
	full.set(errFull)
	for n := range 5 {
		first.Event(event(n))
	}
	full.set(nil)
	must(t, first.Flush(t.Context()))
	must(t, first.Close())
	text := content(t, place)
	must(t, os.WriteFile(place.Path, append(text, `{"v":1,"chain":"AB`...), 0o600))
	second, err := journal.Open(journal.Config{Place: place, Name: "server-1"})
	must(t, err)
	second.Event(seal.Event{Time: time.Now().Add(-time.Hour), Kind: seal.EventUnseal, Replica: "server-1", KMS: "cloud", Generation: 1, Detail: "by KMS"})
	must(t, second.Close())
	return second.Status().Head
}

// The golden is what is written today, byte for byte, and what it says.
func TestGolden(t *testing.T) {
	want, err := os.ReadFile(golden)
	if err != nil && !*update {
		t.Fatal(err)
	}
	if !fips140.Enabled() {
		synctest.Test(t, func(t *testing.T) { // at a time that is always the same
			cryptotest.SetGlobalRandom(t, 14)
			place := inDir(t)
			head := tell(t, place)
			got := content(t, place)
			if *update {
				must(t, os.MkdirAll("testdata", 0o755))
				must(t, os.WriteFile(golden, got, 0o644))
				must(t, os.WriteFile(golden+".head", []byte(head.String()+"\n"), 0o644))
				want = got
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
				t.Errorf("written (-want +got):\n%s", diff)
			}
		})
	}
	head := goldenHead(t)
	kinds, events, err := read(journal.File{Path: golden}, head)
	if want := "journal-open init share share share journal-lost journal-close journal-torn journal-open unseal journal-close"; err != nil || kinds != want {
		t.Errorf("read %q, %v, want %q", kinds, err, want)
	}
	if e := events[2]; e.Actor != "Zoë" || e.Err.Error() != "wrong share:\n\"1\"" {
		t.Errorf("the share is %+v", e)
	}
	if e := events[5]; e.Detail != "3 events were lost from 2026-11-30T12:00:02.000000000Z to 2026-11-30T12:00:04.000000000Z" {
		t.Errorf("the loss is %+v", e)
	}
	result, err := journal.Verify(t.Context(), journal.File{Path: golden}, head)
	must(t, err)
	if result.Lines != 11 || result.Torn != 1 || result.Lost != 3 || result.Opened != 2 || result.Closed != 2 || result.Tail != 0 {
		t.Errorf("result %+v", result)
	}
	t.Logf("GUARANTEE 10 golden-journal: files=1 versions=1 lines=%d", result.Lines)
}

// goldenHead is the head that the golden has for ever.
func goldenHead(t testing.TB) journal.Head {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "journal-1.head"))
	must(t, err)
	head, err := journal.ParseHead(string(text))
	must(t, err)
	return head
}

// Whatever is done to a journal, up to the line of a head, is noticed by who has that
// head: every byte changed, the file cut at every byte, each line taken out, doubled,
// put elsewhere, made of another journal. The head is that of each line, for what is
// done to whole lines, and all of them at once; for a byte, that of its line and the
// last.
func TestTampered(t *testing.T) {
	text, err := os.ReadFile(golden)
	must(t, err)
	heads, ends := headsOf(t, text)
	tampered, noticed, unseen := 0, 0, 0
	check := func(what string, changed []byte, heads ...journal.Head) {
		t.Helper()
		tampered++
		_, err := journal.Verify(t.Context(), journal.Bytes(changed), heads...)
		if fault, ok := errors.AsType[*journal.Fault](err); ok && fault.Words != "" {
			noticed++
		} else {
			t.Errorf("%s, and with heads %v: %v", what, heads, err)
		}
	}
	try := func(what string, changed []byte) {
		t.Helper()
		if bytes.Equal(changed, text) {
			return
		}
		first := slices.IndexFunc(ends, func(end int) bool { return !bytes.HasPrefix(changed, text[:end]) })
		if first < 0 {
			return // it is after them all
		}
		last := len(heads) - 1
		if strings.Contains(what, "line") {
			for _, head := range heads[first:] {
				check(what, changed, head)
			}
			check(what, changed, heads...)
		} else if check(what, changed, heads[last]); first < last {
			check(what, changed, heads[first])
		}
		if what == "a byte changed" {
			return
		}
		if _, err := journal.Verify(t.Context(), journal.Bytes(changed)); err == nil {
			unseen++
		}
	}
	every := 1
	if !testlevel.Whole() {
		every = 11
	}
	if testing.Short() {
		every = 41
	}
	for i := 0; i < len(text); i += every {
		for _, flip := range []byte{0x01, 0x80} {
			changed := bytes.Clone(text)
			changed[i] ^= flip
			try("a byte changed", changed)
		}
		try("cut", text[:i])
		try("a byte taken out", append(bytes.Clone(text[:i]), text[i+1:]...))
		try("a byte put in", append(append(bytes.Clone(text[:i]), '1'), text[i:]...))
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for i := range lines {
		without := append(append([][]byte{}, lines[:i]...), lines[i+1:]...)
		try("a line taken out", bytes.Join(without, nil))
		for k := range without {
			if testing.Short() && (i+k)%3 != 0 {
				continue
			}
			moved := append(append(append([][]byte{}, without[:k]...), lines[i]), without[k:]...)
			try("a line moved", bytes.Join(moved, nil))
			doubled := append(append(append([][]byte{}, lines[:k]...), lines[i]), lines[k:]...)
			try("a line doubled", bytes.Join(doubled, nil))
		}
	}
	for _, other := range others(t) {
		theirs := bytes.SplitAfter(other, []byte("\n"))
		try("lines of another journal alone", other)
		for i := range min(len(lines), len(theirs)) - 1 {
			spliced := append(append(append([][]byte{}, lines[:i]...), theirs[i]), lines[i+1:]...)
			try("a line of another journal", bytes.Join(spliced, nil))
			try("the lines at the end of another journal", bytes.Join(append(append([][]byte{}, lines[:i]...), theirs[i:]...), nil))
		}
	}
	cuts, cutsNoticed := cutAnywhere(t, text, heads, ends)
	if unseen == 0 || unseen == tampered {
		t.Errorf("%d of %d were not seen without a head", unseen, tampered)
	}
	if testlevel.Whole() && !testing.Short() {
		t.Logf("GUARANTEE 25 journal: tampered=%d noticed=%d; without a head %d would not be; runs of lines cut out=%d noticed=%d", tampered, noticed, unseen, cuts, cutsNoticed)
	}
}

// others returns journals of the same story: one of another chain, and one that
// somebody has written anew with the name of this chain.
func others(t *testing.T) [][]byte {
	place := inDir(t)
	tell(t, place)
	other := content(t, place)
	chain := string(other[len(`{"v":1,"chain":"`):][:26])
	return [][]byte{other, bytes.ReplaceAll(other, []byte(chain), []byte(goldenHead(t).Chain))}
}

// A fault says what and where.
func TestFaults(t *testing.T) {
	text, err := os.ReadFile(golden)
	must(t, err)
	head := goldenHead(t)
	lines := strings.SplitAfter(string(text), "\n")
	join := func(lines ...string) string { return strings.Join(lines, "") }
	other := strings.SplitAfter(string(others(t)[0]), "\n")
	old := head
	old.Seq, old.Chain = 5, other[0][len(`{"v":1,"chain":"`):][:26]
	edited := head
	edited.Hash[0]++
	for name, c := range map[string]struct {
		text  string
		heads []journal.Head
		is    error
		seq   uint64
		words string
	}{
		"edited":         {strings.Replace(string(text), "alice", "alicf", 1), nil, journal.ErrEdited, 2, "line 2 (seq 2): a line is not the one that was written: line 3 names another one"},
		"taken out":      {join(lines[0], lines[2]), nil, journal.ErrGap, 3, "line 2 (seq 3): lines are missing: seq 2 to 2"},
		"moved":          {join(lines[0], lines[1], lines[0]), nil, journal.ErrOrder, 1, "it stands after seq 2"},
		"of another":     {join(lines[0], other[1]), nil, journal.ErrForeign, 2, "of chain"},
		"first gone":     {join(lines[1]), nil, journal.ErrGap, 2, "give the files or rows before"},
		"no line":        {join(lines[0], "hello\n", lines[1]), nil, journal.ErrDamaged, 0, "line 2: there are bytes that are no line: 6 bytes, which no line"},
		"no line at end": {join(lines[0], "hello\n"), nil, journal.ErrDamaged, 0, "line 2"},
		"endless line":   {lines[0] + strings.Repeat("x", 200_000), nil, journal.ErrDamaged, 0, "200000 bytes"},
		"torn, unseen":   {join(lines[0], lines[1], strings.Replace(lines[7], lines[7], "", 1), lines[2]), []journal.Head{head}, journal.ErrCut, head.Seq, "the last line is seq 3, and a head given is of seq 11"},
		"newer":          {strings.Replace(lines[0], `"v":1`, `"v":2`, 1), nil, journal.ErrVersion, 0, "newer release"},
		"empty":          {"", []journal.Head{head}, journal.ErrCut, head.Seq, "there is no line at all"},
		"replaced":       {string(text), []journal.Head{head, old}, journal.ErrForeign, 0, "was the journal replaced?"},
		"head differs":   {string(text), []journal.Head{edited}, journal.ErrEdited, head.Seq, "its head is not the one given"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := journal.Verify(t.Context(), journal.Bytes(c.text), c.heads...)
			wantFault(t, err, c.is, c.seq, c.words)
		})
	}
	if _, err := journal.Verify(t.Context(), journal.File{Path: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

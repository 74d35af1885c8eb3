package journal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

// Whatever an event says comes back, bounded.
func TestEventsComeBack(t *testing.T) {
	place := inDir(t)
	j := open(t, journal.Config{Place: place})
	zone := time.FixedZone("east", 9*60*60)
	events := []seal.Event{
		{},
		{
			Time: time.Date(2026, 1, 2, 3, 4, 5, 678, zone), Kind: seal.EventUnseal, Replica: "r-1", Actor: "José \"J\" \\ 管理者 😀", Operation: "OP",
			Slot: "people", Set: 1<<32 - 1, Number: 255, Custodian: "José", Verdict: seal.ShareAltered, KMS: "aws,azure", Generation: 1<<64 - 1, Detail: "two\nlines\t\x00\x1b[2J\u202e", Err: errors.New("kms: denied: \u2028 \x7f"),
		},
		{Time: time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC), Kind: "of a later release", Err: errors.New("")},
	}
	full := reflect.ValueOf(events[1])
	for i := range full.NumField() {
		if full.Field(i).IsZero() {
			t.Errorf("nobody looks whether %s comes back", full.Type().Field(i).Name)
		}
	}
	for _, e := range events {
		j.Event(e)
	}
	must(t, j.Close())
	_, got, err := read(place)
	must(t, err)
	events[1].Time = events[1].Time.UTC()
	events[2].Time = time.Time{}
	sameText := cmp.Comparer(func(a, b error) bool { return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error()) })
	if diff := cmp.Diff(events, got[1:len(got)-1], sameText); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	for _, c := range content(t, place) {
		if c != '\n' && (c < 0x20 || c > 0x7e) {
			t.Fatalf("the file holds the byte %#x", c)
		}
	}
}

func TestTextsAreBounded(t *testing.T) {
	place := inDir(t)
	j := open(t, journal.Config{Place: place, Name: strings.Repeat("n", 1000)})
	long := strings.Repeat("\x00", 1<<20)
	j.Event(seal.Event{
		Kind: seal.EventKind(long), Replica: long, Actor: strings.Repeat("é", 1<<20), Operation: seal.OperationID(long), Slot: long, KMS: long,
		Set: 1<<32 - 1, Number: 1<<31 - 1, Custodian: long, Verdict: seal.Verdict(long),
		Detail: long, Err: errors.New(long), Generation: 1<<64 - 1,
	})
	j.Event(seal.Event{Kind: "journal-lost", Detail: "\xff\xfe", Err: errors.New("a\xe2\x82")})
	must(t, j.Close())
	for line := range bytes.Lines(content(t, place)) {
		if len(line) > journal.MaxLine {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	kinds, events, err := read(place)
	must(t, err)
	if e := events[1]; len(e.Detail) != 4<<10+len("…") || len(e.Actor) != 256+len("…") || !strings.HasSuffix(e.Actor, "é…") {
		t.Errorf("detail of %d bytes, actor %d %q", len(e.Detail), len(e.Actor), e.Actor[250:])
	}
	if e := events[2]; e.Kind != "host-journal-lost" || e.Detail != "\uFFFD" || e.Err.Error() != "a\uFFFD" {
		t.Errorf("%s: event %+v", kinds, e)
	}
}

func TestRefusedConfigurations(t *testing.T) {
	for name, cfg := range map[string]journal.Config{
		"no place":      {},
		"no name":       {Place: journal.File{}},
		"a directory":   {Place: journal.File{Path: "journal/"}},
		"half a head":   {Place: journal.File{Path: "journal", After: journal.Head{Seq: 7}}},
		"negative wait": {Place: journal.File{Path: "journal"}, Wait: -1},
	} {
		if _, err := journal.Open(cfg); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "journal: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// A journal goes on over restarts, in one chain.
func TestRestarts(t *testing.T) {
	place := inDir(t)
	var head journal.Head
	for n := range 3 {
		j := open(t, journal.Config{Place: place, Name: "a"})
		j.Event(event(n))
		must(t, j.Close())
		head = j.Status().Head
		if err := j.Close(); !errors.Is(err, journal.ErrClosed) {
			t.Errorf("closed twice: %v", err)
		}
		j.Event(event(9))
		if s := j.Status(); s.Lost != 1 {
			t.Errorf("an event after Close: %+v", s)
		}
	}
	kinds, _, err := read(place, head)
	if want := strings.TrimSpace(strings.Repeat("journal-open share journal-close ", 3)); err != nil || kinds != want {
		t.Errorf("read %q, %v, want %q", kinds, err, want)
	}
	got, err := journal.Verify(t.Context(), place, head)
	must(t, err)
	if got.Lines != 9 || got.Opened != 3 || got.Closed != 3 || got.Last != head || got.First.Seq != 1 || got.Backwards == 0 {
		t.Errorf("result %+v", got)
	}
	if info, err := os.Stat(place.Path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestTwoProcesses(t *testing.T) {
	place := inDir(t)
	first := open(t, journal.Config{Place: place})
	must(t, first.Flush(t.Context()))
	second := open(t, journal.Config{Place: place})
	if err := second.Flush(t.Context()); !errors.Is(err, journal.ErrInUse) || !strings.Contains(err.Error(), "give each process its own") {
		t.Errorf("the second: %v", err)
	}
	second.Event(event(1)) // it waits for the first to end
	if s := second.Status(); s.Waiting != 1 || !errors.Is(s.Err, journal.ErrInUse) {
		t.Errorf("status %+v", s)
	}
	must(t, first.Close())
	must(t, second.Flush(t.Context()))
	if kinds, _, err := read(place); err != nil || kinds != "journal-open journal-close journal-open share" {
		t.Errorf("read %q, %v", kinds, err)
	}
}

func TestRotation(t *testing.T) {
	place := inDir(t)
	j := open(t, journal.Config{Place: place, MaxSize: 2000})
	for n := range 30 {
		j.Event(event(n))
	}
	must(t, j.Rotate(t.Context()))
	must(t, j.Close())
	files, err := filepath.Glob(place.Path + ".0*")
	must(t, err)
	if len(files) < 4 {
		t.Fatalf("files %q", files)
	}
	for _, name := range files {
		if info, err := os.Stat(name); err != nil || info.Size() > 3000 {
			t.Errorf("%s: %v, %v", name, info.Size(), err)
		}
	}
	head := j.Status().Head
	result, err := journal.Verify(t.Context(), place, head)
	must(t, err)
	if result.Lines != uint64(32+len(files)) {
		t.Errorf("%d lines in %d files", result.Lines, len(files)+1)
	}
	if text := content(t, place); !bytes.Contains(text, []byte(`"kind":"journal-continue"`)) {
		t.Errorf("the new file is %s", text)
	}

	// A file that is gone is missed, unless it was archived.
	archive, err := journal.Verify(t.Context(), journal.File{Path: files[0]})
	must(t, err)
	old := archive.Last
	must(t, os.Remove(files[0]))
	_, err = journal.Verify(t.Context(), place, head)
	wantFault(t, err, journal.ErrGap, result.First.Seq+firstSeq(t, files[1])-1, "give the files or rows before")
	rest := journal.File{Path: place.Path, After: old}
	if r, err := journal.Verify(t.Context(), rest, head); err != nil || r.First.Seq != old.Seq+1 {
		t.Errorf("from %v: %+v, %v", old, r, err)
	}
	must(t, os.Remove(files[2]))
	_, err = journal.Verify(t.Context(), rest, head)
	wantFault(t, err, journal.ErrGap, firstSeq(t, files[3]), "should be before it")

	// One that goes on from the files before it, where a crash came in between.
	must(t, os.Rename(place.Path, place.Path+".999999999999"))
	j = open(t, journal.Config{Place: place})
	must(t, j.Flush(t.Context()))
	if h := j.Status().Head; h.Chain != head.Chain || h.Seq != head.Seq+1 {
		t.Errorf("after %v comes %v", head, h)
	}
}

func firstSeq(t *testing.T, name string) uint64 {
	t.Helper()
	for _, err := range journal.Read(t.Context(), journal.File{Path: name}) {
		if fault, ok := errors.AsType[*journal.Fault](err); ok {
			return fault.Seq
		}
		break
	}
	t.Fatalf("%s begins a journal", name)
	return 0
}

func TestNotRotated(t *testing.T) {
	place := inDir(t)
	j := open(t, journal.Config{Place: place})
	must(t, j.Flush(t.Context()))
	must(t, os.WriteFile(place.Path+".000000000002", nil, 0o600))
	j.Event(event(1))
	if err := j.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("rotate: %v", err)
	}
	j.Event(event(2))
	if s := j.Status(); s.Err != nil || s.Rotation == nil || s.Head.Seq != 3 {
		t.Errorf("status %+v", s)
	}
}

func TestHeads(t *testing.T) {
	j := open(t, journal.Config{Place: inDir(t)})
	must(t, j.Flush(t.Context()))
	head := j.Status().Head
	if got, err := journal.ParseHead(head.String() + "\n"); err != nil || got != head {
		t.Errorf("%v, %v, want %v", got, err, head)
	}
	text := head.String()
	for _, bad := range []string{"", text[1:], text[:len(text)-1], strings.ToUpper(text), strings.Replace(text, " 1 ", " 2 ", 1), strings.Replace(text, head.Chain+" 1", head.Chain+" 01", 1), strings.Replace(text, head.Chain+" 1", head.Chain+" 0", 1)} {
		if _, err := journal.ParseHead(bad); !errors.Is(err, journal.ErrHead) {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

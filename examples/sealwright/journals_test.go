package main_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

// A report has what stands in each replica's journal, and not in the last one named.
func TestAReportOfSeveralJournals(t *testing.T) {
	w := newWorld(t, seal.NewMemStore(), false, nil)
	at := w.write(t, "bare", string(recordOf(t, w.store)))
	var args, heads []string
	for i, name := range []string{"web-0", "web-1"} {
		path := filepath.Join(w.dir, name)
		j, err := journal.Open(journal.Config{Place: journal.File{Path: path}, Name: name})
		if err != nil {
			t.Fatal(err)
		}
		b, err := seal.Open(seal.Config{Store: w.store, Drill: -1, OnEvent: j.Event})
		if err != nil {
			t.Fatal(err)
		}
		share, err := seal.ParseShare(w.shares[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Admin().CheckShare(t.Context(), share, seal.By{Actor: "desk-of-" + name}); err != nil {
			t.Fatal(err)
		}
		b.Close()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		args, heads = append(args, "--journal", path), append(heads, j.Status().Head.String())
	}
	report := slices.Clip(append([]string{"report", "--store", at}, args...))
	run(t, "", report...).want(t, 0, "1 alice: confirmed", "2 bob: confirmed", "From 6 events")
	custodyDrill(t, report)
	run(t, "", append(report, args[:2]...)...).want(t, 1, "are the same, or hold the same lines")
	same := w.write(t, "copy", string(fileContent(t, args[1])))
	run(t, "", append(report, "--journal", same)...).want(t, 1, "are the same, or hold the same lines")
	run(t, "", append([]string{"report", "--store", at, "--head", heads[1]}, args[2:]...)...).want(t, 0, "1 alice: never confirmed", "2 bob: confirmed")
	run(t, "", "report", "--store", at, "--head", heads[1]).want(t, 1, "name it by --journal FILE")

	// Each head is of the journal that it names, and none is passed over.
	vouched := slices.Clip(append(report, "--head", heads[1], "--head", heads[0]))
	run(t, "", vouched...).want(t, 0, "1 alice: confirmed", "2 bob: confirmed")
	text := string(fileContent(t, args[1]))
	lines := strings.SplitAfter(text, "\n")
	for what, spoilt := range map[string]string{
		"cut":      strings.Join(lines[:2], ""),
		"replaced": string(fileContent(t, args[3])),
		"edited":   strings.Replace(text, "alice", "mallo", 1),
		"begun":    strings.Join(lines[1:], ""),
	} {
		w.write(t, "web-0", spoilt)
		if r := run(t, "", vouched...); r.code != 1 {
			t.Errorf("%s: %+v", what, r)
		}
	}

	// The archive of one beside the rest, and the rest without it.
	rest := w.write(t, "web-0", strings.Join(lines[1:], ""))
	archive := w.write(t, "archive", lines[0])
	r := run(t, "", "journal", "verify", archive, "--json")
	var last struct{ Head string }
	r.decode(t, &last)
	run(t, "", report...).want(t, 1, "where you archived them, say so")
	run(t, "", append(vouched, "--archived-up-to", last.Head)...).want(t, 0, "From 5 events")
	run(t, "", append(vouched, "--archived-up-to", last.Head, "--journal", archive)...).want(t, 0, "From 6 events")
	run(t, "", append(vouched, "--archived-up-to", last.Head, "--head", last.Head)...).want(t, 1, "none of these journals has that line")
	run(t, "", append(vouched, "--archived-up-to", last.Head, "--head", last.Head, "--journal", archive)...).want(t, 0, "From 6 events")
	run(t, "", append(report, "--archived-up-to", heads[1])...).want(t, 1, rest)
	w.write(t, "web-0", text)
	run(t, "", append(vouched, "--archived-up-to", last.Head)...).want(t, 0, "From 6 events") // and is still here
	run(t, "", append(report, "--archived-up-to", heads[1])...).want(t, 1, "none of these journals follows that line")
}

// A flag that takes one value and is given two is no flag whose last one counts.
func TestAFlagGivenTwice(t *testing.T) {
	run(t, "", "inspect", "--store", "a", "--store", "b").want(t, 1, "--store is given twice")
	run(t, "", "journal", "verify", "nosuch", "--archived-up-to", "a", "--archived-up-to", "b").want(t, 1, "--archived-up-to is given twice")
	run(t, "", "journal", "verify", "nosuch", "--json", "--json").want(t, 1, "no such file")
}

// custodyDrill looks how many have confirmed since a day, as the report of a server does.
func custodyDrill(t *testing.T, report []string) {
	t.Helper()
	for _, c := range []struct {
		code  int
		says  string
		drill []string
	}{
		{0, "2 of 3 confirmed", []string{"--drill", "people", "--since", "2020-01-01"}},
		{0, "0 of 3 confirmed", []string{"--drill", "people", "--since", "2020-01-01", "--until", "2020-02-01T12:00:00Z"}},
		{1, "--since 2026-11-01", []string{"--drill", "people"}},
		{1, "--drill SLOT", []string{"--since", "2020-01-01"}},
		{1, "--until is a day", []string{"--drill", "people", "--since", "2020-01-01", "--until", "soon"}},
		{1, "held by people", []string{"--drill", "nosuch", "--since", "2020-01-01"}},
		{1, "before it begins", []string{"--drill", "people", "--since", "2020-01-01", "--until", "2019-01-01"}},
	} {
		run(t, "", append(report, c.drill...)...).want(t, c.code, c.says)
	}
	var r struct {
		Drills []struct{ Confirmed, Asked int }
	}
	run(t, "", append(report, "--drill", "people", "--since", "2020-01-01", "--json")...).decode(t, &r)
	if len(r.Drills) != 1 || r.Drills[0].Confirmed != 2 || r.Drills[0].Asked != 3 {
		t.Errorf("%+v", r)
	}
}

package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

// What is tried without the server stands in a journal, wrong shares too, and the
// journal is found to be whole, or not.
func TestJournal(t *testing.T) {
	w, at := fileWorld(t, false)
	for _, s := range w.shares {
		secretOf(t, s)
	}
	file := filepath.Join(w.dir, "journal")
	wrong, _ := fileWorld(t, false)
	secretOf(t, wrong.shares[0])
	to := []string{"--store", at, "--journal-to", file, "--as", "the night shift"}
	run(t, wrong.shares[0]+w.shares[0], append([]string{"open"}, to...)...).want(t, 2, "bring a share of this store")
	run(t, w.shares[1]+w.shares[0], append([]string{"prove", "people", stopped}, to...)...).want(t, 0)
	r := run(t, "", "journal", "verify", file, "--json")
	r.want(t, 0, `"whole":true`, `"vouched":false`, `"crashes":0`)
	var v struct {
		Head  string
		Lines int
	}
	r.decode(t, &v)
	if v.Lines < 6 {
		t.Errorf("%+v", v)
	}
	run(t, "", "journal", "verify", file, "--head", v.Head).want(t, 0, "whole: ", "keep this head elsewhere")
	run(t, "", "report", "--store", at, "--journal", file).want(t, 0, "alice")
	text := string(fileContent(t, file))
	if shown(t, text) != "" {
		t.Error("the journal holds a share")
	}
	cut := w.write(t, "cut", text[:len(text)/2])
	run(t, "", "journal", "verify", cut, "--head", v.Head).want(t, 1, "NOT WHOLE")
	run(t, "", "journal", "verify", file, "--head", "nonsense").want(t, 1, "--head")
	archived(t, w, at, text, v.Head)
	// One that cannot be written holds up nothing.
	run(t, w.shares[1]+w.shares[0], "open", "--store", at, "--journal-to", filepath.Join(w.dir, "nosuch", "journal")).want(t, 0, "slot people opens", "not everything stands in the journal")
}

// archived has the first lines of a journal archived: only who says so, with the head
// that verifying the archive prints, finds the rest whole.
func archived(t *testing.T, w *world, at, text, head string) {
	t.Helper()
	lines := strings.SplitAfter(text, "\n")
	archive, rest := w.write(t, "archive", strings.Join(lines[:3], "")), w.write(t, "rest", strings.Join(lines[3:], ""))
	r := run(t, "", "journal", "verify", archive, "--json")
	r.want(t, 0, `"begins":1`)
	var last struct{ Head string }
	r.decode(t, &last)
	const refused = "lines are missing: seq 1 to 3 should be before it"
	run(t, "", "journal", "verify", rest, "--head", head).want(t, 1, "NOT WHOLE after 0 lines", refused)
	run(t, "", "journal", "verify", rest, "--head", last.Head, "--head", head).want(t, 1, refused)
	to := []string{rest, "--head", head, "--archived-up-to", last.Head}
	run(t, "", append([]string{"journal", "verify"}, to...)...).want(t, 0, "begins at line 4: those before it were archived, as you say")
	run(t, "", append([]string{"journal", "verify", "--json"}, to...)...).want(t, 0, `"begins":4`, `"vouched":true`, fmt.Sprintf(`"lines":%d`, len(lines)-4))
	run(t, "", "journal", "verify", rest, "--archived-up-to", head).want(t, 1, "NOT WHOLE", "those archived end with seq")
	run(t, "", "journal", "verify", rest, "--archived-up-to", "nonsense").want(t, 1, "--archived-up-to: this is no head")
	run(t, "", append([]string{"report", "--store", at, "--journal"}, to...)...).want(t, 0, "alice")
}

// A server that was killed once, and runs again, has crashed once.
func TestJournalOfAServerThatRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "journal")
	serve := func() *journal.Journal {
		j, err := journal.Open(journal.Config{Place: journal.File{Path: file}, Name: "web-0"})
		if err != nil {
			t.Fatal(err)
		}
		j.Event(seal.Event{Kind: seal.EventUnseal})
		return j
	}
	j := serve()
	killed := fileContent(t, file)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, killed, 0o600); err != nil { // its last line was never written
		t.Fatal(err)
	}
	const running = "one run has no end yet, the last: it may still be running"
	run(t, "", "journal", "verify", file).want(t, 0, "events lost: 0, crashes: 0", running)
	j = serve()
	run(t, "", "journal", "verify", file).want(t, 0, "crashes: 1", running)
	run(t, "", "journal", "verify", file, "--json").want(t, 0, `"crashes":1`, `"unended":true`)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	r := run(t, "", "journal", "verify", file)
	r.want(t, 0, "crashes: 1")
	if strings.Contains(r.out, running) {
		t.Errorf("it has ended: %s", r.out)
	}
	run(t, "", "journal", "verify", file, "--json").want(t, 0, `"crashes":1`, `"unended":false`)
}

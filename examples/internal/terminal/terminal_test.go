package terminal_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/examples/internal/terminal"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// TestStandardInput: a program that asks twice is piped the shares of both.
func TestStandardInput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer func(stdin *os.File) { os.Stdin = stdin }(os.Stdin)
	os.Stdin = r
	text := shares(t)
	if _, err := w.WriteString(strings.Join(text, "\n")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	for i, want := range text {
		s, err := terminal.Open("-")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Next(""); err != nil || got.Reveal() != want {
			t.Errorf("share %d: %v, %v", i+1, got, err)
		}
	}
}

func shares(t *testing.T) (text []string) {
	t.Helper()
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	d, err := b.Init(t.Context(), map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range d.Sets[0].Shares {
		text = append(text, s.Reveal())
	}
	return text
}

// TestNewFile: shares that somebody keeps in a file are not replaced before the
// new ones have a place, and a migration that goes on makes none.
func TestNewFile(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	people := migrate.Report{Moves: []migrate.Move{{Kind: migrate.MoveAdd, Spec: seal.Shamir{Shares: 3, Threshold: 2}}}}
	cloud := migrate.Report{Moves: []migrate.Move{{Kind: migrate.MoveAdd, Spec: seal.KMS{Wrapper: "cloud"}}}}
	going := migrate.Report{Moves: []migrate.Move{{Kind: migrate.MoveProve, Spec: seal.Shamir{Shares: 3, Threshold: 2}}}}
	for _, test := range []struct {
		path    string
		report  migrate.Report
		reissue bool
		refused bool
	}{
		{there, people, false, true},
		{there, going, true, true},
		{there, going, false, false},
		{there, cloud, false, false},
		{filepath.Join(dir, "new"), people, false, false},
		{"", people, true, false},
	} {
		err := terminal.NewFile(test.path, test.report, test.reissue)
		if (err != nil) != test.refused || err != nil && !strings.Contains(err.Error(), "name a new file") {
			t.Errorf("%q, %v, reissue %v: %v", test.path, test.report.Moves, test.reissue, err)
		}
	}
}

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

// TestNewFile: shares that somebody keeps in a file are not replaced before the
// new ones have a place, and a migration that goes on makes none.
func TestNewFile(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	people := migrate.Report{Moves: []migrate.Move{{Kind: migrate.Add, Spec: seal.Shamir{Shares: 3, Threshold: 2}}}}
	cloud := migrate.Report{Moves: []migrate.Move{{Kind: migrate.Add, Spec: seal.KMS{Name: "cloud"}}}}
	going := migrate.Report{Moves: []migrate.Move{{Kind: migrate.Prove, Spec: seal.Shamir{Shares: 3, Threshold: 2}}}}
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

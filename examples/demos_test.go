package examples_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/examples/internal/flags/flagstest"
	"github.com/sealwright/sealwright/internal/testlevel"
)

// Every demonstration ends well, which it does only if it has verified all its
// steps. A part is of those that are this test program by another name, which nothing
// links: all refuse a forgotten dash, and two show what they do.
func TestDemos(t *testing.T) {
	demos, others := []string{"shamir-to-azure", "azure-to-shamir", "aws-to-gcp", "two-of-three-clouds"}, 0
	dir, err := t.TempDir(), error(nil)
	if testlevel.Whole() {
		demos, others = append(demos, "autounseal"), 3
		dir, err = programs()
	} else {
		for _, demo := range demos {
			err = errors.Join(err, link(os.Args[0], filepath.Join(dir, demo+extension)))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadDir(dir)
	if err != nil || len(all) < len(demos)+others {
		t.Fatalf("%v: %v", all, err)
	}
	for _, p := range all {
		out, err := exec.Command(filepath.Join(dir, p.Name()), "dry-run").CombinedOutput()
		if err == nil || !strings.Contains(string(out), flagstest.Refusal) {
			t.Errorf("%s: %v\n%s", p.Name(), err, out)
		}
	}
	for i, demo := range demos {
		if i%3 != 0 && !testlevel.Whole() {
			continue
		}
		t.Run(demo, func(t *testing.T) {
			t.Parallel()
			program := filepath.Join(dir, demo+extension)
			out, err := exec.Command(program, "-demo").CombinedOutput()
			if err != nil || !strings.Contains(string(out), "Every step verified itself") {
				t.Errorf("%v\n%s", err, out)
			}
			// What it was not told to do ends with what to do.
			out, err = exec.Command(program).CombinedOutput()
			if err == nil || !strings.Contains(string(out), "-config and -dir are required") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

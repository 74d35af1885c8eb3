package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/examples/internal/flags/flagstest"
	"github.com/sealwright/sealwright/internal/testlevel"
)

// Every demonstration ends well, which it does only if it has verified all its
// steps.
func TestDemos(t *testing.T) {
	if !testlevel.Whole() {
		t.Skip("builds and runs programs")
	}
	demos := []string{"autounseal", "shamir-to-azure", "azure-to-shamir", "aws-to-gcp", "two-of-three-clouds"}
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	all, err := os.ReadDir(dir)
	if err != nil || len(all) < len(demos)+3 {
		t.Fatalf("%v: %v", all, err)
	}
	for _, p := range all {
		out, err := exec.Command(filepath.Join(dir, p.Name()), "dry-run").CombinedOutput()
		if err == nil || !strings.Contains(string(out), flagstest.Refusal) {
			t.Errorf("%s: %v\n%s", p.Name(), err, out)
		}
	}
	for _, demo := range demos {
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

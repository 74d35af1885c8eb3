package examples_test

import (
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Every demonstration ends well, which it does only if it has verified all its
// steps.
func TestDemos(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs programs")
	}
	dir := t.TempDir()
	demos := []string{"autounseal", "shamir-to-azure", "azure-to-shamir", "aws-to-gcp", "two-of-three-clouds"}
	build := exec.Command("go", "build", "-o", dir+string(filepath.Separator))
	for _, demo := range demos {
		build.Args = append(build.Args, "./"+demo)
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, demo := range demos {
		t.Run(demo, func(t *testing.T) {
			program := filepath.Join(dir, demo)
			if runtime.GOOS == "windows" {
				program += ".exe"
			}
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

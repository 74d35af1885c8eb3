// Package flagstest tests what package flags is for.
package flagstest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Refusal is how a program answers to "dry-run".
const Refusal = `"dry-run" is no flag: is its dash missing?`

const childEnv = "FLAGSTEST_CHILD"

// Dashless checks that a dash that was forgotten makes no migration of a dry run.
// It runs the test that calls it in a process of its own, which is the program.
func Dashless(t *testing.T, main func()) {
	t.Helper()
	if os.Getenv(childEnv) != "" {
		os.Args = []string{os.Args[0], "dry-run"}
		main()
		t.Fatal("it takes what is no flag")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), childEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), Refusal) {
		t.Errorf("%v\n%s", err, out)
	}
}

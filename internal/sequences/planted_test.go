package sequences_test

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var plant = flag.String("plant", "", "a fault that the test named with -run must catch; see TestPlanted")

// TestPlanted runs the sequences with a fault each, in a process of their own:
// every one must be caught. The sequence that shows it is shortened for a moment alone:
// nobody reads it here.
func TestPlanted(t *testing.T) {
	if *plant != "" {
		t.Skip("this is the process")
	}
	faults := map[string]string{
		"blind-put": "TestBarrier", // a store that takes a stale writer's record
		"forgetful": "TestBarrier", // a store that loses what it says it stored
		"unsealed":  "TestKeyring", // a seal that wipes nothing
		"threshold": "TestShamir",  // a split that needs a share more than asked for
	}
	caught := 0
	for fault, test := range faults {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-plant="+fault,
			"-rapid.nofailfile", "-rapid.shrinktime=200ms")
		out, err := cmd.CombinedOutput()
		if _, failed := errors.AsType[*exec.ExitError](err); !failed || !strings.Contains(string(out), "[rapid] failed after") {
			t.Errorf("%s with the fault %q: %v\n%s", test, fault, err, out)
			continue
		}
		caught++
	}
	t.Logf("GUARANTEE 3 sequences-planted: planted=%d caught=%d", len(faults), caught)
}

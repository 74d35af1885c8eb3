//go:build valgrind && linux && amd64

package ctgrind

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"unsafe"
)

// Requests of valgrind/valgrind.h, and of valgrind/memcheck.h.
const (
	countErrors   = 0x1201
	makeUndefined = 'M'<<24 | 'C'<<16 | 1
	makeDefined   = 'M'<<24 | 'C'<<16 | 2
)

// request makes a client request of valgrind, which does nothing without it.
func request(number, address, length, _, _, _ uintptr) uintptr

// Poison marks b as secret: valgrind follows what is computed from it.
func Poison(b []byte) { mark(makeUndefined, b) }

// Unpoison marks b as public again.
func Unpoison(b []byte) { mark(makeDefined, b) }

func mark(number uintptr, b []byte) {
	request(number, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
}

// variable names, in the process that valgrind watches, what it is to run.
const variable = "CTGRIND_RUN"

var findings = regexp.MustCompile(`(?m)^ctgrind: (\d+)$`)

// Findings runs f under valgrind and returns how often, while f ran, a jump or
// an address depended on a secret. It does so by running the calling test once
// more in a process of its own, which ends after f; what the test does before
// it calls Findings is done in both. The name tells the calls of one test from
// one another. It skips the test if there is no valgrind.
func Findings(t *testing.T, name string, f func()) int {
	t.Helper()
	switch os.Getenv(variable) {
	case "":
	case name:
		before := request(countErrors, 0, 0, 0, 0, 0)
		f()
		fmt.Printf("\nctgrind: %d\n", request(countErrors, 0, 0, 0, 0, 0)-before)
		os.Exit(0)
	default:
		return 0
	}
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		t.Skip("no valgrind")
	}
	// What other threads of the runtime do meanwhile is counted too, now and
	// then. A dependence on a secret shows every time.
	least := math.MaxInt
	for range 3 {
		if least = min(least, watch(t, valgrind, name)); least == 0 {
			break
		}
	}
	return least
}

// watch runs the test once in its own process, for the named call.
func watch(t *testing.T, valgrind, name string) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), valgrind, "--error-limit=no", os.Args[0], "-test.run=^"+t.Name()+"$")
	// A collection, or a goroutine stopped anywhere, would have the runtime
	// look at words that may be secret.
	cmd.Env = append(os.Environ(), variable+"="+name, "GOGC=off", "GODEBUG=asyncpreemptoff=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("valgrind: %v\n%s", err, out)
	}
	match := findings.FindSubmatch(out)
	if match == nil {
		t.Fatalf("%s was not run under valgrind:\n%s", name, out)
	}
	n, err := strconv.Atoi(string(match[1]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

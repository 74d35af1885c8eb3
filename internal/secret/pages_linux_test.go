package secret

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// TestPages asks the kernel how it keeps locked memory, and the heap.
func TestPages(t *testing.T) {
	b := Alloc(32)
	if b == nil {
		t.Skipf("no locked memory here: %s", Memory().Reason)
	}
	defer Free(b)
	p, flags := Memory(), flagsOf(t, b)
	if slices.Contains(flags, "lo") != p.Locked || slices.Contains(flags, "dd") != p.Undumpable || !slices.Contains(flags, "wr") {
		t.Errorf("%+v, and the kernel's flags are %v", p, flags)
	}
	heap := new([32]byte)
	if flags := flagsOf(t, heap[:]); slices.Contains(flags, "dd") {
		t.Errorf("the heap's flags are %v", flags)
	}
	t.Logf("locked %v, undumpable %v %s", p.Locked, p.Undumpable, p.Reason)
}

// flagsOf returns the flags of the region that b is in.
func flagsOf(t *testing.T, b []byte) []string {
	t.Helper()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	at, inside := uintptr(unsafe.Pointer(&b[0])), false
	for line := range strings.Lines(string(smaps)) {
		var lo, hi uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &lo, &hi); n == 2 {
			inside = lo <= at && at < hi
		} else if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && inside {
			return strings.Fields(flags)
		}
	}
	t.Fatal("the kernel does not know where it is")
	return nil
}

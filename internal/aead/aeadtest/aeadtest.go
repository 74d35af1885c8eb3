// Package aeadtest looks for copies of keys in the memory of a test.
package aeadtest

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// Complement returns a key with every bit turned over. It stands for the key
// where the key itself would be found.
func Complement(key []byte) []byte {
	out := make([]byte, len(key))
	for i := range key {
		out[i] = ^key[i]
	}
	return out
}

// Copies returns the number of places in this process's memory that hold a half
// of a key of 32 bytes: raw, masked as HMAC masks its key, or with the bytes of
// each word turned about, as key schedules may hold it. The key comes as
// its [Complement], and is looked for in the complement of the memory, so that
// the search makes no copy of it. The test is skipped where a process cannot
// read its own memory.
func Copies(t testing.TB, complement []byte) int {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("no /proc/self/mem")
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var needles [][]byte
	for _, pad := range []byte{0, 0x36, 0x5c} {
		masked := make([]byte, 32)
		subtle.XORBytes(masked, complement, bytes.Repeat([]byte{pad}, 32))
		needles = append(needles, masked[:16], masked[16:])
	}
	swapped := bytes.Clone(complement[:32])
	for word := range slices.Chunk(swapped, 4) {
		slices.Reverse(word)
	}
	needles = append(needles, swapped[:16], swapped[16:])
	const chunk, tail = 1 << 20, 15
	buf := make([]byte, chunk+tail)
	ones := bytes.Repeat([]byte{0xff}, len(buf))
	found := 0
	for line := range strings.Lines(string(maps)) {
		var lo, hi int64
		var perm string
		n, _ := fmt.Sscanf(line, "%x-%x %s", &lo, &hi, &perm)
		if n != 3 || !strings.HasPrefix(perm, "rw") || hi-lo > 1<<30 {
			continue // the race detector's shadow is larger
		}
		for ; lo < hi; lo += chunk {
			n, _ := mem.ReadAt(buf[:min(chunk+tail, hi-lo)], lo)
			subtle.XORBytes(buf, buf[:n], ones)
			for _, needle := range needles {
				found += bytes.Count(buf[:n], needle)
			}
			clear(buf)
		}
	}
	return found
}

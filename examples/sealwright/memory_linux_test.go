package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// While it asks for the second share, the text of the first is nowhere in its memory.
func TestNoTextOfSharesInMemory(t *testing.T) {
	w, at := fileWorld(t, false)
	file := w.write(t, "first", "\n"+w.shares[0]+"\n")
	for name, give := range map[string]func() *terminal{
		"typed": func() *terminal {
			p := onTerminal(t, false, "open", "--store", at)
			p.expect("Enter alone ends): ")
			p.enter(w.shares[0] + "\r")
			return p
		},
		"from a file": func() *terminal { return onTerminal(t, false, "open", "--store", at, "--shares", file) },
	} {
		t.Run(name, func(t *testing.T) {
			p := give()
			p.expect("1 of the 2 shares")
			p.expect("Enter alone ends): ")
			memory := memoryOf(t, p.cmd.Process.Pid)
			has := func(text string) bool {
				return slices.ContainsFunc(memory, func(part []byte) bool { return bytes.Contains(part, []byte(text)) })
			}
			if !has(at) {
				t.Fatal("the search does not find what is there")
			}
			for i := 20; i+12 <= 89; i += 8 {
				if has(w.shares[0][i : i+12]) {
					t.Errorf("characters %d to %d of the share are in memory", i, i+12)
				}
			}
			p.enter("\r")
			p.wait()
		})
	}
}

// memoryOf is what a process may have written to, but for the pages that it never
// touched, which are most of them.
func memoryOf(t *testing.T, pid int) (out [][]byte) {
	t.Helper()
	open := func(name string) *os.File {
		f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Skip("skipped: the memory of another process is not shown here: ", err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	maps, mem, pages := open("maps"), open("mem"), open("pagemap")
	size := int64(os.Getpagesize())
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to int64
		var rights string
		fmt.Sscanf(strings.Replace(lines.Text(), "-", " ", 1), "%x %x %s", &from, &to, &rights)
		if !strings.HasPrefix(rights, "rw") || to-from > 1<<28 {
			continue
		}
		state := make([]byte, (to-from)/size*8) // of each page
		if _, err := pages.ReadAt(state, from/size*8); err != nil {
			continue // of the kernel's
		}
		start := from
		touched := func(at int64) bool { return state[(at-start)/size*8+7]>>6 != 0 } // in memory, or swapped out
		for from < to {
			end := from
			for end < to && touched(end) == touched(from) {
				end += size
			}
			if touched(from) {
				part := make([]byte, end-from)
				if n, err := mem.ReadAt(part, from); err == nil {
					out = append(out, part[:n])
				}
			}
			from = end
		}
	}
	return out
}

package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
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
			if !bytes.Contains(memory, []byte(at)) {
				t.Fatal("the search does not find what is there")
			}
			for i := 20; i+12 <= 89; i += 8 {
				if bytes.Contains(memory, []byte(w.shares[0][i:i+12])) {
					t.Errorf("characters %d to %d of the share are in memory", i, i+12)
				}
			}
			p.enter("\r")
			p.wait()
		})
	}
}

func memoryOf(t *testing.T, pid int) (out []byte) {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Skip("skipped: the memory of another process is not shown here: ", err)
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skip("skipped: the memory of another process is not shown here: ", err)
	}
	defer mem.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to int64
		var rights string
		fmt.Sscanf(strings.Replace(lines.Text(), "-", " ", 1), "%x %x %s", &from, &to, &rights)
		if !strings.HasPrefix(rights, "rw") || to-from > 1<<28 {
			continue
		}
		part := make([]byte, to-from)
		if n, err := mem.ReadAt(part, from); err == nil {
			out = append(out, part[:n]...)
		}
	}
	return out
}

//go:build unix

package journal_test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/sealwright/sealwright/seal/journal"
)

const childEnv = "JOURNAL_TEST_CHILD"

// TestChild is the process that TestKilled kills: it writes events, and prints the
// head whenever one is acknowledged.
func TestChild(t *testing.T) {
	path := os.Getenv(childEnv)
	if path == "" {
		t.Skip("run by another test")
	}
	j, err := journal.Open(journal.Config{Place: journal.File{Path: path}, MaxSize: 20_000})
	must(t, err)
	for n := 0; ; n++ {
		j.Event(event(n % 60))
		fmt.Println(j.Status().Head)
	}
}

// A process that is killed at any moment leaves a journal that holds all that it
// acknowledged, and that the next one goes on with.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: starts processes")
	}
	place := inDir(t)
	random := rand.New(rand.NewPCG(1, 4))
	kills, torn, acknowledged := 12, uint64(0), uint64(0)
	for n := range kills {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
		cmd.Env = append(os.Environ(), childEnv+"="+place.Path)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		var last journal.Head
		in := bufio.NewScanner(out)
		for n := 1 + random.IntN(40); in.Scan(); n-- {
			if head, err := journal.ParseHead(in.Text()); err == nil {
				last = head
			}
			if n == 0 {
				must(t, cmd.Process.Kill())
			}
		}
		cmd.Wait()
		if last.Seq <= acknowledged {
			t.Fatalf("nothing was acknowledged after %d", acknowledged)
		}
		acknowledged = last.Seq
		text := content(t, place) // as a disk would have it, which keeps a part of a write
		if cut := random.IntN(100); bytes.HasSuffix(text, []byte("\n")) && cut > 0 {
			must(t, os.WriteFile(place.Path, append(text, `{"v":1,"chain":"ABCDEFGHIJKLMNOPQRSTUVWXYZ","seq":1234567890,"prev":"abcdef0123456789"`[:min(cut, 80)]...), 0o600))
		}
		result, err := journal.Verify(t.Context(), place, last)
		if err != nil {
			t.Fatal(err)
		}
		if torn = result.Torn; result.Crashed != uint64(n) || !result.Unended {
			t.Errorf("killed %d times, and %d times found by the next: %+v", n+1, n, result)
		}
	}
	if torn == 0 {
		t.Error("nothing was torn")
	}
	t.Logf("GUARANTEE 25 journal-killed: kills=%d acknowledged=%d lost=0 torn=%d named=%d", kills, acknowledged, torn, torn)
}

//go:build unix

package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// kill ends a run as soon as something is seen, unless it was done by then.
func (p *terminal) kill(seen func() bool) {
	p.t.Helper()
	for end := time.After(time.Minute); !seen(); {
		select {
		case <-end:
			p.t.Fatal("what was waited for does not come")
		case <-p.ended:
			if seen() {
				return
			}
			p.t.Fatalf("it ended by itself: %s", p.wait().err)
		default:
		}
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// A rekey that is killed after its swap, with none, one or all of its shares
// delivered, leaves the old shares good; the delivery that is there proves, and one
// that is not whole is made anew.
func TestKilledInDelivery(t *testing.T) {
	for _, files := range []int{0, 1, 3} {
		t.Run(string(rune('0'+files))+" files", func(t *testing.T) {
			w, at := fileWorld(t, false)
			old := w.shares[0] + w.shares[1]
			run(t, old, "prove", "people", "--store", at, stopped).want(t, 0)
			out := filepath.Join(w.dir, "out")
			var people []holder
			args := []string{"rekey", "people", "--people", "2/3", "--out-dir", out, "--shares", w.write(t, "old", old), "--store", at, stopped}
			for _, name := range []string{"a", "b", "c"} {
				people = append(people, newHolder(t, w, name))
				args = append(args, "--to", name+"="+people[len(people)-1].recipient)
			}
			before := string(fileContent(t, at))
			p := onTerminal(t, true, args...)
			p.kill(func() bool {
				if files == 0 {
					now, err := os.ReadFile(at)
					return err == nil && string(now) != before
				}
				entries, _ := os.ReadDir(out)
				return len(entries) >= files
			})
			run(t, old, "open", "--store", at).want(t, 0, "slot people opens")
			if fresh := delivered(t, out, people); len(fresh) == 3 {
				run(t, old+strings.Join(fresh, " "), "prove", "people", "--store", at, stopped).want(t, 0)
				run(t, strings.Join(fresh, " "), "open", "--store", at).want(t, 0, "slot people opens")
				return
			}
			out2 := filepath.Join(w.dir, "out2")
			for i, a := range args {
				if a == out {
					args[i] = out2
				}
			}
			run(t, "", append(args, "--reissue")...).want(t, 0)
			lost := delivered(t, out, people)
			fresh := strings.Join(delivered(t, out2, people), " ")
			run(t, old+fresh, "prove", "people", "--store", at, stopped).want(t, 0)
			run(t, fresh, "open", "--store", at).want(t, 0, "slot people opens")
			if len(lost) > 0 {
				run(t, lost[0], "check-share", "--store", at).want(t, 1)
			}
		})
	}
}

// delivered opens what stands in a directory.
func delivered(t *testing.T, dir string, people []holder) (shares []string) {
	t.Helper()
	for i, name := range []string{"a", "b", "c"} {
		found, _ := filepath.Glob(filepath.Join(dir, "*-"+name+".age"))
		if len(found) == 1 && len(fileContent(t, found[0])) > 400 {
			shares = append(shares, opened(t, people[i], found[0]))
		}
	}
	return shares
}

// A proof that is killed at any time leaves the old shares good or the new ones, and
// is gone on with.
func TestKilledInProof(t *testing.T) {
	w, at := fileWorld(t, false)
	old := w.shares[0] + "\n" + w.shares[1] + "\n"
	out := filepath.Join(w.dir, "out")
	a, b := newHolder(t, w, "a"), newHolder(t, w, "b")
	run(t, old, "rekey", "people", "--people", "2/2", "--to", "a="+a.recipient, "--to", "b="+b.recipient, "--out-dir", out, "--store", at, stopped).want(t, 0)
	fresh := opened(t, a, filepath.Join(out, "people-set2-share1-a.age")) + "\n" + opened(t, b, filepath.Join(out, "people-set2-share2-b.age"))

	// While it waits for the second share: the operation stands in the record.
	p := onTerminal(t, false, "prove", "people", "--shares", w.write(t, "first", old+strings.SplitAfter(fresh, "\n")[0]), "--store", at, stopped)
	p.expect("slot people has 1 of the 2 shares it takes")
	p.kill(func() bool { return true })
	run(t, "", "inspect", "--store", at).want(t, 0, "in progress: prove people")
	run(t, old, "open", "--store", at).want(t, 0)
	waiting := fileContent(t, at)

	// At moments of the rest.
	all := w.write(t, "all", old+fresh)
	ended := 0
	for step := range 7 {
		if err := os.WriteFile(at, waiting, 0o600); err != nil {
			t.Fatal(err)
		}
		p := onTerminal(t, true, "prove", "people", "--shares", all, "--store", at, stopped)
		select {
		case <-p.ended:
			ended++
		case <-time.After(time.Duration(step*step) * 12 * time.Millisecond):
			p.cmd.Process.Kill()
		}
		p.cmd.Wait()
		o, n := run(t, old, "open", "--store", at), run(t, fresh, "open", "--store", at)
		if o.code != 0 && n.code != 0 {
			t.Fatalf("neither opens: %s, %s", o.err, n.err)
		}
		if n.code != 0 {
			run(t, old+fresh, "prove", "people", "--store", at, stopped).want(t, 0)
			run(t, fresh, "open", "--store", at).want(t, 0)
		}
	}
	t.Logf("%d of 7 ended before they were killed", ended)
}

// An export that is killed leaves no file of the name it was to have.
func TestKilledExport(t *testing.T) {
	w, at := sqlWorld(t)
	out := filepath.Join(w.dir, "out.jsonl")
	p := onTerminal(t, true, "export", "sql", "--store", at, "--table", "tokens", "--columns", "secret", "--out", out)
	p.expect("Enter alone ends): ")
	p.kill(func() bool { return true })
	if _, err := os.Lstat(out); err == nil {
		t.Error("half an export has the name of a whole one")
	}
	shares := w.shares[0] + w.shares[1]
	run(t, shares, "export", "sql", "--store", at, "--table", "tokens", "--columns", "secret", "--out", out).want(t, 1, "an earlier run left it")
}

// A restore that is killed at any time leaves the record that was there, or the next.
func TestKilledRestore(t *testing.T) {
	w, at := fileWorld(t, false)
	backup := w.write(t, "backup.json", string(recordOf(t, w.store)))
	old := w.shares[0] + w.shares[1]
	run(t, old, "prove", "people", "--store", at, stopped).want(t, 0)
	before := string(fileContent(t, at))
	shares := w.write(t, "shares", old)
	for step := range 5 {
		p := onTerminal(t, true, "restore", backup, "--shares", shares, "--store", at, stopped)
		select {
		case <-p.ended:
		case <-time.After(time.Duration(step*step) * 15 * time.Millisecond):
			p.cmd.Process.Kill()
		}
		p.cmd.Wait()
		run(t, old, "open", "--store", at).want(t, 0, "slot people opens")
		if string(fileContent(t, at)) != before {
			break
		}
	}
	if string(fileContent(t, at)) == before {
		run(t, old, "restore", backup, "--store", at, stopped).want(t, 0, "restored")
	}
}

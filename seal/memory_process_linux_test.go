//go:build !goexperiment.boringcrypto && !race

package seal_test

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A process is a child that lives a life, and what it told of it.
type process struct {
	*collector
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	dumped string // who made its core dump
}

func startLife(t *testing.T, env ...string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := newCollector(t)
	p := &process{collector: c, cmd: exec.Command(self, "-test.run=^TestLife$", "-test.timeout=2m")}
	p.cmd.Env = append(append(os.Environ(), "GOTRACEBACK=crash", lifeEnv+"="+c.maskText()), env...)
	p.cmd.Dir = t.TempDir() // where its core dump goes
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewScanner(out)
	p.out.Buffer(nil, 1<<20)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// listen hears what the process tells, until it says the word.
func (p *process) listen(t *testing.T, word string) {
	t.Helper()
	var other []string
	for p.out.Scan() {
		line := p.out.Text()
		if line == word {
			return
		}
		if kind, value, _ := strings.Cut(line, "="); kind != "" && value != "" {
			p.hear(kind, value)
		} else {
			other = append(other, line)
		}
	}
	t.Fatalf("the process never said %s:\n%s", word, strings.Join(other, "\n"))
}

func (p *process) proceed(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		t.Fatal(err)
	}
}

func (p *process) stop(t *testing.T) {
	t.Helper()
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
}

// inCore crashes the process and looks into its core dump. Where the kernel
// gives those to a program, it looks before the crash, at what would be in it.
func (n *needles) inCore(t *testing.T, p *process) finds {
	t.Helper()
	would := n.inMemory(t, p.cmd.Process.Pid, true)
	if err := p.cmd.Process.Signal(syscall.SIGABRT); err != nil {
		t.Fatal(err)
	}
	p.cmd.Wait()
	files, err := filepath.Glob(filepath.Join(p.cmd.Dir, "core*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		p.dumped = "assembled"
		return would
	}
	p.dumped = "kernel"
	core, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(files[0])
	defer core.Close()
	info, err := core.Stat()
	if err != nil {
		t.Fatal(err)
	}
	f := finds{}
	n.in(core, 0, info.Size(), f)
	return f
}

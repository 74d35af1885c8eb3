package main_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// A terminal is the program on a pseudo-terminal.
type terminal struct {
	t    *testing.T
	cmd  *exec.Cmd
	keys *os.File
	out  bytes.Buffer // of standard output, which is no terminal

	mu     sync.Mutex
	shown  strings.Builder
	read   int // of what is shown, by expect
	change chan struct{}
	ended  chan struct{}
}

// onTerminal starts the program where people type. Standard output is the terminal
// too unless piped.
func onTerminal(t *testing.T, piped bool, args ...string) *terminal {
	t.Helper()
	keys, screen, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo-terminals: ", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	p := &terminal{t: t, keys: keys, change: make(chan struct{}, 1), ended: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Env = environment()
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = screen, screen, screen
	if piped {
		p.cmd.Stdout = &p.out
	}
	attach(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	screen.Close()
	t.Cleanup(func() { keys.Close() })
	go func() {
		defer close(p.ended)
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			p.mu.Lock()
			p.shown.Write(buf[:n])
			p.mu.Unlock()
			select {
			case p.change <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return p
}

// expect waits until the screen shows a text behind what was expected before.
func (p *terminal) expect(text string) {
	p.t.Helper()
	for {
		p.mu.Lock()
		all := p.shown.String()
		i := strings.Index(all[p.read:], text)
		if i >= 0 {
			p.read += i + len(text)
		}
		p.mu.Unlock()
		if i >= 0 {
			return
		}
		select {
		case <-p.change:
		case <-p.ended:
			p.mu.Lock()
			all = p.shown.String()
			p.mu.Unlock()
			if strings.Contains(all[p.read:], text) {
				continue
			}
			p.t.Fatalf("it ended and did not show %q: %s", text, all)
		case <-p.t.Context().Done():
			p.t.Fatalf("it does not show %q: %s", text, all)
		}
	}
}

func (p *terminal) enter(text string) {
	p.t.Helper()
	if _, err := p.keys.Write([]byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for the end, and returns what was shown.
func (p *terminal) wait() ran {
	p.t.Helper()
	_ = p.cmd.Wait()
	<-p.ended
	p.mu.Lock()
	defer p.mu.Unlock()
	r := ran{code: p.cmd.ProcessState.ExitCode(), out: p.out.String(), err: p.shown.String()}
	return r
}

//go:build unix

package main_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Shares are asked for without echo; a wrong one is named and asked for again.
func TestPrompt(t *testing.T) {
	w, at := fileWorld(t, false)
	p := onTerminal(t, false, "open", "--store", at)
	p.expect("slot people has 0 of the 2 shares")
	p.expect("not shown; Enter alone ends): ")
	p.enter(w.shares[0][:88] + flip(w.shares[0][88]) + "\r")
	p.expect("mistyped share")
	p.enter(w.shares[0] + "\r")
	p.expect("1 of the 2 shares")
	for i := 0; i < 89; i += 20 { // pasted from a card, row by row
		p.expect(": ")
		p.enter(w.shares[2][i:min(i+20, 89)] + "\r")
	}
	p.expect("slot people opens")
	r := p.wait()
	r.want(t, 0)
	if shown(t, r.err) != "" {
		t.Error("the terminal shows a share")
	}
}

// Whoever is asked gets away with Ctrl-C, and a signal ends the question; the
// terminal echoes again.
func TestPromptEnds(t *testing.T) {
	w, at := fileWorld(t, false)
	for name, end := range map[string]func(p *terminal){
		"Ctrl-C":  func(p *terminal) { p.enter("\x03") },
		"SIGINT":  func(p *terminal) { p.cmd.Process.Signal(syscall.SIGINT) },
		"SIGTERM": func(p *terminal) { p.cmd.Process.Signal(syscall.SIGTERM) },
		"Enter":   func(p *terminal) { p.enter("\x15\r") },
	} {
		t.Run(name, func(t *testing.T) {
			secretOf(t, w.shares[0])
			p := onTerminal(t, false, "open", "--store", at)
			before := p.modes()
			p.expect("Enter alone ends): ")
			for p.modes() == before { // it asks in a moment
			}
			if !strings.HasPrefix(name, "SIG") { // what arrives after the end is anybody's
				p.enter(w.shares[0][:30])
			}
			end(p)
			r := p.wait()
			if code := map[bool]int{true: 2, false: 1}[name == "Enter"]; r.code != code {
				t.Errorf("code %d: %s", r.code, r.err)
			}
			if now := p.modes(); now != before {
				t.Errorf("the terminal is not as it was: %+v, was %+v", now, before)
			}
			if shown(t, r.err) != "" || strings.Contains(r.err, w.shares[0][:30]) {
				t.Error("the terminal shows a share")
			}
		})
	}
}

// A share in the pipe, and the others from the keyboard.
func TestPipeAndKeyboard(t *testing.T) {
	w, at := fileWorld(t, false)
	p := onTerminal(t, false, "open", "--store", at, "--shares", w.write(t, "alice", w.shares[0]))
	p.expect("1 of the 2 shares")
	p.enter(w.shares[1] + "\r")
	p.wait().want(t, 0, "slot people opens")
}

// What is pasted at once, or typed while it is busy, is shown as little.
func TestPasteOfSeveral(t *testing.T) {
	w, at := fileWorld(t, false)
	for range 3 {
		p := onTerminal(t, false, "open", "--store", at)
		p.expect("Enter alone ends): ")
		p.enter("hello\r" + w.shares[0] + "\r" + w.shares[0] + "\r" + w.shares[2] + "\r")
		p.expect("share given already")
		p.expect("slot people opens")
		r := p.wait()
		r.want(t, 0)
		if shown(t, r.err) != "" {
			t.Fatalf("the terminal shows a share: %s", r.err)
		}
	}
}

// Two questions of one run, for what opens the store and for what proves.
func TestTwoRoundsOfQuestions(t *testing.T) {
	w, at := fileWorld(t, false)
	old := w.shares[0] + w.shares[1]
	ada := newHolder(t, w, "ada")
	out := filepath.Join(w.dir, "out")
	run(t, old, "rekey", "people", "--people", "1/1", "--to", "ada="+ada.recipient, "--out-dir", out, "--store", at, stopped).want(t, 0)
	fresh := opened(t, ada, one(t, out, "*-ada.age"))
	p := onTerminal(t, false, "prove", "people", "--store", at, stopped)
	before := p.modes()
	for _, s := range []string{w.shares[2], w.shares[0], fresh} {
		p.expect("Enter alone ends): ")
		p.enter(s + "\r")
	}
	p.expect("is proven")
	p.wait().want(t, 0)
	if p.modes() != before {
		t.Error("the terminal is not as it was")
	}
}

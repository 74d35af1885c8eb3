//go:build unix

package main_test

import (
	"os/exec"
	"syscall"

	"golang.org/x/term"
)

// modes are those of the terminal.
func (p *terminal) modes() term.State {
	p.t.Helper()
	s, err := term.GetState(int(p.keys.Fd()))
	if err != nil {
		p.t.Fatal(err)
	}
	return *s
}

// detach has the program without a terminal.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// attach gives it that of its standard input.
func attach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} }

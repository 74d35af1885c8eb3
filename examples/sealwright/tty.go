package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"
)

var (
	errNoTerminal  = errors.New("there is no terminal to ask on")
	errInterrupted = errors.New("interrupted")
)

// A tty is the terminal of whoever sits here, whatever standard input and output
// are.
type tty struct {
	in, out *os.File
	keys    chan byte // what was typed
	failed  chan error
	before  *term.State // while nothing is shown of what is typed; else nil
}

// terminal returns the terminal, of which there is one: a second reader would take
// the first one's keys.
func (a *app) terminal() (*tty, error) {
	if a.tty == nil {
		t, err := a.openTTY()
		if err != nil {
			return nil, err
		}
		a.tty = t
		a.closers = append(a.closers, t.loud)
	}
	return a.tty, nil
}

// quiet has nothing shown of what is typed, from the first question to the last:
// what is pasted comes between questions too.
func (t *tty) quiet() error {
	if t.before != nil {
		return nil
	}
	before, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return errNoTerminal
	}
	t.before = before
	t.listen()
	return nil
}

// loud leaves the terminal as it was.
func (t *tty) loud() {
	if t.before != nil {
		discard(int(t.in.Fd()))
		_ = term.Restore(int(t.in.Fd()), t.before)
		t.before = nil
	}
}

// openTTY returns the terminal.
func openTTY() (*tty, error) {
	in, out := "/dev/tty", "/dev/tty"
	if runtime.GOOS == "windows" {
		in, out = "CONIN$", "CONOUT$"
	}
	r, err := os.OpenFile(in, os.O_RDWR, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	w := r
	if in != out {
		if w, err = os.OpenFile(out, os.O_RDWR, 0); err != nil {
			r.Close()
			return nil, errNoTerminal
		}
	}
	if !term.IsTerminal(int(r.Fd())) {
		r.Close()
		return nil, errNoTerminal
	}
	return &tty{in: r, out: w}, nil
}

func (t *tty) printf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if t.before != nil { // the terminal makes no line ends by itself
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	io.WriteString(t.out, text)
}

// listen reads keys, one by one, from the first question on.
func (t *tty) listen() {
	if t.keys != nil {
		return
	}
	t.keys, t.failed = make(chan byte), make(chan error, 1)
	go func() {
		var one [1]byte
		for {
			n, err := t.in.Read(one[:])
			if err != nil || n == 0 {
				t.failed <- errNoTerminal
				return
			}
			if one[0] == keyInterrupt { // as the terminal does otherwise
				interruptSelf()
			}
			t.keys <- one[0]
			one[0] = 0
		}
	}()
}

// The keys that are no text.
const (
	keyInterrupt, keyEnd, keyBack, keyDelete, keyKill, keyEscape = 3, 4, 8, 127, 21, 27
)

// interruptSelf ends what the program is doing, a call of a KMS too.
func interruptSelf() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Signal(os.Interrupt)
	}
}

// line asks for a line that is not shown. The bytes are the caller's to wipe.
func (t *tty) line(ctx context.Context, prompt string) (text []byte, err error) {
	if err := t.quiet(); err != nil {
		return nil, err
	}
	defer t.printf("\n")
	t.printf("%s", prompt)
	text = make([]byte, 0, 1024) // it never grows, which would leave copies
	defer func() {
		if err != nil {
			clear(text[:cap(text)])
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return nil, errInterrupted
		case err := <-t.failed:
			return nil, err
		case c := <-t.keys:
			switch {
			case c == keyInterrupt:
				return nil, errInterrupted
			case c == keyEnd && len(text) == 0:
				return nil, errNoMore
			case c == '\r' || c == '\n':
				return text, nil
			case (c == keyBack || c == keyDelete) && len(text) > 0:
				text[len(text)-1] = 0
				text = text[:len(text)-1]
			case c == keyKill:
				clear(text)
				text = text[:0]
			case c >= ' ' && c != keyDelete && len(text) < cap(text), c == '\t':
				text = append(text, c)
			}
		}
	}
}

// errNoMore: whoever was asked has no further share.
var errNoMore = errors.New("no more shares were given")

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

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

// close leaves the file open where a read waits in it: the program ends.
func (t *tty) close() {
	if t.keys == nil {
		t.in.Close()
	}
}

func (t *tty) printf(format string, args ...any) { fmt.Fprintf(t.out, format, args...) }

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
			t.keys <- one[0]
			one[0] = 0
		}
	}()
}

// The keys that are no text.
const (
	keyInterrupt, keyEnd, keyBack, keyDelete, keyKill, keyEscape = 3, 4, 8, 127, 21, 27
)

// line asks for a line that is not shown. The bytes are the caller's to wipe. The
// terminal is left as it was, whatever ends the question.
func (t *tty) line(ctx context.Context, prompt string) (text []byte, err error) {
	fd := int(t.in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, errNoTerminal
	}
	defer func() {
		err = errors.Join(err, term.Restore(fd, before))
		t.printf("\n")
	}()
	t.printf("%s", prompt)
	t.listen()
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

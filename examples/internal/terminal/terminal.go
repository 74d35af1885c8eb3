// Package terminal asks people for shares, and tells them what happens.
package terminal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

var (
	errNoMore      = errors.New("-shares has no more lines: put a threshold of the slot's shares there, one on each line")
	errInterrupted = errors.New("interrupted")
)

// A Source gives shares, one at a time: from a terminal without echo, from a
// file, or from standard input.
type Source struct {
	lines *bufio.Scanner // nil: ask on the terminal
	file  *os.File
}

// Open returns the source that path names: a file with a share on each line,
// "-" for standard input, or "" to ask on the terminal.
func Open(path string) (*Source, error) {
	switch path {
	case "":
		if !term.IsTerminal(int(os.Stdin.Fd())) {
			return nil, errors.New("standard input is no terminal: give -shares FILE, or -shares - to read it")
		}
		return &Source{}, nil
	case "-":
		return &Source{lines: bufio.NewScanner(oneByte{os.Stdin})}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &Source{lines: bufio.NewScanner(f), file: f}, nil
}

// A oneByte reads no further than a line goes: what follows is the next Source's.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }

// Close closes the file, if there is one.
func (s *Source) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Next returns the next share. A share that does not parse is told to the
// person who typed it, who may try again; in a script it is an error.
func (s *Source) Next(prompt string) (seal.Share, error) {
	for {
		text, err := s.line(prompt)
		if err != nil {
			return seal.Share{}, err
		}
		if strings.TrimSpace(text) == "" {
			continue
		}
		share, err := seal.ParseShare(text)
		if err == nil || s.lines != nil {
			return share, err
		}
		fmt.Println("  ", err)
	}
}

func (s *Source) line(prompt string) (string, error) {
	if s.lines != nil {
		if !s.lines.Scan() {
			return "", errors.Join(s.lines.Err(), errNoMore)
		}
		return s.lines.Text(), nil
	}
	fmt.Print(prompt)
	defer fmt.Println()
	return ask(int(os.Stdin.Fd()))
}

// ask reads a line without echo. An interrupt ends it, which no read would, and
// leaves the terminal as it was.
func ask(terminal int) (string, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt)
	defer signal.Stop(interrupt)
	type answer struct {
		text []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(terminal)
		answered <- answer{text, err}
	}()
	select {
	case a := <-answered:
		return string(a.text), a.err
	case <-interrupt:
		return "", errors.Join(errInterrupted, term.Restore(terminal, before))
	}
}

// Submit gives shares to do until it says that they suffice. A share that is
// not right is named, and the next one is asked for.
func (s *Source) Submit(do func(seal.Share) (enough bool, err error)) error {
	for n := 1; ; n++ {
		share, err := s.Next(fmt.Sprintf("Share %d (not shown): ", n))
		if err != nil {
			return fmt.Errorf("not enough shares: %w", err)
		}
		enough, err := do(share)
		share.Wipe()
		var wrong *seal.ShareError
		switch {
		case errors.As(err, &wrong):
			fmt.Println("  ", err)
			n--
		case err != nil:
			return err
		case enough:
			return nil
		}
	}
}

// Report prints what a migration would do. It returns an error if something
// stands in its way.
func Report(r migrate.Report) error {
	if len(r.Moves) == 0 {
		fmt.Println("Nothing is to be done: the store is there already.")
	}
	for _, m := range r.Moves {
		fmt.Println("would", m)
	}
	for _, w := range r.Warnings {
		fmt.Println("note:", w)
	}
	fmt.Println("would open the store afterwards:")
	for _, o := range r.Opens {
		fmt.Println("  ", o)
	}
	return errors.Join(r.Problems...)
}

// NewFile reports whether the file for new shares is there already, where the
// migration makes new ones: those in it would be worthless, and the new ones
// could not be written.
func NewFile(path string, r migrate.Report, reissue bool) error {
	makes := reissue || slices.ContainsFunc(r.Moves, func(m migrate.Move) bool { return m.Kind == migrate.MoveAdd && seal.HasPeople(m.Spec) })
	if path == "" || !makes {
		return nil
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("-out: %s is there already: name a new file", path))
	}
	return nil
}

// Progress tells of each move as it is made.
func Progress(m migrate.Move, done bool, err error) {
	switch {
	case !done:
		fmt.Printf("%-40s ", m)
	case err != nil:
		fmt.Println("failed")
	default:
		fmt.Println("done")
	}
}

// Summary prints what opens the store now.
func Summary(s seal.Status) {
	fmt.Println("What opens the store now:")
	for _, slot := range s.Slots {
		if slot.State != seal.SlotPending {
			fmt.Printf("   %s: %s\n", slot.Name, slot.Spec)
		}
	}
	for _, w := range s.Warnings {
		fmt.Println("warning:", w)
	}
}

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/term"
)

var (
	errTerminal = errors.New("standard output is a terminal, which keeps what it shows")
	errThere    = errors.New("is there already: name a new file")
)

// outFlags say where plaintext goes.
type outFlags struct {
	Out        string `placeholder:"FILE" help:"A new file for the plaintext, 0600. Default: standard output, if that is no terminal."`
	ToTerminal bool   `help:"Show the plaintext on a terminal all the same."`
}

// A sink takes plaintext: standard output, or a file that has its name once it is
// whole and durable.
type sink struct {
	*bufio.Writer
	file       *os.File // nil: standard output
	path, name string   // of the file: FILE.partial until it is whole, then FILE
}

// create makes the sink, before anything is decrypted.
func (f *outFlags) create(a *app) (*sink, error) {
	if f.Out != "" {
		return createFile(f.Out)
	}
	if out, ok := a.out.(*os.File); ok && term.IsTerminal(int(out.Fd())) && !f.ToTerminal {
		return nil, fmt.Errorf("%w: give --out FILE, pipe it on, or say --to-terminal", errTerminal)
	}
	return &sink{Writer: bufio.NewWriter(a.out)}, nil
}

// createFile makes a new file that its owner alone may read. It never replaces one.
func createFile(name string) (*sink, error) {
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, fmt.Errorf("%s %w", name, errThere))
	}
	path := name + ".partial"
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s %w: an earlier run left it, look at it and remove it", path, errThere)
	}
	if err != nil {
		return nil, err
	}
	return &sink{bufio.NewWriter(file), file, path, name}, nil
}

// finish makes what was written durable, and gives the file its name.
func (s *sink) finish() error {
	if err := s.Flush(); err != nil {
		return s.keep(fmt.Errorf("write the plaintext: %w", err))
	}
	if s.file == nil {
		return nil
	}
	if err := errors.Join(s.file.Sync(), s.file.Close()); err != nil {
		return s.keep(err)
	}
	// A link fails where the name was taken meanwhile; a rename would replace it.
	if err := os.Link(s.path, s.name); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s %w: what was written is in %s", s.name, errThere, s.path)
	} else if err != nil { // a file system without links
		if err := os.Rename(s.path, s.name); err != nil {
			return err
		}
	} else if err := os.Remove(s.path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(s.name))
}

// keep ends a sink that is not whole. What was written stays, and is named.
func (s *sink) keep(err error) error {
	if s.file == nil {
		return err
	}
	_ = s.Flush()
	_ = s.file.Close()
	if info, statErr := os.Stat(s.path); statErr == nil && info.Size() == 0 {
		_ = os.Remove(s.path)
		return err
	}
	return fmt.Errorf("%w; what was written so far is in %s", err, s.path)
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readAll reads a file, or standard input for "-", up to a bound.
func (a *app) readAll(path, what string, most int64) ([]byte, error) {
	var in io.Reader = a.in
	if path == "-" {
		if err := a.takeInput(what); err != nil {
			return nil, err
		}
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("the %s has more than %d bytes", what, most)
	}
	return b, err
}

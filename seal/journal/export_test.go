package journal

import (
	"bytes"
	"context"
	"iter"
)

// A Gate is a file before whose every write, and opening, Before is called.
type Gate struct {
	File
	Before func() error
}

func (g Gate) open(ctx context.Context) (shelf, ending, error) {
	if err := g.Before(); err != nil {
		return nil, ending{}, err
	}
	s, end, err := g.File.open(ctx)
	return gatedShelf{s, g.Before}, end, err
}

type gatedShelf struct {
	shelf
	before func() error
}

func (g gatedShelf) put(ctx context.Context, lines [][]byte) (int, error) {
	if err := g.before(); err != nil {
		return 0, err
	}
	return g.shelf.put(ctx, lines)
}

// Handle is an open file.
type Handle = handle

// A Faulty is a file that is opened by the test, with what opens it otherwise.
type Faulty struct {
	File
	OpenFile func(name string, flag int, open func(string, int) (Handle, error)) (Handle, error)
}

func (f Faulty) open(ctx context.Context) (shelf, ending, error) {
	s, end, err := f.File.open(ctx)
	if err == nil {
		s.(*fileShelf).openFile = func(name string, flag int) (handle, error) { return f.OpenFile(name, flag, openFile) }
	}
	return s, end, err
}

// Bytes are the content of a file.
type Bytes []byte

func (b Bytes) String() string { return "bytes" }
func (b Bytes) check() error   { return nil }
func (b Bytes) open(context.Context) (shelf, ending, error) {
	panic("it is for reading")
}
func (b Bytes) pieces(ctx context.Context) iter.Seq2[piece, error] {
	return piecesOf(ctx, bytes.NewReader(b), "bytes")
}

// Canonical reports whether data is a line, and if so whether it is the one
// encoding that this line has.
func Canonical(data []byte) (is, same bool) {
	l, err := parseLine(data)
	return err == nil, err == nil && bytes.Equal(l.appendTo(nil), data)
}

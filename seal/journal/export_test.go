package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"iter"
)

// A Gate is a file before whose every write, and opening, Before is called.
type Gate struct {
	File
	Before  func() error
	Closing func() // if set, called before it is given back
}

func (g Gate) open(ctx context.Context) (shelf, ending, error) {
	if err := g.Before(); err != nil {
		return nil, ending{}, err
	}
	s, end, err := g.File.open(ctx)
	return gatedShelf{s, g}, end, err
}

type gatedShelf struct {
	shelf
	gate Gate
}

func (g gatedShelf) close() {
	if g.gate.Closing != nil {
		g.gate.Closing()
	}
	g.shelf.close()
}

func (g gatedShelf) put(ctx context.Context, lines [][]byte) (int, error) {
	if err := g.gate.Before(); err != nil {
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
func (b Bytes) archived() Head { return Head{} }
func (b Bytes) open(context.Context) (shelf, ending, error) {
	panic("it is for reading")
}
func (b Bytes) pieces(ctx context.Context) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		filePieces(ctx, bufio.NewReaderSize(bytes.NewReader(b), min(len(b)+1, MaxLine)), "bytes", yield)
	}
}

// A Rest is what is left of a journal whose lines up to a head were archived.
type Rest struct {
	Bytes
	After Head
}

func (r Rest) archived() Head { return r.After }

// Canonical reports whether data is a line, and if so whether it is the one
// encoding that this line has.
func Canonical(data []byte) (is, same bool) {
	l, err := parseLine(data)
	return err == nil, err == nil && bytes.Equal(l.appendTo(nil), data)
}

// Rechain has lines follow one another, as who writes a journal anew does.
func Rechain(lines ...string) (text []byte) {
	var last Head
	for _, one := range lines {
		l, err := parseLine(bytes.TrimSuffix([]byte(one), []byte("\n")))
		if err != nil {
			panic(err)
		}
		l.Seq, l.Prev = last.Seq+1, hex.EncodeToString(last.Hash[:])
		data := l.appendTo(nil)
		last = Head{l.Chain, l.Seq, hashLine(data)}
		text = append(append(text, data...), '\n')
	}
	return text
}

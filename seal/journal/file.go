package journal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/internal/durable"
	"github.com/sealwright/sealwright/seal"
)

// A File is a journal in a file, and in those that it was before it became too
// large, beside it: name.000000000123 ends with line 123. It is made with mode
// 0600. The file name.lock beside it is held while a process writes.
type File struct {
	Path string

	// After says that files were archived: all lines up to that of this head were
	// taken away from here, and the journal begins behind it. It is the head of the
	// last line archived, as [Verify] of the archive returns it. Zero: nothing was.
	After Head
}

func (f File) String() string { return fmt.Sprintf("file %q", f.Path) }

func (f File) check() error {
	if f.Path == "" || os.IsPathSeparator(f.Path[len(f.Path)-1]) {
		return fmt.Errorf("%w: journal: %q is not the name of a file", seal.ErrConfig, f.Path)
	}
	return checkArchived(f.After)
}

func (f File) archived() Head { return f.After }

const seqDigits = 12

func rotatedName(path string, seq uint64) string { return fmt.Sprintf("%s.%0*d", path, seqDigits, seq) }

// rotated returns the names of the files before this one, the oldest first.
func (f File) rotated() ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(f.Path))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		seq, ok := strings.CutPrefix(e.Name(), filepath.Base(f.Path)+".")
		if ok && len(seq) >= seqDigits && strings.Trim(seq, "0123456789") == "" {
			names = append(names, filepath.Join(filepath.Dir(f.Path), e.Name()))
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return names, nil
}

// pieces reads the files before this one and then this one, which is opened first
// so that one that is rotated meanwhile is read all the same, and once.
func (f File) pieces(ctx context.Context) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) {
		now, err := durable.OpenRegular(f.Path, os.O_RDONLY)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			yield(piece{}, fmt.Errorf("journal: %w", err))
			return
		}
		missing := err
		if now != nil {
			defer now.Close()
		}
		names, err := f.rotated()
		if err == nil && len(names) == 0 {
			err = missing
		}
		if err != nil {
			yield(piece{}, fmt.Errorf("journal: %w", err))
			return
		}
		in := bufio.NewReaderSize(nil, MaxLine)
		for _, name := range names {
			old, err := durable.OpenRegular(name, os.O_RDONLY)
			if err != nil {
				yield(piece{}, fmt.Errorf("journal: %w", err))
				return
			}
			if now != nil && sameFile(now, old) { // it was rotated just now, and others perhaps begun
				old.Close()
				break
			}
			in.Reset(old)
			more := filePieces(ctx, in, name, yield)
			old.Close()
			if !more {
				return
			}
		}
		if now != nil {
			in.Reset(now)
			filePieces(ctx, in, f.Path, yield)
		}
	}
}

func sameFile(a, b *os.File) bool {
	x, err := a.Stat()
	y, err2 := b.Stat()
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// filePieces yields the lines of one file, and reports whether more are wanted. Its
// reader holds MaxLine, or the whole file.
func filePieces(ctx context.Context, in *bufio.Reader, name string, yield func(piece, error) bool) bool {
	for n, part := 1, false; ; {
		data, err := in.ReadSlice('\n')
		long := errors.Is(err, bufio.ErrBufferFull)
		if err != nil && !long && !errors.Is(err, io.EOF) {
			return yield(piece{}, fmt.Errorf("journal: %w", err))
		}
		text, ended := bytes.CutSuffix(data, []byte("\n"))
		if len(data) > 0 && !yield(piece{place: name, line: n, data: text, ended: ended, part: part || long}, nil) {
			return false
		}
		if errors.Is(err, io.EOF) {
			return true
		}
		if err := ctx.Err(); err != nil {
			return yield(piece{}, err) && false
		}
		if part = long; ended {
			n++
		}
	}
}

// open takes the lock, and reads the file, or where there is none, the one before.
func (f File) open(ctx context.Context) (shelf, ending, error) {
	path, err := filepath.Abs(f.Path)
	if err != nil {
		return nil, ending{}, err
	}
	once, cancel := context.WithCancel(ctx)
	cancel() // one try: nobody gives it back soon
	unlock, err := durable.Lock(once, path+".lock")
	if errors.Is(err, context.Canceled) {
		return nil, ending{}, fmt.Errorf("%w: %w", ErrInUse, err)
	}
	if err != nil {
		return nil, ending{}, err
	}
	s := &fileShelf{path: path, unlock: unlock, openFile: openFile}
	end, err := s.begin(ctx, File{Path: path})
	if err != nil {
		s.close()
		return nil, ending{}, err
	}
	return s, end, nil
}

// A fileShelf is a file being written.
type fileShelf struct {
	path     string
	unlock   func()
	openFile func(name string, flag int) (handle, error) // a test's disk, or [openFile]

	f       handle      // nil: to be opened
	info    fs.FileInfo // of the file written to; nil: to be made
	end     int64       // of what is known to be on the disk
	newline bool        // the file does not end with one
	doubt   bool        // a write failed: there may be more
	grows   bool        // the file can only be appended to
	noDir   bool        // the file's name may not be on the disk
}

// A handle is an open file.
type handle interface {
	io.ReaderAt
	io.WriterAt
	io.Writer
	io.Closer
	Stat() (fs.FileInfo, error)
	Sync() error
}

func openFile(name string, flag int) (f handle, err error) {
	open := durable.OpenRegular
	if flag&os.O_CREATE != 0 {
		open = func(name string, flag int) (*os.File, error) { return os.OpenFile(name, flag, 0o600) }
	}
	file, err := open(name, flag)
	if err != nil {
		return nil, err // not a handle that holds a nil *os.File
	}
	return file, nil
}

func (s *fileShelf) begin(ctx context.Context, f File) (end ending, err error) {
	in, err := durable.OpenRegular(s.path, os.O_RDONLY)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ending{}, err
	}
	if err == nil {
		defer in.Close()
		if s.info, err = in.Stat(); err != nil {
			return ending{}, err
		}
		if s.end, err = in.Seek(0, io.SeekEnd); err != nil {
			return ending{}, err
		}
		s.noDir = true // the process that made it may have died before it synced that
		if end, err = s.scan(ctx, io.NewSectionReader(in, 0, s.end)); err != nil {
			return ending{}, err
		}
	}
	if end.last.Seq > 0 {
		return end, nil
	}
	names, err := f.rotated()
	if err != nil || len(names) == 0 {
		return end, err
	}
	before, err := durable.OpenRegular(names[len(names)-1], os.O_RDONLY)
	if err != nil {
		return ending{}, err
	}
	defer before.Close()
	old, _, err := scan(piecesOf(ctx, before, before.Name()))
	end.last = old.last
	return end, err
}

// scan finds how the file ends. Where its last line has no end, as a crash leaves
// it, the first write begins with one.
func (s *fileShelf) scan(ctx context.Context, r io.Reader) (ending, error) {
	end, unended, err := scan(piecesOf(ctx, r, s.path))
	if err != nil || unended == nil {
		return end, err
	}
	s.newline = true
	if end.torn.sum != nil {
		end.torn.sum.Write([]byte("\n"))
		end.torn.size++
	}
	return end, nil
}

func piecesOf(ctx context.Context, r io.Reader, name string) iter.Seq2[piece, error] {
	return func(yield func(piece, error) bool) { filePieces(ctx, bufio.NewReaderSize(r, MaxLine), name, yield) }
}

func (s *fileShelf) size() int64 { return s.end }

func (s *fileShelf) close() {
	if s.f != nil {
		s.f.Close()
	}
	s.unlock()
}

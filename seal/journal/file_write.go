package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/internal/durable"
)

// put writes at the end of what is known to be on the disk. A sync that failed is
// not repeated on the same file: the kernel may have dropped the pages and say that
// all is well the next time (see package durable). So the file is opened anew, and
// the same bytes are written to the same place.
func (s *fileShelf) put(_ context.Context, lines [][]byte) (n int, err error) {
	data := bytes.Join(lines, nil)
	if s.newline {
		data = append([]byte("\n"), data...)
	}
	err = s.ready()
	if err == nil {
		err = s.write(data)
	}
	if err == nil && s.noDir {
		err = durable.OS{}.SyncDir(filepath.Dir(s.path))
	}
	if err != nil {
		if s.f != nil {
			s.f.Close()
		}
		s.f = nil
		return 0, err
	}
	s.end += int64(len(data))
	s.newline, s.doubt, s.noDir = false, false, false
	return len(lines), nil
}

// ready opens the file, and makes sure that it is still the one of that name, with
// what was written and no more.
func (s *fileShelf) ready() error {
	if s.info == nil {
		return s.create()
	}
	if s.f == nil {
		f, err := s.openFile(s.path, os.O_RDWR)
		if s.grows = errors.Is(err, fs.ErrPermission); s.grows {
			// So it is where an administrator said chattr +a.
			f, err = s.openFile(s.path, os.O_RDWR|os.O_APPEND)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: the file was removed", errMoved)
		}
		if err != nil {
			return err
		}
		s.f = f
	}
	named, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: the file was removed", errMoved)
	}
	if err != nil {
		return err
	}
	info, err := s.f.Stat()
	switch {
	case err != nil:
		return err
	case !os.SameFile(info, named), !os.SameFile(info, s.info):
		return fmt.Errorf("%w: the file is another one", errMoved)
	case info.Size() < s.end:
		return fmt.Errorf("%w: the file was cut from %d to %d bytes", errMoved, s.end, info.Size())
	case info.Size() > s.end && !s.doubt:
		return fmt.Errorf("%w: somebody else wrote to the file", errMoved)
	}
	return nil
}

func (s *fileShelf) create() error {
	f, err := s.openFile(s.path, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: there is a file now", errMoved)
	}
	if err != nil {
		return err
	}
	s.f, s.noDir, s.end, s.grows = f, true, 0, false
	s.info, err = f.Stat()
	return err
}

func (s *fileShelf) write(data []byte) error {
	if !s.grows {
		s.doubt = true
		if _, err := s.f.WriteAt(data, s.end); err != nil {
			return err
		}
		return s.f.Sync()
	}
	if s.doubt {
		info, err := s.f.Stat()
		if err != nil {
			return err
		}
		there := make([]byte, min(info.Size()-s.end, int64(len(data))))
		if _, err := s.f.ReadAt(there, s.end); err != nil {
			return err
		}
		rest, ours := bytes.CutPrefix(data, there)
		if !ours || info.Size()-s.end > int64(len(data)) {
			return fmt.Errorf("%w: somebody else wrote to the file", errMoved)
		}
		data = rest
	}
	s.doubt = true
	if _, err := s.f.Write(data); err != nil {
		return err
	}
	return s.f.Sync()
}

// rotate gives the file the name under which it stays.
func (s *fileShelf) rotate(seq uint64) error {
	name := rotatedName(s.path, seq)
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rotate: %q is there already, %w", name, fs.ErrExist)
	}
	if s.f != nil { // Windows renames no file that is open
		s.f.Close()
		s.f = nil
	}
	if err := (durable.OS{}).Rename(s.path, name); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	s.info, s.end = nil, 0 // the next put syncs the directory, for both names
	return nil
}

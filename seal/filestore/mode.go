package filestore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/sealwright/sealwright/seal"
)

// checkExposure refuses a file that every user may read or write.
func checkExposure(info fs.FileInfo) error {
	if runtime.GOOS == "windows" { // the mode is made up there
		return nil
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("%w (mode %04o): run chmod o= on it, and think about who may have changed it", seal.ErrExposed, mode)
	}
	return nil
}

// Warnings returns what is doubtful about the place of the file, one sentence
// each, for a log at the start: a file open to its group, a directory that every
// user may write to, a file system that may keep less than it promises. It
// returns nil where nothing is. Only on Linux file systems are told apart.
func (s *Store) Warnings() []string {
	name, err := s.locate()
	if err != nil {
		return []string{fmt.Sprintf("the record's file %q can't be examined: %v", s.path, err)}
	}
	var warnings []string
	warn := func(format string, args ...any) {
		warnings = append(warnings, fmt.Sprintf(format, args...))
	}
	dir := filepath.Dir(name)
	if runtime.GOOS != "windows" {
		if info, err := os.Stat(name); err == nil && info.Mode().Perm()&0o070 != 0 {
			warn("the record's file %q is open to its group (mode %04o): right where Kubernetes (fsGroup) made it so; else run chmod g= on it", name, info.Mode().Perm())
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			warn("the record's file %q can't be examined: %v", name, err)
		}
		if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o002 != 0 {
			warn("every user may write to the directory %q, and so remove or replace the record", dir)
		}
	}
	if doubt := fileSystemDoubt(dir); doubt != "" {
		warn("the directory %q is on %s", dir, doubt)
	}
	return warnings
}

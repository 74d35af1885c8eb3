package durable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Lock takes the lock that the file of this name stands for, for one holder
// among all processes of this machine, goroutines of one process included. It
// waits for its turn until ctx is done. The file is made if it is missing; it
// stays, empty, because removing it would let two holders lock two files of one
// name. The lock ends with unlock or with the process.
func Lock(ctx context.Context, name string) (unlock func(), err error) {
	const longest = 10 * time.Millisecond
	var f *os.File
	for pause := time.Millisecond; ; pause = min(2*pause, longest) {
		if f == nil {
			if f, err = openLock(name); err != nil {
				return nil, fmt.Errorf("open the lock file: %w", err)
			}
		}
		if f != nil {
			locked, err := tryLock(f)
			if err != nil {
				f.Close()
				return nil, fmt.Errorf("lock %q: %w", name, err)
			}
			if locked && isNamed(f, name) {
				return func() { unlockFile(f); f.Close() }, nil
			}
			if locked { // what others will not look at
				f.Close()
				f = nil
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			if f != nil {
				f.Close()
			}
			return nil, fmt.Errorf("wait for the lock %q: %w", name, ctx.Err())
		}
	}
}

// isNamed reports whether f is still the file of that name, rather than one
// that was removed or replaced meanwhile and that nobody else will lock.
func isNamed(f *os.File, name string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(name)
	return err == nil && os.SameFile(mine, named)
}

// openLock opens the lock file, or returns none if it came and went meanwhile. It
// makes it as open to users as its directory is, but never to all of them, since
// who may replace a file there must be able to lock it: after the administrator
// used it once, too.
func openLock(name string) (*os.File, error) {
	f, err := OpenRegular(name, os.O_RDWR)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if info, err := os.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("%q is a symbolic link that leads nowhere: remove it", name)
	}
	dir, err := os.Stat(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// Where either is not allowed, the file is as the system made it.
	f.Chmod(0o600 | dir.Mode().Perm()&0o060)
	if os.Geteuid() == 0 {
		keepOwner(f, dir)
	}
	return f, nil
}

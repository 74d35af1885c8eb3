//go:build unix

package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// nonblock has a pipe that took the file's place be opened at once.
const nonblock = syscall.O_NONBLOCK

func rename(oldname, newname string) error { return os.Rename(oldname, newname) }

func syncDir(name string) error {
	dir, err := os.OpenFile(name, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.EROFS) {
		return nil // it can't be done, or there is nothing to do
	}
	return err
}

// keepOwner gives f the owner and group of like. Where the owner can't be kept
// and the group may read the file, the group is enough.
func keepOwner(f File, like fs.FileInfo) error {
	now, err := f.Stat()
	if err != nil {
		return err
	}
	was, ok := like.Sys().(*syscall.Stat_t)
	is, ok2 := now.Sys().(*syscall.Stat_t)
	if !ok || !ok2 || was.Uid == is.Uid && was.Gid == is.Gid {
		return nil
	}
	err = f.Chown(int(was.Uid), int(was.Gid))
	if err != nil && like.Mode()&0o040 != 0 {
		return f.Chown(-1, int(was.Gid))
	}
	return err
}

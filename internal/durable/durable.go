// Package durable replaces a file so that a crash at any moment, of the
// process or of the machine, leaves its old content or its new one, and so that
// the new one stays once Replace has returned.
//
// The order of things is what makes it so: write a new file beside the old
// one, sync it, rename it over the old one, sync the directory. Each step is
// needed, and none is implied by another:
//
//   - Without the first sync the name may reach the disk before the content,
//     and a crash leaves an empty or zero-filled file: T. S. Pillai and others,
//     "All File Systems Are Not Created Equal", OSDI 2014,
//     https://www.usenix.org/conference/osdi14/technical-sessions/presentation/pillai
//   - Without the second the rename may be forgotten: "Calling fsync() does not
//     necessarily ensure that the entry in the directory containing the file
//     has also reached disk", https://man7.org/linux/man-pages/man2/fsync.2.html
//   - rename(2) replaces a name atomically for whoever looks on:
//     https://pubs.opengroup.org/onlinepubs/9799919799/functions/rename.html
//     That it is atomic over a crash too is a property of file systems with a
//     journal or with copy-on-write, not of POSIX.
//   - A sync that failed must not be repeated on the same file: the kernel may
//     have dropped the pages and report success the next time. A. Rebello and
//     others, "Can Applications Recover from fsync Failures?", ATC 2020,
//     https://www.usenix.org/conference/atc20/presentation/rebello
//     Replace gives that file up.
//
// What it can't do:
//
//   - A drive, controller or hypervisor that reports a write as done and keeps
//     it in volatile memory loses it. On macOS os.File.Sync asks the drive too
//     (F_FULLFSYNC).
//   - Network and user-space file systems keep these promises as far as their
//     servers do.
//   - Windows documents no way to sync a directory. There the rename asks to be
//     written through (MOVEFILE_WRITE_THROUGH), and NTFS logs it.
//   - Where a file system refuses to sync directories (EINVAL, ENOTSUP), Replace
//     goes on without, as PostgreSQL does.
//   - Replace makes a new file: hard links, extended attributes and access
//     control lists of the old one are not kept.
package durable

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// FS is the part of a file system that changes it. [OS] is the real one.
type FS interface {
	// CreateTemp makes a new file as os.CreateTemp does, with mode 0600.
	CreateTemp(dir, pattern string) (File, error)
	Rename(oldname, newname string) error
	Remove(name string) error
	// SyncDir returns when the entries of the directory are on the disk.
	SyncDir(name string) error
}

// File is a file being written.
type File interface {
	io.WriteCloser
	Name() string
	Stat() (fs.FileInfo, error)
	Chmod(mode fs.FileMode) error
	Chown(uid, gid int) error
	// Sync returns when the content of the file is on the disk.
	Sync() error
}

// OS is the file system of the operating system.
type OS struct{}

// CreateTemp is os.CreateTemp.
func (OS) CreateTemp(dir, pattern string) (File, error) {
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err // not a File that holds a nil *os.File
	}
	return f, nil
}

// Rename is os.Rename that waits for the disk where that is asked of the
// rename itself.
func (OS) Rename(oldname, newname string) error { return rename(oldname, newname) }

// Remove is os.Remove.
func (OS) Remove(name string) error { return os.Remove(name) }

// SyncDir syncs a directory, as far as the system can.
func (OS) SyncDir(name string) error { return syncDir(name) }

// Replace replaces the content of a file, or makes it. It keeps the owner and
// the mode of like, which describes the file replaced, without the mode's bits
// for other users; a new file, with a nil like, has mode 0600. An error before
// the rename leaves the old file and nothing beside it. After an error of the
// last sync the file is replaced, but perhaps not for good.
//
// Two calls for the same file must not run at once: see [Lock].
func Replace(fsys FS, name string, data []byte, like fs.FileInfo) error {
	dir := filepath.Dir(name)
	f, err := fsys.CreateTemp(dir, tempPrefix(name)+"*"+tempSuffix)
	if err != nil {
		return fmt.Errorf("make a file beside it: %w", err)
	}
	if err := fill(f, data, like); err != nil {
		f.Close()
		fsys.Remove(f.Name()) // if this fails it is a leftover like any other
		return err
	}
	if err := fsys.Rename(f.Name(), name); err != nil {
		fsys.Remove(f.Name())
		return fmt.Errorf("put the new file in its place: %w", err)
	}
	if err := fsys.SyncDir(dir); err != nil {
		return fmt.Errorf("the file is replaced, but may not survive a power loss: sync its directory: %w", err)
	}
	return nil
}

// fill writes, syncs and closes a file.
func fill(f File, data []byte, like fs.FileInfo) error {
	if like != nil {
		if err := keepOwner(f, like); err != nil {
			return fmt.Errorf("keep the owner of the file: %w", err)
		}
		if err := f.Chmod(like.Mode().Perm() &^ 0o007); err != nil {
			return fmt.Errorf("keep the mode of the file: %w", err)
		}
	}
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// RemoveLeftovers removes what a [Replace] of this file left behind whose
// process was killed. No other Replace may be under way. It is no failure if
// something stays.
func RemoveLeftovers(fsys FS, name string) {
	dir := filepath.Dir(name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if isTemp(e.Name(), name) && e.Type().IsRegular() {
			fsys.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// The file being written for "record" is ".record.<random>.tmp" beside it.
func tempPrefix(name string) string { return "." + filepath.Base(name) + "." }

const tempSuffix = ".tmp"

// isTemp reports whether temp is such a file. The random part is digits alone:
// ".record.old.123.tmp" belongs to "record.old".
func isTemp(temp, name string) bool {
	random, isPrefixed := strings.CutPrefix(temp, tempPrefix(name))
	random, isSuffixed := strings.CutSuffix(random, tempSuffix)
	return isPrefixed && isSuffixed && random != "" && strings.Trim(random, "0123456789") == ""
}

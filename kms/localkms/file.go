package localkms

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/sealwright/sealwright/internal/durable"
	"github.com/sealwright/sealwright/kms"
)

// Create makes a key file with one new version, readable by its owner alone. It
// never replaces a file: where there is something of that name, also a symbolic
// link that leads nowhere, the error is [kms.ErrMisconfigured] and wraps
// [fs.ErrExist]. When Create returns nil the file is on the disk. The directory
// must be there. A file path.lock stays beside it.
func Create(ctx context.Context, path string) error {
	const op = "create"
	if path == "" {
		return failure(op, kms.ErrMisconfigured, errors.New("the path is empty"))
	}
	if err := ctx.Err(); err != nil {
		return failure(op, kms.ErrUnavailable, err)
	}
	unlock, err := durable.Lock(ctx, path+".lock")
	if err != nil {
		return fileFailure(op, err)
	}
	defer unlock()
	if _, err := os.Lstat(path); err == nil {
		return failure(op, kms.ErrMisconfigured, fmt.Errorf("%q: %w", path, fs.ErrExist))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fileFailure(op, err)
	}
	durable.RemoveLeftovers(durable.OS{}, path)
	f := new(keyFile)
	f.addVersion()
	defer f.wipe()
	data := f.encode()
	defer clear(data)
	if err := durable.Replace(exclusive{}, path, data, nil); err != nil {
		return fileFailure(op, err)
	}
	return nil
}

// exclusive is a file system whose renames replace nothing, also if somebody
// who knows no lock makes the file at this very moment.
type exclusive struct{ durable.OS }

// Rename gives the file its new name by a link, which fails if there is one.
// Where a file system has no links, the lock and a look must do.
func (e exclusive) Rename(oldname, newname string) error {
	err := os.Link(oldname, newname)
	switch {
	case err == nil:
		os.Remove(oldname) // if this fails it is a leftover like any other
		return nil
	case errors.Is(err, fs.ErrExist):
		return err
	}
	return e.OS.Rename(oldname, newname)
}

// Rotate adds a new version to the file, which wraps from then on; the older
// ones stay, and unwrap. The file is replaced as a whole and keeps its owner and
// mode. Copies of the file on other machines must be replaced too before they
// meet a new blob. When Rotate returns nil the file is on the disk.
func (w *Wrapper) Rotate(ctx context.Context) error {
	const op = "rotate"
	if err := ctx.Err(); err != nil {
		return failure(op, kms.ErrUnavailable, err)
	}
	name, err := filepath.EvalSymlinks(w.cfg.Path)
	if err != nil {
		return fileFailure(op, err)
	}
	unlock, err := durable.Lock(ctx, name+".lock")
	if err != nil {
		return fileFailure(op, err)
	}
	defer unlock()
	f, info, err := w.read(op, name)
	if err != nil {
		return err
	}
	defer f.wipe()
	if len(f.keys) == maxVersions {
		return f.failure(op, kms.ErrMisconfigured, fmt.Errorf("the file has %d versions already: create another, and move to it", maxVersions))
	}
	f.addVersion()
	data := f.encode()
	defer clear(data)
	if err := durable.Replace(durable.OS{}, name, data, info); err != nil {
		return fileFailure(op, err)
	}
	return nil
}

// load reads the key file, which the caller wipes.
func (w *Wrapper) load(ctx context.Context, op string) (*keyFile, error) {
	if err := ctx.Err(); err != nil {
		return nil, failure(op, kms.ErrUnavailable, err)
	}
	f, _, err := w.read(op, w.cfg.Path)
	return f, err
}

func (w *Wrapper) read(op, name string) (*keyFile, fs.FileInfo, error) {
	// A look before it is opened: to open a pipe would wait for a writer.
	if info, err := os.Stat(name); err != nil {
		return nil, nil, fileFailure(op, err)
	} else if !info.Mode().IsRegular() {
		return nil, nil, failure(op, kms.ErrMisconfigured, fmt.Errorf("%q is not a regular file", name))
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, fileFailure(op, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, fileFailure(op, err)
	}
	if err := w.checkMode(name, info.Mode().Perm()); err != nil {
		return nil, nil, failure(op, kms.ErrMisconfigured, err)
	}
	data := make([]byte, maxFileSize+1)
	defer clear(data)
	n, err := io.ReadFull(file, data)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, nil, fileFailure(op, err)
	}
	f, err := parse(data[:n])
	if err != nil {
		kind := kms.ErrMisconfigured
		if errors.Is(err, errDamaged) {
			kind = kms.ErrKeyGone
		}
		return nil, nil, failure(op, kind, fmt.Errorf("%q: %w", name, err))
	}
	return f, info, nil
}

func (w *Wrapper) checkMode(name string, mode fs.FileMode) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	if mode&0o007 != 0 {
		return fmt.Errorf("%q is open to every user (mode %04o): run chmod 600 on it, and replace a key that others may have read", name, mode)
	}
	if mode&0o070 == 0 {
		return nil
	}
	if w.cfg.Warn == nil {
		return fmt.Errorf("%q is open to its group (mode %04o): run chmod 600 on it, or set Warn where Kubernetes (fsGroup) made it so", name, mode)
	}
	w.cfg.Warn(fmt.Sprintf("kms: the key file %q is open to its group (mode %04o)", name, mode))
	return nil
}

// fileFailure says what a failure of the file system means for the key.
func fileFailure(op string, err error) *kms.Error {
	kind := kms.ErrUnavailable
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind = kms.ErrKeyGone
		err = fmt.Errorf("%w: is its volume mounted? Else put its copy back; a new store's is made once, by localkms.Create", err)
	case errors.Is(err, fs.ErrExist):
		kind = kms.ErrMisconfigured
	case errors.Is(err, fs.ErrPermission):
		kind = kms.ErrDenied
	}
	return failure(op, kind, err)
}

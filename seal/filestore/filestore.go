// Package filestore keeps the record of a seal in a file on a local disk, for
// one machine. Several processes may share it.
//
//	store, err := filestore.Open("/var/lib/server/seal/record")
//	b, err := seal.Open(seal.Config{Store: store, …})
//
// Do not use it on a file system of another machine, nor for replicas on several:
// package sqlstore is for those.
//
// # Durability
//
// Swap writes a new file beside the old one, syncs it, renames it and syncs the
// directory, under a lock on the file name.lock beside it, which stays. Load
// takes no lock; it syncs the directory before it returns a record that it has
// not seen before, since the process that stored it may have died before doing
// so: what was read once is not lost either. When a file system or a disk does
// less than it says, so does the store: [Store.Warnings] names what can be
// recognised.
//
// # The file
//
// The file is one line of header and the record. The header has a random number
// and a checksum. The revision is the SHA-256 of the whole file in hex, so that
// a record that returns has a new revision, and a file copied back from a backup
// its old one.
//
// A symbolic link is followed, also one as Kubernetes mounts files (..data), and
// what it leads to is replaced. A file that other users may read or write is
// refused with [seal.ErrExposed]; the mode and the owner of the file are kept. On
// Windows access lists govern, and none of this is checked. A pipe, a device or a
// directory in place of a file is an error, and is not opened.
//
// # No file
//
// Where there is no file, Load returns [seal.ErrNotFound]. Nothing else looks
// like that: an empty, cut or altered file is [seal.ErrCorrupt]; a missing
// directory, a directory in place of the file, and a symbolic link that leads
// nowhere are errors of their own, because they come of a volume that is not
// mounted or a path that is wrong. The mount point itself remains when its volume
// goes, so keep the file in a directory within the volume, not at its top: then a
// missing volume is a missing directory, and no empty store.
//
// # A disk that hangs
//
// Nothing ends a system call on a disk that hangs. One Load, one Swap and Watch
// may then be kept, with a thread each; what is called after them ends with its
// context.
package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/durable"
	"github.com/sealwright/sealwright/internal/poll"
	"github.com/sealwright/sealwright/seal"
)

// A Store is a [seal.Store] and a [seal.Watcher] that keeps the record in a file.
// Make it with [Open].
type Store struct {
	// PollInterval is how often Watch looks at the file. Zero is two seconds.
	// Set it before the first use.
	PollInterval time.Duration

	path string // absolute
	fsys durable.FS

	// A disk that hangs keeps what waits for it, and a thread with it, and no
	// context ends that. These are held while it is waited for, so that it keeps one
	// Load and one Swap, and the others end with their contexts.
	loading, swapping chan struct{}

	mu     sync.Mutex
	synced string // a revision that is known to stay
}

// hold takes a turn and returns what gives it back.
func hold(ctx context.Context, turn chan struct{}) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the call before this one, which the disk does not answer: %w", ctx.Err())
	}
}

// Open returns a store in the file of this name. The file need not be
// there yet, nor is it looked at; its directory is never made. The error, which
// is [seal.ErrConfig], says that no file can have this name.
func Open(path string) (*Store, error) {
	if path == "" || os.IsPathSeparator(path[len(path)-1]) {
		return nil, fmt.Errorf("%w: %q is not the name of a file", seal.ErrConfig, path)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("%w: the file %q: %w", seal.ErrConfig, path, err)
	}
	return &Store{path: abs, fsys: durable.OS{}, loading: make(chan struct{}, 1), swapping: make(chan struct{}, 1)}, nil
}

// Place returns the name of the file: it is a [seal.Placed].
func (s *Store) Place() string { return "the file " + strconv.Quote(s.path) }

// Load returns the record and its revision, or [seal.ErrNotFound] if there is no
// file.
func (s *Store) Load(ctx context.Context) (rec []byte, rev string, err error) {
	rec, rev, err = s.load(ctx)
	if err != nil {
		return nil, "", s.errorf("load", err)
	}
	return rec, rev, nil
}

func (s *Store) load(ctx context.Context) (rec []byte, rev string, err error) {
	release, err := hold(ctx, s.loading)
	if err != nil {
		return nil, "", err
	}
	defer release()
	name, err := s.locate()
	if err != nil {
		return nil, "", err
	}
	rec, rev, _, err = readRecordFile(name)
	if err != nil {
		return nil, "", err
	}
	if rev == s.lasting() {
		return rec, rev, nil
	}
	if err := s.fsys.SyncDir(filepath.Dir(name)); err != nil {
		return nil, "", fmt.Errorf("sync its directory, without which the record may not survive a power loss: %w", err)
	}
	s.lasts(rev)
	return rec, rev, nil
}

// lasting returns the revision that is known to stay.
func (s *Store) lasting() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.synced
}

func (s *Store) lasts(rev string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.synced = rev
}

// Swap replaces the record as [seal.Store] says. It waits for other writers until ctx
// is done; once it writes it goes through with it. It fails with [seal.ErrTooLarge]
// if rec is longer than [seal.MaxRecordSize], and, like Load, where the file present
// can't be read.
func (s *Store) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	rev, err = s.swap(ctx, rec, old)
	if err != nil {
		return "", s.errorf("swap", err)
	}
	return rev, nil
}

func (s *Store) swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if len(rec) > seal.MaxRecordSize {
		return "", fmt.Errorf("%d bytes: %w", len(rec), seal.ErrTooLarge)
	}
	release, err := hold(ctx, s.swapping)
	if err != nil {
		return "", err
	}
	defer release()
	name, err := s.locate()
	if err != nil {
		return "", err
	}
	unlock, err := durable.Lock(ctx, name+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if again, err := s.locate(); err != nil {
		return "", err
	} else if again != name {
		return "", errors.New("the symbolic link changed at this moment: try again")
	}
	_, present, info, err := readRecordFile(name)
	if err != nil && !errors.Is(err, seal.ErrNotFound) {
		return "", err
	}
	if present != old {
		return "", seal.ErrConflict
	}
	durable.RemoveLeftovers(s.fsys, name)
	data, rev := encodeRecordFile(rec)
	if err := durable.Replace(s.fsys, name, data, info); err != nil {
		return "", err
	}
	s.lasts(rev)
	return rev, nil
}

func (s *Store) errorf(op string, err error) error {
	if user := os.Geteuid(); errors.Is(err, fs.ErrPermission) && user >= 0 { // there is none on Windows
		err = fmt.Errorf("%w: this process is user %d: have it own the file and its directory, or run it as their owner", err, user)
	}
	return fmt.Errorf("filestore: %s file %q: %w", op, s.path, err)
}

// Watch tells of changes as [seal.Watcher] says, by looking at the file every
// PollInterval. It begins by sending once, as the record may have changed
// before. A file that can't be read for a time does not end it.
func (s *Store) Watch(ctx context.Context, changed chan<- struct{}) error {
	interval := s.PollInterval
	if interval <= 0 {
		interval = 2 * time.Second
	}
	return poll.Watch(ctx, interval, s.glance, changed)
}

// glance returns what is different after each swap, and after most other things
// that can happen to a file.
func (s *Store) glance(context.Context) (string, error) {
	f, err := durable.OpenRegular(s.path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	header, err := io.ReadAll(io.LimitReader(f, int64(recordHeaderSize)))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d %d %s", info.Size(), info.ModTime().UnixNano(), header), nil
}

// locate returns the name of the file itself, where the store's is a link to
// it. It fails unless there is a directory in which the file is or can be made.
func (s *Store) locate() (string, error) {
	info, err := os.Lstat(s.path)
	switch {
	case err == nil && info.Mode()&fs.ModeSymlink == 0:
		return s.path, nil
	case err == nil:
		name, err := filepath.EvalSymlinks(s.path)
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("a symbolic link that leads nowhere: is the volume mounted? %w", err)
		}
		return name, err
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	dir, err := os.Stat(filepath.Dir(s.path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("its directory is missing: is the volume mounted? %w", err)
	case err != nil:
		return "", err
	case !dir.IsDir():
		return "", fmt.Errorf("%q is not a directory", filepath.Dir(s.path))
	}
	return s.path, nil
}

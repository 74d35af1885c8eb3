// Package durabletest simulates what a power loss does to files: a [Disk] is a
// [durable.FS] that carries operations out and remembers which of them were
// synced. [Disk.Crashes] then yields every state that the disk may be in after
// a crash.
//
// What an operation that was not synced leaves is chosen freely and for each
// part on its own: of a write, each third of the data, and each growth of the
// size without the data (which shows as zeros); of a rename, the new entry and
// the removal of the old one. A later operation may survive an earlier one. The
// one thing taken for granted is that a directory entry changes from one file
// to another at once.
package durabletest

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"github.com/sealwright/sealwright/internal/durable"
)

// ErrKilled is returned by the operations of a process that is dead.
var ErrKilled = errors.New("durabletest: the process was killed")

// Disk is the simulated disk. It lies over one real directory, without
// directories inside, and begins with that empty. It is safe for concurrent
// use.
type Disk struct {
	dir string

	mu     sync.Mutex
	log    []op
	inodes int
	names  map[string]int // inode by name, now
	killAt int
}

// op is one operation: what it adds to the disk sooner or later, and what it
// makes durable.
type op struct {
	adds  []change
	syncs func(change) bool // nil: nothing
}

// change is what survives a crash, or does not, as a whole.
type change struct {
	name  string // not empty: of the directory
	inode int    // the file; for a directory entry 0 removes it
	at    int    // where the data begin
	data  []byte
	size  int // not 0: the file is at least this long
	trunc bool
}

// NewDisk returns a disk over an empty directory.
func NewDisk(dir string) *Disk {
	return &Disk{dir: dir, names: map[string]int{}, killAt: -1}
}

// Ops returns how many operations there were.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.log)
}

// KillAt kills the process after n operations in all: every later one does
// nothing but fail. A negative n lets a new process live.
func (d *Disk) KillAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.killAt = n
}

// do carries an operation out and logs it.
func (d *Disk) do(carryOut func() (op, error)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.killAt >= 0 && len(d.log) >= d.killAt {
		return ErrKilled
	}
	o, err := carryOut()
	if err != nil {
		return err
	}
	d.log = append(d.log, o)
	return nil
}

// CreateTemp makes a file.
func (d *Disk) CreateTemp(dir, pattern string) (durable.File, error) {
	var f *os.File
	var inode int
	err := d.do(func() (op, error) {
		var err error
		if f, err = os.CreateTemp(dir, pattern); err != nil {
			return op{}, err
		}
		d.inodes++
		inode = d.inodes
		name := filepath.Base(f.Name())
		d.names[name] = inode
		return op{adds: []change{{name: name, inode: inode}}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &file{File: f, disk: d, inode: inode}, nil
}

// OpenInPlace opens a file to write it anew in its place. No durable.FS can do
// that: it is there to plant a fault.
func (d *Disk) OpenInPlace(name string) (durable.File, error) {
	var f *os.File
	var inode int
	err := d.do(func() (op, error) {
		var err error
		if f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
			return op{}, err
		}
		base := filepath.Base(name)
		if inode = d.names[base]; inode != 0 {
			return op{adds: []change{{inode: inode, trunc: true}}}, nil
		}
		d.inodes++
		inode = d.inodes
		d.names[base] = inode
		return op{adds: []change{{name: base, inode: inode}}}, nil
	})
	if err != nil {
		return nil, err
	}
	return &file{File: f, disk: d, inode: inode}, nil
}

// Rename renames a file.
func (d *Disk) Rename(oldname, newname string) error {
	return d.do(func() (op, error) {
		if err := os.Rename(oldname, newname); err != nil {
			return op{}, err
		}
		from, to := filepath.Base(oldname), filepath.Base(newname)
		inode := d.names[from]
		delete(d.names, from)
		d.names[to] = inode
		return op{adds: []change{{name: to, inode: inode}, {name: from}}}, nil
	})
}

// Remove removes a file.
func (d *Disk) Remove(name string) error {
	return d.do(func() (op, error) {
		if err := os.Remove(name); err != nil {
			return op{}, err
		}
		delete(d.names, filepath.Base(name))
		return op{adds: []change{{name: filepath.Base(name)}}}, nil
	})
}

// SyncDir makes every earlier change of the directory durable.
func (d *Disk) SyncDir(string) error {
	return d.do(func() (op, error) {
		return op{syncs: func(c change) bool { return c.name != "" }}, nil
	})
}

// file is a file being written. Its mode and owner are not simulated.
type file struct {
	*os.File
	disk  *Disk
	inode int
	at    int
}

// Write writes in thirds, each an operation: a crash may fall between them.
func (f *file) Write(data []byte) (n int, err error) {
	third := len(data)/3 + 1
	for n < len(data) {
		part := data[n:min(n+third, len(data))]
		err := f.disk.do(func() (op, error) {
			if _, err := f.File.Write(part); err != nil {
				return op{}, err
			}
			at := f.at
			f.at += len(part)
			return op{adds: []change{
				{inode: f.inode, size: f.at},
				{inode: f.inode, at: at, data: append([]byte{}, part...)},
			}}, nil
		})
		if err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// Sync makes every earlier change of the file durable, but not its name.
func (f *file) Sync() error {
	return f.disk.do(func() (op, error) {
		return op{syncs: func(c change) bool { return c.name == "" && c.inode == f.inode }}, nil
	})
}

// Crash is the content of a directory after a power loss.
type Crash map[string]string

// Crashes yields every state that a power loss after the first n operations
// may leave, the same one as often as there are ways to it.
func (d *Disk) Crashes(n int) iter.Seq[Crash] {
	d.mu.Lock()
	log := d.log[:n:n]
	d.mu.Unlock()
	var all []change
	var open []int // those of all that are not synced
	for _, o := range log {
		all = append(all, o.adds...)
		left := open[:0:0]
		for i := range all {
			known := i < len(all)-len(o.adds)
			if known && !contains(open, i) {
				continue
			}
			if o.syncs == nil || !o.syncs(all[i]) {
				left = append(left, i)
			}
		}
		open = left
	}
	return func(yield func(Crash) bool) {
		if len(open) > 20 {
			panic(fmt.Sprintf("durabletest: 2^%d states", len(open)))
		}
		lost := map[int]bool{}
		for subset := range 1 << len(open) {
			for bit, i := range open {
				lost[i] = subset>>bit&1 == 0
			}
			if !yield(apply(all, lost)) {
				return
			}
		}
	}
}

func contains(sorted []int, i int) bool {
	at := sort.SearchInts(sorted, i)
	return at < len(sorted) && sorted[at] == i
}

// apply makes the state to which all changes but the lost ones lead.
func apply(all []change, lost map[int]bool) Crash {
	names, files := map[string]int{}, map[int][]byte{}
	for i, c := range all {
		switch data := files[c.inode]; {
		case lost[i]:
		case c.name != "" && c.inode == 0:
			delete(names, c.name)
		case c.name != "":
			names[c.name] = c.inode
		case c.trunc:
			files[c.inode] = nil
		case c.size > len(data):
			files[c.inode] = append(data, make([]byte, c.size-len(data))...)
		case c.at < len(data): // data beyond the size are not there
			copy(data[c.at:], c.data)
		}
	}
	crash := Crash{}
	for name, inode := range names {
		crash[name] = string(files[inode])
	}
	return crash
}

// Key tells states apart, but for the random parts of the names.
func (c Crash) Key() string {
	var entries []string
	for name, content := range c {
		if strings.HasPrefix(name, ".") {
			name = "temporary"
		}
		entries = append(entries, fmt.Sprintf("%d:%s%d:%s", len(name), name, len(content), content))
	}
	sort.Strings(entries)
	return strings.Join(entries, ",")
}

// Write writes the state into an empty directory.
func (c Crash) Write(dir string) error {
	for name, content := range c {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

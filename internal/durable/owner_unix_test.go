//go:build unix

package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sealwright/sealwright/internal/durable"
)

// foreign describes a file of somebody else.
type foreign struct {
	fs.FileInfo
	mode fs.FileMode
}

func (f foreign) Mode() fs.FileMode { return f.mode }
func (f foreign) Sys() any          { return &syscall.Stat_t{Uid: 4321, Gid: 5432} }

// commoner may not give files away; it may give them to a group that it is in.
type commoner struct {
	durable.OS
	groups []int
	chowns *[][2]int
}

func (c commoner) CreateTemp(dir, pattern string) (durable.File, error) {
	f, err := c.OS.CreateTemp(dir, pattern)
	return commonFile{f, c}, err
}

type commonFile struct {
	durable.File
	c commoner
}

func (f commonFile) Chown(uid, gid int) error {
	*f.c.chowns = append(*f.c.chowns, [2]int{uid, gid})
	if uid != -1 || !slices.Contains(f.c.groups, gid) {
		return &fs.PathError{Op: "chown", Path: f.Name(), Err: syscall.EPERM}
	}
	return nil
}

func TestReplaceOwner(t *testing.T) {
	tests := map[string]struct {
		mode   fs.FileMode
		groups []int
		fails  bool
		chowns [][2]int
	}{
		"of a shared group":           {0o660, []int{5432}, false, [][2]int{{4321, 5432}, {-1, 5432}}},
		"of a foreign group":          {0o660, []int{1}, true, [][2]int{{4321, 5432}, {-1, 5432}}},
		"that its group may not read": {0o600, []int{5432}, true, [][2]int{{4321, 5432}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var chowns [][2]int
			err := durable.Replace(commoner{groups: test.groups, chowns: &chowns}, filepath.Join(dir, "file"), nil, foreign{mode: test.mode})
			if (err != nil) != test.fails || err != nil && (!errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "keep the owner of the file: ")) {
				t.Errorf("Replace of a file %s: error %v", name, err)
			}
			if !slices.Equal(chowns, test.chowns) {
				t.Errorf("chowns %v, want %v", chowns, test.chowns)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) == 1 == test.fails {
				t.Errorf("%d files, %v", len(entries), err)
			}
		})
	}
}

//go:build !unix && !windows

package durable

import (
	"io/fs"
	"os"
)

const nonblock = 0 // no pipe has the name of a file

func rename(oldname, newname string) error { return os.Rename(oldname, newname) }

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

func keepOwner(File, fs.FileInfo) error { return nil }

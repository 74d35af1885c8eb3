package durable

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// OpenRegular opens a file that is there, as os.OpenFile does, and nothing that is
// no regular file: a pipe may take for ever to open, and a device do anything.
// Symbolic links are followed.
func OpenRegular(name string, flag int) (*os.File, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if err := checkRegular(name, info); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, flag|nonblock, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil { // it may be another one by now
		err = checkRegular(name, info)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkRegular(name string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	case !info.Mode().IsRegular():
		return fmt.Errorf("%q is no regular file (%v)", name, info.Mode().Type())
	}
	return nil
}

package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
	"unsafe"
)

var moveFileEx = kernel32.NewProc("MoveFileExW")

const (
	movefileReplaceExisting = 1
	movefileWriteThrough    = 8
	errorSharingViolation   = syscall.Errno(32)
)

// rename tries for a moment where somebody has the old file open, since that
// keeps Windows from replacing it and readers are quickly done.
// https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-movefileexw
const nonblock = 0 // no pipe has the name of a file

func rename(oldname, newname string) error {
	from, err := syscall.UTF16PtrFromString(oldname)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	to, err := syscall.UTF16PtrFromString(newname)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	for try := 1; ; try++ {
		ok, _, err := moveFileEx.Call(uintptr(unsafe.Pointer(from)), uintptr(unsafe.Pointer(to)), movefileReplaceExisting|movefileWriteThrough)
		if ok != 0 {
			return nil
		}
		busy := errors.Is(err, syscall.ERROR_ACCESS_DENIED) || errors.Is(err, errorSharingViolation)
		if !busy || try == 20 {
			return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
		}
		time.Sleep(time.Duration(try) * 5 * time.Millisecond)
	}
}

// syncDir does nothing: see the package comment.
func syncDir(string) error { return nil }

// keepOwner does nothing: a new file inherits the access list of its directory.
func keepOwner(File, fs.FileInfo) error { return nil }

package secret

import (
	"os"
	"syscall"
)

// lockPages maps at least n bytes outside the heap, for good. It returns nil
// where they would be no better than the heap.
func lockPages(n int) ([]byte, Posture) {
	const madvDontDump = 16 // package syscall has no name for it
	mem, err := syscall.Mmap(-1, 0, max(n, os.Getpagesize()), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, Posture{Reason: "mmap: " + err.Error()}
	}
	got := Posture{Locked: true, Undumpable: true}
	if err := syscall.Madvise(mem, madvDontDump); err != nil {
		got.Undumpable, got.Reason = false, "madvise: "+err.Error()
	}
	if err := syscall.Mlock(mem); err != nil {
		got.Locked, got.Reason = false, "mlock: "+err.Error()
	}
	if !got.Locked && !got.Undumpable {
		syscall.Munmap(mem)
		return nil, got
	}
	return mem, got
}

package main

import "golang.org/x/sys/unix"

// discard forgets what was typed and not read: what was pasted beyond the last
// question would be the shell's, and in its history.
func discard(fd int) { _ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) }

//go:build unix

package main

import "golang.org/x/sys/unix"

// hardenProcess keeps shares and keys out of core dumps, and other processes of
// the user from reading them. Where it fails, all else works.
func hardenProcess() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	undumpable()
}

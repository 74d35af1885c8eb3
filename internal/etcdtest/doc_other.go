//go:build !unix

// Package etcdtest is for systems with POSIX shells.
package etcdtest

// Package provider holds what providers of a KMS share: fields that name a file
// with a secret, and words of others in errors. It is for those who write one;
// who uses one needs nothing of it.
//
// People write other things where a path is meant: a reference, or the secret
// itself, which then must not reach an error or a log.
//
// Its functions may be called from several goroutines at once.
package provider

import (
	"github.com/sealwright/sealwright/internal/foreign"
	"github.com/sealwright/sealwright/internal/pathfield"
)

// Line returns the words of a KMS, or of whoever answers in its place, on one
// line, with at most limit bytes of it, and without anything that moves a cursor
// or turns the direction of text around. An error of package kms does the last
// of that for all of its text.
func Line(s string, limit int) string { return foreign.Line(s, limit) }

// Path returns the path that a field means: its value, what follows file://, or
// the variable that follows env://, which is read only where the environment may
// be. Content where a path is meant is an error that names the field and does
// not show it.
func Path(field, value string, environment bool) (string, error) {
	return pathfield.Resolve(field, value, environment)
}

// IsContent reports whether a text is no path, but what a file holds: JSON, PEM,
// a token, a long run of base64.
func IsContent(text string) bool { return pathfield.IsContent(text) }

// Show returns a path for a message or a log: quoted, and withheld where it may
// be something else.
func Show(path string) string { return pathfield.Show(path) }

// FileError returns why the file of a field cannot be used. It names the field,
// and the path as Show does; the cause is within reach without its path.
func FileError(field, path string, err error) error { return pathfield.Error(field, path, err) }

// ReadFile returns the content of a field's file, at most 1 MiB of it. Its errors
// are those of FileError. It refuses what is no regular file: to open a pipe
// would wait for somebody who writes.
func ReadFile(field, path string) ([]byte, error) { return pathfield.Read(field, path) }

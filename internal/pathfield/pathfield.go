// Package pathfield is for fields of a configuration that hold the path of a
// file with a secret in it. People write other things there too: a reference, or
// the secret itself, which then must not reach an error or a log.
package pathfield

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Resolve returns the path that the field means: its value, what follows
// file://, or the variable that follows env://, which is read only where the
// environment may be. Content where a path is meant is an error that names the
// field and does not show it.
func Resolve(field, value string, environment bool) (string, error) {
	if name, ok := strings.CutPrefix(value, "env://"); ok {
		if !environment {
			return "", fmt.Errorf("%s refers to a variable, and the environment is not read: allow it, or write the path", field)
		}
		if IsContent(name) {
			return "", fmt.Errorf("%s: what follows env:// is not the name of a variable", field)
		}
		if value = os.Getenv(name); value == "" {
			return "", fmt.Errorf("%s: the variable %q is not set", field, name)
		}
	}
	path, isURL := strings.CutPrefix(value, "file://")
	switch {
	case IsContent(path):
		return "", fmt.Errorf("%s must be the path of a file, and holds what looks like the content of one: put it into a file that only this server may read, and write its path", field)
	case isURL && path == "":
		return "", fmt.Errorf("%s: there is no path behind file://", field)
	}
	return path, nil
}

// IsContent reports whether a text is no path, but what a file holds: JSON, PEM,
// a token, a long run of base64.
func IsContent(text string) bool {
	switch {
	case len(text) > 1024, strings.ContainsAny(text, "\r\n\x00{"), strings.Contains(text, "-----"):
		return true
	}
	return len(text) >= 64 && !strings.ContainsAny(text, `/\`) || strings.HasPrefix(text, "eyJ")
}

// Show returns a value for a message or a log: quoted, and withheld where it is
// no path.
func Show(value string) string {
	if IsContent(value) || len(value) >= 32 && !named(value) {
		return `"…"`
	}
	return fmt.Sprintf("%q", value)
}

// named reports whether a path can be nothing else: what begins like one.
func named(path string) bool {
	return filepath.IsAbs(path) || strings.HasPrefix(path, ".") || strings.HasPrefix(path, "~")
}

// Error returns why the file of a field cannot be used. It names the field, and
// the path where that can be nothing else.
func Error(field, path string, err error) error {
	if err == nil {
		return nil
	}
	why := err
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		why = e.Err
	}
	return &fileError{fmt.Sprintf("%s: file %s: %v", field, Show(path), why), why}
}

type fileError struct {
	text string
	err  error // without the path
}

func (e *fileError) Error() string { return e.text }
func (e *fileError) Unwrap() error { return e.err }

// maxFile is the most that such a file may hold, in bytes.
const maxFile = 1 << 20

// Read returns the content of a field's file. It refuses what is no regular
// file: to open a pipe would wait for somebody who writes.
func Read(field, path string) ([]byte, error) {
	content, err := read(path)
	return content, Error(field, path, err)
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(content) > maxFile {
		err = fmt.Errorf("it is longer than %d bytes", maxFile)
	}
	if err != nil {
		clear(content)
		return nil, err
	}
	return content, nil
}

package vaultstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of what is read. What is longer is [ErrTooLarge].
const (
	maxValue = 64 << 20 // bytes of one entry, stored or decompressed
	maxKey   = 32 << 10 // bytes of a storage key, as bbolt has it
	maxDepth = 64       // of directories, of a bbolt tree
)

// A Kind is a way of storing entries.
type Kind string

// The kinds of storage.
const (
	KindFile     Kind = "file"     // storage "file": a directory, with a file for each entry
	KindRaft     Kind = "raft"     // storage "raft": vault.db, or the directory that has it
	KindSnapshot Kind = "snapshot" // what "operator raft snapshot save" wrote
)

// A storage is where entries are, by their keys, as the server encrypted them.
type storage interface {
	// get returns the entry of a key, which the caller owns, and false if there
	// is none.
	get(key string) ([]byte, bool, error)

	// walk calls f with each key that has the prefix, and a function that reads
	// its entry until f returns, in an order that stays the same.
	walk(prefix string, f func(key string, read func() ([]byte, error)) error) error

	kind() Kind
	Close() error
}

// A damaged storage goes on behind what it cannot read, where it was opened so.
type damagedStorage interface {
	storage

	// damage returns what could not be read until now.
	damage() []error
}

// openStorage opens what is at a path, for reading.
func openStorage(path string) (storage, error) { return openStorageAs(path, false) }

// openStorageAs opens it, and with lenient goes on behind damage.
func openStorageAs(path string, lenient bool) (storage, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return openDirectory(path, lenient)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: the path is neither a directory nor a file", ErrNoStore)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s, err := openFile(f, info.Size(), lenient)
	if err != nil {
		f.Close()
	}
	return s, err
}

func openDirectory(path string, lenient bool) (storage, error) {
	for _, name := range []string{"vault.db", filepath.Join("raft", "vault.db")} {
		if info, err := os.Stat(filepath.Join(path, name)); err == nil && info.Mode().IsRegular() {
			return openStorageAs(filepath.Join(path, name), lenient)
		}
	}
	for _, name := range []string{"core", "sys", "logical", "barrier"} {
		if info, err := os.Stat(filepath.Join(path, name)); err == nil && info.IsDir() {
			return openFiles(path)
		}
	}
	return nil, fmt.Errorf("%w: the directory has neither vault.db nor a directory core", ErrNoStore)
}

// openFile tells vault.db from a snapshot by what is in the file. It takes f.
func openFile(f *os.File, size int64, lenient bool) (storage, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), head); err != nil {
		return nil, fmt.Errorf("%w: the file has %d bytes", ErrNoStore, size)
	}
	if bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return openSnapshot(f, size, lenient)
	}
	return openBolt(f, size, lenient)
}

// entry returns the entry of a key that must be there.
func entry(s storage, key string) ([]byte, error) {
	value, ok, err := s.get(key)
	if err == nil && !ok {
		err = fmt.Errorf("%w: %s", ErrNotFound, printable(key))
	}
	return value, err
}

// children returns the names right below a prefix that ends with a slash, or is
// empty: folders with a slash, each once.
func children(s storage, prefix string) ([]string, error) {
	var names []string
	seen := map[string]bool{}
	err := s.walk(prefix, func(key string, _ func() ([]byte, error)) error {
		name, _, folder := strings.Cut(key[len(prefix):], "/")
		if folder {
			name += "/"
		}
		if name != "" && !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// errStop ends a walk early.
var errStop = errors.New("stop")

// damaged is an [ErrDamaged] of a key.
func damaged(key, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrDamaged, printable(key), fmt.Sprintf(format, args...))
}

// printable returns a text on one line without what moves a terminal's cursor: the
// names of entries are whatever somebody wrote.
func printable(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) && utf8.ValidString(text) {
		return text
	}
	quoted := strconv.Quote(text)
	return quoted[1 : len(quoted)-1]
}

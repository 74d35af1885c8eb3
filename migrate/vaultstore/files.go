package vaultstore

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// files is storage "file":
//
//	key a/b/c  ->  a/b/_c, one line {"Value":"<base64>"}
//
// A write goes to a/b/_c.temp first. One that a crash left behind looks like the
// key a/b/c.temp, here as for the server; what is in it is bound to a/b/c.
type files struct{ root *os.Root }

const tempSuffix = ".temp"

func openFiles(path string) (storage, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &files{root}, nil
}

func (f *files) kind() Kind   { return KindFile }
func (f *files) Close() error { return f.root.Close() }

// fileName returns where the entry of a key is.
func fileName(key string) (string, bool) {
	if key == "" || len(key) > maxKey || !fs.ValidPath(key) {
		return "", false
	}
	i := strings.LastIndexByte(key, '/') + 1
	return key[:i] + "_" + key[i:], true
}

func (f *files) get(key string) ([]byte, bool, error) {
	name, ok := fileName(key)
	if !ok {
		return nil, false, nil
	}
	value, err := readFile(f.root, key, name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	return value, err == nil, err
}

// readFile returns what a file holds. An empty one is none, as it is for the server.
func readFile(root *os.Root, key, name string) ([]byte, error) {
	info, err := root.Stat(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || strings.Contains(key, "\x00") {
			return nil, ErrNotFound
		}
		return nil, err
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, damaged(key, "it is no file")
	case info.Size() == 0:
		return nil, ErrNotFound
	case info.Size() > maxValue/3*4+maxKey:
		return nil, ErrTooLarge
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxValue/3*4+maxKey))
	if err != nil {
		return nil, err
	}
	return parseFile(key, text)
}

// parseFile returns the entry in the text of a file. The server reads the first
// JSON value and ignores what follows.
func parseFile(key string, text []byte) ([]byte, error) {
	var stored struct{ Value *string }
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&stored); err != nil {
		return nil, damaged(key, "the file is cut, or no JSON")
	}
	if stored.Value == nil {
		return nil, damaged(key, "the file has no Value")
	}
	value, err := base64.StdEncoding.DecodeString(*stored.Value)
	if err != nil {
		return nil, damaged(key, "the Value is no base64")
	}
	return value, nil
}

func (f *files) walk(prefix string, visit func(string, func() ([]byte, error)) error) error {
	dir := prefix[:strings.LastIndexByte(prefix, '/')+1]
	if dir != "" && !fs.ValidPath(strings.TrimSuffix(dir, "/")) {
		return nil
	}
	return walkDir(f.root, strings.TrimSuffix(dir, "/"), dir, prefix, 0, visit)
}

// walkDir goes through a directory, from the one above it: a root opens every
// directory on the way to a name, for each name.
func walkDir(above *os.Root, name, dir, prefix string, depth int, visit func(string, func() ([]byte, error)) error) error {
	if depth > maxDepth {
		return ErrTooLarge
	}
	if name == "" {
		name = "."
	}
	root, err := above.OpenRoot(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(keyName(a), keyName(b)) })
	for _, e := range entries {
		key := dir + keyName(e)
		if e.IsDir() {
			if !strings.HasPrefix(key, prefix) && !strings.HasPrefix(prefix, key) {
				continue
			}
			if err := walkDir(root, e.Name(), key, prefix, depth+1, visit); err != nil {
				return err
			}
			continue
		}
		if e.Name()[0] != '_' || !e.Type().IsRegular() || !strings.HasPrefix(key, prefix) {
			continue
		}
		if err := visit(key, func() ([]byte, error) { return readFile(root, key, e.Name()) }); err != nil {
			return err
		}
	}
	return nil
}

// keyName returns the part of a key that a directory entry stands for.
func keyName(e fs.DirEntry) string {
	if e.IsDir() {
		return e.Name() + "/"
	}
	return strings.TrimPrefix(e.Name(), "_")
}

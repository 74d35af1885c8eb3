package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// A shelf keeps ciphertexts by name.
type shelf interface {
	get(ctx context.Context, name string) (ciphertext []byte, found bool, err error)
	put(ctx context.Context, name string, ciphertext []byte) error
	Close() error
}

// files is a shelf in one file, for one process.
type files struct {
	dir string
	mu  sync.Mutex
}

func (f *files) Close() error { return nil }

func (f *files) get(_ context.Context, name string) ([]byte, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stored, err := f.load()
	return stored[name], stored[name] != nil, err
}

func (f *files) name() string { return filepath.Join(f.dir, "notes.json") }

func (f *files) load() (map[string][]byte, error) {
	stored := map[string][]byte{}
	text, err := os.ReadFile(f.name())
	if errors.Is(err, fs.ErrNotExist) {
		return stored, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &stored)
	}
	return stored, err
}

// put stores a note. The file is replaced as a whole, so that a kill leaves the
// old one or the new.
func (f *files) put(_ context.Context, name string, ciphertext []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	stored, err := f.load()
	if err != nil {
		return err
	}
	stored[name] = ciphertext
	text, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(f.dir, "notes-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(text)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), f.name())
	}
	if err != nil {
		os.Remove(temp.Name())
	}
	return err
}

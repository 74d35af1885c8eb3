package main

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/sealwright/sealwright/seal"
)

// maxNote is the length in bytes of the longest note.
const maxNote = 64 << 10

// notes are kept in a file, each encrypted and bound to its name.
type notes struct {
	dir string
	b   *seal.Barrier
	mu  sync.Mutex
}

func (n *notes) read(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	n.mu.Lock()
	stored, err := n.load()
	n.mu.Unlock()
	if err != nil {
		fail(w, err)
		return
	}
	ciphertext, ok := stored[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	text, err := n.b.Decrypt(r.Context(), nil, ciphertext, []byte(name))
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(text) // the client has gone
}

func (n *notes) write(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxNote))
	if err != nil {
		http.Error(w, "a note has at most 65536 bytes", http.StatusRequestEntityTooLarge)
		return
	}
	ciphertext, err := n.b.Keyring().Encrypt(nil, text, []byte(name))
	if err == nil {
		err = n.put(name, ciphertext)
	}
	if err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// fail answers 503 for a server that was sealed meanwhile, and 500 otherwise,
// without details: an answer goes to anybody.
func fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	if errors.Is(err, seal.ErrSealed) {
		code = http.StatusServiceUnavailable
	}
	http.Error(w, http.StatusText(code), code)
}

func (n *notes) file() string { return filepath.Join(n.dir, "notes.json") }

func (n *notes) load() (map[string][]byte, error) {
	stored := map[string][]byte{}
	text, err := os.ReadFile(n.file())
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
func (n *notes) put(name string, ciphertext []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	stored, err := n.load()
	if err != nil {
		return err
	}
	stored[name] = ciphertext
	text, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(n.dir, "notes-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), n.file())
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

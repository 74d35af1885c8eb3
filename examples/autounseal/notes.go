package main

import (
	"errors"
	"io"
	"net/http"

	"github.com/sealwright/sealwright/seal"
)

// maxNote is the length in bytes of the longest note.
const maxNote = 64 << 10

// notes are kept encrypted, each bound to its name.
type notes struct {
	kept shelf
	box  *seal.Box
}

func (n *notes) read(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	ciphertext, found, err := n.kept.get(r.Context(), name)
	if err != nil {
		fail(w, err)
		return
	}
	if !found {
		http.NotFound(w, r)
		return
	}
	text, err := n.box.Decrypt(r.Context(), ciphertext, name)
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
	ciphertext, err := n.box.Encrypt(r.Context(), text, name)
	if err == nil {
		err = n.kept.put(r.Context(), name, ciphertext)
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

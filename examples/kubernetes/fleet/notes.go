package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// notes are the host's own: texts by their names, each encrypted, in one document.
// They are there while the server is unsealed.
type notes struct {
	doc seal.Store
	box *seal.Box
	may func(*http.Request, operator.Action) error // a real server has users
}

// patient is how long a request waits for where the notes are.
const patient = 10 * time.Second

var errNoNote = errors.New("there is no such note")

func (n *notes) load(ctx context.Context) (all map[string]string, rev string, err error) {
	text, rev, err := n.doc.Load(ctx)
	if errors.Is(err, seal.ErrNotFound) {
		return map[string]string{}, "", nil
	}
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	return all, rev, err
}

func (n *notes) read(ctx context.Context, name string) (string, error) {
	all, _, err := n.load(ctx)
	if err != nil {
		return "", err
	}
	stored, ok := all[name]
	if !ok {
		return "", errNoNote
	}
	return n.box.DecryptString(ctx, stored, name)
}

// write takes the place of what another replica has not written meanwhile.
func (n *notes) write(ctx context.Context, name, text string) error {
	stored, err := n.box.EncryptString(ctx, text, name)
	if err != nil {
		return err
	}
	for {
		all, rev, err := n.load(ctx)
		if err != nil {
			return err
		}
		all[name] = stored
		doc, err := json.Marshal(all)
		if err != nil {
			return err
		}
		if _, err = n.doc.Swap(ctx, doc, rev); !errors.Is(err, seal.ErrConflict) {
			return err
		}
	}
}

// ServeHTTP takes a note with PUT /notes/NAME, and shows it with GET.
func (n *notes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if n.may(r, "") != nil {
		http.Error(w, "permission denied", http.StatusForbidden)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patient) // etcd's client waits for a cluster that is away for as long as it may
	defer cancel()
	name, ok := strings.CutPrefix(r.URL.Path, "/notes/")
	var text string
	var err error
	switch {
	case !ok || name == "":
		err = errNoNote
	case r.Method == http.MethodPut:
		var body []byte
		if body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, 4096)); err == nil {
			err = n.write(ctx, name, string(body))
		}
	case r.Method == http.MethodGet:
		text, err = n.read(ctx, name)
	default:
		http.Error(w, "GET or PUT", http.StatusMethodNotAllowed)
		return
	}
	switch {
	case err == nil:
		io.WriteString(w, text)
	case errors.Is(err, errNoNote):
		http.Error(w, err.Error(), http.StatusNotFound)
	case sealhttp.Error(w, err): // sealed just now
	case ctx.Err() != nil:
		http.Error(w, "the notes cannot be reached: try again", http.StatusServiceUnavailable)
	default:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

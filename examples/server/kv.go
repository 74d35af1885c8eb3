package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/keyring"
)

var secretsBucket = []byte("secrets")

// maxVersions is how many versions of a secret are kept where nobody said.
const maxVersions = 10

// A secret is what the file keeps under a path, encrypted: its newest versions,
// oldest first. The paths themselves are in clear.
type secret struct {
	Versions []version         `json:"versions"`
	Created  time.Time         `json:"created,omitzero"`
	Updated  time.Time         `json:"updated,omitzero"`
	Settings settings          `json:"settings,omitzero"`
	Custom   map[string]string `json:"custom,omitempty"`
	Changes  int               `json:"changes,omitempty"` // of the metadata, for metadata_cas
}

type version struct {
	Number    int             `json:"number"`
	Created   time.Time       `json:"created"`
	Deleted   time.Time       `json:"deleted,omitzero"` // may be ahead
	Destroyed bool            `json:"destroyed,omitempty"`
	Data      json.RawMessage `json:"data"`
}

// gone reports whether the version cannot be read: it was deleted, which can be
// undone, or destroyed.
func (v *version) gone() bool {
	return v.Destroyed || !v.Deleted.IsZero() && !v.Deleted.After(time.Now())
}

func (v *version) deletion() string {
	if v.Deleted.IsZero() {
		return ""
	}
	return v.Deleted.Format(time.RFC3339Nano)
}

func (s *secret) metadata(v *version) map[string]any {
	out := map[string]any{
		"created_time": v.Created.Format(time.RFC3339Nano), "custom_metadata": nil,
		"deletion_time": v.deletion(), "destroyed": v.Destroyed, "version": v.Number,
	}
	if s.Custom != nil {
		out["custom_metadata"] = s.Custom
	}
	return out
}

// newest returns the newest version, or nil.
func (s *secret) newest() *version {
	if len(s.Versions) == 0 {
		return nil
	}
	return &s.Versions[len(s.Versions)-1]
}

// version returns the one of that number, the newest for 0; nil if it is not
// kept.
func (s *secret) version(number int) *version {
	if number == 0 {
		return s.newest()
	}
	i := slices.IndexFunc(s.Versions, func(v version) bool { return v.Number == number })
	if i < 0 {
		return nil
	}
	return &s.Versions[i]
}

// add makes data the newest version.
func (s *secret) add(data json.RawMessage, of settings) *version {
	next := version{Number: 1, Created: time.Now().UTC(), Data: data}
	if last := s.newest(); last != nil {
		next.Number = last.Number + 1
	}
	next.Deleted = of.endOf(next.Created)
	if s.Created.IsZero() {
		s.Created = next.Created
	}
	s.Updated = next.Created
	s.Versions = append(s.Versions, next)
	s.prune(of)
	return s.newest()
}

func (s *secret) prune(of settings) {
	s.Versions = s.Versions[max(0, len(s.Versions)-of.keep()):]
}

// oldest is the number of the oldest version that is kept, and 0 as long as none
// had to go for a newer one.
func (s *secret) oldest(of settings) int {
	if len(s.Versions) == 0 || s.Versions[0].Number == 1 && len(s.Versions) < of.keep() {
		return 0
	}
	return s.Versions[0].Number
}

// aad binds a secret to its path.
func aad(path string) []byte { return keyring.AAD("secret", path) }

// read returns the secret of a path, and whether there is one.
func (s *server) read(tx *bbolt.Tx, path string) (out secret, found bool, err error) {
	b := tx.Bucket(secretsBucket)
	if b == nil || b.Get([]byte(path)) == nil {
		return out, false, nil
	}
	plain, err := s.keys.Decrypt(nil, b.Get([]byte(path)), aad(path))
	if err != nil {
		return out, false, err
	}
	defer clear(plain)
	if err := json.Unmarshal(plain, &out); err != nil {
		return out, false, err
	}
	if first := out.version(0); first != nil && out.Created.IsZero() { // of an older release
		out.Created, out.Updated = out.Versions[0].Created, first.Created
	}
	return out, true, nil
}

func (s *server) write(tx *bbolt.Tx, path string, sec secret) error {
	plain, err := json.Marshal(sec)
	if err != nil {
		return err
	}
	defer clear(plain)
	sealed, err := s.keys.Encrypt(nil, plain, aad(path))
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists(secretsBucket)
	if err != nil {
		return err
	}
	return b.Put([]byte(path), sealed)
}

// A kvError is what a client is told of a request that cannot be: with a text,
// or of a version that is gone with what it was.
type kvError struct {
	code int
	text string
	data any
}

func (e *kvError) Error() string { return e.text }

var errNotThere = &kvError{code: http.StatusNotFound}

func badRequest(format string, args ...any) error {
	return &kvError{code: http.StatusBadRequest, text: fmt.Sprintf(format, args...)}
}

// change lets f change the secret of a path, and answers.
func (s *server) change(w http.ResponseWriter, path string, f func(*secret, bool) (answer any, err error)) {
	var out any
	err := s.db.Update(func(tx *bbolt.Tx) error {
		sec, found, err := s.read(tx, path)
		if err != nil {
			return err
		}
		if out, err = f(&sec, found); err != nil {
			return err
		}
		return s.write(tx, path, sec)
	})
	respond(w, out, err)
}

// warned is an answer without data, and with warnings.
type warned struct{ words []string }

// respond answers with data, 204 where there is none, or with what went wrong.
func respond(w http.ResponseWriter, data any, err error) {
	var told *kvError
	warning, isWarned := data.(warned)
	switch {
	case errors.As(err, &told) && told.data != nil:
		answer(w, told.code, told.data)
	case errors.As(err, &told) && told.text == "":
		fail(w, told.code)
	case errors.As(err, &told):
		fail(w, told.code, told.text)
	case err != nil:
		failed(w, "the secret cannot be read or written", err)
	case data == nil:
		w.WriteHeader(http.StatusNoContent)
	case isWarned:
		answerWarned(w, http.StatusOK, nil, warning.words)
	default:
		answer(w, http.StatusOK, data)
	}
}

// secrets serves version 2 of the key-value engine below secret/.
func (s *server) secrets(w http.ResponseWriter, r *http.Request) {
	kind, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/secret/"), "/")
	method := methodOf(r)
	if method == "LIST" && (kind == "metadata" || kind == "detailed-metadata") {
		s.list(w, r, path, kind == "detailed-metadata")
		return
	}
	if (path == "" || len(path) > 1024 || strings.HasSuffix(path, "/")) && kind != "config" {
		fail(w, http.StatusNotFound)
		return
	}
	handlers, served := map[string]map[string]func(http.ResponseWriter, *http.Request, string){
		"data":     {"GET": s.get, "PUT": s.put, "PATCH": s.patch, "DELETE": s.deleteNewest},
		"subkeys":  {"GET": s.subkeys},
		"delete":   {"PUT": s.deleteVersions},
		"undelete": {"PUT": s.undelete},
		"destroy":  {"PUT": s.destroy},
		"metadata": {"GET": s.getMetadata, "PUT": s.putMetadata, "PATCH": s.putMetadata, "DELETE": s.deleteMetadata},
		"config":   {"GET": s.getConfig, "PUT": s.putConfig},
	}[kind]
	switch handle := handlers[method]; {
	case !served || kind == "config" && path != "":
		fail(w, http.StatusNotFound)
	case handle == nil:
		fail(w, http.StatusMethodNotAllowed)
	default:
		handle(w, r, path)
	}
}

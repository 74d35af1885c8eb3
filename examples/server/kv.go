package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/keyring"
)

var secretsBucket = []byte("secrets")

// maxVersions is how many versions of a secret are kept.
const maxVersions = 10

// A secret is what the file keeps under a path, encrypted: its newest versions,
// oldest first. The paths themselves are in clear.
type secret struct {
	Versions []version `json:"versions"`
}

type version struct {
	Number  int             `json:"number"`
	Created time.Time       `json:"created"`
	Deleted time.Time       `json:"deleted,omitzero"`
	Data    json.RawMessage `json:"data"`
}

func (v *version) metadata() map[string]any {
	deleted := ""
	if !v.Deleted.IsZero() {
		deleted = v.Deleted.Format(time.RFC3339Nano)
	}
	return map[string]any{
		"created_time": v.Created.Format(time.RFC3339Nano), "custom_metadata": nil,
		"deletion_time": deleted, "destroyed": false, "version": v.Number,
	}
}

// aad binds a secret to its path.
func aad(path string) []byte { return keyring.AAD("secret", path) }

// read returns the secret of a path; it is empty where there is none.
func (s *server) read(tx *bbolt.Tx, path string) (out secret, err error) {
	b := tx.Bucket(secretsBucket)
	if b == nil || b.Get([]byte(path)) == nil {
		return out, nil
	}
	plain, err := s.keys.Decrypt(nil, b.Get([]byte(path)), aad(path))
	if err != nil {
		return out, err
	}
	defer clear(plain)
	return out, json.Unmarshal(plain, &out)
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

// secrets serves version 2 of the key-value engine below secret/.
func (s *server) secrets(w http.ResponseWriter, r *http.Request) {
	kind, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/secret/"), "/")
	list := r.Method == "LIST" || r.Method == http.MethodGet && r.URL.Query().Get("list") == "true"
	switch {
	case kind == "metadata" && list:
		s.list(w, path)
	case kind != "data" || path == "" || len(path) > 1024 || strings.HasSuffix(path, "/"):
		fail(w, http.StatusNotFound)
	case r.Method == http.MethodGet:
		s.get(w, r, path)
	case r.Method == http.MethodPut || r.Method == http.MethodPost:
		s.put(w, r, path)
	case r.Method == http.MethodDelete:
		s.delete(w, path)
	default:
		fail(w, http.StatusMethodNotAllowed)
	}
}

func (s *server) get(w http.ResponseWriter, r *http.Request, path string) {
	var sec secret
	err := s.db.view(func(tx *bbolt.Tx) (err error) {
		sec, err = s.read(tx, path)
		return err
	})
	if err != nil {
		failed(w, "the secret cannot be read", err)
		return
	}
	number := 0 // the newest
	if text := r.URL.Query().Get("version"); text != "" && text != "0" {
		if number, err = strconv.Atoi(text); err != nil {
			fail(w, http.StatusBadRequest, "version is a number")
			return
		}
	}
	i := len(sec.Versions) - 1
	if number != 0 {
		i = slices.IndexFunc(sec.Versions, func(v version) bool { return v.Number == number })
	}
	if i < 0 {
		fail(w, http.StatusNotFound)
		return
	}
	v := &sec.Versions[i]
	if !v.Deleted.IsZero() {
		answer(w, http.StatusNotFound, map[string]any{"data": nil, "metadata": v.metadata()})
		return
	}
	answer(w, http.StatusOK, map[string]any{"data": v.Data, "metadata": v.metadata()})
}

var errCAS = errors.New("check-and-set parameter did not match the current version")

func (s *server) put(w http.ResponseWriter, r *http.Request, path string) {
	var in struct {
		Data    map[string]any `json:"data"`
		Options struct {
			CAS *int `json:"cas"`
		} `json:"options"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Data == nil {
		fail(w, http.StatusBadRequest, "no data provided")
		return
	}
	data, err := json.Marshal(in.Data)
	if err != nil {
		fail(w, http.StatusBadRequest, "no data provided")
		return
	}
	next := version{Number: 1, Created: time.Now().UTC(), Data: data}
	err = s.db.update(func(tx *bbolt.Tx) error {
		sec, err := s.read(tx, path)
		if err != nil {
			return err
		}
		if n := len(sec.Versions); n > 0 {
			next.Number = sec.Versions[n-1].Number + 1
		}
		if in.Options.CAS != nil && *in.Options.CAS != next.Number-1 {
			return errCAS
		}
		sec.Versions = append(sec.Versions, next)
		sec.Versions = sec.Versions[max(0, len(sec.Versions)-maxVersions):]
		return s.write(tx, path, sec)
	})
	switch {
	case errors.Is(err, errCAS):
		fail(w, http.StatusBadRequest, err.Error())
	case err != nil:
		failed(w, "the secret cannot be written", err)
	default:
		answer(w, http.StatusOK, next.metadata())
	}
}

// delete marks the newest version as deleted and forgets its data.
func (s *server) delete(w http.ResponseWriter, path string) {
	err := s.db.update(func(tx *bbolt.Tx) error {
		sec, err := s.read(tx, path)
		if err != nil || len(sec.Versions) == 0 {
			return err
		}
		v := &sec.Versions[len(sec.Versions)-1]
		v.Data, v.Deleted = json.RawMessage("null"), time.Now().UTC()
		return s.write(tx, path, sec)
	})
	if err != nil {
		failed(w, "the secret cannot be deleted", err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// list answers with the names right below a path, folders with a slash.
func (s *server) list(w http.ResponseWriter, path string) {
	if path != "" && !strings.HasSuffix(path, "/") {
		path += "/"
	}
	keys := []string{}
	err := s.db.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(secretsBucket)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, _ := c.Seek([]byte(path)); k != nil && strings.HasPrefix(string(k), path); k, _ = c.Next() {
			name, _, folder := strings.Cut(string(k)[len(path):], "/")
			if folder {
				name += "/"
			}
			if !slices.Contains(keys, name) {
				keys = append(keys, name)
			}
		}
		return nil
	})
	if err != nil {
		failed(w, "the names cannot be read", err)
		return
	}
	if len(keys) == 0 {
		fail(w, http.StatusNotFound)
		return
	}
	answer(w, http.StatusOK, map[string]any{"keys": keys})
}

// mount tells the command lines, before they read or write a path, that
// secret/ is version 2 of the key-value engine.
func mount(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/sys/internal/ui/mounts/")
	if path != "secret" && !strings.HasPrefix(path, "secret/") {
		fail(w, http.StatusForbidden, "preflight capability check returned 403, please ensure client's policies grant access to path \""+path+"\"")
		return
	}
	answer(w, http.StatusOK, map[string]any{
		"path": "secret/", "type": "kv", "options": map[string]any{"version": "2"}, "description": "",
		"accessor": "kv_secret", "uuid": "", "local": false, "seal_wrap": false, "external_entropy_access": false,
		"config":             map[string]any{"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": false},
		"deprecation_status": "supported", "plugin_version": "", "running_plugin_version": "", "running_sha256": "",
	})
}

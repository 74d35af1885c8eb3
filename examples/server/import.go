package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// maxImport bounds a secret with all its versions.
const maxImport = 64 << 20

// An imported secret is one of another server, as package vaultstore exports it.
type imported struct {
	Created            time.Time         `json:"created"`
	Updated            time.Time         `json:"updated"`
	MaxVersions        int               `json:"max_versions"`
	CASRequired        bool              `json:"cas_required"`
	DeleteVersionAfter time.Duration     `json:"delete_version_after"` // nanoseconds
	Custom             map[string]string `json:"custom_metadata"`
	Versions           []struct {
		Number    int             `json:"version"`
		Created   time.Time       `json:"created"`
		Deleted   time.Time       `json:"deleted"`
		Destroyed bool            `json:"destroyed"`
		Lost      bool            `json:"lost"` // it could not be read there
		Data      json.RawMessage `json:"data"`
	} `json:"versions"`
}

// secret returns it as the file keeps it: with its numbers and times.
func (in *imported) secret() (secret, error) {
	out := secret{Created: in.Created.UTC(), Updated: in.Updated.UTC(), Custom: in.Custom,
		Settings: settings{MaxVersions: in.MaxVersions, CASRequired: in.CASRequired, DeleteVersionAfter: duration(in.DeleteVersionAfter)}}
	last := 0
	for _, v := range in.Versions {
		next := version{Number: v.Number, Created: v.Created.UTC(), Deleted: v.Deleted, Destroyed: v.Destroyed || v.Lost, Data: v.Data}
		switch {
		case v.Number <= last:
			return out, badRequest("the versions have to rise from 1, each once")
		case next.Destroyed:
			next.Data = json.RawMessage("null")
		case !isObject(v.Data):
			return out, badRequest("the data of version %d is no object", v.Number)
		}
		if !next.Deleted.IsZero() {
			next.Deleted = next.Deleted.UTC()
		}
		last = v.Number
		out.Versions = append(out.Versions, next)
	}
	if in.MaxVersions < 0 || len(in.Versions) == 0 && in.Created.IsZero() {
		return out, badRequest("this is no secret of an export")
	}
	return out, nil
}

// importSecret takes over a secret of another server, with the numbers and times
// of its versions, for who has sudo. What is there already stays: it is a success
// if it is the same, so that an import can be repeated, and a conflict if it is
// not.
func (s *server) importSecret(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v1/sys/import/secret/")
	if !may(bearerIn(r).policies, pathOf(r), maySudo, mayUpdate) {
		s.refuse(w, errNoToken)
		return
	}
	if r.Method != http.MethodPut && r.Method != http.MethodPost {
		fail(w, http.StatusMethodNotAllowed)
		return
	}
	if path == "" || len(path) > 1024 || strings.HasSuffix(path, "/") {
		respond(w, nil, badRequest("a secret's path has from 1 to 1024 bytes, and ends with no slash"))
		return
	}
	var in imported
	if !decode(w, r, &in) {
		return
	}
	sec, err := in.secret()
	if err != nil {
		respond(w, nil, err)
		return
	}
	var out any
	err = s.db.Update(func(tx *bbolt.Tx) error {
		have, found, err := s.read(tx, path)
		if err != nil {
			return err
		}
		if !found {
			return s.write(tx, path, sec)
		}
		if !sameSecret(&have, &sec) {
			return &kvError{code: http.StatusConflict, text: "there is another secret at this path: it was left as it is"}
		}
		out = map[string]any{"already": true}
		return nil
	})
	respond(w, out, err)
}

// sameSecret compares what two secrets would be stored as.
func sameSecret(a, b *secret) bool {
	x, err := json.Marshal(a)
	y, other := json.Marshal(b)
	defer clear(x)
	defer clear(y)
	return err == nil && other == nil && bytes.Equal(x, y)
}

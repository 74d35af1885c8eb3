package main

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
)

func (s *server) get(w http.ResponseWriter, r *http.Request, path string) {
	number := 0 // the newest
	if text := r.URL.Query().Get("version"); text != "" {
		var err error
		if number, err = strconv.Atoi(text); err != nil {
			fail(w, http.StatusBadRequest, "version is a number")
			return
		}
	}
	var sec secret
	err := s.db.view(func(tx *bbolt.Tx) (err error) {
		sec, _, err = s.read(tx, path)
		return err
	})
	v := sec.version(number)
	switch {
	case err != nil:
		failed(w, "the secret cannot be read", err)
	case v == nil:
		fail(w, http.StatusNotFound)
	case v.gone():
		answer(w, http.StatusNotFound, map[string]any{"data": nil, "metadata": sec.metadata(v)})
	default:
		answer(w, http.StatusOK, map[string]any{"data": v.Data, "metadata": sec.metadata(v)})
	}
}

// A dataRequest is a new version. Its values stay as they were written: a number
// above 2^53 is the same number when it is read.
type dataRequest struct {
	Data    map[string]json.RawMessage `json:"data"`
	Options struct {
		CAS *int `json:"cas"`
	} `json:"options"`
}

// cas refuses a version that is not the one after what its writer saw.
func (in *dataRequest) cas(sec *secret, of settings) error {
	newest := 0
	if v := sec.newest(); v != nil {
		newest = v.Number
	}
	switch {
	case in.Options.CAS == nil && of.CASRequired:
		return &kvError{http.StatusBadRequest, "check-and-set parameter required for this call"}
	case in.Options.CAS != nil && *in.Options.CAS != newest:
		return &kvError{http.StatusBadRequest, "check-and-set parameter did not match the current version"}
	}
	return nil
}

func (s *server) put(w http.ResponseWriter, r *http.Request, path string) {
	var in dataRequest
	if !decode(w, r, &in) {
		return
	}
	if in.Data == nil {
		fail(w, http.StatusBadRequest, "no data provided")
		return
	}
	data, err := json.Marshal(in.Data)
	if err != nil {
		failed(w, "the secret cannot be written", err)
		return
	}
	of, err := s.config()
	if err != nil {
		failed(w, "the secret cannot be written", err)
		return
	}
	s.change(w, path, func(sec *secret, _ bool) (any, error) {
		of := sec.Settings.over(of)
		if err := in.cas(sec, of); err != nil {
			return nil, err
		}
		return sec.metadata(sec.add(data, of)), nil
	})
}

// patch changes fields of the newest version, by the rules of RFC 7396.
func (s *server) patch(w http.ResponseWriter, r *http.Request, path string) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/merge-patch+json" {
		fail(w, http.StatusUnsupportedMediaType, "PATCH takes application/merge-patch+json")
		return
	}
	var in dataRequest
	if !decode(w, r, &in) {
		return
	}
	if in.Data == nil {
		fail(w, http.StatusBadRequest, "no data provided")
		return
	}
	of, err := s.config()
	if err != nil {
		failed(w, "the secret cannot be written", err)
		return
	}
	s.change(w, path, func(sec *secret, _ bool) (any, error) {
		of := sec.Settings.over(of)
		last := sec.newest()
		if last == nil || last.gone() {
			return nil, errNotThere
		}
		if err := in.cas(sec, of); err != nil {
			return nil, err
		}
		patch, err := json.Marshal(in.Data)
		if err != nil {
			return nil, err
		}
		data, err := mergePatch(last.Data, patch)
		if err != nil {
			return nil, err
		}
		return sec.metadata(sec.add(data, of)), nil
	})
}

// mergePatch applies a JSON merge patch. Whatever it does not name stays as it
// was written.
func mergePatch(target, patch json.RawMessage) (json.RawMessage, error) {
	if !isObject(patch) {
		return patch, nil
	}
	var changes, fields map[string]json.RawMessage
	if err := json.Unmarshal(patch, &changes); err != nil {
		return nil, err
	}
	if isObject(target) {
		if err := json.Unmarshal(target, &fields); err != nil {
			return nil, err
		}
	} else {
		fields = map[string]json.RawMessage{}
	}
	for name, value := range changes {
		if bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
			delete(fields, name)
			continue
		}
		merged, err := mergePatch(fields[name], value)
		if err != nil {
			return nil, err
		}
		fields[name] = merged
	}
	return json.Marshal(fields)
}

func isObject(b json.RawMessage) bool { return bytes.HasPrefix(bytes.TrimSpace(b), []byte("{")) }

// deleteNewest marks the newest version as deleted; undelete takes it back.
func (s *server) deleteNewest(w http.ResponseWriter, _ *http.Request, path string) {
	s.onVersions(w, path, nil, markDeleted)
}

// onVersions does f to versions of a secret, or to the newest, and answers 204
// also where there is none.
func (s *server) onVersions(w http.ResponseWriter, path string, numbers []int, f func(*version)) {
	err := s.db.update(func(tx *bbolt.Tx) error {
		sec, found, err := s.read(tx, path)
		if err != nil || !found {
			return err
		}
		if v := sec.newest(); numbers == nil && v != nil {
			f(v)
		}
		for i := range sec.Versions {
			if slices.Contains(numbers, sec.Versions[i].Number) {
				f(&sec.Versions[i])
			}
		}
		return s.write(tx, path, sec)
	})
	respond(w, nil, err)
}

func (s *server) deleteVersions(w http.ResponseWriter, r *http.Request, path string) {
	s.onNumbered(w, r, path, markDeleted)
}

func (s *server) undelete(w http.ResponseWriter, r *http.Request, path string) {
	s.onNumbered(w, r, path, func(v *version) { v.Deleted = time.Time{} })
}

// destroy forgets the data of versions for good.
func (s *server) destroy(w http.ResponseWriter, r *http.Request, path string) {
	s.onNumbered(w, r, path, func(v *version) { v.Destroyed, v.Data = true, json.RawMessage("null") })
}

func markDeleted(v *version) {
	if !v.gone() {
		v.Deleted = time.Now().UTC()
	}
}

// onNumbered is onVersions for those that the body names.
func (s *server) onNumbered(w http.ResponseWriter, r *http.Request, path string, f func(*version)) {
	var in struct {
		Versions []json.RawMessage `json:"versions"`
	}
	if !decode(w, r, &in) {
		return
	}
	numbers := []int{}
	for _, text := range in.Versions { // the command lines send them as texts
		n, err := strconv.Atoi(string(bytes.Trim(text, `"`)))
		if err != nil || n < 1 {
			fail(w, http.StatusBadRequest, "versions are numbers")
			return
		}
		numbers = append(numbers, n)
	}
	if len(numbers) == 0 {
		fail(w, http.StatusBadRequest, "no version number provided")
		return
	}
	s.onVersions(w, path, numbers, f)
}

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
	s.readVersion(w, r, path, "data", func(v *version) (any, error) { return v.Data, nil })
}

// subkeys answers with a secret's names without its values, as deep as is asked
// for.
func (s *server) subkeys(w http.ResponseWriter, r *http.Request, path string) {
	depth, err := numberIn(r, "depth")
	if err != nil {
		respond(w, nil, err)
		return
	}
	s.readVersion(w, r, path, "subkeys", func(v *version) (any, error) { return namesIn(v.Data, depth) })
}

// readVersion answers with what f shows of a version, in a field of that name,
// and with the version's metadata also where it is gone.
func (s *server) readVersion(w http.ResponseWriter, r *http.Request, path, field string, f func(*version) (any, error)) {
	number, err := numberIn(r, "version") // 0: the newest
	var sec secret
	if err == nil {
		err = s.db.View(func(tx *bbolt.Tx) (err error) {
			sec, _, err = s.read(tx, path)
			return err
		})
	}
	v := sec.version(number)
	if err == nil && v == nil {
		err = errNotThere
	}
	if err != nil {
		respond(w, nil, err)
		return
	}
	if v.gone() {
		answer(w, http.StatusNotFound, map[string]any{field: nil, "metadata": sec.metadata(v)})
		return
	}
	shown, err := f(v)
	respond(w, map[string]any{field: shown, "metadata": sec.metadata(v)}, err)
}

// numberIn reads a number of the query: 0 where it is left out, or negative.
func numberIn(r *http.Request, name string) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, badRequest("%s is a number", name)
	}
	return max(n, 0), nil
}

// namesIn replaces all values but objects that have fields with null, and from
// that depth on these too; depth 0 is no limit.
func namesIn(data json.RawMessage, depth int) (map[string]any, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	out := make(map[string]any, len(fields))
	for name, value := range fields {
		out[name] = nil
		if depth == 1 || !isObject(value) {
			continue
		}
		inner, err := namesIn(value, max(0, depth-1))
		if err != nil {
			return nil, err
		}
		if len(inner) > 0 {
			out[name] = inner
		}
	}
	return out, nil
}

// A dataRequest is a new version. Its values stay as they were written: a number
// above 2^53 is the same number when it is read.
type dataRequest struct {
	Data    map[string]json.RawMessage `json:"data"`
	Options struct {
		CAS weakInt `json:"cas"`
	} `json:"options"`
}

// A weakInt is a number, or the text of one: what `bao write` makes of a number
// in an object.
type weakInt struct{ json.RawMessage }

func (n weakInt) said() bool { return n.RawMessage != nil }

func (n weakInt) int() (int, error) { return strconv.Atoi(string(bytes.Trim(n.RawMessage, `"`))) }

// cas refuses a version that is not the one after what its writer saw.
func (in *dataRequest) cas(sec *secret, of settings) error {
	newest := 0
	if v := sec.newest(); v != nil {
		newest = v.Number
	}
	return check(in.Options.CAS, newest, of.CASRequired, "check-and-set")
}

// check compares what a writer saw with what there is.
func check(saw weakInt, is int, required bool, what string) error {
	if !saw.said() {
		if required {
			return badRequest("%s parameter required for this call", what)
		}
		return nil
	}
	switch n, err := saw.int(); {
	case err != nil:
		return badRequest("error parsing %s parameter", what)
	case n != is:
		return badRequest("%s parameter did not match the current version", what)
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
	if !isMergePatch(r) {
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
	s.change(w, path, func(sec *secret, found bool) (any, error) {
		of := sec.Settings.over(of)
		if !found {
			return nil, errNotThere
		}
		if err := in.cas(sec, of); err != nil {
			return nil, err
		}
		last := sec.newest()
		switch {
		case last == nil:
			return nil, errNotThere
		case last.gone():
			return nil, &kvError{code: http.StatusNotFound, data: sec.metadata(last)}
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

func isMergePatch(r *http.Request) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind == "application/merge-patch+json"
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
	s.onVersions(w, path, nil, func(_ *secret, v *version) { markDeleted(v) })
}

// onVersions does f to versions of a secret, or to the newest, and answers 204
// also where there is none.
func (s *server) onVersions(w http.ResponseWriter, path string, numbers []int, f func(*secret, *version)) {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		sec, found, err := s.read(tx, path)
		if err != nil || !found {
			return err
		}
		if v := sec.newest(); numbers == nil && v != nil {
			f(&sec, v)
		}
		for i := range sec.Versions {
			if slices.Contains(numbers, sec.Versions[i].Number) {
				f(&sec, &sec.Versions[i])
			}
		}
		return s.write(tx, path, sec)
	})
	respond(w, nil, err)
}

func (s *server) deleteVersions(w http.ResponseWriter, r *http.Request, path string) {
	s.onNumbered(w, r, path, func(_ *secret, v *version) { markDeleted(v) })
}

// undelete takes a deletion back. Where versions end by themselves, the time
// begins anew.
func (s *server) undelete(w http.ResponseWriter, r *http.Request, path string) {
	all, err := s.config()
	if err != nil {
		failed(w, "the secret cannot be written", err)
		return
	}
	s.onNumbered(w, r, path, func(sec *secret, v *version) {
		if !v.Destroyed {
			v.Deleted = sec.Settings.over(all).endOf(time.Now().UTC())
		}
	})
}

// destroy forgets the data of versions for good.
func (s *server) destroy(w http.ResponseWriter, r *http.Request, path string) {
	s.onNumbered(w, r, path, func(_ *secret, v *version) { v.Destroyed, v.Data = true, json.RawMessage("null") })
}

func markDeleted(v *version) {
	if !v.gone() {
		v.Deleted = time.Now().UTC()
	}
}

// onNumbered is onVersions for those that the body names.
func (s *server) onNumbered(w http.ResponseWriter, r *http.Request, path string, f func(*secret, *version)) {
	var in struct {
		Versions json.RawMessage `json:"versions"`
	}
	if !decode(w, r, &in) {
		return
	}
	numbers, err := numbersIn(in.Versions)
	if err == nil && len(numbers) == 0 {
		err = badRequest("No version number provided")
	}
	if err != nil {
		respond(w, nil, err)
		return
	}
	s.onVersions(w, path, numbers, f)
}

// numbersIn reads version numbers as the command lines send them: a list of
// numbers or of texts, one number, or a text with commas.
func numbersIn(text json.RawMessage) ([]int, error) {
	var list []json.RawMessage
	if json.Unmarshal(text, &list) != nil && text != nil {
		for part := range bytes.SplitSeq(bytes.Trim(text, `"`), []byte(",")) {
			list = append(list, part)
		}
	}
	numbers := []int{}
	for _, one := range list {
		n, err := strconv.Atoi(string(bytes.TrimSpace(bytes.Trim(one, `"`))))
		if err != nil || n < 1 {
			return nil, badRequest("versions are numbers")
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

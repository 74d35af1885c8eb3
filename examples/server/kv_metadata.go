package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.etcd.io/bbolt"
)

// settings are how the versions of a secret are kept: of one, or, where it says
// nothing, of all.
type settings struct {
	MaxVersions        int      `json:"max_versions"` // 0: not said
	CASRequired        bool     `json:"cas_required"`
	DeleteVersionAfter duration `json:"delete_version_after"` // 0: not said; negative: never
	MetadataCAS        bool     `json:"metadata_cas_required"`
}

// over returns what holds for a secret with these settings: as Vault decides it,
// of the two numbers of versions the larger one.
func (s settings) over(all settings) settings {
	s.MaxVersions = max(s.MaxVersions, all.MaxVersions)
	s.CASRequired = s.CASRequired || all.CASRequired
	s.MetadataCAS = s.MetadataCAS || all.MetadataCAS
	switch {
	case s.DeleteVersionAfter == 0 || all.DeleteVersionAfter < 0:
		s.DeleteVersionAfter = all.DeleteVersionAfter
	case s.DeleteVersionAfter > 0 && all.DeleteVersionAfter > 0:
		s.DeleteVersionAfter = min(s.DeleteVersionAfter, all.DeleteVersionAfter)
	}
	return s
}

// keep is how many versions are kept.
func (s settings) keep() int {
	if s.MaxVersions == 0 {
		return maxVersions
	}
	return s.MaxVersions
}

// endOf is when a version that begins now ends by itself; zero for never.
func (s settings) endOf(now time.Time) time.Time {
	if s.DeleteVersionAfter <= 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(s.DeleteVersionAfter))
}

// A duration is written as Go's, and read as that or as seconds.
type duration time.Duration

func (d duration) String() string { return time.Duration(d).String() }

func (d duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

func (d *duration) UnmarshalJSON(b []byte) error {
	text := string(b)
	if len(b) > 0 && b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		*d = duration(time.Duration(seconds) * time.Second)
		return nil
	}
	parsed, err := time.ParseDuration(text)
	*d = duration(parsed)
	return err
}

// A metadataRequest changes what it names.
type metadataRequest struct {
	MaxVersions        *int                       `json:"max_versions"`
	CASRequired        *bool                      `json:"cas_required"`
	DeleteVersionAfter *duration                  `json:"delete_version_after"`
	MetadataCAS        *bool                      `json:"metadata_cas_required"`
	Custom             map[string]json.RawMessage `json:"custom_metadata"`
	CAS                weakInt                    `json:"metadata_cas"`
}

// says reports whether it names anything.
func (in *metadataRequest) says() bool {
	return in.MaxVersions != nil || in.CASRequired != nil || in.DeleteVersionAfter != nil || in.MetadataCAS != nil || in.Custom != nil
}

func (in *metadataRequest) apply(s *settings) error {
	if in.MaxVersions != nil {
		if *in.MaxVersions < 0 || *in.MaxVersions > 1<<20 {
			return badRequest("max_versions is 0 to %d", 1<<20)
		}
		s.MaxVersions = *in.MaxVersions
	}
	if in.CASRequired != nil {
		s.CASRequired = *in.CASRequired
	}
	if in.DeleteVersionAfter != nil {
		s.DeleteVersionAfter = *in.DeleteVersionAfter
	}
	if in.MetadataCAS != nil {
		s.MetadataCAS = *in.MetadataCAS
	}
	return nil
}

// ignored says what of a request cannot count, because all secrets have it.
func (in *metadataRequest) ignored(all settings) (warnings []string) {
	for _, f := range []struct {
		name string
		said *bool
		all  bool
	}{{"cas_required", in.CASRequired, all.CASRequired}, {"metadata_cas_required", in.MetadataCAS, all.MetadataCAS}} {
		if f.said != nil && !*f.said && f.all {
			warnings = append(warnings, fmt.Sprintf("%q set to false, but is mandated by backend config. This value will be ignored.", f.name))
		}
	}
	return warnings
}

// custom sets or merges the custom fields. Whatever is no text is written as
// one; null takes a field away.
func (in *metadataRequest) custom(sec *secret, merge bool) error {
	if in.Custom == nil {
		return nil
	}
	if !merge || sec.Custom == nil {
		sec.Custom = map[string]string{}
	}
	const wrong = "custom_metadata validation failed: "
	for name, raw := range in.Custom {
		var value any
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if err := d.Decode(&value); err != nil {
			return badRequest(wrong+"%q", name)
		}
		text := fmt.Sprint(value)
		switch value := value.(type) {
		case nil:
			delete(sec.Custom, name)
			if merge {
				continue
			}
			text = ""
		case bool: // as Vault writes them
			text = map[bool]string{true: "1", false: "0"}[value]
		case map[string]any, []any:
			return badRequest(wrong+"the value of %q is no text", name)
		}
		if name == "" || len(name) > 128 || text == "" || len(text) > 512 || !printable(name+text) {
			return badRequest(wrong+"%q: names have 1 to 128 printable characters, values 1 to 512", name)
		}
		sec.Custom[name] = text
	}
	if len(sec.Custom) > 64 {
		return badRequest(wrong+"payload must contain at most 64 keys, provided %d", len(sec.Custom))
	}
	return nil
}

func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(c rune) bool { return !unicode.IsPrint(c) })
}

func (s *server) getMetadata(w http.ResponseWriter, _ *http.Request, path string) {
	all, err := s.config()
	var sec secret
	found := false
	if err == nil {
		err = s.db.View(func(tx *bbolt.Tx) (err error) {
			sec, found, err = s.read(tx, path)
			return err
		})
	}
	if err == nil && !found {
		err = errNotThere
	}
	respond(w, sec.describe(all), err)
}

// describe is what is known of a secret beside its data.
func (s *secret) describe(all settings) map[string]any {
	versions, newest := map[string]any{}, 0
	for i := range s.Versions {
		v := &s.Versions[i]
		versions[fmt.Sprint(v.Number)] = map[string]any{
			"created_time": v.Created.Format(time.RFC3339Nano), "deletion_time": v.deletion(), "destroyed": v.Destroyed,
		}
		newest = v.Number
	}
	var custom any
	if s.Custom != nil {
		custom = s.Custom
	}
	return map[string]any{
		"cas_required": s.Settings.CASRequired, "created_time": s.Created.Format(time.RFC3339Nano), "current_version": newest,
		"custom_metadata": custom, "delete_version_after": s.Settings.DeleteVersionAfter, "max_versions": s.Settings.MaxVersions,
		"oldest_version": s.oldest(s.Settings.over(all)), "updated_time": s.Updated.Format(time.RFC3339Nano), "versions": versions,
		"metadata_cas_required": s.Settings.MetadataCAS, "current_metadata_version": s.Changes,
	}
}

// putMetadata changes what the request names. PUT replaces the custom fields,
// PATCH merges them, and wants the secret to be there. Versions that are too
// many go with the next one that is written.
func (s *server) putMetadata(w http.ResponseWriter, r *http.Request, path string) {
	patch := r.Method == http.MethodPatch
	if patch && !isMergePatch(r) {
		fail(w, http.StatusUnsupportedMediaType, "PATCH takes application/merge-patch+json")
		return
	}
	var in metadataRequest
	if !decode(w, r, &in) {
		return
	}
	if !in.says() && !patch {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if in.DeleteVersionAfter != nil && *in.DeleteVersionAfter < 0 {
		respond(w, nil, badRequest("cannot provide negative value for delete_version_after"))
		return
	}
	all, err := s.config()
	if err != nil {
		failed(w, "the secret cannot be written", err)
		return
	}
	s.change(w, path, func(sec *secret, found bool) (any, error) {
		if !found && patch {
			return nil, errNotThere
		}
		required := sec.Settings.over(all).MetadataCAS
		if err := check(in.CAS, sec.Changes, required, "metadata check-and-set"); err != nil {
			return nil, err
		}
		if err := in.apply(&sec.Settings); err != nil {
			return nil, err
		}
		if err := in.custom(sec, patch); err != nil {
			return nil, err
		}
		sec.Changes++
		if !found {
			sec.Created = time.Now().UTC()
			sec.Updated = sec.Created
		}
		if warnings := in.ignored(all); warnings != nil {
			return warned{warnings}, nil
		}
		return nil, nil
	})
}

// deleteMetadata forgets a secret, with all its versions.
func (s *server) deleteMetadata(w http.ResponseWriter, _ *http.Request, path string) {
	respond(w, nil, s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(secretsBucket)
		if b == nil {
			return nil
		}
		return b.Delete([]byte(path))
	}))
}

var configKey = []byte("kv-config")

// config returns the settings of all secrets.
func (s *server) config() (out settings, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(hostBucket)
		if b == nil || b.Get(configKey) == nil {
			return nil
		}
		plain, err := s.keys.Decrypt(nil, b.Get(configKey), configKey)
		return errors.Join(err, json.Unmarshal(plain, &out))
	})
	return out, err
}

func (s *server) getConfig(w http.ResponseWriter, _ *http.Request, _ string) {
	all, err := s.config()
	respond(w, all, err)
}

func (s *server) putConfig(w http.ResponseWriter, r *http.Request, _ string) {
	var in metadataRequest
	if !decode(w, r, &in) {
		return
	}
	all, err := s.config()
	if err == nil {
		err = in.apply(&all)
	}
	if err == nil {
		var plain, sealed []byte
		if plain, err = json.Marshal(all); err == nil {
			sealed, err = s.keys.Encrypt(nil, plain, configKey)
		}
		if err == nil {
			err = s.db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucketIfNotExists(hostBucket)
				if err != nil {
					return err
				}
				return b.Put(configKey, sealed)
			})
		}
	}
	respond(w, nil, err)
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
)

// settings are how the versions of a secret are kept: of one, or, where it says
// nothing, of all.
type settings struct {
	MaxVersions        int      `json:"max_versions"` // 0: not said
	CASRequired        bool     `json:"cas_required"`
	DeleteVersionAfter duration `json:"delete_version_after"` // 0: not said; negative: never
}

// over returns what holds for a secret with these settings.
func (s settings) over(all settings) settings {
	if s.MaxVersions == 0 {
		s.MaxVersions = all.MaxVersions
	}
	s.CASRequired = s.CASRequired || all.CASRequired
	switch {
	case s.DeleteVersionAfter == 0:
		s.DeleteVersionAfter = all.DeleteVersionAfter
	case s.DeleteVersionAfter > 0 && all.DeleteVersionAfter > 0:
		s.DeleteVersionAfter = min(s.DeleteVersionAfter, all.DeleteVersionAfter)
	}
	return s
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
	MaxVersions        *int               `json:"max_versions"`
	CASRequired        *bool              `json:"cas_required"`
	DeleteVersionAfter *duration          `json:"delete_version_after"`
	Custom             map[string]*string `json:"custom_metadata"`
}

func (in *metadataRequest) apply(s *settings) error {
	if in.MaxVersions != nil {
		if *in.MaxVersions < 0 {
			return &kvError{http.StatusBadRequest, "max_versions is negative"}
		}
		s.MaxVersions = *in.MaxVersions
	}
	if in.CASRequired != nil {
		s.CASRequired = *in.CASRequired
	}
	if in.DeleteVersionAfter != nil {
		s.DeleteVersionAfter = *in.DeleteVersionAfter
	}
	return nil
}

func (s *server) getMetadata(w http.ResponseWriter, _ *http.Request, path string) {
	var sec secret
	found := false
	err := s.db.view(func(tx *bbolt.Tx) (err error) {
		sec, found, err = s.read(tx, path)
		return err
	})
	if err != nil || !found {
		if err == nil {
			err = errNotThere
		}
		respond(w, nil, err)
		return
	}
	versions, newest, oldest := map[string]any{}, 0, 0
	for i := range sec.Versions {
		v := &sec.Versions[i]
		versions[fmt.Sprint(v.Number)] = map[string]any{
			"created_time": v.Created.Format(time.RFC3339Nano), "deletion_time": v.deletion(), "destroyed": v.Destroyed,
		}
		newest = v.Number
	}
	if len(sec.Versions) > 0 && sec.Versions[0].Number > 1 {
		oldest = sec.Versions[0].Number
	}
	var custom any
	if sec.Custom != nil {
		custom = sec.Custom
	}
	answer(w, http.StatusOK, map[string]any{
		"cas_required": sec.Settings.CASRequired, "created_time": sec.Created.Format(time.RFC3339Nano), "current_version": newest,
		"custom_metadata": custom, "delete_version_after": sec.Settings.DeleteVersionAfter, "max_versions": sec.Settings.MaxVersions,
		"oldest_version": oldest, "updated_time": sec.Updated.Format(time.RFC3339Nano), "versions": versions,
	})
}

// putMetadata changes what the request names. PUT replaces the custom fields,
// PATCH merges them, and wants the secret to be there.
func (s *server) putMetadata(w http.ResponseWriter, r *http.Request, path string) {
	var in metadataRequest
	if !decode(w, r, &in) {
		return
	}
	all, err := s.config()
	if err != nil {
		failed(w, "the secret cannot be written", err)
		return
	}
	s.change(w, path, func(sec *secret, found bool) (any, error) {
		if !found && r.Method == http.MethodPatch {
			return nil, errNotThere
		}
		if err := in.apply(&sec.Settings); err != nil {
			return nil, err
		}
		if in.Custom != nil && (r.Method != http.MethodPatch || sec.Custom == nil) {
			sec.Custom = map[string]string{}
		}
		for name, value := range in.Custom {
			if value == nil {
				delete(sec.Custom, name)
				continue
			}
			sec.Custom[name] = *value
		}
		if len(sec.Custom) > 64 {
			return nil, &kvError{http.StatusBadRequest, "custom_metadata has at most 64 fields"}
		}
		sec.Updated = time.Now().UTC()
		if !found {
			sec.Created = sec.Updated
		}
		sec.prune(sec.Settings.over(all))
		return nil, nil
	})
}

// deleteMetadata forgets a secret, with all its versions.
func (s *server) deleteMetadata(w http.ResponseWriter, _ *http.Request, path string) {
	respond(w, nil, s.db.update(func(tx *bbolt.Tx) error {
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
	err = s.db.view(func(tx *bbolt.Tx) error {
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
			err = s.db.update(func(tx *bbolt.Tx) error {
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

package vaultstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Secret is an entry of a key-value engine, with all its versions. Of version 1
// of the engine it is one version, with no times.
type Secret struct {
	Path               string            `json:"path"`
	Engine             int               `json:"engine"` // 1 or 2
	Created            time.Time         `json:"created,omitzero"`
	Updated            time.Time         `json:"updated,omitzero"`
	Current            uint64            `json:"current_version,omitempty"`
	Oldest             uint64            `json:"oldest_version,omitempty"`
	MaxVersions        uint32            `json:"max_versions,omitempty"`
	CASRequired        bool              `json:"cas_required,omitempty"`
	DeleteVersionAfter time.Duration     `json:"delete_version_after,omitempty"` // nanoseconds; negative is never
	Custom             map[string]string `json:"custom_metadata,omitempty"`
	Versions           []Version         `json:"versions"` // oldest first
}

// A Version is one version of a [Secret].
type Version struct {
	Number    uint64          `json:"version"`
	Created   time.Time       `json:"created,omitzero"`
	Deleted   time.Time       `json:"deleted,omitzero"` // may be ahead
	Destroyed bool            `json:"destroyed,omitempty"`
	Lost      bool            `json:"lost,omitempty"` // its data cannot be read
	Data      json.RawMessage `json:"data,omitempty"` // as it was written; none where it was destroyed or lost
}

// KVConfig is what a mount of version 2 says for all its secrets.
type KVConfig struct {
	MaxVersions        uint32        `json:"max_versions,omitempty"`
	CASRequired        bool          `json:"cas_required,omitempty"`
	DeleteVersionAfter time.Duration `json:"delete_version_after,omitempty"`
}

const maxSecretVersions = 1 << 20

// kv2 is where version 2 of the engine has its entries.
type kv2 struct {
	prefix string // with a slash
	salt   string
}

func (s *Store) kv2(m *Mount) (*kv2, error) {
	k := &kv2{prefix: m.Prefix + m.BackendUUID + "/"}
	if m.BackendUUID == "" { // of an entry from before there was one
		names, err := s.List(m.Prefix)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if _, ok, _ := s.storage.get(m.Prefix + name + "policy/metadata"); ok {
				k.prefix = m.Prefix + name
			}
		}
	}
	salt, err := s.Get(k.prefix + "salt")
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	k.salt = string(salt)
	return k, nil
}

// versionKey is the storage key of one version of a secret.
func (k *kv2) versionKey(path string, number uint64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s%s|%d", k.salt, path, number))
	name := hex.EncodeToString(sum[:])
	return k.prefix + "versions/" + name[:3] + "/" + name[3:]
}

// KVConfig returns what a mount of version 2 says for all its secrets.
func (s *Store) KVConfig(m *Mount) (c KVConfig, err error) {
	k, err := s.kv2(m)
	if err != nil {
		return c, err
	}
	text, err := s.Get(k.prefix + "config")
	if errors.Is(err, ErrNotFound) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	for f, err := range fields(text) {
		if err != nil {
			return c, damaged(k.prefix+"config", "%v", err)
		}
		switch {
		case f.number == 1 && f.kind == 0:
			c.MaxVersions = uint32(f.value)
		case f.number == 2 && f.kind == 0:
			c.CASRequired = f.value != 0
		case f.number == 3 && f.kind == 2:
			c.DeleteVersionAfter = parseDuration(f.bytes)
		}
	}
	return c, nil
}

// Secrets calls f with each secret of a key-value mount, and with why one cannot
// be read, or not whole. A mount of version 2 may hold entries of version 1 that no server has
// turned yet: they come last, unless they were.
func (s *Store) Secrets(ctx context.Context, m *Mount, f func(secret *Secret, key string, err error) error) error {
	switch m.KV() {
	case 1:
		return s.secrets1(ctx, m, "", nil, f)
	case 2:
		k, err := s.kv2(m)
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		err = s.each(ctx, k.prefix+"metadata/", func(key string, text []byte, err error) error {
			if err != nil {
				return f(nil, key, err)
			}
			secret, err := s.secret2(k, key, text)
			if secret != nil {
				seen[secret.Path] = true
			}
			return f(secret, key, err)
		})
		if err != nil {
			return err
		}
		return s.secrets1(ctx, m, k.prefix, seen, f)
	}
	return fmt.Errorf("vaultstore: %s is of the type %q, and no key-value engine", m.Path, m.Type)
}

// secrets1 goes through the entries of version 1, but for those below a prefix
// and those that were seen.
func (s *Store) secrets1(ctx context.Context, m *Mount, without string, seen map[string]bool, f func(*Secret, string, error) error) error {
	return s.each(ctx, m.Prefix, func(key string, text []byte, err error) error {
		path := strings.TrimPrefix(key, m.Prefix)
		if without != "" && strings.HasPrefix(key, without) || seen[path] {
			return nil
		}
		if err != nil {
			return f(nil, key, err)
		}
		secret, err := secret1(key, path, text)
		return f(secret, key, err)
	})
}

func secret1(key, path string, text []byte) (*Secret, error) {
	data, err := decompress(text, maxValue)
	if err == nil && !json.Valid(data) {
		err = errors.New("it is no JSON")
	}
	if err != nil {
		return nil, damaged(key, "%v", err)
	}
	return &Secret{Path: path, Engine: 1, Current: 1, Versions: []Version{{Number: 1, Data: data}}}, nil
}

// secret2 reads the metadata of a secret, and its versions. Where versions cannot
// be read, the secret is the rest, and the error says so.
func (s *Store) secret2(k *kv2, key string, text []byte) (*Secret, error) {
	secret, err := parseMetadata(text)
	if err != nil {
		return nil, damaged(key, "%v", err)
	}
	var lost []error
	for i := range secret.Versions {
		v := &secret.Versions[i]
		if v.Destroyed {
			continue
		}
		at := k.versionKey(secret.Path, v.Number)
		stored, err := s.Get(at)
		if err == nil {
			if v.Data, err = parseVersion(stored); err != nil {
				err = damaged(at, "%v", err)
			}
		}
		if err != nil {
			v.Lost = true
			lost = append(lost, fmt.Errorf("version %d of the secret at %s: %w", v.Number, key, err))
		}
	}
	return secret, errors.Join(lost...)
}

// Secret returns one secret of a key-value mount, and an error also where it is
// not whole.
func (s *Store) Secret(ctx context.Context, m *Mount, path string) (*Secret, error) {
	if m.KV() == 1 {
		text, err := s.Get(m.Prefix + path)
		if err != nil {
			return nil, err
		}
		return secret1(m.Prefix+path, path, text)
	}
	var found *Secret
	var lost error
	err := s.Secrets(ctx, m, func(secret *Secret, _ string, err error) error {
		if secret != nil && secret.Path == path {
			found, lost = secret, err
			return errStop
		}
		return nil
	})
	if err != nil && err != errStop {
		return nil, err
	}
	if found == nil {
		return nil, fmt.Errorf("%w: %s%s", ErrNotFound, m.Path, path)
	}
	return found, lost
}

// parseMetadata reads KeyMetadata of version 2:
//
//	1 key · 2 versions {1 number · 2 {1 created · 2 deleted · 3 destroyed}} · 3 current ·
//	4 oldest · 5 created · 6 updated · 7 max versions · 8 cas required ·
//	9 delete version after · 10 custom {1 name · 2 value}
func parseMetadata(message []byte) (*Secret, error) {
	s := &Secret{Engine: 2}
	for f, err := range fields(message) {
		if err != nil {
			return nil, err
		}
		switch {
		case f.number == 1:
			if s.Path, err = f.text(); err != nil {
				return nil, err
			}
		case f.number == 2 && f.kind == 2:
			if err := s.addVersion(f.bytes); err != nil {
				return nil, err
			}
		case f.number == 10 && f.kind == 2:
			if err := s.addCustom(f.bytes); err != nil {
				return nil, err
			}
		default:
			s.scalar(f)
		}
	}
	if s.Path == "" {
		return nil, errors.New("the metadata names no secret")
	}
	slices.SortFunc(s.Versions, func(a, b Version) int {
		switch {
		case a.Number < b.Number:
			return -1
		case a.Number > b.Number:
			return 1
		}
		return 0
	})
	for i := 1; i < len(s.Versions); i++ {
		if s.Versions[i].Number == s.Versions[i-1].Number {
			return nil, errors.New("the metadata has a version twice")
		}
	}
	return s, nil
}

func (s *Secret) scalar(f field) {
	switch {
	case f.number == 3 && f.kind == 0:
		s.Current = f.value
	case f.number == 4 && f.kind == 0:
		s.Oldest = f.value
	case f.number == 5 && f.kind == 2:
		s.Created = parseTime(f.bytes)
	case f.number == 6 && f.kind == 2:
		s.Updated = parseTime(f.bytes)
	case f.number == 7 && f.kind == 0:
		s.MaxVersions = uint32(f.value)
	case f.number == 8 && f.kind == 0:
		s.CASRequired = f.value != 0
	case f.number == 9 && f.kind == 2:
		s.DeleteVersionAfter = parseDuration(f.bytes)
	}
}

func (s *Secret) addVersion(message []byte) error {
	var v Version
	for f, err := range fields(message) {
		if err != nil {
			return err
		}
		switch {
		case f.number == 1 && f.kind == 0:
			v.Number = f.value
		case f.number == 2 && f.kind == 2:
			for f, err := range fields(f.bytes) {
				if err != nil {
					return err
				}
				switch {
				case f.number == 1 && f.kind == 2:
					v.Created = parseTime(f.bytes)
				case f.number == 2 && f.kind == 2:
					v.Deleted = parseTime(f.bytes)
				case f.number == 3 && f.kind == 0:
					v.Destroyed = f.value != 0
				}
			}
		}
	}
	if s.Versions = append(s.Versions, v); len(s.Versions) > maxSecretVersions {
		return ErrTooLarge
	}
	return nil
}

func (s *Secret) addCustom(message []byte) error {
	var pair [2]string
	for f, err := range fields(message) {
		if err != nil {
			return err
		}
		if f.number == 1 || f.number == 2 {
			if pair[f.number-1], err = f.text(); err != nil {
				return err
			}
		}
	}
	if s.Custom == nil {
		s.Custom = map[string]string{}
	}
	s.Custom[pair[0]] = pair[1]
	return nil
}

// parseVersion reads a version's data: 1 JSON · 2 created · 3 deleted.
func parseVersion(message []byte) (json.RawMessage, error) {
	var data []byte
	for f, err := range fields(message) {
		if err != nil {
			return nil, err
		}
		if f.number == 1 && f.kind == 2 {
			data = f.bytes
		}
	}
	if !json.Valid(data) {
		return nil, errors.New("the data of a version is no JSON")
	}
	return data, nil
}

// parseTime reads a Timestamp: 1 seconds · 2 nanoseconds. What is no time is zero.
func parseTime(message []byte) time.Time {
	seconds, nanos, ok := parseSpan(message)
	if !ok || seconds < -62135596800 || seconds > 253402300799 {
		return time.Time{}
	}
	return time.Unix(seconds, nanos).UTC()
}

// parseDuration reads a Duration, of the same fields.
func parseDuration(message []byte) time.Duration {
	seconds, nanos, ok := parseSpan(message)
	if !ok || seconds > 1<<33 || seconds < -1<<33 {
		return 0
	}
	return time.Duration(seconds)*time.Second + time.Duration(nanos)
}

func parseSpan(message []byte) (seconds, nanos int64, ok bool) {
	for f, err := range fields(message) {
		if err != nil {
			return 0, 0, false
		}
		switch {
		case f.number == 1 && f.kind == 0:
			seconds = int64(f.value)
		case f.number == 2 && f.kind == 0:
			nanos = int64(f.value)
		}
	}
	return seconds, nanos, nanos > -1e9 && nanos < 1e9
}

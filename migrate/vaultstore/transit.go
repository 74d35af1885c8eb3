package vaultstore

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
)

// A TransitKey is a named key of the engine "transit", as it is stored: with the
// key material of its versions.
type TransitKey struct {
	Name    string          `json:"name"`
	Policy  json.RawMessage `json:"policy"`            // policy/NAME
	Archive json.RawMessage `json:"archive,omitempty"` // archive/NAME: the versions that the policy no longer holds, too
}

// TransitKeys calls f with each key of a transit mount, or with why one cannot be
// read. What it hands over holds keys in clear: f wipes what it need not keep.
func (s *Store) TransitKeys(ctx context.Context, m *Mount, f func(key *TransitKey, at string, err error) error) error {
	prefix := m.Prefix + "policy/"
	return s.each(ctx, prefix, func(at string, text []byte, err error) error {
		if err != nil {
			return f(nil, at, err)
		}
		k := &TransitKey{Name: strings.TrimPrefix(at, prefix)}
		if k.Policy, err = object(at, text); err != nil {
			return f(nil, at, err)
		}
		archive, err := s.Get(m.Prefix + "archive/" + k.Name)
		switch {
		case err == nil:
			k.Archive, err = object(m.Prefix+"archive/"+k.Name, archive)
		case errors.Is(err, ErrNotFound):
			err = nil
		}
		if err != nil {
			return f(nil, at, err)
		}
		return f(k, at, nil)
	})
}

// object returns JSON of an object, unpacked.
func object(key string, text []byte) (json.RawMessage, error) {
	plain, err := decompress(text, maxValue)
	if err == nil && (!json.Valid(plain) || plain[0] != '{') {
		err = errors.New("it is no JSON object")
	}
	if err != nil {
		return nil, damaged(key, "%v", err)
	}
	return plain, nil
}

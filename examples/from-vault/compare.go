package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/sealwright/sealwright/migrate/vaultstore"
)

// A kept is what a server says of a secret.
type kept struct {
	Created  time.Time         `json:"created_time"`
	Max      uint32            `json:"max_versions"`
	CAS      bool              `json:"cas_required"`
	Custom   map[string]string `json:"custom_metadata"`
	Versions map[string]struct {
		Created   time.Time `json:"created_time"`
		Deleted   string    `json:"deletion_time"`
		Destroyed bool      `json:"destroyed"`
	} `json:"versions"`
}

// compare reads a secret back as any client does, and compares it with what it
// was: its versions, their numbers and times, and the data that can be read. What
// is deleted, and could be undeleted, the server compares by itself when it is
// given the secret again.
func (b *bringer) compare(ctx context.Context, path string, s *vaultstore.Secret) error {
	var meta kept
	if err := b.to.call(ctx, http.MethodGet, "secret/metadata/"+escaped(path), nil, &meta); err != nil {
		return fmt.Errorf("reading %s back: %w", path, err)
	}
	switch {
	case len(meta.Versions) != len(s.Versions):
		return differs(path, "the number of its versions")
	case meta.Max != s.MaxVersions || meta.CAS != s.CASRequired || !maps.Equal(meta.Custom, s.Custom):
		return differs(path, "its settings")
	}
	deleted := false
	for i := range s.Versions {
		v := &s.Versions[i]
		have, ok := meta.Versions[strconv.FormatUint(v.Number, 10)]
		if !ok || !have.Created.Equal(v.Created) || have.Destroyed != (v.Destroyed || v.Lost) || (have.Deleted == "") != v.Deleted.IsZero() {
			return differs(path, fmt.Sprintf("version %d", v.Number))
		}
		switch {
		case v.Destroyed || v.Lost:
		case !v.Deleted.IsZero() && !v.Deleted.After(time.Now()):
			deleted = true
		default:
			if err := b.compareData(ctx, path, v); err != nil {
				return err
			}
		}
	}
	if !deleted {
		return nil
	}
	var answer struct{ Already bool }
	if err := b.to.call(ctx, http.MethodPut, "sys/import/secret/"+escaped(path), s, &answer); err != nil {
		return err
	}
	if !answer.Already {
		return differs(path, "what is deleted")
	}
	return nil
}

func (b *bringer) compareData(ctx context.Context, path string, v *vaultstore.Version) error {
	var answer struct{ Data any }
	err := b.to.call(ctx, http.MethodGet, fmt.Sprintf("secret/data/%s?version=%d", escaped(path), v.Number), nil, &answer)
	if err != nil {
		return fmt.Errorf("reading version %d of %s back: %w", v.Number, path, err)
	}
	var want any
	d := json.NewDecoder(bytes.NewReader(v.Data))
	d.UseNumber()
	if err := d.Decode(&want); err != nil || !reflect.DeepEqual(want, answer.Data) {
		return differs(path, fmt.Sprintf("the data of version %d", v.Number))
	}
	return nil
}

func differs(path, what string) error {
	return errors.New(path + " is another in the server: " + what + " differs")
}

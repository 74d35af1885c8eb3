package vaultstore

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Mount is a line of a table of mounts: a secrets engine, an auth method, or an
// audit device.
type Mount struct {
	Namespace   string            // its path, as "team/eu/"; "" is the root namespace
	Table       string            // "mounts", "auth" or "audit"
	Path        string            // "secret/"
	Type        string            // "kv", "transit", "userpass", …; plugins by their names
	Description string            //
	UUID        string            // where its entries are
	BackendUUID string            // where version 2 of kv has its own
	Options     map[string]string // {"version": "2"}
	Local       bool
	Prefix      string // of its entries' storage keys
}

// KV returns the version of a key-value engine: 1 or 2, and 0 of other mounts.
func (m *Mount) KV() int {
	if m.Table != "mounts" {
		return 0
	}
	switch m.Type {
	case "kv", "generic", "kv-v1", "kv-v2", "vault-plugin-secrets-kv":
		if m.Options["version"] == "2" || m.Type == "kv-v2" {
			return 2
		}
		return 1
	}
	return 0
}

// A Namespace is one of the places that mounts are in.
type Namespace struct {
	ID, UUID string
	Path     string // "team/eu/"; "" is the root's
	Prefix   string // of its entries' storage keys
	Sealed   bool   // it has a seal of its own, which was not opened
}

const (
	rootNamespace = "root"
	maxMounts     = 1 << 20
)

// Namespaces returns the root namespace, and those of OpenBao below it.
func (s *Store) Namespaces(ctx context.Context) ([]Namespace, error) {
	all := []Namespace{{ID: rootNamespace}}
	seen := map[string]bool{}
	for i := 0; i < len(all); i++ {
		parent := all[i]
		if parent.Sealed {
			continue
		}
		err := s.each(ctx, parent.Prefix+"core/namespaces/", func(key string, text []byte, err error) error {
			if err != nil {
				return err
			}
			var n struct{ ID, UUID, Path string }
			if err := unmarshal(key, text, &n); err != nil {
				return err
			}
			if n.UUID == "" || seen[n.UUID] || len(seen) > maxMounts {
				return damaged(key, "it names no namespace, or one that another names")
			}
			seen[n.UUID] = true
			all = append(all, s.namespace(n.ID, n.UUID, n.Path, parent.Prefix))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// namespace looks whether one has a seal of its own. One without is under the keys
// of the one above it.
func (s *Store) namespace(id, uuid, path, parent string) Namespace {
	n := Namespace{ID: id, UUID: uuid, Path: path, Prefix: "namespaces/" + uuid + "/"}
	_, own, _ := s.storage.get(n.Prefix + pathKeyring)
	s.mu.Lock()
	defer s.mu.Unlock()
	if ring := s.rings[parent]; !own && parent != "" && ring != nil && s.rings[n.Prefix] == nil {
		s.rings[n.Prefix] = ring
	}
	n.Sealed = own && s.rings[n.Prefix] == nil
	return n
}

// unmarshal reads JSON that may be compressed.
func unmarshal(key string, text []byte, into any) error {
	plain, err := decompress(text, maxValue)
	if err == nil && json.Unmarshal(plain, into) != nil {
		err = errors.New("it is no JSON, or of another shape")
	}
	if err != nil {
		return damaged(key, "%v", err)
	}
	return nil
}

// A mountEntry is a mount as it is stored.
type mountEntry struct {
	Table       string            `json:"table"`
	Path        string            `json:"path"`
	Type        string            `json:"type"`
	Description string            `json:"description"`
	UUID        string            `json:"uuid"`
	BackendUUID string            `json:"backend_aware_uuid"`
	Options     map[string]string `json:"options"`
	Local       bool              `json:"local"`
	NamespaceID string            `json:"namespace_id"`
	Config      struct {
		PluginName string `json:"plugin_name"`
	} `json:"config"`
}

// Mounts returns the mounts of all namespaces that are open. A table is one
// entry, or, where OpenBao's storage has transactions, an entry for each mount.
func (s *Store) Mounts(ctx context.Context) ([]Mount, error) {
	spaces, err := s.Namespaces(ctx)
	if err != nil {
		return nil, err
	}
	var out []Mount
	for _, n := range spaces {
		if n.Sealed {
			continue
		}
		for _, table := range []string{"mounts", "auth", "audit"} {
			for _, path := range []string{"core/" + table, "core/local-" + table} {
				entries, err := s.table(ctx, n.Prefix+path)
				if err != nil {
					return nil, err
				}
				for _, e := range entries {
					out = append(out, s.mount(e, table, n, spaces))
				}
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Mount) int {
		return slices.Compare([]string{a.Namespace, a.Table, a.Path}, []string{b.Namespace, b.Table, b.Path})
	})
	return slices.CompactFunc(out, func(a, b Mount) bool {
		return a.Namespace == b.Namespace && a.Table == b.Table && a.Path == b.Path && a.UUID == b.UUID
	}), nil
}

// table returns the entries of a table, in either form.
func (s *Store) table(ctx context.Context, path string) ([]mountEntry, error) {
	var out []mountEntry
	text, err := s.Get(path)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if err == nil {
		var t struct {
			Entries []mountEntry `json:"entries"`
		}
		if err := unmarshal(path, text, &t); err != nil {
			return nil, err
		}
		out = t.Entries
	}
	err = s.each(ctx, path+"/", func(key string, text []byte, err error) error {
		var e mountEntry
		if err == nil {
			err = unmarshal(key, text, &e)
		}
		if len(out) > maxMounts {
			err = ErrTooLarge
		}
		out = append(out, e)
		return err
	})
	return out, err
}

func (s *Store) mount(e mountEntry, table string, in Namespace, spaces []Namespace) Mount {
	m := Mount{Namespace: in.Path, Table: table, Path: e.Path, Type: e.Type, Description: e.Description,
		UUID: e.UUID, BackendUUID: e.BackendUUID, Options: e.Options, Local: e.Local}
	if m.Type == "plugin" && e.Config.PluginName != "" {
		m.Type = e.Config.PluginName
	}
	prefix := in.Prefix
	if e.NamespaceID != "" && e.NamespaceID != rootNamespace && in.ID == rootNamespace {
		// Vault Enterprise keeps the mounts of all namespaces in one table, and
		// says there no more than the namespace's id.
		m.Namespace, prefix = e.NamespaceID+"/", "namespaces/"+e.NamespaceID+"/"
		for _, n := range spaces {
			if n.ID == e.NamespaceID {
				m.Namespace, prefix = n.Path, n.Prefix
			}
		}
	}
	area := map[string]string{"mounts": "logical/", "auth": "auth/", "audit": "audit/"}[table]
	m.Prefix = prefix + area + m.UUID + "/"
	if table == "mounts" && m.Type == "system" {
		m.Prefix = prefix + "sys/"
	}
	return m
}

// A Policy is a policy of access, in its own language.
type Policy struct {
	Namespace string
	Kind      string // "acl", "rgp" or "egp"
	Name      string
	Text      string
}

// Policies calls f with each policy, or with why one cannot be read.
func (s *Store) Policies(ctx context.Context, f func(p *Policy, key string, err error) error) error {
	spaces, err := s.Namespaces(ctx)
	if err != nil {
		return err
	}
	for _, n := range spaces {
		if n.Sealed {
			continue
		}
		for _, kind := range []string{"acl", "rgp", "egp"} {
			prefix := n.Prefix + "sys/policy-" + kind + "/"
			if kind == "acl" {
				prefix = n.Prefix + "sys/policy/"
			}
			err := s.each(ctx, prefix, func(key string, text []byte, err error) error {
				if err != nil {
					return f(nil, key, err)
				}
				p := &Policy{Namespace: n.Path, Kind: kind, Name: strings.TrimPrefix(key, prefix)}
				p.Text, err = policyText(key, text)
				return f(p, key, err)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// policyText returns the text of a policy, which the oldest servers stored bare.
func policyText(key string, text []byte) (string, error) {
	var p struct{ Raw *string }
	err := unmarshal(key, text, &p)
	if err == nil && p.Raw != nil {
		return *p.Raw, nil
	}
	if utf8.Valid(text) {
		return string(text), nil
	}
	return "", damaged(key, "it is no policy")
}

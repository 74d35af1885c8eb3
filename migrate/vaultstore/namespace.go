package vaultstore

import (
	"context"
	"fmt"
	"strings"
)

// OpenNamespace opens a namespace of OpenBao that has a seal of its own, with the
// shares of that: by its path, as "team/eu/". The store must be open, and the
// namespaces above it. Those below it that have no seal of their own open with it.
func (s *Store) OpenNamespace(ctx context.Context, path string, keys Keys) error {
	spaces, err := s.Namespaces(ctx)
	if err != nil {
		return err
	}
	for _, n := range spaces {
		if n.Path != strings.TrimSuffix(path, "/")+"/" || n.Prefix == "" {
			continue
		}
		if !n.Sealed {
			return nil
		}
		m, err := findAt(ctx, &within{s, n.Prefix}, n.Prefix, keys)
		if err != nil {
			return err
		}
		clear(m.kek)
		clear(m.recoverKey)
		if m.ring == nil {
			defer m.wipe()
			return fmt.Errorf("the namespace %s: %w", n.Path, m.refused(keys))
		}
		clear(m.root)
		s.mu.Lock()
		s.rings[n.Prefix] = m.ring
		s.mu.Unlock()
		return nil
	}
	return fmt.Errorf("%w: the namespace %s, or the one above it is sealed", ErrNotFound, path)
}

// within is the part of a storage that belongs to a namespace. What says how it is
// sealed is encrypted with the keys of the namespace above it.
type within struct {
	*Store
	prefix string
}

func (w *within) get(key string) ([]byte, bool, error) {
	value, ok, err := w.storage.get(w.prefix + key)
	if !ok || err != nil || key != pathSealConfig {
		return value, ok, err
	}
	if text, err := w.decrypt(w.prefix+key, value); err == nil {
		return text, true, nil
	}
	return value, true, nil // if it is not encrypted
}

func (w *within) walk(prefix string, f func(string, func() ([]byte, error)) error) error {
	return w.storage.walk(w.prefix+prefix, func(key string, read func() ([]byte, error)) error {
		return f(strings.TrimPrefix(key, w.prefix), read)
	})
}

func (w *within) kind() Kind { return w.storage.kind() }

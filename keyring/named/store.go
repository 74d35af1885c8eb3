package named

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
)

// A Store keeps the documents of the keys, one each, encrypted: a table, a
// bucket, a directory that the host has anyway. It is safe for concurrent use,
// from several processes at once. [MemStore] is one, and package sqlkeys has one
// in a SQL database.
//
// Names are 1 to 64 ASCII letters, digits, dots, hyphens and underscores, and
// are compared byte by byte: "K" and "k" are two keys. A document is at least one
// byte, and at most [MaxDocument] and [keyring.Overhead] more. Package namedtest is
// the suite for stores.
type Store interface {
	// Load returns the document of a name and its revision, which is not empty,
	// or [ErrNotFound] if the store was read and has none. What was swapped in
	// before, by anyone, is seen.
	Load(ctx context.Context, name string) (document []byte, revision string, err error)

	// Swap puts a document in place of the one that has the revision, "" for
	// none, and returns the new revision, never one that was used before; a nil
	// document removes it. If another revision is there it changes nothing and
	// returns [ErrConflict]. When it returns nil the change is durable. After
	// any other error it may have been made or not. It keeps no slice.
	Swap(ctx context.Context, name string, document []byte, revision string) (next string, err error)

	// List returns at most limit names that come after the given one, in the
	// order of their bytes; "" is before all.
	List(ctx context.Context, after string, limit int) (names []string, err error)
}

// A MemStore is a [Store] in memory, for tests and examples.
type MemStore struct {
	mu   sync.Mutex
	docs map[string]memDocument
	last int
}

type memDocument struct {
	data     []byte
	revision string
}

// NewMemStore returns an empty store.
func NewMemStore() *MemStore { return &MemStore{docs: map[string]memDocument{}} }

// Load returns a copy of the document.
func (s *MemStore) Load(ctx context.Context, name string) ([]byte, string, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.docs[name]
	if !ok {
		return nil, "", ErrNotFound
	}
	return bytes.Clone(d.data), d.revision, nil
}

// Swap compares and sets, under a lock.
func (s *MemStore) Swap(ctx context.Context, name string, document []byte, revision string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.docs[name].revision != revision {
		return "", ErrConflict
	}
	if document == nil {
		delete(s.docs, name)
		return "", nil
	}
	s.last++
	d := memDocument{bytes.Clone(document), strconv.Itoa(s.last)}
	s.docs[name] = d
	return d.revision, nil
}

// List returns the names in order.
func (s *MemStore) List(ctx context.Context, after string, limit int) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.docs {
		if cmp.Compare(name, after) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names[:min(limit, len(names))], nil
}

package vaultstore

import (
	"io"
	"slices"
	"strings"
)

// spans is a storage that is an index, in the order of the keys, into a file.
type spans struct {
	from  io.ReaderAt
	index []span
}

// A span is where the entry of a key stands.
type span struct {
	key    string
	offset int64
	size   int
}

// sort puts the index in order, and reports whether no key is there twice.
func (s *spans) sort() bool {
	slices.SortStableFunc(s.index, func(a, b span) int { return strings.Compare(a.key, b.key) })
	for i := 1; i < len(s.index); i++ {
		if s.index[i].key == s.index[i-1].key {
			return false
		}
	}
	return true
}

func (s *spans) find(key string) (int, bool) {
	return slices.BinarySearchFunc(s.index, key, func(e span, key string) int { return strings.Compare(e.key, key) })
}

func (s *spans) get(key string) ([]byte, bool, error) {
	i, ok := s.find(key)
	if !ok {
		return nil, false, nil
	}
	value, err := s.read(s.index[i])
	return value, err == nil, err
}

func (s *spans) read(e span) ([]byte, error) {
	value := make([]byte, e.size)
	_, err := s.from.ReadAt(value, e.offset)
	return value, err
}

func (s *spans) walk(prefix string, f func(string, func() ([]byte, error)) error) error {
	i, _ := s.find(prefix)
	for ; i < len(s.index) && strings.HasPrefix(s.index[i].key, prefix); i++ {
		if err := f(s.index[i].key, func() ([]byte, error) { return s.read(s.index[i]) }); err != nil {
			return err
		}
	}
	return nil
}

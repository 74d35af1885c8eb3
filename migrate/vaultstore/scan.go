package vaultstore

import (
	"encoding/binary"
	"errors"
	"strings"
)

// A scan is what the pages of a vault.db hold whose tree has lost its root: every
// leaf that is whole, whether the tree still had it or not. Of a key that stands on
// several pages it takes what is likely the newest, as pages say no age: the entry
// of the highest term, and of those the longest, as a keyring grows.
type scan struct {
	spans
	file readerAt
	lost []error
}

func (s *scan) kind() Kind      { return KindRaft }
func (s *scan) Close() error    { return s.file.Close() }
func (s *scan) damage() []error { return s.lost }

// scanBolt looks at every page of a file, since the tree is lost as err says.
func scanBolt(b *bolt, err error) (storage, error) {
	s := &scan{spans: spans{from: b.file}, file: b.file, lost: []error{err,
		errors.New("entries were taken from single pages: some may be older than what was last written, or deleted since")}}
	newest := map[string]span{}
	kept := 0
	pages := uint64(b.size) / b.meta.pageSize
	for id := uint64(2); id < pages; id++ {
		page, err := b.readPage(id)
		if err != nil || page.check() != nil || page.flags() != boltLeaf {
			continue
		}
		for i := range page.count() {
			key, value, flags, _, err := page.element(i)
			if err != nil {
				break
			}
			if flags != 0 || !strings.Contains(string(key), "/") { // of the bucket "config"
				continue
			}
			at := int64(id*b.meta.pageSize) + int64(cap(page)-cap(value))
			e := span{string(key), at, len(value)}
			if old, ok := newest[e.key]; !ok {
				if kept += len(key) + 64; kept > maxIndex {
					return nil, ErrTooLarge
				}
			} else if !s.newer(e, old) {
				continue
			}
			newest[e.key] = e
		}
	}
	for _, e := range newest {
		s.index = append(s.index, e)
	}
	if len(s.index) == 0 {
		return nil, err
	}
	s.sort()
	return s, nil
}

// newer reports whether an entry is likely newer than another of its key.
func (s *scan) newer(a, b span) bool {
	x, y := s.term(a), s.term(b)
	return x > y || x == y && a.size > b.size
}

func (s *scan) term(e span) uint32 {
	head := make([]byte, termSize)
	if e.size < termSize {
		return 0
	}
	if _, err := s.from.ReadAt(head, e.offset); err != nil {
		return 0
	}
	return binary.BigEndian.Uint32(head)
}

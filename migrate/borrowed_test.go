package migrate_test

import (
	"bytes"
	"context"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/migrate"
)

// A snapshotSource keeps its items in a slice that never changes, and puts another in
// its place: what Page returns is a part of it, which others read as well.
type snapshotSource struct {
	items  atomic.Pointer[[]migrate.Item]
	before func(id string) // each Replace
}

func (s *snapshotSource) find(id string) (items []migrate.Item, i int, found bool) {
	items = *s.items.Load()
	i, found = slices.BinarySearchFunc(items, id, func(it migrate.Item, id string) int { return strings.Compare(it.ID, id) })
	return items, i, found
}

func (s *snapshotSource) Page(_ context.Context, after string, limit int) ([]migrate.Item, error) {
	items, i, found := s.find(after)
	if found {
		i++
	}
	return items[i:min(len(items), i+limit)], nil
}

func (s *snapshotSource) Replace(_ context.Context, id string, old, next []byte) (bool, error) {
	s.before(id)
	items, i, found := s.find(id)
	if !found || !bytes.Equal(items[i].Ciphertext, old) {
		return false, nil
	}
	items = slices.Clone(items)
	items[i].Ciphertext = bytes.Clone(next)
	s.items.Store(&items)
	return true, nil
}

// The items of a page are there to be read: one that others changed, or took away, in
// between is not written into the page of the source.
func TestRewrapChangesNoPage(t *testing.T) {
	owner, kr := newKeyring(t, 1, 1)
	first := filled(t, kr, 3).items
	other := encrypt(t, kr, "value of 0000", "0000")
	install(t, owner, 2, 2)
	src := &snapshotSource{}
	src.items.Store(&first)
	src.before = func(id string) {
		if id != "0000" || len(*src.items.Load()) == 2 {
			return
		}
		next := slices.Clone((*src.items.Load())[:2]) // the last one is gone
		next[0].Ciphertext = other
		src.items.Store(&next)
	}
	before := make([]migrate.Item, len(first))
	for i, it := range first {
		before[i] = migrate.Item{ID: it.ID, AAD: bytes.Clone(it.AAD), Ciphertext: bytes.Clone(it.Ciphertext)}
	}
	var p migrate.Progress
	for got, err := range migrate.Rewrap(t.Context(), kr, src, migrate.RewrapOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		p = got
	}
	if p.Rewrapped != 2 {
		t.Errorf("rewrapped %d of two", p.Rewrapped)
	}
	if !reflect.DeepEqual(first, before) {
		t.Error("the page of the source was changed")
	}
}

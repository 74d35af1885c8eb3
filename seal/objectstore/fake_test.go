package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"sync"

	"github.com/sealwright/sealwright/seal"
)

// memory is a bucket whose conditions are real, unless it is told what to spoil.
type memory struct {
	mu      sync.Mutex
	objects map[string]object
	writes  int
	puts    map[string]int // by key

	blind    func(old string) bool // which conditions are ignored
	stale    bool                  // a Get answers with what was there before
	twice    bool                  // every Put is sent twice
	sameTag  bool                  // every object has one tag
	undead   bool                  // Delete deletes nothing
	noDelete error
	down     error
	failPut  error
}

type object struct {
	content []byte
	tag     string
	before  []byte
}

func newMemory() *memory { return &memory{objects: map[string]object{}, puts: map[string]int{}} }

func (m *memory) Get(ctx context.Context, key string) (io.ReadCloser, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(m.down, ctx.Err()); err != nil {
		return nil, "", err
	}
	o, ok := m.objects[key]
	switch {
	case !ok:
		return nil, "", seal.ErrNotFound
	case m.stale && o.before != nil:
		return io.NopCloser(bytes.NewReader(o.before)), o.tag, nil
	}
	return io.NopCloser(bytes.NewReader(o.content)), o.tag, nil
}

func (m *memory) Put(ctx context.Context, key string, content []byte, old string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(m.down, m.failPut, ctx.Err()); err != nil {
		return "", err
	}
	tag, err := m.put(key, content, old)
	if m.twice {
		return m.put(key, content, old)
	}
	return tag, err
}

func (m *memory) put(key string, content []byte, old string) (string, error) {
	present := m.objects[key]
	if present.tag != old && (m.blind == nil || !m.blind(old)) {
		return "", seal.ErrConflict
	}
	m.writes++
	m.puts[key]++
	tag := strconv.Itoa(m.writes)
	if m.sameTag {
		tag = "same"
	}
	m.objects[key] = object{content: bytes.Clone(content), tag: tag, before: present.content}
	return tag, nil
}

func (m *memory) Delete(ctx context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := errors.Join(m.down, m.noDelete, ctx.Err()); err != nil {
		return err
	}
	if !m.undead {
		delete(m.objects, key)
	}
	return nil
}

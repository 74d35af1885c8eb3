package seal

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"sync"
)

// MemStore is a [Store] in the memory of this process, for tests and for
// trying things out: what it keeps is gone when the process ends. It is safe
// for concurrent use. Make it with [NewMemStore].
type MemStore struct {
	mu      sync.Mutex
	rec     []byte
	rev     uint64        // 0 while there is no record
	changed chan struct{} // closed and replaced at each swap
}

// NewMemStore returns a store without a record.
func NewMemStore() *MemStore {
	return &MemStore{changed: make(chan struct{})}
}

// Load returns the record and its revision, or [ErrNotFound].
func (m *MemStore) Load(ctx context.Context) (rec []byte, rev string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", fmt.Errorf("seal: load from memory: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rev == 0 {
		return nil, "", ErrNotFound
	}
	return bytes.Clone(m.rec), strconv.FormatUint(m.rev, 10), nil
}

// Swap replaces the record as [Store] says. It fails with [ErrTooLarge] if rec
// is longer than [MaxRecordSize].
func (m *MemStore) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("seal: swap in memory: %w", err)
	}
	if len(rec) > MaxRecordSize {
		return "", fmt.Errorf("seal: swap in memory: %d bytes: %w", len(rec), ErrTooLarge)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	present := ""
	if m.rev != 0 {
		present = strconv.FormatUint(m.rev, 10)
	}
	if old != present {
		return "", ErrConflict
	}
	m.rec = append([]byte{}, rec...)
	m.rev++
	close(m.changed)
	m.changed = make(chan struct{})
	return strconv.FormatUint(m.rev, 10), nil
}

// Watch tells of each change as [Watcher] says, several in quick succession
// as one, and begins by sending once, as the record may have changed before.
func (m *MemStore) Watch(ctx context.Context, changed chan<- struct{}) error {
	next := m.nextChange()
	for out := changed; ; {
		select {
		case out <- struct{}{}:
			out = nil // nothing more to tell
		case <-next:
			next, out = m.nextChange(), changed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *MemStore) nextChange() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}

package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// mutant is a store with one of its methods replaced; nil keeps the method. It
// is no Watcher, as that would be checked apart.
type mutant struct {
	inner seal.Store
	load  func(context.Context, seal.Store) ([]byte, string, error)
	swap  func(ctx context.Context, s seal.Store, rec []byte, old string) (string, error)
}

func (m mutant) Load(ctx context.Context) ([]byte, string, error) {
	if m.load == nil {
		return m.inner.Load(ctx)
	}
	return m.load(ctx, m.inner)
}

func (m mutant) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if m.swap == nil {
		return m.inner.Swap(ctx, rec, old)
	}
	return m.swap(ctx, m.inner, rec, old)
}

func loadAnyErrorIsNotFound(ctx context.Context, s seal.Store) ([]byte, string, error) {
	rec, rev, err := s.Load(ctx)
	if err != nil {
		return nil, "", seal.ErrNotFound
	}
	return rec, rev, nil
}

func notFoundIsEmpty(ctx context.Context, s seal.Store) ([]byte, string, error) {
	rec, rev, err := s.Load(ctx)
	if errors.Is(err, seal.ErrNotFound) {
		return nil, "", nil
	}
	return rec, rev, err
}

func notFoundWithBytes(ctx context.Context, s seal.Store) ([]byte, string, error) {
	rec, rev, err := s.Load(ctx)
	if errors.Is(err, seal.ErrNotFound) {
		return []byte("{}"), rev, err
	}
	return rec, rev, err
}

func swapAnyErrorIsConflict(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
	rev, err := s.Swap(ctx, rec, old)
	if err != nil {
		return "", seal.ErrConflict
	}
	return rev, nil
}

func otherRevision(other string) func(context.Context, seal.Store, []byte, string) (string, error) {
	return func(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
		_, err := s.Swap(ctx, rec, old)
		return other, err
	}
}

func scribble(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
	rev, err := s.Swap(ctx, rec, old)
	clear(rec)
	return rev, err
}

func conflictThatWrites(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
	rev, err := s.Swap(ctx, rec, old)
	if errors.Is(err, seal.ErrConflict) {
		BlindPut(s).Swap(ctx, rec, "")
	}
	return rev, err
}

func createOver(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
	if old == "" {
		return BlindPut(s).Swap(ctx, rec, "")
	}
	return s.Swap(ctx, rec, old)
}

func updateCreates(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
	rev, err := s.Swap(ctx, rec, old)
	if errors.Is(err, seal.ErrConflict) {
		return s.Swap(ctx, rec, "")
	}
	return rev, err
}

func textOnly(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
	return s.Swap(ctx, bytes.ReplaceAll(rec, []byte{0}, nil), old)
}

func trimmed(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
	return s.Swap(ctx, bytes.TrimSpace(rec), old)
}

func cutAt(n int) func(context.Context, seal.Store, []byte, string) (string, error) {
	return func(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
		return s.Swap(ctx, rec[:min(n, len(rec))], old)
	}
}

func refusesFrom(n int) func(context.Context, seal.Store, []byte, string) (string, error) {
	return func(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
		if len(rec) >= n {
			return "", seal.ErrTooLarge
		}
		return s.Swap(ctx, rec, old)
	}
}

func tooLargeInItsOwnWords(ctx context.Context, s seal.Store, rec []byte, old string) (string, error) {
	rev, err := s.Swap(ctx, rec, old)
	if errors.Is(err, seal.ErrTooLarge) {
		return "", errors.New("storetest: request entity too large")
	}
	return rev, err
}

// lagsAtRandom answers one load in forty with the record before.
type lagsAtRandom struct {
	seal.Store
	mu          sync.Mutex
	before, now kept
}

func (l *lagsAtRandom) Load(ctx context.Context) ([]byte, string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.before.rev != "" && rand.N(40) == 0 {
		return bytes.Clone(l.before.rec), l.before.rev, nil
	}
	return l.Store.Load(ctx)
}

func (l *lagsAtRandom) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rev, err := l.Store.Swap(ctx, rec, old)
	if err == nil {
		l.before, l.now = l.now, kept{bytes.Clone(rec), rev}
	}
	return rev, err
}

// staleSwaps refuses each tenth swap, as a node does that has not caught up.
type staleSwaps struct {
	seal.Store
	swaps atomic.Int64
}

func (s *staleSwaps) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if s.swaps.Add(1)%10 == 0 {
		return "", seal.ErrConflict
	}
	return s.Store.Swap(ctx, rec, old)
}

// plain is a store in memory with its parts in the open.
type plain struct {
	mu  sync.Mutex
	rec []byte
	rev string
}

func (p *plain) Load(ctx context.Context) ([]byte, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	if p.rev == "" {
		return nil, "", seal.ErrNotFound
	}
	return bytes.Clone(p.rec), p.rev, nil
}

// contentRevision calls a record by its digest alone.
type contentRevision struct{ plain }

func (c *contentRevision) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if old != c.rev {
		return "", seal.ErrConflict
	}
	sum := sha256.Sum256(rec)
	c.rec, c.rev = bytes.Clone(rec), hex.EncodeToString(sum[:])
	return c.rev, nil
}

// aliasing keeps the slice it is given, or gives away the one it keeps.
type aliasing struct {
	plain
	keep bool
}

func (a *aliasing) Load(ctx context.Context) ([]byte, string, error) {
	rec, rev, err := a.plain.Load(ctx)
	if err == nil && !a.keep {
		rec = a.rec
	}
	return rec, rev, err
}

func (a *aliasing) Swap(_ context.Context, rec []byte, old string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old != a.rev {
		return "", seal.ErrConflict
	}
	if !a.keep {
		rec = bytes.Clone(rec)
	}
	a.rec, a.rev = rec, a.rev+"i"
	return a.rev, nil
}

// unlocked compares first and writes some time later.
type unlocked struct{ *seal.MemStore }

func (u *unlocked) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if _, rev, _ := u.Load(ctx); rev != old {
		return "", seal.ErrConflict
	}
	time.Sleep(time.Millisecond)
	return BlindPut(u.MemStore).Swap(ctx, rec, "")
}

// tearing writes half of a record some time before the other half.
type tearing struct{ plain }

func (p *tearing) Swap(_ context.Context, rec []byte, old string) (string, error) {
	p.mu.Lock()
	if old != p.rev {
		p.mu.Unlock()
		return "", seal.ErrConflict
	}
	p.rec, p.rev = bytes.Clone(rec[:len(rec)/2]), p.rev+"i"
	p.mu.Unlock()
	time.Sleep(time.Millisecond)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rec = bytes.Clone(rec)
	return p.rev, nil
}

// stale answers every second Load with the record before the present one.
type stale struct {
	plain
	loads  int
	old    []byte
	oldRev string
}

func (s *stale) Load(ctx context.Context) ([]byte, string, error) {
	rec, rev, err := s.plain.Load(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loads++; s.loads%2 == 0 && s.oldRev != "" {
		return bytes.Clone(s.old), s.oldRev, nil
	}
	return rec, rev, err
}

func (s *stale) Swap(_ context.Context, rec []byte, old string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old != s.rev {
		return "", seal.ErrConflict
	}
	s.old, s.oldRev = s.rec, s.rev
	s.rec, s.rev = bytes.Clone(rec), s.rev+"i"
	return s.rev, nil
}

// watching is a store that watches as it is told to.
type watching struct {
	seal.Store
	watch func(ctx context.Context, changed chan<- struct{}) error
}

func (w watching) Watch(ctx context.Context, changed chan<- struct{}) error {
	return w.watch(ctx, changed)
}

func silent(ctx context.Context, _ chan<- struct{}) error {
	<-ctx.Done()
	return ctx.Err()
}

func once(ctx context.Context, changed chan<- struct{}) error {
	select {
	case changed <- struct{}{}:
	case <-ctx.Done():
	}
	return silent(ctx, changed)
}

func givesUp(context.Context, chan<- struct{}) error { return errors.New("lost the connection") }

// often tells all the time, which is allowed.
func often(ctx context.Context, changed chan<- struct{}) error {
	for {
		select {
		case changed <- struct{}{}:
		default:
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func deaf(ctx context.Context, changed chan<- struct{}) error {
	err := often(ctx, changed)
	time.Sleep(10 * patience)
	return err
}

func mute(ctx context.Context, changed chan<- struct{}) error {
	often(ctx, changed)
	return nil
}

func blocking(ctx context.Context, changed chan<- struct{}) error {
	for ctx.Err() == nil {
		select {
		case changed <- struct{}{}:
		case <-time.After(10 * patience): // for ever, were this no test
		}
	}
	return ctx.Err()
}

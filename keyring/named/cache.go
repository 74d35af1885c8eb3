package named

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"sync/atomic"
	"time"
)

// An entry is a key in memory, as it was stored at some time.
type entry struct {
	key      *Key
	revision string
	size     int          // bytes of the document
	asked    atomic.Int64 // when the store said so, by Keys.clock
}

// clock is the time since the keys were opened.
func (k *Keys) clock() time.Duration { return time.Since(k.began) }

// cached returns the entry of a name, or nil.
func (k *Keys) cached(name string) *entry {
	if cache := k.cache.Load(); cache != nil {
		return (*cache)[name]
	}
	return nil
}

// A flight is a load of a key that is under way; others wait for it instead of
// asking the store too.
type flight struct {
	done  chan struct{}
	key   *Key
	err   error
	stale bool // the key was changed, or the keyring sealed, meanwhile; guarded by Keys.mu
}

// again is how soon a key is loaded again for the sake of a text that names a
// version which it does not have: whoever makes such texts up asks the store no
// more often than that.
const again = time.Second

// Key returns a key to work with, as the store has it now or had it
// [Config.CacheFor] ago. The Key is for one request, or one batch: it sees no
// later change, and is good until the keyring is sealed.
//
// The texts are the ciphertexts, signatures or MACs that it is for, if they are
// at hand: where one of them names a younger version than the key has, the store
// is asked again, as another process may have rotated.
//
// The errors are [ErrNotFound], [keyring.ErrSealed] and the Store's.
func (k *Keys) Key(ctx context.Context, name string, texts ...string) (*Key, error) {
	if e := k.cached(name); e != nil {
		age := k.clock() - time.Duration(e.asked.Load())
		if age < k.cfg.CacheFor && !(len(texts) > 0 && age > again && e.key.lacks(texts)) {
			return e.key, nil
		}
	}
	if err := checkName(name); err != nil {
		return nil, wrap("load", name, err)
	}
	key, err := k.load(ctx, name)
	return key, wrap("load", name, err)
}

// load asks the store, once for all who want the key at the same time.
func (k *Keys) load(ctx context.Context, name string) (*Key, error) {
	for range maxTries {
		k.mu.Lock()
		f, running := k.flights[name]
		if !running {
			f = &flight{done: make(chan struct{})}
			k.flights[name] = f
		}
		k.mu.Unlock()
		if !running {
			k.fly(ctx, name, f)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if f.err == nil && f.key == nil || running && isContext(f.err) && ctx.Err() == nil {
			continue // stale, or whoever asked gave up
		}
		return f.key, f.err
	}
	return nil, ErrConflict
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// fly loads the key and lets those who wait know.
func (k *Keys) fly(ctx context.Context, name string, f *flight) {
	err := errors.New("the store panicked")
	var key *Key
	var stored []byte
	var revision string
	old, asked := k.cached(name), k.clock()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.flights, name)
		switch {
		case err == nil && f.stale:
			if old == nil || old.key != key {
				key.state.close()
			}
		case err == nil:
			f.key = key
			k.keep(name, old, &entry{key: key, revision: revision, size: len(stored)}, asked)
		default:
			f.err = err
			if errors.Is(err, ErrNotFound) {
				k.forget(name)
			}
		}
		close(f.done)
	}()
	stored, revision, err = k.cfg.Store.Load(ctx, name)
	if err != nil {
		return
	}
	if old != nil && old.revision == revision && !old.key.state.closed.Load() {
		key = old.key
		return
	}
	d, err := k.open(ctx, name, stored)
	if err == nil {
		key = k.newKey(d, old)
	}
}

// newKey returns a key over a document, which it takes over. What it holds is
// wiped when the keyring is sealed, or when nobody can reach the key any more.
func (k *Keys) newKey(d *document, old *entry) *Key {
	var before *state
	if old != nil {
		before = old.key.state
	}
	key := &Key{cfg: &k.cfg, state: newState(d, before)}
	runtime.AddCleanup(key, k.bury, key.state)
	return key
}

// bury wipes a state that no Key has any more.
func (k *Keys) bury(s *state) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.live, s)
	s.close()
}

// keep puts a key into the cache, and lets others go if there are too many, or
// too large ones. Keys.mu is held.
func (k *Keys) keep(name string, old, e *entry, asked time.Duration) {
	k.live[e.key.state] = struct{}{}
	if old != nil && old.key == e.key && k.cached(name) == old {
		old.asked.Store(int64(asked))
		return
	}
	e.asked.Store(int64(asked))
	k.edit(func(cache map[string]*entry) {
		cache[name] = e
		bytes := 0
		for _, other := range cache {
			bytes += other.size
		}
		for victim, other := range cache {
			if len(cache) <= maxCached && bytes <= maxCachedBytes {
				break
			}
			if other != e {
				bytes -= other.size
				delete(cache, victim)
			}
		}
	})
}

// edit publishes another cache: readers take no lock. Keys.mu is held.
func (k *Keys) edit(f func(map[string]*entry)) {
	next := map[string]*entry{}
	if cache := k.cache.Load(); cache != nil {
		next = maps.Clone(*cache)
	}
	f(next)
	k.cache.Store(&next)
}

// forget takes a key out of the cache. Who has it goes on with it. Keys.mu is
// held.
func (k *Keys) forget(name string) {
	if k.cached(name) != nil {
		k.edit(func(cache map[string]*entry) { delete(cache, name) })
	}
}

// invalidate makes sure that the next one to use a key asks the store.
func (k *Keys) invalidate(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forget(name)
	if f := k.flights[name]; f != nil {
		f.stale = true
	}
}

// drop takes every key out of memory: the keyring is sealed.
func (k *Keys) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cache.Store(nil)
	for s := range k.live {
		s.close()
	}
	clear(k.live)
	for _, f := range k.flights {
		f.stale = true
	}
}

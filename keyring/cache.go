package keyring

import (
	"math/rand/v2"
	"sync/atomic"
)

// A cache keeps the openers of the epochs that were read last. Readers take no
// lock. Only an opener under which a tag verified comes in, so nobody fills it
// with forgeries; a place is found by the salt, which is random in what
// verifies.
type cache [cacheSets][cacheWays]atomic.Pointer[opener]

const (
	cacheSets = 256
	cacheWays = 4

	// maxEvicted openers wait for the readers of one view; then the view is
	// published anew, so that they can be wiped.
	maxEvicted = 64

	// maxBurials bounds what waits for readers that take very long. Beyond it
	// openers are not cached, and so not evicted.
	maxBurials = 8
)

func (c *cache) set(h *header) *[cacheWays]atomic.Pointer[opener] {
	return &c[h.salt()[0]]
}

// find returns the opener of a header, or nil. The caller is inside the gate of
// the present view.
func (c *cache) find(h *header) *opener {
	set := c.set(h)
	for i := range set {
		if o := set[i].Load(); o != nil && o.head == *h {
			return o
		}
	}
	return nil
}

// remember puts an opener of the view into the cache, or wipes it. The caller
// has left the view's gate.
func (k *Keyring) remember(v *view, o *opener) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sweep()
	if k.view.Load() != v || len(k.burials) > maxBurials || k.cache.find(&o.head) != nil {
		o.wipe()
		return
	}
	set := k.cache.set(&o.head)
	way := rand.IntN(cacheWays)
	for i := range set {
		if set[i].Load() == nil {
			way = i
		}
	}
	if old := set[way].Swap(o); old != nil {
		v.evicted = append(v.evicted, old)
	}
	if len(v.evicted) >= maxEvicted {
		k.view.Store(&view{terms: v.terms, active: v.active})
		k.bury(&v.gate, v.evicted...)
	}
}

// forget takes out of the cache what is not of the terms kept, and leaves it to
// the readers of the view. Keyring.mu is held.
func (k *Keyring) forget(v *view, kept map[*termKey]bool) {
	for i := range k.cache {
		for j := range k.cache[i] {
			if o := k.cache[i][j].Load(); o != nil && !kept[o.term] {
				k.cache[i][j].Store(nil)
				v.evicted = append(v.evicted, o)
			}
		}
	}
}

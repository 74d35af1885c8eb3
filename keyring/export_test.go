package keyring

import (
	"bytes"
	"reflect"
)

// Limits are the limits of a key, for tests that reach them.
type Limits struct {
	EpochUnits, Lease uint64
	TermEpochs        int
	Chunks            uint64
}

// SetLimits lowers the limits of a keyring, before its first Install.
func (o *Owner) SetLimits(l Limits) {
	o.k.limit = limits{l.EpochUnits, l.Lease, l.TermEpochs, l.Chunks}
}

const (
	HeaderSize = headerSize
	ChunkSize  = chunkSize
	CacheSize  = cacheSets * cacheWays
	EpochUnits = epochUnits
	TermEpochs = termEpochs
	Lease      = lease
	Unit       = unit
	MaxChunks  = maxChunks
)

// Streams returns the number of streams that have a key.
func (o *Owner) Streams() int {
	o.k.mu.Lock()
	defer o.k.mu.Unlock()
	return len(o.k.streams)
}

// EnterEpoch puts an operation in flight that encrypts, EnterView one that
// decrypts. The function they return ends it.
func (o *Owner) EnterEpoch() (leave func()) {
	const units = 1
	_, l, err := o.k.enterEpoch("test", units)
	if err != nil {
		panic(err)
	}
	return func() { l.left.Add(units) }
}

func (o *Owner) EnterView() (leave func()) {
	_, l := o.k.enterView()
	return func() { l.left.Add(1) }
}

// Unwiped returns how many of the secrets that this keyring has, or had when
// Unwiped was last called, are not wiped.
func (o *Owner) Unwiped() int {
	k := o.k
	k.mu.Lock()
	defer k.mu.Unlock()
	seen := secrets[k]
	if seen == nil {
		seen = make(map[wiper]bool)
		secrets[k] = seen
	}
	if v := k.view.Load(); v != nil {
		for _, t := range v.terms {
			seen[t] = true
		}
		for _, w := range v.evicted {
			seen[w] = true
		}
	}
	if e := k.epoch.Load(); e != nil {
		seen[e] = true
	}
	for i := range k.cache {
		for j := range k.cache[i] {
			if o := k.cache[i][j].Load(); o != nil {
				seen[o] = true
			}
		}
	}
	for _, b := range k.burials {
		for _, w := range b.keys {
			seen[w] = true
		}
	}
	unwiped := 0
	for w := range seen {
		if !wiped(w) {
			unwiped++
		} else {
			delete(seen, w)
		}
	}
	return unwiped
}

var secrets = make(map[*Keyring]map[wiper]bool)

func wiped(w wiper) bool {
	switch w := w.(type) {
	case *termKey:
		return bytes.Equal(w.key, make([]byte, len(w.key)))
	case *epoch:
		return reflect.ValueOf(w.aead).Elem().FieldByName("gcm").IsNil()
	case *opener:
		return reflect.ValueOf(w.aead).Elem().FieldByName("gcm").IsNil()
	}
	panic("unknown secret")
}

// RememberTwice caches the epoch of a ciphertext twice, as two readers do that
// miss it at once.
func (o *Owner) RememberTwice(ciphertext []byte) (cached int, secondWiped bool) {
	h, _, err := split(ciphertext)
	if err != nil {
		panic(err)
	}
	v := o.k.view.Load()
	var second *opener
	for range 2 {
		if second, err = v.open(h); err != nil {
			panic(err)
		}
		o.k.remember(v, second)
	}
	set := o.k.cache.set(h)
	for i := range set {
		if set[i].Load() != nil {
			cached++
		}
	}
	return cached, wiped(second)
}

// LateReaders returns readers that have found the present keys, and not yet
// entered. They report whether they may still enter.
func (o *Owner) LateReaders() map[string]func() bool {
	e, v := o.k.epoch.Load(), o.k.view.Load()
	return map[string]func() bool{
		"encrypt": func() bool { _, ok := o.k.stillCount(e, 1); return ok },
		"decrypt": func() bool { _, ok := o.k.stillEnter(v); return ok },
	}
}

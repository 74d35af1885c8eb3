package secret

import (
	"bytes"
	"sync"
)

// Locked memory is for secrets that stay for as long as a server is unsealed:
// pages that the system neither swaps out nor writes into a core dump, as far
// as it lets. It is outside the garbage collector's heap, so nothing moves or
// copies what is there, and it is bounded: beyond, and where the system has no
// such memory, secrets are kept on the heap. What is taken and not freed stays
// taken.

// MaxLocked is the length in bytes of the longest secret that locked memory
// has room for: an AES-256-GCM state of the standard library.
const MaxLocked = 768

// Two sizes of places serve a whole keyring: some thousand keys, and as many
// expanded ones as package keyring caches, twice over.
var locked = locker{lock: lockPages, pools: [2]pool{
	{size: 64, limit: 16},
	{size: MaxLocked, limit: 96},
}}

// chunkSize is how much is locked at a time: little, since a system may allow
// no more than 64 KiB.
const chunkSize = 16 << 10

// A locker hands out places in locked memory.
type locker struct {
	lock    func(n int) ([]byte, Posture)
	mu      sync.Mutex
	pools   [2]pool // by size
	used    map[*byte]*pool
	posture Posture
	tried   bool
}

// A pool has places of one size, in chunks of which there is a limited number.
type pool struct {
	size, chunks int
	limit        int // of chunks; below 0 when the system gives none
	free         [][]byte
}

// A Posture is how long-lived secrets are kept in this process. It is the worst
// of what happened so far.
type Posture struct {
	Locked     bool   // they are not swapped out
	Undumpable bool   // they are not in a core dump
	Reason     string // what the system said, where either is false
}

// Alloc returns n zero bytes of locked memory, for the caller to Free, or nil
// if there is none to be had.
func Alloc(n int) []byte { return locked.alloc(n) }

// Keep returns a copy of b in locked memory, or else on the heap, for the
// caller to Free.
func Keep(b []byte) []byte {
	place := Alloc(len(b))
	if place == nil {
		return bytes.Clone(b)
	}
	copy(place, b)
	return place
}

// Free clears what Alloc or Keep returned. Nothing may use it afterwards: the
// place goes to the next secret.
func Free(b []byte) { locked.release(b) }

// Memory returns the posture, after a try where nothing was locked yet.
func Memory() Posture { return locked.state() }

func (l *locker) alloc(n int) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.pools {
		if p := &l.pools[i]; n > 0 && n <= p.size {
			return l.take(p, n)
		}
	}
	return nil
}

func (l *locker) release(b []byte) {
	clear(b)
	if len(b) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.used[&b[0]]; p != nil {
		delete(l.used, &b[0])
		p.free = append(p.free, b[:p.size])
	}
}

func (l *locker) state() Posture {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.tried {
		l.grow(&l.pools[0])
	}
	return l.posture
}

// take returns a place of the pool; l.mu is held.
func (l *locker) take(p *pool, n int) []byte {
	if len(p.free) == 0 && !l.grow(p) {
		return nil
	}
	last := len(p.free) - 1
	place := p.free[last]
	p.free = p.free[:last]
	l.used[&place[0]] = p
	return place[:n]
}

// grow locks another chunk for the pool; l.mu is held.
func (l *locker) grow(p *pool) bool {
	if !l.tried {
		l.tried, l.used, l.posture = true, map[*byte]*pool{}, Posture{Locked: true, Undumpable: true}
	}
	if p.limit < 0 {
		return false
	}
	if p.chunks == p.limit {
		l.posture = Posture{Reason: "more keys than there are places in locked memory"}
		return false
	}
	mem, got := l.lock(chunkSize)
	l.posture.Locked = l.posture.Locked && got.Locked
	l.posture.Undumpable = l.posture.Undumpable && got.Undumpable
	if got.Reason != "" {
		l.posture.Reason = got.Reason
	}
	if mem == nil {
		p.limit = -1 // not to be asked for again with every key
		return false
	}
	p.chunks++
	for ; len(mem) >= p.size; mem = mem[p.size:] {
		p.free = append(p.free, mem[:p.size:p.size])
	}
	return true
}

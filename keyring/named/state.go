package named

import (
	"strconv"
	"sync/atomic"

	"github.com/sealwright/sealwright/keyring"
)

// A state is the secret part of a key in memory: the document, and what was made
// of it. It is wiped as soon as it is closed and nobody is inside.
type state struct {
	doc      *document
	versions []*version // from doc.first() on

	users  atomic.Int64
	closed atomic.Bool
	wiped  atomic.Bool
}

// A version is one version of a key in memory.
type version struct {
	*versionDoc
	n      int
	prefix string
	spent  *atomic.Uint64 // encryptions by this process with random nonces

	cipher atomic.Pointer[cipherBox]
	pair   atomic.Pointer[pair]
}

// newState takes the document over. What the process has counted of the state
// before goes on.
func newState(d *document, before *state) *state {
	s := &state{doc: d}
	for i := range d.Versions {
		n := d.first() + i
		v := &version{versionDoc: &d.Versions[i], n: n, prefix: textPrefix + strconv.Itoa(n) + ":", spent: new(atomic.Uint64)}
		if old := before.version(n); old != nil {
			v.spent = old.spent
		}
		s.versions = append(s.versions, v)
	}
	return s
}

// version returns a version, or nil.
func (s *state) version(n int) *version {
	if s == nil {
		return nil
	}
	if i := n - s.doc.first(); i >= 0 && i < len(s.versions) {
		return s.versions[i]
	}
	return nil
}

// enter lets the caller use the secrets until it leaves.
func (s *state) enter() error {
	s.users.Add(1)
	if s.closed.Load() {
		s.leave()
		return keyring.ErrSealed
	}
	return nil
}

func (s *state) leave() {
	if s.users.Add(-1) == 0 && s.closed.Load() {
		s.wipe()
	}
}

// close lets nobody in any more.
func (s *state) close() {
	s.closed.Store(true)
	if s.users.Load() == 0 {
		s.wipe()
	}
}

func (s *state) wipe() {
	if !s.wiped.CompareAndSwap(false, true) {
		return
	}
	for _, v := range s.versions {
		if c := v.cipher.Swap(nil); c != nil {
			c.wipe()
		}
		v.pair.Store(nil)
	}
	s.doc.wipe()
}

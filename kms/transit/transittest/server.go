package transittest

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/kms/transit"
)

// RootToken is accepted for ever.
const RootToken = "hvs.transittest-root"

// Address is the URL in a [Server.Config]. Nothing is ever sent to it.
const Address = "https://vault.example:8200"

// A Server is a Vault in memory. The zero Server works; its exported fields are
// set before its first use.
type Server struct {
	// Mount is where the engine is. "" means "transit".
	Mount string

	// Namespace is the namespace of mount and tokens.
	Namespace string

	// OpenBao makes the server speak as OpenBao 2.6 where Vault 1.21 says more:
	// to a token that is expired, revoked or unknown, it says "permission
	// denied" and nothing else.
	OpenBao bool

	mu     sync.Mutex
	keys   map[string]*key
	tokens map[string]*token
	calls  []kmstest.Call
	script func(kmstest.Call) kmstest.Fault
	sealed bool
	lives  int
	seen   [][]byte // the last two different keys that were encrypted
}

// key is a key as the engine keeps it: its versions count from 1.
type key struct {
	versions    [][]byte // 32 bytes each
	minDecrypt  int
	softDeleted bool
}

// token is a token that ends.
type token struct {
	ends, most time.Time
	period     time.Duration // for which a renewal is good
	renewable  bool
}

// Config returns what a Wrapper needs to use the key of that name, which is
// created if it is not there.
func (s *Server) Config(key string) transit.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[key] == nil {
		s.create(key)
	}
	return transit.Config{
		Address:    Address,
		Token:      RootToken,
		Namespace:  s.Namespace,
		MountPath:  s.Mount,
		KeyName:    key,
		HTTPClient: &http.Client{Transport: s},
	}
}

// create makes a new key. The caller holds the lock.
func (s *Server) create(name string) {
	if s.keys == nil {
		s.keys = make(map[string]*key)
	}
	s.lives++
	k := &key{minDecrypt: 1}
	k.versions = append(k.versions, material(name, s.lives, 1))
	s.keys[name] = k
}

// admin runs do on a key, under the lock. A key that is not there is ignored.
func (s *Server) admin(name string, do func(*key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keys[name]; k != nil {
		do(k)
	}
}

// Create makes a key, or replaces the key of that name by a new one whose
// versions count from 1 again.
func (s *Server) Create(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.create(key)
}

// Rotate adds a version to the key.
func (s *Server) Rotate(name string) {
	s.admin(name, func(k *key) {
		s.lives++
		k.versions = append(k.versions, material(name, s.lives, len(k.versions)+1))
	})
}

// MinDecryptionVersion sets the oldest version that decrypts.
func (s *Server) MinDecryptionVersion(name string, version int) {
	s.admin(name, func(k *key) { k.minDecrypt = version })
}

// SoftDelete makes the key unusable, as OpenBao can.
func (s *Server) SoftDelete(name string) {
	s.admin(name, func(k *key) { k.softDeleted = true })
}

// Restore undoes SoftDelete.
func (s *Server) Restore(name string) {
	s.admin(name, func(k *key) { k.softDeleted = false })
}

// Delete removes the key for good.
func (s *Server) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, name)
}

// Seal makes the server answer to everything that it is sealed.
func (s *Server) Seal() { s.setSealed(true) }

// Unseal undoes Seal.
func (s *Server) Unseal() { s.setSealed(false) }

func (s *Server) setSealed(sealed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = sealed
}

// IssueToken returns a new token that ends after ttl, or after the last renewal
// and ttl, if it is renewable, but never later than after most.
func (s *Server) IssueToken(ttl, most time.Duration, renewable bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil {
		s.tokens = make(map[string]*token)
	}
	now := time.Now()
	name := "hvs.transittest-" + strconv.Itoa(len(s.tokens)+1)
	s.tokens[name] = &token{ends: now.Add(min(ttl, most)), most: now.Add(most), period: ttl, renewable: renewable}
	return name
}

// Revoke ends a token that IssueToken made.
func (s *Server) Revoke(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tokens[name]; t != nil {
		t.ends = time.Time{}
	}
}

// Script lets a function decide what happens to every call of a key from now
// on. It runs before the server does anything, and may use the Server. Nil ends
// the script. Requests about tokens are no calls.
func (s *Server) Script(script func(kmstest.Call) kmstest.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Calls returns every call of a key that reached the Server, in the order of
// arrival, with an Op of package kmstest. Done says whether the answer was a
// success; Err is not set.
func (s *Server) Calls() []kmstest.Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// arrive notes a call and returns what happens to it.
func (s *Server) arrive(op, key string) (int, kmstest.Fault) {
	s.mu.Lock()
	c := kmstest.Call{N: len(s.calls) + 1, Op: op, Key: key, At: time.Now()}
	s.calls = append(s.calls, c)
	script := s.script
	s.mu.Unlock()
	if script == nil {
		return c.N, kmstest.Fault{}
	}
	return c.N, script(c)
}

// leave notes that call n was a success.
func (s *Server) leave(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[n-1].Done = true
}

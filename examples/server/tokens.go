package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/keyring"
)

// A grant is a token that was created with another one: the file keeps it
// encrypted, under its accessor, and of the token itself a digest.
type grant struct {
	Accessor string            `json:"accessor"`
	Digest   []byte            `json:"digest"`
	Policies []string          `json:"policies"`
	Parent   string            `json:"parent,omitempty"` // its accessor; "" for the root token, or nobody
	Orphan   bool              `json:"orphan,omitempty"`
	Name     string            `json:"name"`
	Meta     map[string]string `json:"meta,omitempty"`
	Created  time.Time         `json:"created"`
	Expires  time.Time         `json:"expires,omitzero"` // zero: not by itself
	TTL      time.Duration     `json:"ttl,omitempty"`
	Period   time.Duration     `json:"period,omitempty"` // renewed by this, for ever
	Most     time.Duration     `json:"most,omitempty"`   // however it is renewed
	Renewed  time.Time         `json:"renewed,omitzero"`
	Fixed    bool              `json:"fixed,omitempty"` // not renewable
}

// left is how many seconds a token has; 0 for one that does not end by itself.
func (g *grant) left() int {
	if g.Expires.IsZero() {
		return 0
	}
	return max(0, int(time.Until(g.Expires).Seconds()+0.5))
}

func (g *grant) renewable() bool { return !g.Fixed && !g.Expires.IsZero() }

var (
	tokensBucket   = []byte("tokens")
	policiesBucket = []byte("policies")
)

// maxDescent bounds how many tokens may stand between one and the root token.
const maxDescent = 8

// accessorOf is a name for a token that does not give it away: a part of its
// digest, in the 24 letters and digits of Vault's accessors.
func accessorOf(digest []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(digest[:15])
}

func tokenAAD(accessor string) []byte { return keyring.AAD("token", accessor) }

// grantOf reads a grant; nil if there is none.
func (s *server) grantOf(tx *bbolt.Tx, accessor string) (*grant, error) {
	b := tx.Bucket(tokensBucket)
	if b == nil || b.Get([]byte(accessor)) == nil {
		return nil, nil
	}
	plain, err := s.keys.Decrypt(nil, b.Get([]byte(accessor)), tokenAAD(accessor))
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	g := new(grant)
	return g, json.Unmarshal(plain, g)
}

// live returns a grant if it and those it descends from are neither revoked nor
// at their end.
func (s *server) live(tx *bbolt.Tx, accessor string, now time.Time) (*grant, error) {
	var first *grant
	for range maxDescent + 1 {
		g, err := s.grantOf(tx, accessor)
		if err != nil || g == nil || !g.Expires.IsZero() && !now.Before(g.Expires) {
			return nil, err
		}
		if first == nil {
			first = g
		}
		if g.Parent == "" {
			return first, nil
		}
		accessor = g.Parent
	}
	return nil, nil
}

func (s *server) putGrant(tx *bbolt.Tx, g *grant) error {
	plain, err := json.Marshal(g)
	if err != nil {
		return err
	}
	sealed, err := s.keys.Encrypt(nil, plain, tokenAAD(g.Accessor))
	if err != nil {
		return err
	}
	b, err := tx.CreateBucketIfNotExists(tokensBucket)
	if err != nil {
		return err
	}
	return b.Put([]byte(g.Accessor), sealed)
}

// issue stores a grant and returns its token. Tokens at their end that it comes
// across go.
func (s *server) issue(g *grant) (token string, err error) {
	token = "s." + rand.Text()[:tokenLength-2]
	digest := sha256.Sum256([]byte(token))
	g.Accessor, g.Digest = accessorOf(digest[:]), digest[:]
	return token, s.db.Update(func(tx *bbolt.Tx) error {
		depth := 0
		for parent := g.Parent; parent != ""; depth++ {
			p, err := s.live(tx, parent, g.Created)
			if err != nil || p == nil {
				return errors.Join(err, errNoToken)
			}
			parent = p.Parent
		}
		if depth >= maxDescent {
			return badRequest("a token that descends from %d others creates none", maxDescent-1)
		}
		return errors.Join(s.sweep(tx, g.Created), s.putGrant(tx, g))
	})
}

// sweep removes what is at its end among a few tokens somewhere in the file.
func (s *server) sweep(tx *bbolt.Tx, now time.Time) error {
	b := tx.Bucket(tokensBucket)
	if b == nil {
		return nil
	}
	var gone [][]byte
	c := b.Cursor()
	for k, _ := c.Seek([]byte(rand.Text()[:8])); k != nil && len(gone) < 32; k, _ = c.Next() {
		g, err := s.live(tx, string(k), now)
		if err != nil {
			return err
		}
		if g != nil {
			break
		}
		gone = append(gone, bytes.Clone(k))
	}
	for _, k := range gone {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// A bearer is who a request comes from: the root token, which has no grant, or
// another one.
type bearer struct {
	token    string
	grant    *grant // nil for the root token
	policies []*policy
}

// bearerOf tells whose a token is. The error is errNoToken for one that is none,
// seal.ErrSealed, or that of the file.
func (s *server) bearerOf(ctx context.Context, token string) (*bearer, error) {
	root := &bearer{token: token, policies: []*policy{{Name: rootPolicy}}}
	err := s.isToken(ctx, token)
	if !errors.Is(err, errNoToken) {
		return root, err
	}
	digest := sha256.Sum256([]byte(token))
	out := &bearer{token: token}
	return out, s.db.View(func(tx *bbolt.Tx) error {
		g, err := s.live(tx, accessorOf(digest[:]), time.Now())
		switch {
		case err != nil:
			return err
		case g == nil || subtle.ConstantTimeCompare(g.Digest, digest[:]) != 1:
			return errNoToken
		}
		out.grant = g
		out.policies, err = s.policiesOf(tx, g.Policies)
		return err
	})
}

// revoke ends a token, and with it all that descend from it.
func (s *server) revoke(accessor string) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(tokensBucket); b != nil {
			return b.Delete([]byte(accessor))
		}
		return nil
	})
}

// revokeRoot ends the root token. Shares make another one.
func (s *server) revokeRoot() error {
	if s.young() {
		return badRequest("the root token cannot be revoked before the server has a second data key: bao operator rotate")
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket(hostBucket).Delete(tokenKey)
	})
}

// renew lets a token live on. The error is a kvError for one that does not end,
// or may not.
func (s *server) renew(accessor string, wish time.Duration) (g *grant, err error) {
	err = s.db.Update(func(tx *bbolt.Tx) error {
		now := time.Now().UTC()
		if g, err = s.live(tx, accessor, now); err != nil {
			return err
		}
		if g == nil {
			return errNoToken
		}
		if !g.renewable() {
			return badRequest("lease is not renewable")
		}
		by := g.TTL
		if wish > 0 {
			by = wish
		}
		if g.Period > 0 {
			by = g.Period
		}
		g.Expires, g.Renewed = now.Add(by), now
		if most := g.Created.Add(g.Most); g.Most > 0 && most.Before(g.Expires) {
			g.Expires = most
		}
		return s.putGrant(tx, g)
	})
	return g, err
}

// policiesOf reads policies. One that is gone lets nothing happen.
func (s *server) policiesOf(tx *bbolt.Tx, names []string) (out []*policy, err error) {
	for _, name := range names {
		p, err := s.policy(tx, name)
		if err != nil {
			return nil, err
		}
		if p != nil {
			out = append(out, p)
		}
	}
	return out, nil
}

func policyAAD(name string) []byte { return keyring.AAD("policy", name) }

// policy reads a policy; nil if there is none.
func (s *server) policy(tx *bbolt.Tx, name string) (*policy, error) {
	switch name {
	case rootPolicy:
		return &policy{Name: rootPolicy}, nil
	case defaultPolicy:
		return parsePolicy(name, defaultText)
	}
	b := tx.Bucket(policiesBucket)
	if b == nil || b.Get([]byte(name)) == nil {
		return nil, nil
	}
	text, err := s.keys.Decrypt(nil, b.Get([]byte(name)), policyAAD(name))
	if err != nil {
		return nil, err
	}
	return parsePolicy(name, string(text))
}

// putPolicy stores a policy, or removes it where its text is nil.
func (s *server) putPolicy(name string, text *string) error {
	if name == rootPolicy || name == defaultPolicy {
		return badRequest("the policy %q is this server's own", name)
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(policiesBucket)
		if err != nil || text == nil {
			return errors.Join(err, b.Delete([]byte(name)))
		}
		sealed, err := s.keys.Encrypt(nil, []byte(*text), policyAAD(name))
		return errors.Join(err, b.Put([]byte(name), sealed))
	})
}

// policyNames returns the names of all policies, in order.
func (s *server) policyNames() ([]string, error) {
	names := []string{defaultPolicy, rootPolicy}
	err := s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(policiesBucket)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, _ []byte) error { names = append(names, string(k)); return nil })
	})
	slices.Sort(names)
	return names, err
}

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/seal"
)

// The root token: s. and 24 of the 26 characters of rand.Text, 120 bits.
const tokenLength = 26

var (
	hostBucket = []byte("host")

	// tokenKey has the digest of the token in use, nextTokenKey that of one that
	// was made, and maybe never reached anybody: it takes the other's place when
	// it is first used.
	tokenKey, nextTokenKey = []byte("root-token"), []byte("root-token-next")

	// fresh precedes the digest of a token that was made while the server was
	// sealed, and could not be encrypted.
	fresh = []byte("fresh:")

	errNoToken = errors.New("no such token")
)

// mint makes a root token. The one before is valid until this one is used: the
// answer that has it may be lost. The file keeps its SHA-256, encrypted as soon
// as there is a key.
func (s *server) mint(ctx context.Context) (string, error) {
	token := "s." + rand.Text()[:tokenLength-2]
	digest := sha256.Sum256([]byte(token))
	value := append(bytes.Clone(fresh), digest[:]...)
	if s.barrier.Sealed() == nil {
		var err error
		if value, err = s.keys.Encrypt(nil, digest[:], nextTokenKey); err != nil {
			return "", err
		}
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(hostBucket)
		if err != nil {
			return err
		}
		return b.Put(nextTokenKey, value)
	})
	if err != nil {
		return "", err
	}
	s.settle(ctx)
	return token, nil
}

// writeToken makes a root token once the server is unsealed, for whoever can
// start it: the answer that had the only one was lost. What was lost stays valid
// until this one is used.
func (s *server) writeToken(ctx context.Context, path string) error {
	if err := s.barrier.Wait(ctx); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	token, err := s.mint(ctx)
	if err != nil {
		return err
	}
	_, err = f.WriteString(token + "\n")
	return errors.Join(err, f.Sync())
}

// young reports whether the store has the data key that init made, and no
// other: only then is a fresh token believed, which nothing authenticates.
func (s *server) young() bool {
	status := s.barrier.Status()
	return !status.Sealed && len(status.Terms) == 1
}

// settle ends the time in which a fresh token is believed, once there is one
// that is encrypted: what is written from then on needs a second data key, so
// that a record from before, put back with a token of somebody's own, opens
// none of it. Where it fails, the next use of a token tries again.
func (s *server) settle(ctx context.Context) {
	if s.settled.Load() || s.barrier.Sealed() != nil {
		return
	}
	if !s.young() || s.barrier.Rotate(ctx, seal.By{Actor: "root token"}) == nil {
		s.settled.Store(true)
	}
}

// local reports whether a request comes from this machine under a name of its own,
// and from nobody for whom a proxy sends it. A page of a stranger, in a browser here,
// whose name was made to lead here comes under that name.
func local(r *http.Request) bool {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	to := (&url.URL{Host: r.Host}).Hostname()
	return err == nil && net.ParseIP(from).IsLoopback() && (to == "localhost" || net.ParseIP(to).IsLoopback()) && !forwarded(r)
}

// forwarded reports whether a proxy says that it sends the request for another.
func forwarded(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		if len(r.Header.Values(name)) > 0 {
			return true
		}
	}
	return false
}

func tokenOf(r *http.Request) string {
	if token := r.Header.Get("X-Vault-Token"); token != "" {
		return token
	}
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

// isToken reports why a text is no root token. The new one takes the old one's place.
func (s *server) isToken(ctx context.Context, token string) error {
	got := sha256.Sum256([]byte(token))
	current, next, err := s.tokenDigests()
	switch {
	case err != nil:
		return err
	case subtle.ConstantTimeCompare(got[:], current) == 1:
		s.settle(ctx)
		return nil
	case subtle.ConstantTimeCompare(got[:], next) != 1:
		return errNoToken
	}
	value, err := s.keys.Encrypt(nil, next, tokenKey)
	if err != nil {
		return err
	}
	err = s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(hostBucket)
		return errors.Join(b.Put(tokenKey, value), b.Delete(nextTokenKey))
	})
	if err == nil {
		s.settle(ctx)
	}
	return err
}

// tokenDigests reads the digests of the token in use and of the next one, nil
// where there is none.
func (s *server) tokenDigests() (current, next []byte, err error) {
	var values [2][]byte
	secrets := false
	err = s.db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(hostBucket); b != nil {
			values = [2][]byte{bytes.Clone(b.Get(tokenKey)), bytes.Clone(b.Get(nextTokenKey))}
		}
		secrets = tx.Bucket(secretsBucket) != nil
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if err := s.barrier.Sealed(); err != nil {
		return nil, nil, seal.ErrSealed
	}
	if values[0] != nil {
		if current, err = s.keys.Decrypt(nil, values[0], tokenKey); err != nil {
			return nil, nil, err
		}
	}
	switch digest, isFresh := bytes.CutPrefix(values[1], fresh); {
	case values[1] == nil:
	case !isFresh:
		if next, err = s.keys.Decrypt(nil, values[1], nextTokenKey); err != nil && current == nil {
			return nil, nil, err
		}
	case current == nil && !secrets && s.young():
		next = digest
	default:
		// Nobody needs a fresh token once there was another, or a second data
		// key: this one was put there by somebody who can write to the file.
	}
	return current, next, nil
}

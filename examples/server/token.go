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
	"strings"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/seal/operator"
)

// The root token: s. and 24 of the 26 characters of rand.Text, 120 bits.
const tokenLength = 26

var (
	hostBucket, tokenKey = []byte("host"), []byte("root-token")

	// fresh precedes the digest of a token that was made while the server was
	// sealed, and could not be encrypted.
	fresh = []byte("fresh:")

	errNoToken = errors.New("no such token")
)

// mint makes the root token; the one before is worthless afterwards. The file
// keeps its SHA-256, encrypted as soon as there is a key.
func (s *server) mint(context.Context) (string, error) {
	token := "s." + rand.Text()[:tokenLength-2]
	digest := sha256.Sum256([]byte(token))
	value := append(bytes.Clone(fresh), digest[:]...)
	if !s.barrier.Status().Sealed {
		var err error
		if value, err = s.keys.Encrypt(nil, digest[:], tokenKey); err != nil {
			return "", err
		}
	}
	return token, s.db.update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(hostBucket)
		if err != nil {
			return err
		}
		return b.Put(tokenKey, value)
	})
}

// authorize lets the root token do everything, and whoever sits at this
// machine see why the server is sealed.
func (s *server) authorize(r *http.Request, a operator.Action) error {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); a == operator.Detail && err == nil && net.ParseIP(host).IsLoopback() {
		return nil
	}
	return s.checkToken(r)
}

func (s *server) checkToken(r *http.Request) error {
	token := r.Header.Get("X-Vault-Token")
	if token == "" {
		token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	want, err := s.tokenDigest()
	if err != nil {
		return err
	}
	got := sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(got[:], want) != 1 {
		return errNoToken
	}
	return nil
}

// tokenDigest reads the digest of the root token, and encrypts a fresh one.
func (s *server) tokenDigest() (digest []byte, err error) {
	var value []byte
	err = s.db.view(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(hostBucket); b != nil {
			value = bytes.Clone(b.Get(tokenKey))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	digest, isFresh := bytes.CutPrefix(value, fresh)
	if !isFresh {
		return s.keys.Decrypt(nil, value, tokenKey)
	}
	return digest, s.db.update(func(tx *bbolt.Tx) error {
		// Nobody needs a fresh token once there are secrets: this one was put
		// there by somebody who can write to the file.
		if b := tx.Bucket(secretsBucket); b != nil {
			return errNoToken
		}
		value, err := s.keys.Encrypt(nil, digest, tokenKey)
		if err != nil {
			return err
		}
		return tx.Bucket(hostBucket).Put(tokenKey, value)
	})
}

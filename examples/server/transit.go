package main

import (
	"bytes"
	"context"
	aead "crypto/cipher"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/transitengine"
)

var namedBucket = []byte("transit")

// buildTransit makes the named keys, in the file that has the secrets, and what
// serves them.
func (s *server) buildTransit(onEvent func(seal.Event)) (http.Handler, error) {
	var err error
	s.named, err = named.New(named.Config{
		Keyring: s.barrier.Keyring(),
		Store:   boltKeys{s.db},
		// This server never retires a term. One that does hands these to migrate.
		Keep:    func(keys migrate.Source) { s.sources = append(s.sources, keys) },
		Refresh: s.barrier.Admin().Refresh,
		AEADs: map[named.Type]func([]byte) (aead.AEAD, error){
			named.ChaCha20Poly1305:  chacha20poly1305.New,
			named.XChaCha20Poly1305: chacha20poly1305.NewX,
		},
	})
	if err != nil {
		return nil, err
	}
	return transitengine.New(transitengine.Config{
		Keys: s.named, Sealed: s.barrier.Sealed, Authorize: s.authorizeTransit, OnEvent: onEvent,
	})
}

// authorizeTransit lets a token do what its policies say at the path, as they do
// for everything else. An encrypt that would make a key needs create.
func (s *server) authorizeTransit(r *http.Request, a transitengine.Action, _ string) error {
	who, err := s.bearerOf(r.Context(), tokenOf(r))
	if err != nil {
		return err
	}
	makes := a == transitengine.Create && strings.HasPrefix(pathOf(r), "transit/encrypt/")
	if makes && !may(who.policies, pathOf(r), mayCreate) || !makes && !s.mayCall(who, r) {
		return errNoToken
	}
	return nil
}

// rotateDue rotates the named keys whose time has come, for as long as the
// server runs.
func (s *server) rotateDue(ctx context.Context, log *slog.Logger) {
	for {
		if err := s.barrier.Wait(ctx); err != nil {
			return
		}
		rotated, err := s.named.RotateDue(ctx)
		for _, name := range rotated {
			log.Info("a named key was rotated, as its auto_rotate_period says", "key", name)
		}
		if err != nil && ctx.Err() == nil && !errors.Is(err, seal.ErrSealed) {
			log.Error("named keys were not rotated", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Hour):
		}
	}
}

// boltKeys keep the named keys in the file: a revision, and behind it the
// encrypted key.
type boltKeys struct {
	db *database
}

const revisionLength = 26 // of rand.Text

func (s boltKeys) Load(ctx context.Context, name string) (document []byte, revision string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	err = s.db.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(namedBucket)
		if b == nil || len(b.Get([]byte(name))) < revisionLength {
			return named.ErrNotFound
		}
		kept := bytes.Clone(b.Get([]byte(name))) // what bbolt returns is its own
		document, revision = kept[revisionLength:], string(kept[:revisionLength])
		return nil
	})
	return document, revision, err
}

func (s boltKeys) Swap(ctx context.Context, name string, document []byte, revision string) (next string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	next = rand.Text()
	err = s.db.update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(namedBucket)
		if err != nil {
			return err
		}
		kept := b.Get([]byte(name))
		if string(kept[:min(len(kept), revisionLength)]) != revision {
			return named.ErrConflict
		}
		if document == nil {
			return b.Delete([]byte(name))
		}
		return b.Put([]byte(name), append([]byte(next), document...))
	})
	if err != nil || document == nil {
		return "", err
	}
	return next, nil
}

func (s boltKeys) List(ctx context.Context, after string, limit int) (names []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = s.db.view(func(tx *bbolt.Tx) error {
		b := tx.Bucket(namedBucket)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, _ := c.Seek([]byte(after)); k != nil && len(names) < limit; k, _ = c.Next() {
			if string(k) > after {
				names = append(names, string(k))
			}
		}
		return nil
	})
	return names, err
}

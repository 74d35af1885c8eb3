package main

import (
	"context"
	aead "crypto/cipher"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/sealwright/sealwright/examples/internal/boltfile"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/transitengine"
)

// buildTransit makes the named keys, in the file that has the secrets, and what
// serves them.
func (s *server) buildTransit(onEvent func(seal.Event)) (http.Handler, error) {
	var err error
	s.named, err = named.New(named.Config{
		Keyring: s.barrier.Keyring(),
		Store:   boltfile.Keys{File: s.db},
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
// server is unsealed.
func (s *server) rotateDue(ctx context.Context, log *slog.Logger) error {
	for {
		rotated, err := s.named.RotateDue(ctx)
		for _, name := range rotated {
			log.Info("a named key was rotated, as its auto_rotate_period says", "key", name)
		}
		if err != nil && ctx.Err() == nil {
			log.Error("named keys were not rotated", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Hour):
		}
	}
}

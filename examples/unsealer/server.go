package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/sealwright/sealwright/examples/internal/boltfile"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/agerecipient"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/operator/pgp"
	"github.com/sealwright/sealwright/seal/sealhttp"
	"github.com/sealwright/sealwright/seal/transitengine"
)

// A server is a seal that people hold, and one key for each client.
type server struct {
	file    *boltfile.File
	barrier *seal.Barrier
	clients clients
	sys     http.Handler
	transit http.Handler
	sources []migrate.Source // for migrate, before a term of the keyring is retired
}

func newServer(dir string, log *slog.Logger) (*server, error) {
	s := &server{file: &boltfile.File{Path: filepath.Join(dir, "unsealer.db")}, clients: clients{dir}}
	var err error
	events := seal.LogEvents(log)
	s.barrier, err = seal.Open(seal.Config{Store: boltfile.Record{File: s.file}, Replica: "unsealer", OnEvent: events})
	if err != nil {
		return nil, err
	}
	s.sys, err = operator.New(operator.Config{
		Barrier: s.barrier, Authorize: s.authorizeOperator, OnEvent: events, Version: "1.0.0", StorageType: "bbolt",
		ParseRecipient: agerecipient.Config{Else: pgp.Parse}.Parse, // keys of age, SSH and OpenPGP
	})
	if err != nil {
		return nil, err
	}
	keys, err := named.New(named.Config{
		Keyring: s.barrier.Keyring(), Store: boltfile.Keys{File: s.file}, Refresh: s.barrier.Admin().Refresh,
		Keep: func(keys migrate.Source) { s.sources = append(s.sources, keys) },
	})
	if err != nil {
		return nil, err
	}
	s.transit, err = transitengine.New(transitengine.Config{
		Keys: keys, Sealed: s.barrier.Sealed, Authorize: s.authorize, Actor: s.actor, OnEvent: events,
	})
	return s, err
}

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/sys/", s.sys)
	mux.Handle("/v1/transit/", s.transit)
	mux.HandleFunc("/v1/auth/token/", s.token)
	mux.Handle("/livez", sealhttp.Live())
	mux.Handle("/readyz", sealhttp.Ready(s.barrier))
	return mux
}

// close seals, which waits for what is in flight and wipes the keys.
func (s *server) close() {
	s.barrier.Seal(seal.By{Actor: "shutdown"})
	s.barrier.Close()
	s.file.Close()
}

var errDenied = errors.New("permission denied")

func (s *server) client(r *http.Request) (string, error) {
	name, err := s.clients.of(r.Header.Get("X-Vault-Token"))
	if err == nil && name == "" {
		err = errDenied
	}
	return name, err
}

func (s *server) actor(r *http.Request) string {
	name, err := s.client(r)
	if err != nil {
		return "somebody"
	}
	return name
}

// authorize lets a client encrypt and decrypt under the key of its name, which
// its first encrypt makes, and the operators care for keys. Nobody may export or
// back up, whatever a key's settings say: no key ever leaves, and what unseals
// others opens nothing for its operators.
func (s *server) authorize(r *http.Request, a transitengine.Action, key string) error {
	name, err := s.client(r)
	if err != nil {
		return err
	}
	switch a {
	case transitengine.Encrypt, transitengine.Decrypt:
		if name == key && name != operators {
			return nil
		}
	case transitengine.Create:
		if name == key && name != operators && strings.HasPrefix(r.URL.Path, "/v1/transit/encrypt/") {
			return nil
		}
	case transitengine.Read:
		if name == key || name == operators {
			return nil
		}
	case transitengine.List, transitengine.Rotate, transitengine.Configure, transitengine.Trim, transitengine.Delete:
		if name == operators {
			return nil
		}
	}
	return errDenied
}

func (s *server) authorizeOperator(r *http.Request, _ operator.Action) error {
	if name, err := s.client(r); err != nil || name != operators {
		return errDenied
	}
	return nil
}

// token answers what a client asks about its token: at its start a Vault wants to
// renew it, and takes the refusal for good; kms/transit asks whether a token that
// is refused is one.
func (s *server) token(w http.ResponseWriter, r *http.Request) {
	name, err := s.client(r)
	switch {
	case err != nil:
		reply(w, http.StatusForbidden, map[string]any{"errors": []string{"permission denied"}})
	case strings.HasSuffix(r.URL.Path, "/renew-self"):
		reply(w, http.StatusBadRequest, map[string]any{"errors": []string{"lease is not renewable"}})
	case strings.HasSuffix(r.URL.Path, "/lookup-self"):
		reply(w, http.StatusOK, map[string]any{"data": map[string]any{
			"display_name": name, "policies": []string{name}, "renewable": false, "ttl": 0, "expire_time": nil, "type": "service",
		}})
	default:
		reply(w, http.StatusNotFound, map[string]any{"errors": []string{"unsupported path"}})
	}
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client is gone
}

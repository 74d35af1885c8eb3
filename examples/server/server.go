package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/operator/pgp"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// A server is the seal, the secrets, and the routes to both.
type server struct {
	db      *bbolt.DB
	barrier *seal.Barrier
	http.Handler
}

func newServer(cfg *config, log *slog.Logger) (*server, error) {
	if err := os.MkdirAll(filepath.Dir(cfg.db), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	db, err := bbolt.Open(cfg.db, 0o600, &bbolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	s := &server{db: db}
	if err := s.build(cfg, log); err != nil {
		s.close()
		return nil, err
	}
	for _, note := range cfg.seals.Notes {
		log.Warn(note)
	}
	return s, nil
}

func (s *server) build(cfg *config, log *slog.Logger) error {
	sealed := seal.Config{Store: boltStore{s.db}, OnEvent: seal.LogEvents(log)}
	cfg.seals.Apply(&sealed)
	var err error
	if s.barrier, err = seal.Open(sealed); err != nil {
		return err
	}
	sys, err := operator.New(operator.Config{
		Barrier:       s.barrier,
		Authorize:     s.authorize,
		MintRootToken: s.mint,
		TokenLength:   tokenLength,
		Plan:          func(context.Context) (migrate.Plan, error) { return cfg.plan(), nil },
		Version:       "1.0.0",
		StorageType:   "bbolt",

		ParseRecipient: pgp.Parse, // bao operator init -pgp-keys=…
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/sys/", sys)
	mux.HandleFunc("GET /v1/sys/internal/ui/mounts/", s.guarded(mount))
	mux.HandleFunc("/v1/secret/", s.guarded(s.secrets))
	mux.Handle("/livez", sealhttp.Live())
	mux.Handle("/readyz", sealhttp.Ready(s.barrier))
	s.Handler = mux
	return nil
}

// close seals, which waits for what is in flight and wipes the keys.
func (s *server) close() {
	if s.barrier != nil {
		s.barrier.Seal(seal.By{Actor: "shutdown"})
		s.barrier.Close()
	}
	s.db.Close()
}

// guarded answers for a handler while the server is sealed, and to those who
// have no token.
func (s *server) guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.barrier.Status().Sealed:
			fail(w, http.StatusServiceUnavailable, "Vault is sealed")
		case s.checkToken(r) != nil:
			fail(w, http.StatusForbidden, "permission denied")
		default:
			r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
			next(w, r)
		}
	}
}

func fail(w http.ResponseWriter, code int, errs ...string) {
	if errs == nil {
		errs = []string{}
	}
	reply(w, code, map[string]any{"errors": errs})
}

// answer wraps data as Vault's logical routes do.
func answer(w http.ResponseWriter, code int, data any) {
	reply(w, code, map[string]any{
		"request_id": rand.Text(), "lease_id": "", "renewable": false, "lease_duration": 0,
		"data": data, "wrap_info": nil, "warnings": nil, "auth": nil, "mount_type": "kv",
	})
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body)
}

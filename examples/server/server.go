package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/sealwright/sealwright/examples/internal/boltfile"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/agerecipient"
	"github.com/sealwright/sealwright/seal/ceremony"
	audit "github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/operator/pgp"
	"github.com/sealwright/sealwright/seal/report"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// A server is the seal, the secrets, and the routes to both.
type server struct {
	db      *boltfile.File
	barrier *seal.Barrier
	keys    cipher
	named   *named.Keys
	sources []migrate.Source // what is encrypted beside the secrets
	http.Handler

	audit      *audit.Journal // nil: none
	auditPlace audit.Place
	log        *slog.Logger

	trustLoopback bool        // whoever connects from this machine sits at it
	settled       atomic.Bool // no fresh token is believed any more
}

// A cipher encrypts the secrets: the keyring, or, to measure what that costs,
// nothing.
type cipher interface {
	Encrypt(dst, plaintext, aad []byte) ([]byte, error)
	Decrypt(dst, ciphertext, aad []byte) ([]byte, error)
}

// replica is this server's name.
const replica = "server"

func newServer(cfg *config, log *slog.Logger) (*server, error) {
	s := &server{db: &boltfile.File{Path: cfg.db}, log: log}
	if cfg.audit != "" {
		var err error
		s.auditPlace = audit.File{Path: cfg.audit}
		if s.audit, err = openAudit(s.auditPlace, log); err != nil {
			return nil, err
		}
	}
	if err := s.build(cfg, seal.Config{Store: boltfile.Record{File: s.db}, OnEvent: seal.LogEvents(log)}); err != nil {
		s.close()
		return nil, err
	}
	for _, note := range cfg.seals.Notes {
		log.Warn(note)
	}
	return s, nil
}

// build makes the server over a barrier of that configuration, to which it adds
// what the stanzas say.
func (s *server) build(cfg *config, sealed seal.Config) error {
	cfg.seals.Apply(&sealed)
	// As Vault believes it, until the operator writes the pins: the notes say so.
	sealed.TrustUnpinned = sealed.TrustUnpinned || len(sealed.Pins) == 0 && len(cfg.seals.Forgeable) > 0
	s.trustLoopback = cfg.loopback
	// Bbolt lets one process have the file: a server that is started again is
	// the same replica, and goes on with what it gathered shares for.
	sealed.Replica = replica
	events := ceremony.NewRing(1000) // for the page: those of a week, as far as they are in memory
	heard := &report.Memory{}        // for the report: of each share and slot the last
	sealed.OnEvent = seal.JoinEvents(sealed.OnEvent, events.OnEvent, heard.Add)
	requests := sealed.OnEvent // also those that are no attempts on the seal, and are many
	if s.audit != nil {
		sealed.OnEvent = seal.JoinEvents(sealed.OnEvent, s.audit.Event)
	}
	var err error
	if s.barrier, err = seal.Open(sealed); err != nil {
		return err
	}
	s.keys = s.barrier.Keyring()
	recipients := agerecipient.Config{Else: pgp.Parse} // keys of age, SSH and OpenPGP, told apart by their text
	sys, err := operator.New(operator.Config{
		Barrier:       s.barrier,
		Authorize:     s.authorize,
		MintRootToken: s.mint,
		TokenLength:   tokenLength,
		Plan:          func(context.Context) (migrate.Plan, error) { return cfg.plan(), nil },
		OnEvent:       sealed.OnEvent,
		Version:       "1.0.0",
		StorageType:   "bbolt",

		ParseRecipient: recipients.Parse, // bao operator init -pgp-keys=…
	})
	if err != nil {
		return err
	}
	transit, err := s.buildTransit(requests)
	if err != nil {
		return err
	}
	page, err := ceremony.New(ceremony.Config{
		Barrier:   s.barrier,
		Title:     "sealwright server",
		Authorize: s.authorizePage,
		Slots:     cfg.plan().Slots,
		Plan:      func(context.Context) (migrate.Plan, error) { return cfg.plan(), nil },
		Events:    events.Newest,
		OnEvent:   sealed.OnEvent,

		ParseRecipient: recipients.Parse,
	})
	if err != nil {
		return err
	}
	audit, err := s.buildReport(heard)
	if err != nil {
		return err
	}
	s.Handler = s.routes(sys, transit, page, audit)
	return nil
}

func (s *server) routes(sys, transit, page, audit http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/sys/", sys)
	mux.Handle("/v1/sys/seal-report", audit)
	mux.Handle("/ceremony/", page)
	mux.Handle("/v1/transit/", transit)
	mux.HandleFunc("GET /v1/sys/internal/ui/mounts/", s.guarded(mount))
	mux.HandleFunc("/v1/secret/", s.guarded(s.secrets))
	mux.HandleFunc("/v1/sys/import/secret/", s.guardedTo(maxImport, s.importSecret))
	mux.HandleFunc("/v1/auth/token/", s.guarded(s.tokens))
	for _, path := range []string{"policies/acl", "policy"} {
		mux.HandleFunc("/v1/sys/"+path, s.guarded(s.policies))
		mux.HandleFunc("/v1/sys/"+path+"/", s.guarded(s.policies))
	}
	mux.HandleFunc("/v1/sys/mounts", s.guarded(s.mounts))
	mux.HandleFunc("/v1/sys/mounts/", s.guarded(s.mounts))
	mux.HandleFunc("/v1/sys/capabilities-self", s.guarded(s.capabilitiesSelf))
	mux.HandleFunc("/v1/", s.guarded(unserved))
	mux.Handle("/livez", sealhttp.Live())
	mux.Handle("/readyz", sealhttp.Ready(s.barrier))
	return mux
}

// close seals, which waits for what is in flight and wipes the keys.
func (s *server) close() {
	if s.barrier != nil {
		s.barrier.Seal(seal.By{Actor: "shutdown"})
		s.barrier.Close()
	}
	s.closeAudit()
	s.db.Close()
}

// unserved answers as Vault does where it has no such path: the clients, and the
// transit seals of other servers, take nothing else for an answer.
func unserved(w http.ResponseWriter, r *http.Request) {
	fail(w, http.StatusNotFound, fmt.Sprintf("no handler for route %q. route entry not found.", pathOf(r)))
}

func fail(w http.ResponseWriter, code int, errs ...string) {
	if errs == nil {
		errs = []string{}
	}
	reply(w, code, map[string]any{"errors": errs})
}

// failed answers for a request that met an error: also one that was on its way
// when the server was sealed.
func failed(w http.ResponseWriter, what string, err error) {
	if errors.Is(err, seal.ErrSealed) {
		fail(w, http.StatusServiceUnavailable, "Vault is sealed")
		return
	}
	fail(w, http.StatusInternalServerError, what+": "+err.Error())
}

// answer wraps data as Vault's logical routes do.
func answer(w http.ResponseWriter, code int, data any) { answerWarned(w, code, data, nil) }

func answerWarned(w http.ResponseWriter, code int, data any, warnings []string) {
	reply(w, code, envelope("kv", data, warnings, nil))
}

// envelope is what Vault's logical routes answer with.
func envelope(mountType string, data any, warnings []string, auth any) map[string]any {
	return map[string]any{
		"request_id": rand.Text(), "lease_id": "", "renewable": false, "lease_duration": 0,
		"data": data, "wrap_info": nil, "warnings": warnings, "auth": auth, "mount_type": mountType,
	}
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body)
}

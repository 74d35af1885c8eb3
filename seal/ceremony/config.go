package ceremony

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// An Action is what a request wants to do, for [Config.Authorize].
type Action string

// The actions.
const (
	Init   Action = "init"   // begin to make the store
	Rekey  Action = "rekey"  // begin a rekey of the people slot
	Events Action = "events" // read the events
	Detail Action = "detail" // see why the server is sealed in full, and who holds shares
)

// EventCeremony is a step of a ceremony, or a request that was refused: Detail says
// what, and Err why. It comes beside what the barrier says of it.
const EventCeremony seal.EventKind = "ceremony"

// Config is what New needs. Barrier and Authorize are required.
type Config struct {
	Barrier *seal.Barrier

	// Authorize reports why a request may not do what it wants; nil lets it. Token
	// is what its sender has typed into the page's field for one, "" for nothing: a
	// host whose requests have an identity without it, as of a client's
	// certificate, looks at that; [Token] is for one whose operators share one. The
	// answer does not show the error. It is also called while the server is sealed, and
	// for [Init] before there is a store; not for requests that are not Secure, which
	// may nothing.
	Authorize func(r *http.Request, a Action, token string) error

	// NoTokens leaves the fields for a token out.
	NoTokens bool

	// Path is where the handler is mounted, with a slash at both ends. Empty:
	// "/ceremony/".
	Path string

	// Title is what the store is, as its custodians call it. Empty: nothing is said.
	Title string

	// Secure reports whether a request came over TLS, or otherwise so that nobody
	// reads it on its way. Nil: over TLS to this process, or from this machine, under
	// a name of its own and not by way of a proxy. A host behind a proxy that takes
	// the TLS off says it by what only that proxy can say, as the address that it
	// comes from where nothing else runs there, or a secret that the proxy puts into a
	// header. A page in somebody's browser can add every header that is no secret, also
	// X-Forwarded-Proto.
	Secure func(*http.Request) bool

	// Actor names who sent a request, for events and the record's journal. Nil:
	// "ceremony page".
	Actor func(*http.Request) string

	// People is the name of the slot that init makes for people. Empty: "shamir".
	People string

	// Slots are what opens the store without people, beside theirs: init makes them
	// too. They have names of their own.
	Slots map[string]seal.Spec

	// Plan returns where the configuration wants the store to get to, as that of
	// package operator: people agree to it on the page. Plans that make shares are not
	// carried out here. Nil: there are no migrations.
	Plan func(context.Context) (migrate.Plan, error)

	// ParseRecipient reads a public key to which a custodian wants the share
	// encrypted, as that of package operator, and as the functions of package pgp
	// below that do. Nil: the page shows shares in clear.
	ParseRecipient func(key string) (to seal.Recipient, fingerprint string, err error)

	// Keep is for how long places, and shares that nobody has given back, are kept.
	// Zero: two hours.
	Keep time.Duration

	// Events returns the events to show to whom Authorize lets see them, newest
	// first, as [Ring.Newest] does: it is not read to its end. Nil: none are shown.
	Events func() iter.Seq[seal.Event]

	// OnEvent, if set, is called with an [EventCeremony] for each step of a ceremony
	// and each request that is refused: give it what has the barrier's events.
	OnEvent func(seal.Event)
}

// New returns a handler. The error is [seal.ErrConfig].
func New(cfg Config) (http.Handler, error) {
	bad := func(text string) error { return fmt.Errorf("ceremony: %w: %s", seal.ErrConfig, text) }
	switch {
	case cfg.Barrier == nil:
		return nil, bad("Config.Barrier is nil")
	case cfg.Authorize == nil:
		return nil, bad("Config.Authorize is nil: it decides who may begin an init or a rekey")
	case cfg.Path != "" && (!strings.HasPrefix(cfg.Path, "/") || !strings.HasSuffix(cfg.Path, "/") || strings.ContainsAny(cfg.Path, "?#%{}\\") || strings.Contains(cfg.Path, "//")):
		return nil, bad(fmt.Sprintf("Config.Path is %q: it begins and ends with a slash, as the pattern of a mux", cfg.Path))
	case len(cfg.Title) > 200:
		return nil, bad("Config.Title has more than 200 bytes")
	case cfg.Keep < 0 || cfg.Keep > 7*24*time.Hour:
		return nil, bad("Config.Keep is negative, or more than a week: shares are in memory for so long")
	}
	if cfg.Path == "" {
		cfg.Path = "/ceremony/"
	}
	if cfg.Keep == 0 {
		cfg.Keep = 2 * time.Hour
	}
	if cfg.People == "" {
		cfg.People = "shamir"
	}
	for name, spec := range cfg.Slots {
		switch {
		case seal.HasPeople(spec):
			return nil, bad(fmt.Sprintf("Config.Slots has %q, which people hold: nobody would be given its shares; those of Config.People are for the places, and host or package operator add others", name))
		case name == cfg.People:
			return nil, bad(fmt.Sprintf("Config.Slots has %q, which is the people slot: see Config.People", name))
		}
	}
	if cfg.Actor == nil {
		cfg.Actor = func(*http.Request) string { return "ceremony page" }
	}
	if cfg.Secure == nil {
		cfg.Secure = private
	}
	cfg.Slots = maps.Clone(cfg.Slots)
	h := &handler{Config: cfg, origin: http.NewCrossOriginProtection()}
	h.mux = h.routes()
	return h, nil
}

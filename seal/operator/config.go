package operator

import (
	"context"
	"fmt"
	"maps"
	"net/http"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// An Action is what a request wants to do, for [Config.Authorize].
type Action string

// The actions.
const (
	Seal         Action = "seal"          // and, of a sealed server, have it forget the shares given
	Rotate       Action = "rotate"        // a new data key
	RotateRoot   Action = "rotate-root"   // a new root key
	Rekey        Action = "rekey"         // begin or cancel a rekey
	GenerateRoot Action = "generate-root" // begin or cancel a root token's ceremony
	Migrate      Action = "migrate"       // cancel a migration
	KeyStatus    Action = "key-status"    // read what is about keys
	Detail       Action = "detail"        // read errors, and why the server is sealed, in full
	Init         Action = "init"          // make the store; asked only with [Config.AuthorizeInit]
)

// EventRequest is a request to the handler: Detail has its method and path, and
// Err is why it was refused. It comes beside what the barrier says of it.
const EventRequest seal.EventKind = "request"

// Config is what New needs. Barrier and Authorize are required.
type Config struct {
	Barrier *seal.Barrier

	// Authorize reports why a request may not do what it wants; nil lets it.
	// The answer is 403 and does not show the error. The tools send their
	// token as X-Vault-Token. It is also called while the server is sealed.
	// An address is no identity: pages of strangers, in a browser on this machine,
	// come from it too, and add what headers they like. Without TLS only the name in
	// the request's Host tells them.
	Authorize func(*http.Request, Action) error

	// AuthorizeInit has Authorize decide on init too, as [Init], before the body of
	// the request is read. Set it where requests have an identity before there is a
	// store: a client certificate, a bootstrap token. Zero: whoever comes first may,
	// once, as with Vault, whose tools have no token then; but without TLS no page in a
	// browser: a stranger's, whose name was made to lead here, is of one origin with this.
	AuthorizeInit bool

	// Actor names who sent a request, for events and the record's journal, which
	// have it in the form of [seal.By] Actor. Nil: "operator API".
	Actor func(*http.Request) string

	// MintRootToken makes a token that Authorize accepts for everything. It
	// is called by init, once its shares exist and the store may be sealed,
	// and when a quorum has asked for a token. Nil: init returns none, and
	// generate-root is refused. The answer that has the token may be lost: let
	// the one before be valid until the new one was used once.
	MintRootToken func(context.Context) (string, error)

	// TokenLength is that of those tokens, in bytes. Generate-root needs it.
	TokenLength int

	// Plan returns where the configuration wants the store to get to. Its
	// slots that need no people are made by init, and unseal -migrate moves a
	// store there. A plan without Slots keeps the people slots as they are.
	// Nil, and an empty plan: Slots, or people alone, hold the store.
	Plan func(context.Context) (migrate.Plan, error)

	// Slots is Plan for who needs none: a plan of these slots, which drops nothing.
	// With them, and a KMS slot among them, init makes recovery shares for people.
	Slots map[string]seal.Spec

	// People is the name of the slot that init makes for people. Empty:
	// "shamir", as package sealconf names it.
	People string

	// Deliver takes shares that a migration makes to their custodians, and keeps
	// none of them: see [migrate.Options]. Nil: plans that make shares are refused.
	Deliver func(seal.Delivery) error

	// ParseRecipient reads a public key that came with a request, as the tools
	// send it for -pgp-keys, and returns to whom a share is to be encrypted,
	// and the key's fingerprint, which stands in the record as the custodian's
	// name. Its error is shown to
	// whoever sent the key. It is called for one key at a time, and by init
	// without a token. Package pgp, below this one, has it for OpenPGP. Nil:
	// keys are refused.
	ParseRecipient func(key string) (to seal.Recipient, fingerprint string, err error)

	// OnEvent, if set, is called with an [EventRequest] for each request but
	// those that only read and are answered: give it what has the barrier's
	// events, [seal.Config] OnEvent. The barrier does not hear of requests that
	// are refused for their token or their form, nor of shares that were mistyped:
	// without OnEvent those stand in no log.
	OnEvent func(seal.Event)

	// Version, StorageType and ClusterName are shown in seal-status.
	Version     string
	StorageType string // empty: not shown
	ClusterName string // empty: "sealwright"
}

// New returns a handler. The error is [seal.ErrConfig].
func New(cfg Config) (http.Handler, error) {
	switch {
	case cfg.Barrier == nil:
		return nil, fmt.Errorf("operator: %w: Config.Barrier is nil", seal.ErrConfig)
	case cfg.Authorize == nil:
		return nil, fmt.Errorf("operator: %w: Config.Authorize is nil: it decides who may seal the server", seal.ErrConfig)
	case cfg.Plan != nil && cfg.Slots != nil:
		return nil, fmt.Errorf("operator: %w: both Config.Plan and Config.Slots are set: let Plan return the slots, or leave it out", seal.ErrConfig)
	case cfg.MintRootToken != nil && (cfg.TokenLength < 16 || cfg.TokenLength > 256):
		return nil, fmt.Errorf("operator: %w: Config.TokenLength is %d: it is that of the tokens of MintRootToken, 16 to 256", seal.ErrConfig, cfg.TokenLength)
	}
	if cfg.Actor == nil {
		cfg.Actor = func(*http.Request) string { return "operator API" }
	}
	if cfg.Plan == nil {
		slots := maps.Clone(cfg.Slots)
		cfg.Plan = func(context.Context) (migrate.Plan, error) { return migrate.Plan{Slots: maps.Clone(slots)}, nil }
	}
	if cfg.People == "" {
		cfg.People = "shamir"
	}
	if cfg.ClusterName == "" {
		cfg.ClusterName = "sealwright"
	}
	h := &handler{
		Config: cfg, routes: map[string]map[string]route{}, origin: http.NewCrossOriginProtection(), reading: make(chan struct{}, 1),
	}
	for _, rt := range h.table() {
		if h.routes[rt.path] == nil {
			h.routes[rt.path] = map[string]route{}
		}
		h.routes[rt.path][rt.method] = rt
	}
	return h, nil
}

// by says who sent a request, and as a step of which operation.
func (h *handler) by(r *http.Request, op seal.OperationID) seal.By {
	return seal.By{Actor: h.Actor(r), Operation: op}
}

func (h *handler) authorize(r *http.Request, a Action) error {
	if h.Authorize(r, a) != nil {
		return errDenied
	}
	return nil
}

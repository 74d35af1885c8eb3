package transitengine

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/seal"
)

// An Action is what a request wants to do with a key, for [Config.Authorize].
type Action string

// The actions. Those of the second group concern no key.
const (
	Encrypt      Action = "encrypt"
	Decrypt      Action = "decrypt"
	Rewrap       Action = "rewrap"
	DataKey      Action = "datakey"       // the ciphertext of a new data key
	PlainDataKey Action = "plain-datakey" // the data key, too
	Sign         Action = "sign"
	Verify       Action = "verify"
	MAC          Action = "hmac"
	Read         Action = "read"
	Create       Action = "create" // also by an encrypt under a name that has no key
	Configure    Action = "configure"
	Rotate       Action = "rotate"
	Trim         Action = "trim"
	Delete       Action = "delete"
	Export       Action = "export" // in clear
	ExportPublic Action = "export-public"
	Backup       Action = "backup" // in clear
	Restore      Action = "restore"
	Import       Action = "import"

	List        Action = "list"
	WrappingKey Action = "wrapping-key"
	Random      Action = "random"
	Hash        Action = "hash"
)

// changes reports whether an action is one that auditors ask for: it changes
// keys, or lets them leave.
func (a Action) changes() bool {
	switch a {
	case Create, Configure, Rotate, Trim, Delete, Export, Backup, Restore, Import:
		return true
	}
	return false
}

// EventRequest is a request that changed a key, let one leave, or was refused:
// Detail has what it wanted and the key's name, Err is why it was refused. What
// encrypts, decrypts, signs or reads and is answered is no event.
const EventRequest seal.EventKind = "transit-request"

// Config is what New needs. Keys, Sealed and Authorize are required.
type Config struct {
	Keys *named.Keys

	// Sealed returns nil while the keys can be used: the Barrier's.
	Sealed func() error

	// Authorize reports why a request may not do what it wants; nil lets it. The
	// key is empty for what concerns none, and for a Restore that leaves the name to
	// the backup: that asks a second time, with the name. The answer is 403 and does not show
	// the error. The tools send their token as X-Vault-Token.
	Authorize func(r *http.Request, a Action, key string) error

	// Prefix is where the handler is mounted, as requests have it in their path:
	// "/v1/transit/" if empty.
	Prefix string

	// MaxBody bounds a request, in bytes. Zero: 32 MiB, as Vault does.
	MaxBody int64

	// Actor names who sent a request, for events: at most 64 printable ASCII
	// characters. Nil: "transit API".
	Actor func(*http.Request) string

	// OnEvent, if set, is called with an [EventRequest].
	OnEvent func(seal.Event)
}

// New returns a handler. The error is [seal.ErrConfig].
func New(cfg Config) (http.Handler, error) {
	bad := func(format string, args ...any) (http.Handler, error) {
		return nil, fmt.Errorf("transitengine: %w: Config.%s", seal.ErrConfig, fmt.Sprintf(format, args...))
	}
	switch {
	case cfg.Keys == nil:
		return bad("Keys is nil")
	case cfg.Sealed == nil:
		return bad("Sealed is nil: give the Barrier's")
	case cfg.Authorize == nil:
		return bad("Authorize is nil: it decides who may use which key")
	case cfg.MaxBody < 0 || cfg.MaxBody > 1<<30:
		return bad("MaxBody is %d: it is 0 to 1 GiB", cfg.MaxBody)
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "/v1/transit/"
	}
	if !strings.HasPrefix(cfg.Prefix, "/") || !strings.HasSuffix(cfg.Prefix, "/") {
		return bad("Prefix is %q: it begins and ends with a slash", cfg.Prefix)
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 32 << 20
	}
	if cfg.Actor == nil {
		cfg.Actor = func(*http.Request) string { return "transit API" }
	}
	return &handler{Config: cfg, origin: http.NewCrossOriginProtection()}, nil
}

var errDenied = errors.New("permission denied")

// authorize asks the host.
func (c *call) authorize(a Action) error {
	if c.h.Authorize(c.r, a, c.name) != nil {
		return errDenied
	}
	return nil
}

package transitengine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/seal"
)

// A refusal is what a client is told: a code, and Vault's words where it has
// words for it.
type refusal struct {
	code  int
	words string
}

func (e *refusal) Error() string { return e.words }

func badRequest(format string, args ...any) error {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return &refusal{http.StatusBadRequest, format}
}

func badType(name, want string) error {
	return badRequest("Field validation failed: the field %q is not %s", name, want)
}

var (
	errSealed   = &refusal{http.StatusServiceUnavailable, "Vault is sealed"} // Vault's words, which its tools look for
	errNoRoute  = &refusal{http.StatusNotFound, "1 error occurred:\n\t* unsupported path\n\n"}
	errNoMethod = &refusal{http.StatusMethodNotAllowed, "1 error occurred:\n\t* unsupported operation\n\n"}
	errNothing  = &refusal{http.StatusNotFound, ""}
	errTooLarge = &refusal{http.StatusRequestEntityTooLarge, "http: request body too large"}
)

// unparsed is how Vault answers a batch that it cannot read: with 500.
func unparsed(format string, args ...any) error {
	return &refusal{http.StatusInternalServerError, "1 error occurred:\n\t* failed to parse batch input: " + fmt.Sprintf(format, args...) + "\n\n"}
}

// stored marks an error of the store or of what it holds: there, what does not
// authenticate is not the client's fault.
type stored struct{ err error }

func (e stored) Error() string { return e.err.Error() }
func (e stored) Unwrap() error { return e.err }

// toldKinds are failures that the client can mend, in named's own words.
var toldKinds = []error{
	named.ErrInput, named.ErrType, named.ErrPolicy, named.ErrVersion, named.ErrLimit, named.ErrNotApproved,
	named.ErrExhausted, named.ErrExists, named.ErrNotFound, named.ErrConfig,
}

// told returns what a client is told of an error.
func told(err error) *refusal {
	var r *refusal
	var s stored
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, errDenied):
		return &refusal{http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n"}
	case errors.Is(err, errJSON):
		return &refusal{http.StatusBadRequest, errJSON.Error()}
	case errors.Is(err, keyring.ErrSealed), errors.Is(err, seal.ErrSealed):
		return errSealed
	case errors.Is(err, named.ErrConflict):
		return &refusal{http.StatusServiceUnavailable, "the key is being changed by others: try again"}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &refusal{http.StatusServiceUnavailable, "no answer in time: try again"}
	case errors.Is(err, named.ErrCorrupt) && !errors.As(err, &s):
		return &refusal{http.StatusBadRequest, plain(err)}
	}
	for _, kind := range toldKinds {
		if errors.Is(err, kind) {
			return &refusal{http.StatusBadRequest, plain(err)}
		}
	}
	// A store's words may name files and addresses.
	return &refusal{http.StatusInternalServerError, "1 error occurred:\n\t* internal error: the events of the server say more\n\n"}
}

// plain is an error of package named without what the client knows: its own
// request.
func plain(err error) string {
	if e, ok := errors.AsType[*named.Error](err); ok {
		err = e.Err
	}
	return strings.TrimPrefix(err.Error(), "named: ")
}

// missing replaces the error of a key that is not there by what Vault says.
func missing(err error, words string) error {
	switch {
	case !errors.Is(err, named.ErrNotFound):
		return err
	case words == "":
		return errNothing
	}
	return badRequest("%s", words)
}

// cipherWords are Vault's words for what goes wrong with a ciphertext, which
// clients look for.
func cipherWords(err error, k *named.Key, text string) error {
	kind := k.Info().Type
	switch {
	case errors.Is(err, named.ErrType) && !kind.Encrypts():
		return badRequest("message decryption not supported for key type %s", kind)
	case !strings.HasPrefix(text, "vault:v"):
		return badRequest("invalid ciphertext: no prefix")
	case strings.Count(text, ":") < 2:
		return badRequest("invalid ciphertext: wrong number of fields")
	case errors.Is(err, named.ErrVersion):
		return badRequest("invalid ciphertext: version is too new")
	case errors.Is(err, named.ErrMinDecryption):
		return badRequest("ciphertext or signature version is disallowed by policy (too old)")
	case errors.Is(err, named.ErrCorrupt):
		return badRequest("%s", unopened(kind))
	case errors.Is(err, named.ErrShort):
		return badRequest("invalid ciphertext length")
	case errors.Is(err, named.ErrText):
		return badRequest("invalid ciphertext: could not decode base64")
	}
	return plainWords(err, k, "encrypt")
}

// unopened is what Go says of what does not authenticate, and so Vault.
func unopened(t named.Type) string {
	switch t {
	case named.ChaCha20Poly1305, named.XChaCha20Poly1305:
		return "chacha20poly1305: message authentication failed"
	case named.RSA2048, named.RSA3072, named.RSA4096:
		return "crypto/rsa: decryption error"
	}
	return "cipher: message authentication failed"
}

const noContext = "missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key"

// plainWords are Vault's words for what goes wrong when something is encrypted
// or signed.
func plainWords(err error, k *named.Key, what string) error {
	kind := k.Info().Type
	switch {
	case errors.Is(err, named.ErrType) && what == "encrypt" && !kind.Encrypts():
		return badRequest("message encryption not supported for key type %s", kind)
	case errors.Is(err, named.ErrContext):
		return badRequest(noContext)
	case errors.Is(err, named.ErrMinEncryption):
		return badRequest("requested version for encryption is less than the minimum encryption key version")
	case errors.Is(err, named.ErrVersion):
		return badRequest("requested version for encryption is higher than the latest key version")
	}
	return err
}

// signatureWords are Vault's words for what goes wrong with a signature or MAC.
func signatureWords(err error, k *named.Key, what, text string) error {
	switch {
	case !strings.HasPrefix(text, "vault:v"):
		return badRequest("invalid %s: no prefix", what)
	case strings.Count(text, ":") < 2:
		return badRequest("invalid %s: wrong number of fields", what)
	case errors.Is(err, named.ErrVersion):
		return badRequest("invalid %s: version is too new", what)
	case errors.Is(err, named.ErrMinDecryption):
		return badRequest("ciphertext or signature version is disallowed by policy (too old)")
	}
	return plainWords(err, k, "sign")
}

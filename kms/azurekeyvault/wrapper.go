package azurekeyvault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/sealwright/sealwright/kms"
)

// A Wrapper is one key of a vault or Managed HSM. It is a [kms.Wrapper], a
// [kms.Prober] and a [kms.Authenticator], and safe for concurrent use.
type Wrapper struct {
	// One client for all calls, since each new one must ask how to authenticate.
	client    atomic.Pointer[azkeys.Client]
	newClient func() (*azkeys.Client, error)
	name      string // as it was configured
	keyID     string // https://vault/keys/name, in lower case
	algorithm Algorithm
	hsm       bool
	timeout   time.Duration
}

// New returns a Wrapper of the key. It makes no request and reads no file:
// whether key and credentials are right shows in the first call. The error is a
// [*kms.Error] of the kind [kms.ErrMisconfigured] and says which fields to
// change.
func New(cfg Config) (*Wrapper, error) {
	w, err := newWrapper(cfg)
	if err != nil {
		return nil, &kms.Error{Op: "configure", Type: Type, KeyID: cfg.KeyName, Kind: kms.ErrMisconfigured, Err: err}
	}
	return w, nil
}

func newWrapper(cfg Config) (*Wrapper, error) {
	cfg, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	host, where, err := cfg.locate()
	if err != nil {
		return nil, err
	}
	cred := newCredential(cfg, where)
	options := &azkeys.ClientOptions{ClientOptions: cfg.clientOptions(where, stageVault)}
	w := &Wrapper{
		newClient: func() (*azkeys.Client, error) { return azkeys.NewClient("https://"+host, cred, options) },
		name:      cfg.KeyName,
		keyID:     "https://" + host + "/keys/" + strings.ToLower(cfg.KeyName),
		algorithm: cfg.Algorithm,
		hsm:       cfg.Algorithm != RSAOAEP256 || strings.Contains(host, ".managedhsm."),
		timeout:   cfg.Timeout,
	}
	return w, w.renew()
}

// renew makes the next call ask the vault how to authenticate. The SDK's client
// asks once, and would try what it was told for ever, be it wrong.
func (w *Wrapper) renew() error {
	client, err := w.newClient()
	if err == nil {
		w.client.Store(client)
	}
	return err
}

// Wrap encrypts key under the newest version of the KMS key, and names the
// version that the answer names.
func (w *Wrapper) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	const op = "wrap"
	if n := len(key); !validKey(n) {
		return nil, w.refuse(op, kms.ErrMisconfigured, "a key of %d bytes: it must be a multiple of 8, from 16 to %d", n, kms.MaxKeySize)
	}
	value := bytes.Clone(key) // the call may outlive Wrap, and so the caller's key
	out, err := call(ctx, w, op, "", func(ctx context.Context) (azkeys.KeyOperationResult, error) {
		defer clear(value)
		p := azkeys.KeyOperationParameters{Algorithm: native(w.algorithm), Value: value}
		if w.algorithm == A256GCM {
			p.AdditionalAuthenticatedData = b.Bytes()
			out, err := w.client.Load().Encrypt(ctx, w.name, "", p, nil)
			return out.KeyOperationResult, err
		}
		out, err := w.client.Load().WrapKey(ctx, w.name, "", p, nil)
		return out.KeyOperationResult, err
	})
	if err != nil {
		return nil, err
	}
	version, err := versionOf(kid(out.KID), w.keyID)
	if err != nil {
		return nil, w.refuse(op, kms.ErrWrongKey, "%w", err)
	}
	s := sealed{algorithm: w.algorithm, value: out.Result}
	if w.algorithm == A256GCM {
		s.iv, s.tag = out.IV, out.AuthenticationTag
	}
	if err := s.check(); err != nil || !s.holds(len(key)) {
		return nil, w.refuse(op, kms.ErrCorrupt, "the vault returned %d bytes for a key of %d, which %s does not", len(out.Result), len(key), w.algorithm)
	}
	return &kms.Blob{Type: Type, KeyID: w.keyID, Version: version, Ciphertext: s.marshal()}, nil
}

// Unwrap asks the version that the blob names, and no other, for the key in the
// blob, which the caller owns and wipes.
func (w *Wrapper) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	const op = "unwrap"
	s, err := w.mine(blob)
	if err != nil {
		return nil, err
	}
	// The call may outlive Unwrap, and so the caller's blob.
	version, value := blob.Version, bytes.Clone(s.value)
	iv, tag := bytes.Clone(s.iv), bytes.Clone(s.tag)
	out, err := call(ctx, w, op, version, func(ctx context.Context) (azkeys.KeyOperationResult, error) {
		p := azkeys.KeyOperationParameters{Algorithm: native(s.algorithm), Value: value, IV: iv, AuthenticationTag: tag}
		if s.algorithm == A256GCM {
			p.AdditionalAuthenticatedData = b.Bytes()
			out, err := w.client.Load().Decrypt(ctx, w.name, version, p, nil)
			return out.KeyOperationResult, err
		}
		out, err := w.client.Load().UnwrapKey(ctx, w.name, version, p, nil)
		return out.KeyOperationResult, err
	})
	if err != nil {
		return nil, err
	}
	answered, err := versionOf(kid(out.KID), w.keyID)
	switch {
	case err != nil:
		err = w.refuse(op, kms.ErrWrongKey, "%w", err)
	case !strings.EqualFold(answered, version):
		err = w.refuse(op, kms.ErrWrongKey, "the version %s answered, and the blob names %s", answered, version)
	case !s.holds(len(out.Result)):
		err = w.refuse(op, kms.ErrCorrupt, "the vault returned %d bytes, and no such key is in the blob", len(out.Result))
	}
	if err != nil {
		clear(out.Result)
		return nil, err
	}
	return out.Result, nil
}

// mine returns what is in a blob of this very key.
func (w *Wrapper) mine(blob *kms.Blob) (sealed, error) {
	const op = "unwrap"
	switch {
	case blob == nil:
		return sealed{}, w.refuse(op, kms.ErrCorrupt, "there is no blob")
	case blob.Type != Type:
		return sealed{}, w.refuse(op, kms.ErrWrongKey, "the blob is of the type %.100q", blob.Type)
	case !strings.EqualFold(blob.KeyID, w.keyID):
		return sealed{}, w.refuse(op, kms.ErrWrongKey, "the blob is of the key %.300q", blob.KeyID)
	case !validVersion(blob.Version):
		return sealed{}, w.refuse(op, kms.ErrCorrupt, "the blob names the version %.100q, which cannot be one", blob.Version)
	}
	s, err := parseSealed(blob.Ciphertext)
	if err != nil {
		return s, w.refuse(op, kms.ErrCorrupt, "%w", err)
	}
	if w.algorithm.authenticates() && !s.algorithm.authenticates() {
		return s, w.refuse(op, kms.ErrMisconfigured, "the blob was wrapped with %s, which anybody could have done, and Algorithm is %s: configure %s for this slot", s.algorithm, w.algorithm, s.algorithm)
	}
	return s, nil
}

// Probe asks for the newest version of the key, which needs the permission to
// read it, and where there is none whether the key was deleted and can be
// recovered. A key of a kind that cannot wrap and unwrap is an error.
//
// Enabled says whether the newest version is switched on, and within its dates. A
// blob may name an older one, and an expired one still unwraps.
func (w *Wrapper) Probe(ctx context.Context) (kms.Health, error) {
	const op = "probe"
	out, err := call(ctx, w, op, "", func(ctx context.Context) (azkeys.KeyBundle, error) {
		out, err := w.client.Load().GetKey(ctx, w.name, "", nil)
		return out.KeyBundle, err
	})
	if errors.Is(err, kms.ErrKeyGone) {
		return w.probeDeleted(ctx, err)
	}
	if err != nil {
		return kms.Health{}, err
	}
	if out.Key == nil {
		out.Key = new(azkeys.JSONWebKey)
	}
	version, err := versionOf(kid(out.Key.KID), w.keyID)
	if err != nil {
		return kms.Health{}, w.refuse(op, kms.ErrWrongKey, "%w", err)
	}
	if err := w.suits(out.Key); err != nil {
		return kms.Health{}, w.refuse(op, kms.ErrMisconfigured, "%w", err)
	}
	h := kms.Health{KeyID: w.keyID, Version: version}
	if a := out.Attributes; a != nil {
		h.Enabled = a.Enabled != nil && *a.Enabled
		if a.Expires != nil {
			h.Expires = *a.Expires
			h.Enabled = h.Enabled && time.Now().Before(h.Expires)
		}
		if a.NotBefore != nil && time.Now().Before(*a.NotBefore) {
			h.Enabled = false
		}
	}
	return h, nil
}

// probeDeleted reports a key that waits for its destruction, or else gone.
func (w *Wrapper) probeDeleted(ctx context.Context, gone error) (kms.Health, error) {
	const op = "probe"
	out, err := call(ctx, w, op, "", func(ctx context.Context) (azkeys.DeletedKey, error) {
		out, err := w.client.Load().GetDeletedKey(ctx, w.name, nil)
		return out.DeletedKey, err
	})
	switch {
	case kms.Temporary(err):
		return kms.Health{}, err
	case err != nil || out.ScheduledPurgeDate == nil || out.Key == nil:
		return kms.Health{}, gone
	}
	version, err := versionOf(kid(out.Key.KID), w.keyID)
	if err != nil {
		return kms.Health{}, w.refuse(op, kms.ErrWrongKey, "%w", err)
	}
	return kms.Health{KeyID: w.keyID, Version: version, Deletion: *out.ScheduledPurgeDate}, nil
}

// suits returns why the key cannot do what Algorithm asks of it.
func (w *Wrapper) suits(k *azkeys.JSONWebKey) error {
	kinds := []azkeys.KeyType{azkeys.KeyTypeRSA, azkeys.KeyTypeRSAHSM}
	needs := []azkeys.KeyOperation{azkeys.KeyOperationWrapKey, azkeys.KeyOperationUnwrapKey}
	if w.algorithm != RSAOAEP256 {
		kinds = []azkeys.KeyType{azkeys.KeyTypeOct, azkeys.KeyTypeOctHSM}
	}
	if w.algorithm == A256GCM {
		needs = []azkeys.KeyOperation{azkeys.KeyOperationEncrypt, azkeys.KeyOperationDecrypt}
	}
	if k.Kty == nil || !slices.Contains(kinds, *k.Kty) {
		return fmt.Errorf("%s needs a key of the type %v", w.algorithm, kinds)
	}
	for _, need := range needs {
		if !slices.ContainsFunc(k.KeyOps, func(op *azkeys.KeyOperation) bool { return op != nil && *op == need }) {
			return fmt.Errorf("the key does not permit the operation %s: add it to its key_ops", need)
		}
	}
	return nil
}

// SameKey implements [kms.Namer]: names of vaults and of keys are the same in
// any case.
func (w *Wrapper) SameKey(a, b string) bool { return strings.EqualFold(a, b) }

// Authenticates returns true of the blobs of this key that A256KW or A256GCM
// made. RSA-OAEP needs the public key alone. A blob chooses its algorithm and
// the version of the key, so both are asked of it and not of the Config.
func (w *Wrapper) Authenticates(blob *kms.Blob) bool {
	s, err := w.mine(blob)
	return err == nil && s.algorithm.authenticates()
}

func native(a Algorithm) *azkeys.EncryptionAlgorithm { return new(azkeys.EncryptionAlgorithm(a)) }

func kid(id *azkeys.ID) string {
	if id == nil {
		return ""
	}
	return string(*id)
}

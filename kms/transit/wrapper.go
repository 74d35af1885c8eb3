package transit

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/sealwright/sealwright/kms"
)

// Wrap implements [kms.Wrapper] with the newest version of the key.
func (w *Wrapper) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	const op = "wrap"
	if !isKeySize(len(key)) {
		return nil, w.failure(op, kms.ErrMisconfigured, fmt.Errorf("a key of %d bytes, not a multiple of 8 from 16 to %d, cannot be wrapped", len(key), kms.MaxKeySize))
	}
	body := append(make([]byte, 0, 1024), `{"plaintext":"`...)
	body = base64.StdEncoding.AppendEncode(body, key)
	var answer struct {
		Data struct {
			Ciphertext string `json:"ciphertext"`
			KeyVersion int    `json:"key_version"`
		} `json:"data"`
	}
	err := w.call(ctx, request{
		op: op, method: http.MethodPost, path: w.path("encrypt"), body: withBinding(body, b), key: key, into: &answer,
	})
	if err != nil {
		return nil, err
	}
	a := &answer.Data
	version, size, ok := parseCiphertext([]byte(a.Ciphertext))
	switch overhead := size - len(key); {
	case !ok:
		return nil, w.failure(op, kms.ErrUnavailable, errors.New("the answer is no ciphertext of transit"))
	case overhead != minOverhead && overhead != maxOverhead:
		return nil, w.failure(op, kms.ErrMisconfigured, fmt.Errorf("the ciphertext has %d bytes more than the key: is the key's type aes256-gcm96?", overhead))
	case a.KeyVersion != 0 && strconv.Itoa(a.KeyVersion) != version:
		return nil, w.failure(op, kms.ErrWrongKey, fmt.Errorf("the answer is of version %d, its ciphertext of version %s", a.KeyVersion, version))
	}
	return &kms.Blob{Type: Type, KeyID: w.keyID, Version: version, Ciphertext: []byte(a.Ciphertext)}, nil
}

// Unwrap implements [kms.Wrapper] with the version that the blob names.
func (w *Wrapper) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	const op = "unwrap"
	switch {
	case blob == nil:
		return nil, w.failure(op, kms.ErrCorrupt, errors.New("there is no blob"))
	case blob.Type != Type:
		return nil, w.failure(op, kms.ErrWrongKey, fmt.Errorf("the blob is of type %.64q", blob.Type))
	case blob.KeyID != w.keyID:
		return nil, w.failure(op, kms.ErrWrongKey, fmt.Errorf("the blob is of key %.200q", blob.KeyID))
	}
	version, _, ok := parseCiphertext(blob.Ciphertext)
	if !ok {
		return nil, w.failure(op, kms.ErrCorrupt, errors.New("the blob holds no ciphertext of transit"))
	}
	if version != blob.Version {
		return nil, w.failure(op, kms.ErrCorrupt, fmt.Errorf("the blob is of version %.64q, its ciphertext of version %s", blob.Version, version))
	}
	body := append(make([]byte, 0, 1024), `{"ciphertext":"`...)
	body = append(body, blob.Ciphertext...) // of base64 and ":", which need no escape
	var answer struct {
		Data struct {
			Plaintext []byte `json:"plaintext"`
		} `json:"data"`
	}
	err := w.call(ctx, request{
		op: op, method: http.MethodPost, path: w.path("decrypt"), body: withBinding(body, b), into: &answer,
	})
	key := answer.Data.Plaintext
	if err != nil {
		clear(key)
		return nil, err
	}
	if !isKeySize(len(key)) {
		clear(key)
		return nil, w.failure(op, kms.ErrCorrupt, fmt.Errorf("the answer has %d bytes, which no key has", len(key)))
	}
	return key, nil
}

// Probe implements [kms.Prober]. A version below min_decryption_version, which
// older blobs may need, does not make the key disabled.
func (w *Wrapper) Probe(ctx context.Context) (kms.Health, error) {
	const op = "probe"
	var answer struct {
		Data struct {
			Type          string `json:"type"`
			LatestVersion int    `json:"latest_version"`
			Encrypts      bool   `json:"supports_encryption"`
			Decrypts      bool   `json:"supports_decryption"`
			Derived       bool   `json:"derived"`
			SoftDeleted   bool   `json:"soft_deleted"`
		} `json:"data"`
	}
	err := w.call(ctx, request{op: op, method: http.MethodGet, path: w.path("keys"), into: &answer})
	if err != nil {
		return kms.Health{}, err
	}
	a := &answer.Data
	version := strconv.Itoa(a.LatestVersion)
	switch a.Type {
	case "aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305":
	default:
		return kms.Health{}, w.failure(op, kms.ErrMisconfigured, fmt.Errorf("the key's type %.64q takes no associated data: use aes256-gcm96", a.Type))
	}
	switch {
	case a.Derived:
		return kms.Health{}, w.failure(op, kms.ErrMisconfigured, errors.New("the key is derived: use one that is not"))
	case !isVersion(version):
		return kms.Health{}, w.failure(op, kms.ErrUnavailable, errors.New("the answer describes no key"))
	}
	return kms.Health{KeyID: w.keyID, Version: version, Enabled: a.Encrypts && a.Decrypts && !a.SoftDeleted}, nil
}

// Authenticates implements [kms.Authenticator]: only who may use the key can
// make a blob of it. The namespace, the mount and the key are the configured
// ones; a blob chooses no more than the version.
func (w *Wrapper) Authenticates(blob *kms.Blob) bool {
	return blob != nil && blob.Type == Type && blob.KeyID == w.keyID
}

// path returns the API's path of an operation on the key.
func (w *Wrapper) path(operation string) string {
	return w.cfg.MountPath + "/" + operation + "/" + w.cfg.KeyName
}

// withBinding ends a request's body that is open in a string.
func withBinding(body []byte, b kms.Binding) []byte {
	body = append(body, `","associated_data":"`...)
	body = base64.StdEncoding.AppendEncode(body, b.Bytes())
	return append(body, `"}`...)
}

func isKeySize(n int) bool { return n >= 16 && n <= kms.MaxKeySize && n%8 == 0 }

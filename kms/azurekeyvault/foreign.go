package azurekeyvault

import (
	"bytes"
	"context"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/sealwright/sealwright/kms"
)

// UnwrapForeign implements [kms.Foreign] with the version of the key that name
// is, or the newest where it is "". Of the algorithms only RSA-OAEP-256 and A256KW
// can be of others: what A256GCM made needs more than its ciphertext.
func (w *Wrapper) UnwrapForeign(ctx context.Context, ciphertext []byte, name string) ([]byte, error) {
	const op = "unwrap"
	version := name[strings.LastIndexByte(name, '/')+1:] // of a whole identifier, too
	s := sealed{algorithm: w.algorithm, value: bytes.Clone(ciphertext)}
	switch {
	case w.algorithm == A256GCM:
		return nil, w.refuse(op, kms.ErrMisconfigured, "%s opens nothing of others: configure the algorithm that they used", A256GCM)
	case version != "" && !validVersion(version):
		return nil, w.refuse(op, kms.ErrCorrupt, "the version %.100q cannot be one", version)
	}
	if err := s.check(); err != nil {
		return nil, w.refuse(op, kms.ErrCorrupt, "%w", err)
	}
	out, err := call(ctx, w, op, version, func(ctx context.Context) (azkeys.KeyOperationResult, error) {
		p := azkeys.KeyOperationParameters{Algorithm: native(s.algorithm), Value: s.value}
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
	case version != "" && !strings.EqualFold(answered, version):
		err = w.refuse(op, kms.ErrWrongKey, "the version %s answered, and %s was asked", answered, version)
	case len(out.Result) == 0 || len(out.Result) > kms.MaxKeySize:
		err = w.refuse(op, kms.ErrCorrupt, "the vault returned %d bytes, which are no key", len(out.Result))
	}
	if err != nil {
		clear(out.Result)
		return nil, err
	}
	return out.Result, nil
}

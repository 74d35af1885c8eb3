package gcpckms

import (
	"context"

	"cloud.google.com/go/kms/apiv1/kmspb"

	"github.com/sealwright/sealwright/kms"
)

// UnwrapForeign implements [kms.Foreign]: it asks the configured key for what a
// ciphertext without associated data holds. The KMS finds the version by itself.
func (w *Wrapper) UnwrapForeign(ctx context.Context, ciphertext []byte, _ string) ([]byte, error) {
	if len(ciphertext) == 0 || len(ciphertext) > maxCiphertext {
		return nil, w.fail("unwrap", kms.ErrCorrupt, "the ciphertext is empty, or too long")
	}
	answer, err := ask(ctx, w, "unwrap", w.client.Decrypt, &kmspb.DecryptRequest{
		Name: w.keyID, Ciphertext: ciphertext, CiphertextCrc32C: checksum(ciphertext),
	})
	if err != nil {
		return nil, err
	}
	return w.plaintext(answer)
}

package awskms

import (
	"context"
	"fmt"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/sealwright/sealwright/kms"
)

// UnwrapForeign implements [kms.Foreign]: it asks the configured key for what a
// CiphertextBlob without an encryption context holds, whatever its name is.
func (w *Wrapper) UnwrapForeign(ctx context.Context, ciphertext []byte, _ string) ([]byte, error) {
	const op = "unwrap"
	if n := len(ciphertext); n == 0 || n > maxCiphertext {
		return nil, w.refuse(op, w.key.name, kms.ErrCorrupt, fmt.Errorf("the ciphertext has %d bytes", n))
	}
	s, err := w.session(op)
	if err != nil {
		return nil, err
	}
	ctx, cancel := w.deadline(ctx)
	defer cancel()
	out, err := s.client.Decrypt(ctx, &awskms.DecryptInput{
		KeyId:               &w.key.name,
		CiphertextBlob:      ciphertext,
		EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
	})
	if err != nil {
		return nil, w.fail(ctx, s, op, w.key.name, err)
	}
	if arn, err := w.answered(s, out.KeyId); err != nil {
		clear(out.Plaintext)
		return nil, w.refuse(op, w.key.name, kms.ErrWrongKey, err)
	} else if err := w.opened(out, arn, ""); err != nil {
		clear(out.Plaintext)
		return nil, err
	}
	return out.Plaintext, nil
}

package awskms

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/sealwright/sealwright/kms"
)

// maxCiphertext is the most that KMS takes as a CiphertextBlob.
const maxCiphertext = 6144

// A Wrapper is one key of AWS KMS. It is a [kms.Wrapper], a [kms.Prober] and a
// [kms.Authenticator].
type Wrapper struct {
	key     keyName
	timeout time.Duration
	source  *source
}

// Format writes which key it is, for every verb: the credentials are within.
func (w *Wrapper) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "awskms key %q", w.key.name) }

// Wrap encrypts key with the KMS key, and with the binding as the encryption
// context. The blob names the ARN of the key that answered.
func (w *Wrapper) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	if n := len(key); n < 16 || n > kms.MaxKeySize || n%8 != 0 {
		return nil, w.refuse("wrap", w.key.name, kms.ErrMisconfigured,
			fmt.Errorf("a key of %d bytes: it must be a multiple of 8, from 16 to %d", n, kms.MaxKeySize))
	}
	ctx, cancel := w.deadline(ctx)
	defer cancel()
	s, err := w.session("wrap")
	if err != nil {
		return nil, err
	}
	out, err := s.client.Encrypt(ctx, &awskms.EncryptInput{
		KeyId:               &w.key.name,
		Plaintext:           key,
		EncryptionContext:   b.Map(),
		EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
	})
	if err != nil {
		return nil, w.fail(ctx, s, "wrap", w.key.name, err)
	}
	arn, err := w.answered(s, out.KeyId)
	if err != nil {
		return nil, w.refuse("wrap", w.key.name, kms.ErrWrongKey, err)
	}
	if n := len(out.CiphertextBlob); n == 0 || n > maxCiphertext {
		return nil, w.refuse("wrap", arn, kms.ErrCorrupt, fmt.Errorf("KMS returned a ciphertext of %d bytes", n))
	}
	return &kms.Blob{Type: Type, KeyID: arn, Ciphertext: out.CiphertextBlob}, nil
}

// Unwrap asks the key that the blob names, and no other, for the key in the
// blob, which the caller owns and wipes.
func (w *Wrapper) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	if blob == nil {
		return nil, w.refuse("unwrap", w.key.name, kms.ErrCorrupt, errors.New("there is no blob"))
	}
	if blob.Type != Type {
		return nil, w.refuse("unwrap", w.key.name, kms.ErrWrongKey, fmt.Errorf("the blob is of the type %q", blob.Type))
	}
	s, err := w.session("unwrap")
	if err != nil {
		return nil, err
	}
	arn, err := w.key.in(s.region, blob.KeyID)
	if err != nil {
		return nil, w.refuse("unwrap", w.key.name, kms.ErrWrongKey, fmt.Errorf("the blob's key %w", err))
	}
	if n := len(blob.Ciphertext); n == 0 || n > maxCiphertext {
		return nil, w.refuse("unwrap", arn, kms.ErrCorrupt, fmt.Errorf("the blob has a ciphertext of %d bytes", n))
	}
	ctx, cancel := w.deadline(ctx)
	defer cancel()
	out, err := s.client.Decrypt(ctx, &awskms.DecryptInput{
		KeyId:               aws.String(w.key.asks(arn)),
		CiphertextBlob:      blob.Ciphertext,
		EncryptionContext:   b.Map(),
		EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
	})
	if err != nil {
		return nil, w.fail(ctx, s, "unwrap", arn, err)
	}
	if err := w.opened(out, arn, blob.Version); err != nil {
		clear(out.Plaintext)
		return nil, err
	}
	return out.Plaintext, nil
}

// opened checks that the key and the material that were asked have answered,
// with what can be a key.
func (w *Wrapper) opened(out *awskms.DecryptOutput, arn, version string) error {
	if got := aws.ToString(out.KeyId); got != arn {
		return w.refuse("unwrap", arn, kms.ErrWrongKey, fmt.Errorf("the key %q answered", got))
	}
	if got := aws.ToString(out.KeyMaterialId); version != "" && got != version {
		return w.refuse("unwrap", arn, kms.ErrWrongKey, fmt.Errorf("the key material %q answered, not the blob's %q", got, version))
	}
	if n := len(out.Plaintext); n == 0 || n > kms.MaxKeySize {
		return w.refuse("unwrap", arn, kms.ErrCorrupt, fmt.Errorf("KMS returned a key of %d bytes", n))
	}
	return nil
}

// Probe asks KMS for the key's state, which needs kms:DescribeKey. Of an alias
// it is the key that the alias names now.
func (w *Wrapper) Probe(ctx context.Context) (kms.Health, error) {
	ctx, cancel := w.deadline(ctx)
	defer cancel()
	s, err := w.session("probe")
	if err != nil {
		return kms.Health{}, err
	}
	out, err := s.client.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &w.key.name})
	if err != nil {
		return kms.Health{}, w.fail(ctx, s, "probe", w.key.name, err)
	}
	m := out.KeyMetadata
	if m == nil {
		m = new(types.KeyMetadata)
	}
	arn, err := w.answered(s, m.Arn)
	if err != nil {
		return kms.Health{}, w.refuse("probe", w.key.name, kms.ErrWrongKey, err)
	}
	if m.KeyUsage != types.KeyUsageTypeEncryptDecrypt || m.KeySpec != types.KeySpecSymmetricDefault {
		return kms.Health{}, w.refuse("probe", arn, kms.ErrMisconfigured,
			fmt.Errorf("the key has the usage %.60s and the spec %.60s: it must have ENCRYPT_DECRYPT and SYMMETRIC_DEFAULT", m.KeyUsage, m.KeySpec))
	}
	return kms.Health{
		KeyID:   arn,
		Version: aws.ToString(m.CurrentKeyMaterialId),
		// A multi-Region key works while its primary region is being changed.
		Enabled:  m.KeyState == types.KeyStateEnabled || m.KeyState == types.KeyStateUpdating,
		Deletion: aws.ToTime(m.DeletionDate),
		Expires:  expiry(m),
	}, nil
}

// expiry returns when imported key material expires; nothing else does.
func expiry(m *types.KeyMetadata) time.Time {
	if m.ExpirationModel == types.ExpirationModelTypeKeyMaterialDoesNotExpire {
		return time.Time{}
	}
	return aws.ToTime(m.ValidTo)
}

// session returns what to make a call with.
func (w *Wrapper) session(op string) (*session, error) {
	s, err := w.source.session()
	if err != nil {
		return nil, w.refuse(op, w.key.name, kms.ErrMisconfigured, err)
	}
	return s, nil
}

// Authenticates returns true of the blobs of the key that KeyID names by its ARN
// or its id: only who may use a symmetric key encrypts with it, and KMS
// authenticates the binding too. By an alias it returns false of every blob: the
// blob says which key to ask, and its author may have one of his own that this
// identity may decrypt with.
func (w *Wrapper) Authenticates(blob *kms.Blob) bool {
	if blob == nil || blob.Type != Type || w.key.id == "" {
		return false
	}
	region := w.key.arn.Region
	if s := w.source.known(); s != nil {
		region = s.region
	}
	_, err := w.key.in(region, blob.KeyID)
	return err == nil
}

// answered returns the ARN of the key that answered, if the configured name can
// stand for it.
func (w *Wrapper) answered(s *session, arn *string) (string, error) {
	got := aws.ToString(arn)
	if want, err := w.key.in(s.region, got); err != nil || want != got {
		return "", fmt.Errorf("the key %q answered", got)
	}
	return got, nil
}

// deadline gives a call one if it has none.
func (w *Wrapper) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, w.timeout)
}

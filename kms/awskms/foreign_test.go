package awskms_test

import (
	"bytes"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
)

var _ kms.Foreign = (*awskms.Wrapper)(nil)

// TestForeignCiphertext: what another program encrypted with the key, without an
// encryption context, opens by the key alone, and by no other one.
func TestForeignCiphertext(t *testing.T) {
	s := start(t)
	key := s.CreateKey()
	theirs := sdk.New(sdk.Options{
		Region: "eu-west-1", BaseEndpoint: &s.URL, HTTPClient: s.Client(),
		Credentials: credentials.NewStaticCredentialsProvider(awskmstest.AccessKeyID, awskmstest.SecretAccessKey, ""),
	})
	out, err := theirs.Encrypt(t.Context(), &sdk.EncryptInput{KeyId: aws.String(key), Plaintext: secretKey})
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, with(s, key))
	got, err := w.UnwrapForeign(t.Context(), out.CiphertextBlob, key)
	if err != nil || !bytes.Equal(got, secretKey) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	_, err = open(t, with(s, s.CreateKey())).UnwrapForeign(t.Context(), out.CiphertextBlob, key)
	refused(t, err, kms.ErrWrongKey)
	_, err = w.UnwrapForeign(t.Context(), nil, "")
	refused(t, err, kms.ErrCorrupt, "0 bytes")
	_, err = w.UnwrapForeign(t.Context(), wrap(t, w).Ciphertext, "") // which is bound
	refused(t, err, kms.ErrCorrupt)
	s.Inject(awskmstest.Fault{Lie: awskmstest.WrongKeyID})
	_, err = w.UnwrapForeign(t.Context(), out.CiphertextBlob, "")
	refused(t, err, kms.ErrWrongKey, "answered")
}

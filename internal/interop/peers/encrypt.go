package main

import (
	"context"
	"crypto/rand"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
	"github.com/hashicorp/go-kms-wrapping/v2/aead"
	"gocloud.dev/secrets/localsecrets"

	"github.com/sealwright/sealwright/internal/measure"
)

// wrappingEncryption is the AEAD wrapper, AES-256-GCM with the key at hand. It
// allocates its output; there is no other way to call it. What a caller would
// still do to store its BlobInfo is not counted.
func wrappingEncryption() (measure.Encryption, error) {
	ctx, place := context.Background(), []byte(measure.Place)
	w := aead.NewWrapper()
	key := make([]byte, 32)
	rand.Read(key)
	if err := w.SetAesGcmKeyBytes(key); err != nil {
		return measure.Encryption{}, err
	}
	return measure.Encryption{
		Name: "wrapping",
		Encrypt: func(_, plaintext []byte) ([]byte, error) {
			blob, err := w.Encrypt(ctx, plaintext, wrapping.WithAad(place))
			return blob.GetCiphertext(), err
		},
		Decrypt: func(_, ciphertext []byte) ([]byte, error) {
			return w.Decrypt(ctx, &wrapping.BlobInfo{Ciphertext: ciphertext}, wrapping.WithAad(place))
		},
	}, nil
}

// gocloudEncryption is the keeper of local secrets: NaCl's secretbox under the
// traces and metrics of the Go Cloud Development Kit. It knows no associated data.
func gocloudEncryption() measure.Encryption {
	var key [32]byte
	rand.Read(key[:])
	ctx, keeper := context.Background(), localsecrets.NewKeeper(key)
	return measure.Encryption{
		Name:    "gocloud",
		Encrypt: func(_, plaintext []byte) ([]byte, error) { return keeper.Encrypt(ctx, plaintext) },
		Decrypt: func(_, ciphertext []byte) ([]byte, error) { return keeper.Decrypt(ctx, ciphertext) },
	}
}

package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"log"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"golang.org/x/crypto/nacl/secretbox"

	"github.com/sealwright/sealwright/internal/measure"
)

var place = []byte(measure.Place)

// encryptions are AES-256-GCM alone, and what else a server might take.
func encryptions() []measure.Encryption {
	return []measure.Encryption{
		rawEncryption(),
		tinkEncryption("tink", aead.AES256GCMKeyTemplate()),
		tinkEncryption("tink-xaes", aead.XAES256GCM192BitNonceKeyTemplate()),
		secretboxEncryption(),
	}
}

// rawEncryption is the floor: AES-256-GCM with its key expanded beforehand, and
// 12 bytes of crypto/rand for each message.
func rawEncryption() measure.Encryption {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		log.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		log.Fatal(err)
	}
	return measure.Encryption{
		Name:  "raw",
		Floor: true,
		Encrypt: func(dst, plaintext []byte) ([]byte, error) {
			nonce := dst[:gcm.NonceSize()]
			rand.Read(nonce)
			return gcm.Seal(nonce, nonce, plaintext, place), nil
		},
		Decrypt: func(dst, ciphertext []byte) ([]byte, error) {
			nonce, sealed := ciphertext[:gcm.NonceSize()], ciphertext[gcm.NonceSize():]
			return gcm.Open(dst, nonce, sealed, place)
		},
	}
}

// tinkEncryption is Tink's AEAD with a keyset of one key. It allocates its
// output; there is no other way to call it.
func tinkEncryption(name string, template *tinkpb.KeyTemplate) measure.Encryption {
	handle, err := keyset.NewHandle(template)
	if err != nil {
		log.Fatal(err)
	}
	a, err := aead.New(handle)
	if err != nil {
		log.Fatal(err)
	}
	return measure.Encryption{
		Name:    name,
		Encrypt: func(_, plaintext []byte) ([]byte, error) { return a.Encrypt(plaintext, place) },
		Decrypt: func(_, ciphertext []byte) ([]byte, error) { return a.Decrypt(ciphertext, place) },
	}
}

// secretboxEncryption is NaCl's secretbox, with a random nonce in front. It
// knows no associated data. It is what the local secrets of the Go Cloud
// Development Kit encrypt with, which stand in the module beside this one.
func secretboxEncryption() measure.Encryption {
	var key [32]byte
	rand.Read(key[:])
	return measure.Encryption{
		Name: "secretbox",
		Encrypt: func(dst, plaintext []byte) ([]byte, error) {
			var nonce [24]byte
			rand.Read(nonce[:])
			return secretbox.Seal(append(dst, nonce[:]...), plaintext, &nonce, &key), nil
		},
		Decrypt: func(dst, ciphertext []byte) ([]byte, error) {
			plaintext, ok := secretbox.Open(dst, ciphertext[24:], (*[24]byte)(ciphertext), &key)
			if !ok {
				return nil, errors.New("secretbox: does not open")
			}
			return plaintext, nil
		},
	}
}

package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
)

// An environment is what the server was configured with before: tokens were
// encrypted with AES-GCM, and sessions with AES-CFB.
type environment struct {
	tokenKey   string // TOKEN_KEY: 32 bytes in hex
	passphrase string // SESSION_SECRET: anything
}

func newEnvironment() environment {
	key := make([]byte, 32)
	rand.Read(key)
	return environment{hex.EncodeToString(key), rand.Text()}
}

// encryptToken returns what the old server stored: base64 of nonce, ciphertext
// and tag, bound to no row.
func (e environment) encryptToken(token string) (string, error) {
	key, err := hex.DecodeString(e.tokenKey)
	if err != nil {
		return "", err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "", err
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(gcm.Seal(nil, nil, []byte(token), nil)), nil
}

// encryptSession returns what the old server stored: IV and ciphertext, and
// nothing that tells whether somebody changed them.
func (e environment) encryptSession(session []byte) ([]byte, error) {
	key := sha256.Sum256([]byte(e.passphrase))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	out := make([]byte, aes.BlockSize+len(session))
	rand.Read(out[:aes.BlockSize])
	stream := make([]byte, aes.BlockSize)
	for i, b := range session {
		if i%aes.BlockSize == 0 {
			block.Encrypt(stream, out[i:])
		}
		out[aes.BlockSize+i] = b ^ stream[i%aes.BlockSize]
	}
	return out, nil
}

// tokens reads tokens of before and after. The sample, made by the old code,
// shows that they read as the server means them.
func (e environment) tokens(kr *keyring.Keyring) (*migrate.Legacy, error) {
	stored, err := e.encryptToken("a token")
	if err != nil {
		return nil, err
	}
	return migrate.NewLegacy(kr, []byte(e.tokenKey), migrate.LegacyConfig{
		Cipher:   migrate.AESGCM,
		KeyForm:  migrate.HexKey,
		Encoding: migrate.Base64,
		Sample:   &migrate.LegacySample{Stored: []byte(stored), Plaintext: []byte("a token")},
	})
}

// sessions reads sessions of before and after.
func (e environment) sessions(kr *keyring.Keyring) (*migrate.Legacy, error) {
	stored, err := e.encryptSession([]byte("{}"))
	if err != nil {
		return nil, err
	}
	return migrate.NewLegacy(kr, []byte(e.passphrase), migrate.LegacyConfig{
		Cipher:  migrate.AESCFB,
		KeyForm: migrate.SHA256Key,
		Valid:   json.Valid,
		Sample:  &migrate.LegacySample{Stored: stored, Plaintext: []byte("{}")},
	})
}

package migrate

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/fips140"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// newDecoder returns what decodes and decrypts a legacy value to a slice of
// its own. Whatever is wrong with a value is ErrLegacy, and nothing more.
func newDecoder(key []byte, cfg LegacyConfig) (func(stored, aad []byte) ([]byte, error), error) {
	if cfg.Encoding < Binary || cfg.Encoding > Base64 {
		return nil, fmt.Errorf("no Encoding has the number %d", cfg.Encoding)
	}
	if cfg.AAD != nil && cfg.Cipher != AESGCM {
		return nil, errors.New("only AESGCM has associated data")
	}
	if cfg.Valid == nil && cfg.Cipher != AESGCM {
		return nil, errors.New("AESCBC and AESCFB authenticate nothing: set Valid")
	}
	decrypt, err := newDecrypter(key, cfg)
	if err != nil {
		return nil, err
	}
	return func(stored, aad []byte) ([]byte, error) {
		raw, ok := decodeText(stored, cfg.Encoding)
		if !ok {
			return nil, ErrLegacy
		}
		if cfg.AAD != nil {
			aad = cfg.AAD(aad)
		} else {
			aad = nil
		}
		plaintext, ok := decrypt(raw, aad)
		if !ok {
			return nil, ErrLegacy
		}
		if cfg.Valid != nil && !cfg.Valid(plaintext) {
			clear(plaintext)
			return nil, ErrLegacy
		}
		return plaintext, nil
	}, nil
}

func newDecrypter(key []byte, cfg LegacyConfig) (func(raw, aad []byte) ([]byte, bool), error) {
	key, err := parseKey(key, cfg.KeyForm)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("the key has %d bytes in its KeyForm: AES takes 16, 24 or 32", len(key))
	}
	switch cfg.Cipher {
	case AESGCM:
		return newOpenGCM(block)
	case AESCBC:
		return func(raw, _ []byte) ([]byte, bool) { return openCBC(block, raw) }, nil
	case AESCFB:
		return func(raw, _ []byte) ([]byte, bool) { return openCFB(block, raw) }, nil
	}
	return nil, errors.New("the field Cipher is AESGCM, AESCBC or AESCFB")
}

// parseKey returns a copy of the key, which the caller clears.
func parseKey(key []byte, form KeyForm) ([]byte, error) {
	switch form {
	case RawKey:
		return bytes.Clone(key), nil
	case HexKey:
		if raw, ok := decodeText(key, Hex); ok {
			return raw, nil
		}
		return nil, errors.New("the key is not hex")
	case Base64Key:
		if raw, ok := decodeText(key, Base64); ok {
			return raw, nil
		}
		return nil, errors.New("the key is not base64")
	case SHA256Key:
		if len(key) == 0 {
			return nil, errors.New("the passphrase is empty")
		}
		sum := sha256.Sum256(key)
		return sum[:], nil
	}
	return nil, fmt.Errorf("no KeyForm has the number %d", form)
}

var anyBase64 = strings.NewReplacer("-", "+", "_", "/")

func decodeText(stored []byte, e Encoding) ([]byte, bool) {
	switch e {
	case Hex:
		raw, err := hex.DecodeString(string(bytes.TrimSpace(stored)))
		return raw, err == nil
	case Base64:
		text := strings.TrimRight(string(bytes.TrimSpace(stored)), "=")
		raw, err := base64.RawStdEncoding.DecodeString(anyBase64.Replace(text))
		return raw, err == nil
	}
	return stored, true
}

// newOpenGCM goes through the door of the standard library that the build
// leaves open: under GODEBUG=fips140=only there is no NewGCM. Both take the
// nonce from in front of the ciphertext here.
func newOpenGCM(block cipher.Block) (func(raw, aad []byte) ([]byte, bool), error) {
	if fips140.Enabled() {
		gcm, err := cipher.NewGCMWithRandomNonce(block)
		return func(raw, aad []byte) ([]byte, bool) {
			plaintext, err := gcm.Open(nil, nil, raw, aad)
			return plaintext, err == nil
		}, err
	}
	gcm, err := cipher.NewGCM(block)
	return func(raw, aad []byte) ([]byte, bool) {
		n := gcm.NonceSize()
		if len(raw) < n {
			return nil, false
		}
		plaintext, err := gcm.Open(nil, raw[:n], raw[n:], aad)
		return plaintext, err == nil
	}, err
}

// openCBC undoes CBC (NIST SP 800-38A) and the padding of PKCS #7 (RFC 5652,
// section 6.3), the latter without telling by its time what was wrong with it.
func openCBC(block cipher.Block, raw []byte) ([]byte, bool) {
	const size = aes.BlockSize
	if len(raw) < 2*size || len(raw)%size != 0 {
		return nil, false
	}
	out := make([]byte, len(raw)-size)
	cipher.NewCBCDecrypter(block, raw[:size]).CryptBlocks(out, raw[size:])
	pad := int(out[len(out)-1])
	good := subtle.ConstantTimeLessOrEq(1, pad) & subtle.ConstantTimeLessOrEq(pad, size)
	for i := 1; i <= size; i++ {
		padding := subtle.ConstantTimeLessOrEq(i, pad)
		right := subtle.ConstantTimeByteEq(out[len(out)-i], byte(pad))
		good &= subtle.ConstantTimeSelect(padding, right, 1)
	}
	if good != 1 {
		clear(out)
		return nil, false
	}
	return out[:len(out)-pad], true
}

// openCFB undoes full-block CFB (NIST SP 800-38A, section 6.3). The standard
// library's is deprecated, and panics under GODEBUG=fips140=only.
func openCFB(block cipher.Block, raw []byte) ([]byte, bool) {
	const size = aes.BlockSize
	if len(raw) < size {
		return nil, false
	}
	out := make([]byte, len(raw)-size)
	var stream [size]byte
	for i := 0; i < len(out); i += size {
		block.Encrypt(stream[:], raw[i:i+size])
		subtle.XORBytes(out[i:], raw[i+size:], stream[:])
	}
	clear(stream[:])
	return out, true
}

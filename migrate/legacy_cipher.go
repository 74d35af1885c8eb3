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

	"github.com/sealwright/sealwright/internal/prefix"
	"github.com/sealwright/sealwright/keyring"
)

// newDecoder returns what decodes and decrypts a legacy value to a slice of
// its own. Whatever is wrong with a value is ErrLegacy, and nothing more.
func newDecoder(key []byte, cfg LegacyConfig) (func(stored, aad []byte) ([]byte, error), error) {
	if err := checkLegacy(key, cfg); err != nil {
		return nil, err
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
		plaintext, ok := decrypt(raw, aad)
		if ok && cfg.Inner != Binary {
			outer := plaintext
			plaintext, ok = decodeText(outer, cfg.Inner)
			clear(outer)
		}
		if !ok || cfg.Valid != nil && !cfg.Valid(plaintext) {
			clear(plaintext)
			return nil, ErrLegacy
		}
		return plaintext, nil
	}, nil
}

// checkLegacy refuses what makes no legacy format, the most basic first.
func checkLegacy(key []byte, cfg LegacyConfig) error {
	function := cfg.Decrypt != nil
	switch {
	case !function && (cfg.Cipher < AESGCM || cfg.Cipher > Clear):
		return errors.New("the field Cipher is AESGCM, AESCBC, AESCFB or Clear, or Decrypt is set")
	case function && cfg.Cipher != 0:
		return errors.New("Cipher and Decrypt are both set: which is it?")
	case (function || cfg.Cipher == Clear) && len(key) > 0:
		return errors.New("Clear and Decrypt take no key here: give nil")
	case cfg.Encoding < Binary || cfg.Encoding > Text:
		return fmt.Errorf("no Encoding has the number %d", cfg.Encoding)
	case cfg.Inner < Binary || cfg.Inner > Base64:
		return fmt.Errorf("Inner has the number %d: it is Hex or Base64, or zero", cfg.Inner)
	case cfg.AAD != nil && cfg.Cipher != AESGCM:
		return errors.New("only AESGCM has associated data")
	case cfg.Valid == nil && !function && cfg.Cipher != AESGCM:
		return errors.New("AESCBC, AESCFB and Clear authenticate nothing: set Valid")
	}
	return nil
}

// checkSample reads the sample, and says what may be wrong where that gives
// something else.
func checkSample(kr *keyring.Keyring, decode func(stored, aad []byte) ([]byte, error), sample *LegacySample) error {
	if prefix.Ours(kr, sample.Stored) {
		return errors.New("the sample begins as the keyring's values do: give one that the old code stored")
	}
	got, err := decode(bytes.Clone(sample.Stored), sample.AAD)
	if err != nil {
		return fmt.Errorf("the sample does not read: %w", err)
	}
	defer clear(got)
	if bytes.Equal(got, sample.Plaintext) {
		return nil
	}
	for name, inner := range map[string]Encoding{"Hex": Hex, "Base64": Base64} {
		if raw, ok := decodeText(got, inner); ok && len(raw) > 0 && bytes.Equal(raw, sample.Plaintext) {
			clear(raw)
			return fmt.Errorf("the sample reads as an encoding of its plaintext: set Inner to %s", name)
		}
	}
	return errors.New("the sample reads as another plaintext than the one given")
}

func newDecrypter(key []byte, cfg LegacyConfig) (func(raw, aad []byte) ([]byte, bool), error) {
	if cfg.Decrypt != nil {
		return func(raw, aad []byte) ([]byte, bool) {
			// With copies: what the host's code does to its arguments is its own affair.
			plaintext, err := cfg.Decrypt(bytes.Clone(raw), bytes.Clone(aad))
			return bytes.Clone(plaintext), err == nil
		}, nil
	}
	if cfg.Cipher == Clear {
		return func(raw, _ []byte) ([]byte, bool) { return bytes.Clone(raw), true }, nil
	}
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
	case AESCBC:
		return func(raw, _ []byte) ([]byte, bool) { return openCBC(block, raw) }, nil
	case AESCFB:
		return func(raw, _ []byte) ([]byte, bool) { return openCFB(block, raw) }, nil
	}
	open, err := newOpenGCM(block)
	return func(raw, aad []byte) ([]byte, bool) {
		if cfg.AAD == nil {
			return open(raw, nil)
		}
		return open(raw, cfg.AAD(aad))
	}, err
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

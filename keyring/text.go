package keyring

import (
	"encoding/base64"
	"strings"
)

// textPrefix stands before a ciphertext as text.
const textPrefix = "sw1."

// strict refuses a second spelling of the same bytes.
var strict = base64.RawURLEncoding.Strict()

// EncryptString encrypts for a text column: the ciphertext in unpadded
// base64url behind "sw1.". See [Keyring.Encrypt].
func (k *Keyring) EncryptString(plaintext string, aad []byte) (string, error) {
	dst := make([]byte, len(plaintext)+Overhead)
	body := dst[bodyAt:][:len(plaintext)]
	copy(body, plaintext)
	ciphertext, err := k.encrypt("encrypt", dst[:0], body, aad)
	if err != nil {
		clear(body)
		return "", err
	}
	return textOf(ciphertext), nil
}

// DecryptString decrypts what [Keyring.EncryptString] returned. Text without
// its prefix is [ErrFormat], which tells a value that was never encrypted. See
// [Keyring.Decrypt].
func (k *Keyring) DecryptString(text string, aad []byte) (string, error) {
	ciphertext, err := parseText(text)
	if err != nil {
		return "", &Error{Op: "decrypt", Err: err}
	}
	plaintext, err := k.decrypt("decrypt", inPlace(ciphertext), ciphertext, aad)
	if err != nil {
		return "", err
	}
	defer clear(plaintext)
	return string(plaintext), nil
}

// RewrapString is [Keyring.Rewrap] for what [Keyring.EncryptString] returned.
func (k *Keyring) RewrapString(text string, aad []byte) (out string, changed bool, err error) {
	ciphertext, err := parseText(text)
	if err != nil {
		return "", false, &Error{Op: "rewrap", Err: err}
	}
	ciphertext, changed, err = k.Rewrap(ciphertext[:0], ciphertext, aad)
	if err != nil {
		return "", false, err
	}
	return textOf(ciphertext), changed, nil
}

// TermOfString is [TermOf] for what [Keyring.EncryptString] returned.
func TermOfString(text string) (uint32, error) {
	ciphertext, err := parseText(text)
	if err != nil {
		return 0, &Error{Op: "read the term", Err: err}
	}
	return TermOf(ciphertext)
}

func textOf(ciphertext []byte) string {
	out := make([]byte, 0, len(textPrefix)+strict.EncodedLen(len(ciphertext)))
	return string(strict.AppendEncode(append(out, textPrefix...), ciphertext))
}

func parseText(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, textPrefix)
	if !ok {
		return nil, ErrFormat
	}
	if strings.ContainsAny(encoded, "\r\n") { // which the decoder would skip
		return nil, ErrCorrupt
	}
	ciphertext, err := strict.DecodeString(encoded)
	if err != nil {
		return nil, ErrCorrupt
	}
	return ciphertext, nil
}

// inPlace returns the dst for which a ciphertext is decrypted where it lies.
func inPlace(ciphertext []byte) []byte {
	at := min(bodyAt, len(ciphertext))
	return ciphertext[at:at]
}

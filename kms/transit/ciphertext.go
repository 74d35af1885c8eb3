package transit

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/kms"
)

// The engine's ciphertext is text:
//
//	vault:v<version>:<base64 of nonce (12 or 24) ‖ ciphertext ‖ tag (16)>
const (
	prefix      = "vault:v"
	maxVersion  = 1 << 31
	maxOverhead = 24 + 16 // of xchacha20-poly1305
	minOverhead = 12 + 16 // of the others
	maxText     = len(prefix) + 11 + (maxOverhead+kms.MaxKeySize+2)/3*4
)

// parseCiphertext returns the version in a ciphertext and the length of what it
// holds. It takes only what the engine writes, to the last bit: the engine's own
// reading of base64 lets some changes pass.
func parseCiphertext(text []byte) (version string, size int, ok bool) {
	if len(text) > maxText {
		return "", 0, false
	}
	rest, ok := bytes.CutPrefix(text, []byte(prefix))
	if !ok {
		return "", 0, false
	}
	number, payload, ok := bytes.Cut(rest, []byte(":"))
	version = string(number)
	if !ok || !isVersion(version) {
		return "", 0, false
	}
	sealed, err := base64.StdEncoding.Strict().DecodeString(string(payload))
	if err != nil || strings.ContainsAny(string(payload), "\r\n") { // which Strict skips
		return "", 0, false
	}
	return version, len(sealed), true
}

// isVersion reports whether s is a number from 1 in its only form.
func isVersion(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n >= 1 && n < maxVersion && strconv.Itoa(n) == s
}

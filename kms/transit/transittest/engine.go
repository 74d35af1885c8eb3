package transittest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/kms/internal/siv"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// material returns the bytes of one version. They are no secret.
func material(name string, life, version int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "sealwright/transittest/%s/%d/%d", name, life, version))
	return sum[:]
}

// serve does what a request asks for.
func (s *Server) serve(op, name string, r *http.Request, body []byte, f kmstest.Failure) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed {
		return refuse(http.StatusServiceUnavailable, "Vault is sealed")
	}
	if _, ok := s.authenticate(r); !ok {
		return s.invalidToken()
	}
	k := s.keys[name]
	switch {
	case k == nil && op == kmstest.OpWrap: // it would be made, which the token may not
		return refuse(http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	case k == nil && op == kmstest.OpProbe:
		return refuse(http.StatusNotFound)
	case k == nil:
		return refuse(http.StatusBadRequest, "encryption key not found")
	case op == kmstest.OpProbe:
		return k.describe(name)
	case k.softDeleted:
		return refuse(http.StatusBadRequest, "refusing to use soft-deleted key")
	}
	var in struct {
		Plaintext  []byte `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
		Data       []byte `json:"associated_data"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return refuse(http.StatusBadRequest, "failed to parse JSON input")
	}
	if op == kmstest.OpWrap {
		return s.encrypt(k, in.Plaintext, in.Data, f)
	}
	return s.decrypt(k, in.Ciphertext, in.Data, f)
}

func (k *key) describe(name string) answer {
	versions := make(map[string]int64)
	for v := k.minDecrypt; v <= len(k.versions); v++ {
		versions[strconv.Itoa(v)] = 1700000000
	}
	return answer{status: http.StatusOK, data: map[string]any{
		"name": name, "type": "aes256-gcm96", "keys": versions, "latest_version": len(k.versions),
		"min_available_version": 0, "min_decryption_version": k.minDecrypt, "min_encryption_version": 0,
		"derived": false, "exportable": false, "deletion_allowed": false, "imported_key": false, "soft_deleted": k.softDeleted,
		"supports_encryption": true, "supports_decryption": true, "supports_signing": false, "supports_derivation": true,
	}}
}

// encrypt answers a request to wrap. The caller holds the lock.
func (s *Server) encrypt(k *key, plaintext, aad []byte, f kmstest.Failure) answer {
	version := len(k.versions)
	sealed := siv.Seal(lives(k.versions[version-1], f), s.lie(f, plaintext), aad)
	s.remember(plaintext)
	if f == kmstest.WrongKeyID {
		version++
	}
	return answer{status: http.StatusOK, data: map[string]any{
		"ciphertext":  fmt.Sprintf("vault:v%d:%s", len(k.versions), base64.StdEncoding.EncodeToString(damage(f, sealed))),
		"key_version": version,
	}}
}

// decrypt answers a request to unwrap. The caller holds the lock.
func (s *Server) decrypt(k *key, text string, aad []byte, f kmstest.Failure) answer {
	rest, ok := strings.CutPrefix(text, "vault:v")
	if !ok {
		return refuse(http.StatusBadRequest, "invalid ciphertext: no prefix")
	}
	number, payload, ok := strings.Cut(rest, ":")
	if !ok {
		return refuse(http.StatusBadRequest, "invalid ciphertext: wrong number of fields")
	}
	version, err := strconv.Atoi(number)
	if err != nil || version < 0 {
		return refuse(http.StatusBadRequest, "invalid ciphertext: version number could not be decoded")
	}
	version = max(version, 1)
	switch {
	case version > len(k.versions):
		return refuse(http.StatusBadRequest, "invalid ciphertext: version is too new")
	case version < k.minDecrypt:
		return refuse(http.StatusBadRequest, "ciphertext or signature version is disallowed by policy (too old)")
	}
	sealed, err := base64.StdEncoding.DecodeString(payload)
	if err != nil {
		return refuse(http.StatusBadRequest, "invalid ciphertext: could not decode base64")
	}
	plaintext, ok := siv.Open(lives(k.versions[version-1], f), damage(f, sealed), aad)
	if !ok {
		return refuse(http.StatusBadRequest, "cipher: message authentication failed")
	}
	return answer{status: http.StatusOK, data: map[string]any{
		"plaintext": base64.StdEncoding.EncodeToString(s.lie(f, plaintext)),
	}}
}

// lives returns the key to use, which is that of another life if a failure says
// so.
func lives(key []byte, f kmstest.Failure) []byte {
	if f == kmstest.Recreated || f == kmstest.AliasMoved {
		other := sha256.Sum256(key)
		return other[:]
	}
	return key
}

// remember keeps plaintext for a later OtherPlaintext. The caller holds the
// lock.
func (s *Server) remember(plaintext []byte) {
	s.seen = slices.DeleteFunc(s.seen, func(p []byte) bool { return bytes.Equal(p, plaintext) })
	s.seen = append(s.seen[max(0, len(s.seen)-1):], slices.Clone(plaintext))
}

// lie returns plaintext, or what a failure puts in its place. The caller holds
// the lock.
func (s *Server) lie(f kmstest.Failure, plaintext []byte) []byte {
	switch f {
	case kmstest.OtherPlaintext:
		for _, p := range slices.Backward(s.seen) {
			if !bytes.Equal(p, plaintext) {
				return p
			}
		}
		fallthrough // nothing else was encrypted
	case kmstest.WrongPlaintext:
		return bytes.Repeat([]byte{0xdb}, len(plaintext))
	}
	return plaintext
}

// damage returns a ciphertext as a failure leaves it.
func damage(f kmstest.Failure, sealed []byte) []byte {
	switch f {
	case kmstest.Truncated:
		return sealed[:max(0, len(sealed)-1)]
	case kmstest.Extended:
		return append(slices.Clone(sealed), 0)
	}
	return sealed
}

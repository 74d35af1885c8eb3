package awskmstest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// key is a KMS key: one material after another, of which the last encrypts.
type key struct {
	id        string
	state     string
	deletion  time.Time
	expires   time.Time
	materials int
}

func arn(region, id string) string {
	return "arn:aws:kms:" + region + ":" + AccountID + ":key/" + id
}

// CreateKey makes a key in [Region] and returns its ARN.
func (s *Server) CreateKey() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.create("00000000-0000-4000-8000-%012d")
}

// CreateMultiRegionKey makes a key that has a replica in every region, and
// returns the ARN of that in [Region].
func (s *Server) CreateMultiRegionKey() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.create("mrk-%032d")
}

func (s *Server) create(format string) string {
	id := fmt.Sprintf(format, len(s.keys)+1)
	s.keys[id] = &key{id: id, state: "Enabled", materials: 1}
	return arn(Region, id)
}

// Alias lets "alias/name" stand for the key with that ARN, or moves it there.
// It returns the alias's ARN.
func (s *Server) Alias(alias, keyARN string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aliases[alias] = keyID(keyARN)
	return "arn:aws:kms:" + Region + ":" + AccountID + ":" + alias
}

// SetState gives a key one of the states of KMS: "Enabled", "Disabled",
// "PendingDeletion", "PendingImport", "Unavailable", "Updating".
func (s *Server) SetState(keyARN, state string) {
	s.edit(keyARN, func(k *key) { k.state, k.deletion = state, time.Time{} })
}

// ScheduleDeletion makes a key wait for its deletion, which does not come by
// itself: DeleteKey does it.
func (s *Server) ScheduleDeletion(keyARN string, at time.Time) {
	s.edit(keyARN, func(k *key) { k.state, k.deletion = "PendingDeletion", at })
}

// Expire lets a key have imported material that expires then. From that time on
// the key waits for an import, in which it cannot be used.
func (s *Server) Expire(keyARN string, at time.Time) {
	s.edit(keyARN, func(k *key) { k.expires = at })
}

// RotateKey gives a key new material. What the old one encrypted still opens.
func (s *Server) RotateKey(keyARN string) {
	s.edit(keyARN, func(k *key) { k.materials++ })
}

// DeleteKey deletes a key for good.
func (s *Server) DeleteKey(keyARN string) {
	s.edit(keyARN, func(k *key) { delete(s.keys, k.id) })
}

// OmitKeyMaterial lets the Server be silent about key material, as KMS was
// before 2025, and as other servers of its API are.
func (s *Server) OmitKeyMaterial() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bare = true
}

func (s *Server) edit(keyARN string, do func(*key)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.keys[keyID(keyARN)]; k != nil {
		do(k)
	}
}

func keyID(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// request is what the operations take.
type request struct {
	KeyId             string
	Plaintext         []byte
	CiphertextBlob    []byte
	EncryptionContext map[string]string
}

func (s *Server) serveKMS(w http.ResponseWriter, r *http.Request, body []byte, op string, f Fault, status int, now time.Time) {
	answer, e := s.answer(r, body, op, f, now)
	if e == nil && f.Code != "" {
		e = &apiError{f.Code, f.Message, status}
	}
	if e != nil {
		answer = map[string]any{"__type": e.code, "message": e.message}
	} else if f.Lie != nil {
		f.Lie(op, answer)
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if e != nil {
		w.WriteHeader(e.status)
	}
	json.NewEncoder(w).Encode(answer)
}

func (s *Server) answer(r *http.Request, body []byte, op string, f Fault, now time.Time) (map[string]any, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	region, e := s.authenticate(r, body, "kms", now)
	if e != nil {
		return nil, e
	}
	var req request
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, fail("SerializationException", "the request is not JSON")
	}
	if len(req.CiphertextBlob) > 6144 {
		return nil, fail("ValidationException", "1 validation error detected: Value at 'ciphertextBlob' failed to satisfy constraint: Member must have length less than or equal to 6144")
	}
	k, e := s.find(req.KeyId, region)
	if e != nil {
		return nil, e
	}
	if op != "DescribeKey" {
		if e := k.usable(region); e != nil {
			return nil, e
		}
	}
	if f.Corrupt && len(req.CiphertextBlob) > 0 {
		req.CiphertextBlob[len(req.CiphertextBlob)-1] ^= 1
	}
	switch op {
	case "Encrypt":
		sealed := k.seal(req.Plaintext, req.EncryptionContext)
		if f.Corrupt {
			sealed[len(sealed)-1] ^= 1
		}
		return map[string]any{"KeyId": arn(region, k.id), "CiphertextBlob": sealed, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, nil
	case "Decrypt":
		plaintext, n, e := k.open(req.CiphertextBlob, req.EncryptionContext)
		if e != nil {
			return nil, e
		}
		out := map[string]any{"KeyId": arn(region, k.id), "Plaintext": plaintext, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
		if !s.bare {
			out["KeyMaterialId"] = k.material(n)
		}
		return out, nil
	case "DescribeKey":
		return map[string]any{"KeyMetadata": s.metadata(k, region)}, nil
	}
	return nil, fail("UnknownOperationException", "")
}

func (s *Server) metadata(k *key, region string) map[string]any {
	k.expire()
	m := map[string]any{
		"AWSAccountId": AccountID, "KeyId": k.id, "Arn": arn(region, k.id),
		"KeyState": k.state, "Enabled": k.state == "Enabled",
		"KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT",
		"MultiRegion": strings.HasPrefix(k.id, "mrk-"),
	}
	if !k.deletion.IsZero() {
		m["DeletionDate"] = k.deletion.Unix()
	}
	if !k.expires.IsZero() {
		m["Origin"], m["ExpirationModel"], m["ValidTo"] = "EXTERNAL", "KEY_MATERIAL_EXPIRES", k.expires.Unix()
	}
	if !s.bare {
		m["CurrentKeyMaterialId"] = k.material(k.materials)
	}
	return m
}

// find returns the key that a name stands for in a region.
func (s *Server) find(name, region string) (*key, *apiError) {
	resource := name
	if strings.HasPrefix(name, "arn:") {
		prefix := "arn:aws:kms:" + region + ":" + AccountID + ":"
		if !strings.HasPrefix(name, prefix) {
			return nil, fail("NotFoundException", "Invalid arn %s", name)
		}
		resource = strings.TrimPrefix(name, prefix)
	}
	id := strings.TrimPrefix(resource, "key/")
	if strings.HasPrefix(resource, "alias/") {
		id = s.aliases[resource]
		if id == "" {
			return nil, fail("NotFoundException", "Alias arn:aws:kms:%s:%s:%s is not found.", region, AccountID, resource)
		}
	}
	k := s.keys[id]
	if k == nil || region != Region && !strings.HasPrefix(id, "mrk-") {
		return nil, fail("NotFoundException", "Key '%s' does not exist", arn(region, id))
	}
	return k, nil
}

func (k *key) expire() {
	if !k.expires.IsZero() && !time.Now().Before(k.expires) {
		k.state = "PendingImport"
	}
}

// usable fails as KMS does for the states in which a key does not work.
func (k *key) usable(region string) *apiError {
	k.expire()
	name := arn(region, k.id)
	switch k.state {
	case "Enabled", "Updating":
		return nil
	case "Disabled":
		return fail("DisabledException", "%s is disabled.", name)
	case "PendingDeletion":
		return fail("KMSInvalidStateException", "%s is pending deletion.", name)
	case "PendingImport":
		return fail("KMSInvalidStateException", "%s is pending import.", name)
	}
	return fail("KMSInvalidStateException", "%s is %s.", name, strings.ToLower(k.state))
}

// material returns the id of the n-th material, from 1.
func (k *key) material(n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", k.id, n))
	return hex.EncodeToString(sum[:])
}

func (k *key) aead(n int) cipher.AEAD {
	sum := sha256.Sum256(fmt.Appendf(nil, "awskmstest/%s/%d", k.id, n))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // the block is that of AES
	}
	return gcm
}

// seal returns id ‖ 0 ‖ number of the material (4) ‖ ciphertext.
func (k *key) seal(plaintext []byte, context map[string]string) []byte {
	head := binary.BigEndian.AppendUint32(append([]byte(k.id), 0), uint32(k.materials))
	return k.aead(k.materials).Seal(head, nil, plaintext, aad(head, context))
}

func (k *key) open(blob []byte, context map[string]string) ([]byte, int, *apiError) {
	id, rest, ok := bytes.Cut(blob, []byte{0})
	if !ok || len(rest) < 4 {
		return nil, 0, fail("InvalidCiphertextException", "")
	}
	n, head := int(binary.BigEndian.Uint32(rest)), blob[:len(id)+5]
	plaintext, err := k.aead(n).Open(nil, nil, rest[4:], aad(head, context))
	if err == nil && string(id) == k.id {
		return plaintext, n, nil
	}
	// What another key made is told apart from what nobody made.
	other := &key{id: string(id)}
	if _, err := other.aead(n).Open(nil, nil, rest[4:], aad(head, context)); err == nil {
		return nil, 0, fail("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	return nil, 0, fail("InvalidCiphertextException", "")
}

func aad(head []byte, context map[string]string) []byte {
	out := bytes.Clone(head)
	for _, k := range slices.Sorted(maps.Keys(context)) {
		out = fmt.Appendf(out, "%q=%q", k, context[k])
	}
	return out
}

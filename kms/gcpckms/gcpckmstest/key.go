package gcpckmstest

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A key is a CryptoKey; the last of its versions is the primary one.
type key struct {
	id       string
	lives    int // how often a key of this name was created
	versions []*version
}

type version struct {
	name    string
	state   kmspb.CryptoKeyVersion_CryptoKeyVersionState
	destroy time.Time
	mark    []byte // 16 bytes in front of its ciphertexts
	aead    cipher.AEAD
}

func newKey(id string, lives int) *key {
	k := &key{id: id, lives: lives}
	k.rotate()
	return k
}

func (k *key) rotate() {
	n := len(k.versions) + 1
	material := sha256.Sum256(fmt.Appendf(nil, "gcpckmstest/%s/%d/%d", k.id, k.lives, n))
	mark := sha256.Sum256(material[:])
	block, err := aes.NewCipher(material[:])
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has blocks of 16 bytes
	}
	k.versions = append(k.versions, &version{
		name:  k.id + "/cryptoKeyVersions/" + strconv.Itoa(n),
		state: kmspb.CryptoKeyVersion_ENABLED,
		mark:  mark[:16],
		aead:  aead,
	})
}

func (k *key) primary() *version { return k.versions[len(k.versions)-1] }

// usable returns the error of a version that is not enabled.
func (v *version) usable() error {
	if v.state == kmspb.CryptoKeyVersion_ENABLED {
		return nil
	}
	return notEnabled(v.name, v.state.String())
}

// admin changes a key, which is created if there is none of that name.
func (s *Server) admin(name string, do func(*key)) {
	id := s.KeyID(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	do(s.keys[id])
}

func (s *Server) setState(name, of string, state kmspb.CryptoKeyVersion_CryptoKeyVersionState, destroy time.Time) {
	s.admin(name, func(k *key) {
		for i, v := range k.versions {
			if of == "" || of == strconv.Itoa(i+1) {
				v.state, v.destroy = state, destroy
			}
		}
	})
}

// Rotate adds a version to the key and makes it the primary one.
func (s *Server) Rotate(name string) { s.admin(name, (*key).rotate) }

// Disable switches a version of the key off, or with version "" all of them.
func (s *Server) Disable(key, version string) {
	s.setState(key, version, kmspb.CryptoKeyVersion_DISABLED, time.Time{})
}

// Enable switches a version on again, or all, and cancels its destruction.
func (s *Server) Enable(key, version string) {
	s.setState(key, version, kmspb.CryptoKeyVersion_ENABLED, time.Time{})
}

// ScheduleDeletion makes a version, or all, wait for its destruction. It cannot
// be used while it waits. The Server does not destroy it at that time: Destroy
// does.
func (s *Server) ScheduleDeletion(key, version string, at time.Time) {
	s.setState(key, version, kmspb.CryptoKeyVersion_DESTROY_SCHEDULED, at)
}

// Destroy destroys a version for good, or all.
func (s *Server) Destroy(key, version string) {
	s.setState(key, version, kmspb.CryptoKeyVersion_DESTROYED, time.Time{})
}

// Recreate replaces the key with another of the same name, whose versions count
// from 1 again.
func (s *Server) Recreate(name string) {
	s.admin(name, func(k *key) { *k = *newKey(k.id, k.lives+1) })
}

// named returns the key of a request. The caller holds the lock.
func (s *Server) named(id string) (*key, error) {
	if k := s.keys[id]; k != nil {
		return k, nil
	}
	return nil, status.Errorf(codes.NotFound, "CryptoKey %s not found.", id)
}

// Encrypt implements the service.
func (s *Server) Encrypt(_ context.Context, q *kmspb.EncryptRequest) (*kmspb.EncryptResponse, error) {
	if err := intact("plaintext", q.Plaintext, q.PlaintextCrc32C); err != nil {
		return nil, err
	}
	if err := intact("additional_authenticated_data", q.AdditionalAuthenticatedData, q.AdditionalAuthenticatedDataCrc32C); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.named(q.Name)
	if err != nil {
		return nil, err
	}
	v := k.primary()
	if err := v.usable(); err != nil {
		return nil, err
	}
	s.wrapped = bytes.Clone(q.Plaintext)
	sealed := v.aead.Seal(bytes.Clone(v.mark), nil, q.Plaintext, q.AdditionalAuthenticatedData)
	return &kmspb.EncryptResponse{
		Name:                    v.name,
		Ciphertext:              sealed,
		CiphertextCrc32C:        checksum(sealed),
		VerifiedPlaintextCrc32C: q.PlaintextCrc32C != nil,
		VerifiedAdditionalAuthenticatedDataCrc32C: q.AdditionalAuthenticatedDataCrc32C != nil,
		ProtectionLevel: kmspb.ProtectionLevel_SOFTWARE,
	}, nil
}

// Decrypt implements the service.
func (s *Server) Decrypt(_ context.Context, q *kmspb.DecryptRequest) (*kmspb.DecryptResponse, error) {
	if err := intact("ciphertext", q.Ciphertext, q.CiphertextCrc32C); err != nil {
		return nil, err
	}
	if err := intact("additional_authenticated_data", q.AdditionalAuthenticatedData, q.AdditionalAuthenticatedDataCrc32C); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.named(q.Name)
	if err != nil {
		return nil, err
	}
	for _, v := range k.versions {
		sealed, ok := bytes.CutPrefix(q.Ciphertext, v.mark)
		if !ok {
			continue
		}
		if err := v.usable(); err != nil {
			return nil, err
		}
		plaintext, err := v.aead.Open(nil, nil, sealed, q.AdditionalAuthenticatedData)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, "Decryption failed: verify that 'ciphertext' and 'additional_authenticated_data' are correct.")
		}
		return &kmspb.DecryptResponse{
			Plaintext:       plaintext,
			PlaintextCrc32C: checksum(plaintext),
			UsedPrimary:     v == k.primary(),
			ProtectionLevel: kmspb.ProtectionLevel_SOFTWARE,
		}, nil
	}
	return nil, otherKey()
}

// GetCryptoKey implements the service.
func (s *Server) GetCryptoKey(_ context.Context, q *kmspb.GetCryptoKeyRequest) (*kmspb.CryptoKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.named(q.Name)
	if err != nil {
		return nil, err
	}
	v := k.primary()
	primary := &kmspb.CryptoKeyVersion{
		Name:            v.name,
		State:           v.state,
		ProtectionLevel: kmspb.ProtectionLevel_SOFTWARE,
		Algorithm:       kmspb.CryptoKeyVersion_GOOGLE_SYMMETRIC_ENCRYPTION,
	}
	if !v.destroy.IsZero() {
		primary.DestroyTime = timestamppb.New(v.destroy)
	}
	return &kmspb.CryptoKey{Name: k.id, Purpose: kmspb.CryptoKey_ENCRYPT_DECRYPT, Primary: primary}, nil
}

// intact checks a field of a request against its checksum, if there is one.
func intact(field string, value []byte, sum *wrapperspb.Int64Value) error {
	if sum == nil || sum.Value == checksum(value).Value {
		return nil
	}
	return status.Errorf(codes.InvalidArgument, "The checksum in field %s_crc32c did not match the data in field %s.", field, field)
}

func checksum(b []byte) *wrapperspb.Int64Value {
	return wrapperspb.Int64(int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))))
}

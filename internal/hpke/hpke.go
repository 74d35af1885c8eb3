// Package hpke agrees on a secret with the holder of a private key: HPKE of
// RFC 9180 in mode base, for export only, with the KEM MLKEM768-P256 of
// draft-ietf-hpke-pq and HKDF-SHA256.
//
// It gives what crypto/hpke gives, byte for byte, and clears behind itself.
// The states of crypto/hpke stay on the heap with the exporter secret, the
// secrets exported and those of the KEM in them, out of reach of any wipe.
//
// What crypto/ecdh keeps of the point that it multiplies, in projective
// coordinates, cannot be reached here either. It is one half of the shared
// secret: without the ML-KEM half it opens nothing.
package hpke

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha3"
	"errors"

	"github.com/sealwright/sealwright/internal/aead"
)

const (
	pointSize = 65
	hybrid    = "MLKEM768-P256" // the label of the KEM

	// EncSize is the length in bytes of an encapsulated key.
	EncSize = mlkem.CiphertextSize768 + pointSize

	// PublicKeySize is the length in bytes of a public key.
	PublicKeySize = mlkem.EncapsulationKeySize768 + pointSize

	// SecretSize is the length in bytes of what Send and Receive export.
	SecretSize = 32
)

var (
	errPublicKey = errors.New("hpke: not a public key of " + hybrid)
	errEnc       = errors.New("hpke: not an encapsulated key of " + hybrid)
)

// exportOnly is the ciphersuite: the KEM 0x0050, the KDF 0x0001 and no AEAD.
const exportOnly = "HPKE\x00\x50\x00\x01\xff\xff"

// A PrivateKey is made of a private key of ML-KEM-768 and one of P-256, and
// wipes both.
type PrivateKey struct {
	pq *mlkem.DecapsulationKey768
	t  *ecdh.PrivateKey
}

// NewPrivateKey takes two private keys over; t is of P-256.
func NewPrivateKey(pq *mlkem.DecapsulationKey768, t *ecdh.PrivateKey) *PrivateKey {
	return &PrivateKey{pq, t}
}

// PublicKey returns the public key, of [PublicKeySize] bytes.
func (k *PrivateKey) PublicKey() []byte {
	return append(k.pq.EncapsulationKey().Bytes(), k.t.PublicKey().Bytes()...)
}

// Wipe clears both keys. The key is not used afterwards.
func (k *PrivateKey) Wipe() {
	aead.WipeState(*k.pq)
	wipeScalar(k.t)
}

func wipeScalar(t *ecdh.PrivateKey) {
	aead.WipeField(t, "privateKey")
	aead.WipeField(t, "fips", "d")
}

// Send returns an encapsulated key of [EncSize] bytes for the holder of the
// private key, and the secret of [SecretSize] bytes that its Receive returns
// for the same info and context. The caller wipes the secret.
func Send(publicKey, info []byte, context string) (enc, secret []byte, err error) {
	if len(publicKey) != PublicKeySize {
		return nil, nil, errPublicKey
	}
	pq, err := mlkem.NewEncapsulationKey768(publicKey[:mlkem.EncapsulationKeySize768])
	if err != nil {
		return nil, nil, errPublicKey
	}
	t, err := ecdh.P256().NewPublicKey(publicKey[mlkem.EncapsulationKeySize768:])
	if err != nil {
		return nil, nil, errPublicKey
	}
	ephemeral := newScalar()
	defer wipeScalar(ephemeral)
	ssT, err := ephemeral.ECDH(t)
	if err != nil {
		return nil, nil, err
	}
	ssPQ, enc := pq.Encapsulate()
	enc = append(enc, ephemeral.PublicKey().Bytes()...)
	shared := combine(ssPQ, ssT, enc[mlkem.CiphertextSize768:], t.Bytes())
	return enc, export(exportOnly, shared, info, context), nil
}

// Receive returns the secret that Send returned together with enc. A changed
// enc is an error or yields another secret.
func (k *PrivateKey) Receive(enc, info []byte, context string) (secret []byte, err error) {
	shared, err := k.decap(enc)
	if err != nil {
		return nil, err
	}
	return export(exportOnly, shared, info, context), nil
}

func (k *PrivateKey) decap(enc []byte) (shared []byte, err error) {
	if len(enc) != EncSize {
		return nil, errEnc
	}
	ctPQ, ctT := enc[:mlkem.CiphertextSize768], enc[mlkem.CiphertextSize768:]
	t, err := ecdh.P256().NewPublicKey(ctT)
	if err != nil {
		return nil, errEnc
	}
	ssT, err := k.t.ECDH(t)
	if err != nil {
		return nil, errEnc
	}
	ssPQ, err := k.pq.Decapsulate(ctPQ)
	if err != nil {
		clear(ssT)
		return nil, errEnc
	}
	return combine(ssPQ, ssT, ctT, k.t.PublicKey().Bytes()), nil
}

// newScalar makes a private key of P-256. GenerateKey would leave a copy of it
// behind.
func newScalar() *ecdh.PrivateKey {
	scalar := make([]byte, 32)
	defer clear(scalar)
	for {
		rand.Read(scalar)
		if key, err := ecdh.P256().NewPrivateKey(scalar); err == nil {
			return key // all but one of 2^32 times
		}
	}
}

// combine returns the shared secret of the KEM, and clears those of its halves.
func combine(ssPQ, ssT, ctT, ekT []byte) []byte {
	defer clear(ssPQ[:cap(ssPQ)])
	defer clear(ssT[:cap(ssT)])
	h := sha3.New256()
	defer aead.WipeState(h)
	for _, b := range [][]byte{ssPQ, ssT, ctT, ekT, []byte(hybrid)} {
		h.Write(b)
	}
	return h.Sum(nil)
}

// export runs the key schedule of RFC 9180 section 5.1 and exports one secret,
// section 5.3. It clears the shared secret.
func export(suite string, shared, info []byte, context string) []byte {
	defer clear(shared)
	labeled := func(label, more string) string { return "HPKE-v1" + suite + label + more }
	expanded := func(label, more string) string { return string([]byte{0, SecretSize}) + labeled(label, more) }
	public := func(label, more string) string {
		prk, err := hkdf.Extract(sha256.New, []byte(labeled(label, more)), nil)
		if err != nil {
			panic("hpke: " + err.Error()) // only a secret that is too short is an error
		}
		return string(prk)
	}
	schedule := "\x00" + public("psk_id_hash", "") + public("info_hash", string(info))
	exporter := aead.Derive([]byte(labeled("secret", "")), shared, expanded("exp", schedule), SecretSize)
	defer clear(exporter)
	return aead.Expand(exporter, expanded("sec", context), SecretSize)
}

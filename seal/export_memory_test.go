package seal

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/sha256"
	"crypto/sha3"
	"slices"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/record"
)

// LeafValue returns what a KMS leaf protects, from the key w of its box.
func LeafValue(store, slot, path string, k, n int, leaf *record.Key, w []byte) ([]byte, error) {
	return aead.OpenBox(w, custody.LeafContext(store, slot, path, k, n, &leaf.Blob), leaf.Box, nil)
}

// SecretsOf calls tell with everything that the seed of one of its slots opens
// in a stored record.
func SecretsOf(stored []byte, id uint32, seed []byte, tell func(kind string, secret []byte)) error {
	rec, clear, sealed, err := record.Parse(stored)
	if err != nil {
		return err
	}
	d := aead.Derive(seed, nil, "sealwright/slot/v1 ml-kem-768", 64)
	tell("ML-KEM d", d[:32])
	tell("ML-KEM z", d[32:])
	scalar := aead.Derive(seed, nil, "sealwright/slot/v1 p-256 0", 32)
	tell("P-256 scalar", scalar)
	key, err := custody.SlotKey(seed)
	if err != nil {
		return err
	}
	slot := rec.Slot(id)
	place := custody.WrapContext(rec.Store, id, rec.Root)
	if err := secretsOfHPKE(d, scalar, slot, place, tell); err != nil {
		return err
	}
	wrapKey, err := key.Receive(slot.Wrap[:custody.EncSize], place, custody.RootExport)
	if err != nil {
		return err
	}
	tell("wrap key", wrapKey)
	root, err := aead.OpenBox(wrapKey, custody.RootExport, slot.Wrap[custody.EncSize:], place)
	if err != nil {
		return err
	}
	tell("root key", root)
	digest := sha256.Sum256(clear)
	plain, err := aead.OpenBox(root, "sealwright/record/v1", sealed, digest[:])
	if err != nil {
		return err
	}
	secrets, err := record.ParseSecrets(plain)
	if err != nil {
		return err
	}
	for i := range secrets.Terms {
		tell("data key", secrets.Terms[i].Key[:])
	}
	for _, identity := range secrets.Identities {
		tell("identity", identity[:])
	}
	return nil
}

// secretsOfHPKE tells what HPKE computes on its way to the key that wraps the
// root key.
func secretsOfHPKE(seedPQ, scalar []byte, slot *record.Slot, place []byte, tell func(kind string, secret []byte)) error {
	pq, err := mlkem.NewDecapsulationKey768(seedPQ)
	if err != nil {
		return err
	}
	t, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		return err
	}
	ctPQ, ctT := slot.Wrap[:mlkem.CiphertextSize768], slot.Wrap[mlkem.CiphertextSize768:custody.EncSize]
	ssPQ, err := pq.Decapsulate(ctPQ)
	if err != nil {
		return err
	}
	tell("ML-KEM secret", ssPQ)
	point, err := ecdh.P256().NewPublicKey(ctT)
	if err != nil {
		return err
	}
	ssT, err := t.ECDH(point)
	if err != nil {
		return err
	}
	tell("P-256 secret", ssT)
	shared := sha3.Sum256(slices.Concat(ssPQ, ssT, ctT, t.PublicKey().Bytes(), []byte("MLKEM768-P256")))
	tell("KEM secret", shared[:])
	extract := func(salt []byte, label string, ikm []byte) []byte {
		prk, err := hkdf.Extract(sha256.New, slices.Concat([]byte("HPKE-v1HPKE\x00\x50\x00\x01\xff\xff"+label), ikm), salt)
		if err != nil {
			panic(err)
		}
		return prk
	}
	secret := extract(shared[:], "secret", nil)
	tell("HPKE secret", secret)
	schedule := slices.Concat([]byte{0}, extract(nil, "psk_id_hash", nil), extract(nil, "info_hash", place))
	exporter, err := hkdf.Expand(sha256.New, secret, "\x00\x20HPKE-v1HPKE\x00\x50\x00\x01\xff\xffexp"+string(schedule), 32)
	tell("exporter secret", exporter)
	return err
}

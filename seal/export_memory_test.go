package seal

import (
	"crypto/hpke"
	"crypto/sha256"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
)

// LeafValue returns what a KMS leaf protects, from the key w of its box.
func LeafValue(store, slot, path string, k, n int, leaf *record.Key, w []byte) ([]byte, error) {
	return aead.OpenBox(w, leafInfo(store, slot, path, k, n, &leaf.Blob), leaf.Box, nil)
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
	tell("P-256 scalar", aead.Derive(seed, nil, "sealwright/slot/v1 p-256 0", 32))
	key, err := slotKey(seed)
	if err != nil {
		return err
	}
	slot := rec.Slot(id)
	recipient, err := hpke.NewRecipient(slot.Wrap[:encSize], key.PrivateKey, slotKDF, exportOnly, wrapPlace(rec.Store, id, rec.Root))
	if err != nil {
		return err
	}
	wrapKey, err := recipient.Export(rootExport, 32)
	if err != nil {
		return err
	}
	tell("wrap key", wrapKey)
	root, err := unwrapRoot(key, wrapPlace(rec.Store, id, rec.Root), slot.Wrap)
	if err != nil {
		return err
	}
	tell("root key", root)
	digest := sha256.Sum256(clear)
	plain, err := aead.OpenBox(root, sealedInfo, sealed, digest[:])
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

package custody

import (
	"bytes"
	"crypto/ecdh"
	"crypto/mlkem"
	"encoding/binary"
	"fmt"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/hpke"
	"github.com/sealwright/sealwright/internal/secret"
)

// A slot's key pair is ML-KEM-768 with P-256, the hybrid KEM "MLKEM768-P256"
// of draft-ietf-hpke-pq. Both component keys are derived here, from the seed
// at the top of the slot's tree: HPKE's own derivation is bound to one KEM
// number, and these goldens must open for ever. P-256 rather than X25519,
// because GODEBUG=fips140=only refuses the latter.
const (
	SeedSize = 32 // bytes of the value at the top of a slot's tree
	rootSize = 32
	EncSize  = hpke.EncSize
)

// SlotKey returns the private key of a slot, for the caller to wipe.
func SlotKey(seed []byte) (k *hpke.PrivateKey, err error) {
	secret.Do(func() { k, err = deriveSlotKey(seed) })
	return k, err
}

func deriveSlotKey(seed []byte) (*hpke.PrivateKey, error) {
	if len(seed) != SeedSize {
		return nil, fmt.Errorf("seal: a slot's seed has %d bytes, not %d", SeedSize, len(seed))
	}
	d := aead.Derive(seed, nil, "sealwright/slot/v1 ml-kem-768", mlkem.SeedSize)
	defer clear(d)
	pq, err := mlkem.NewDecapsulationKey768(d)
	if err != nil {
		return nil, err
	}
	// A candidate is no scalar with a probability of 2^-32.
	for i := range 256 {
		scalar := aead.Derive(seed, nil, fmt.Sprintf("sealwright/slot/v1 p-256 %d", i), 32)
		t, err := ecdh.P256().NewPrivateKey(scalar)
		clear(scalar)
		if err == nil {
			return hpke.NewPrivateKey(pq, t), nil
		}
	}
	return nil, fmt.Errorf("seal: no P-256 scalar in this seed")
}

// WrapRoot encrypts root, the root key of that number, to a slot's public key. HPKE exports a key
// instead of sealing: the certified FIPS module allows only that.
func WrapRoot(publicKey []byte, store string, slot, number uint32, root []byte) (wrap []byte, err error) {
	secret.Do(func() { wrap, err = encryptRoot(publicKey, WrapContext(store, slot, number), root) })
	return bytes.Clone(wrap), err // to be stored for long: not from within Do
}

func encryptRoot(publicKey, place, root []byte) ([]byte, error) {
	enc, key, err := hpke.Send(publicKey, place, RootExport)
	if err != nil {
		return nil, fmt.Errorf("seal: public key of a slot: %w", err)
	}
	defer clear(key)
	box, err := aead.SealBox(key, RootExport, root, place)
	if err != nil {
		return nil, fmt.Errorf("seal: wrap the root key: %w", err)
	}
	return append(enc, box...), nil
}

// RootExport labels the key that wraps the root key.
const RootExport = "sealwright/root/v1"

// unwrapRoot is the inverse of WrapRoot. Its errors are those of aead.OpenBox.
func unwrapRoot(key *hpke.PrivateKey, place, wrap []byte) (root []byte, err error) {
	secret.Do(func() { root, err = decryptRoot(key, place, wrap) })
	return root, err
}

func decryptRoot(key *hpke.PrivateKey, place, wrap []byte) ([]byte, error) {
	if len(wrap) < EncSize {
		return nil, fmt.Errorf("%w: the wrapped root key is too short", aead.ErrCorrupt)
	}
	k, err := key.Receive(wrap[:EncSize], place, RootExport)
	if err != nil {
		return nil, fmt.Errorf("%w: the wrapped root key: %w", aead.ErrCorrupt, err)
	}
	defer clear(k)
	root, err := aead.OpenBox(k, RootExport, wrap[EncSize:], place)
	if err != nil {
		return nil, err
	}
	if len(root) != rootSize {
		return nil, fmt.Errorf("%w: the root key has %d bytes", aead.ErrCorrupt, len(root))
	}
	return root, nil
}

// WrapContext is what the wrap of a root key is bound to.
func WrapContext(store string, slot, root uint32) []byte {
	return encode("sealwright/wrap/v1", store, slot, root)
}

// encode encodes a place unambiguously: every text behind its length as four
// bytes, every number as eight, big endian.
func encode(parts ...any) []byte {
	var b bytes.Buffer
	number := func(n uint64) { b.Write(binary.BigEndian.AppendUint64(nil, n)) }
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
			b.WriteString(p)
		case uint32:
			number(uint64(p))
		case int:
			number(uint64(p))
		case byte:
			number(uint64(p))
		default:
			panic(fmt.Sprintf("seal: place of a %T", p)) // a fault of this package
		}
	}
	return b.Bytes()
}

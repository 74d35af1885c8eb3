package vaultstore

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The bytes of a barrier entry:
//
//	term u32 · version u8 · nonce 12 · ciphertext · tag 16
//
// Version 2 is bound to the entry's key, version 1 to nothing.
const (
	termSize   = 4
	headerSize = termSize + 1
	nonceSize  = 12
	tagSize    = 16
)

var errKey = errors.New("the key does not open it")

// parseEntry returns the parts of a barrier entry.
func parseEntry(value []byte) (term uint32, version byte, sealed []byte, err error) {
	if len(value) < headerSize+nonceSize+tagSize {
		return 0, 0, nil, errors.New("it is too short for an entry of the barrier")
	}
	term, version = binary.BigEndian.Uint32(value), value[termSize]
	if version != 1 && version != 2 {
		return 0, 0, nil, fmt.Errorf("its version %d is none that is known", version)
	}
	return term, version, value[headerSize:], nil
}

// gcm is AES-GCM with the nonce in front, which is how both Vault's entries and
// its blobs have it, and which FIPS mode admits.
func gcm(key []byte) (cipher.AEAD, error) {
	if !isKeySize(len(key)) {
		return nil, fmt.Errorf("a key of %d bytes", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// openGCM opens nonce, ciphertext and tag.
func openGCM(key, sealed, aad []byte) ([]byte, error) {
	a, err := gcm(key)
	if err != nil {
		return nil, err
	}
	plain, err := a.Open(nil, nil, sealed, aad)
	if err != nil {
		return nil, errKey
	}
	return plain, nil
}

// openEntry opens a barrier entry with a key.
func openEntry(key []byte, path string, value []byte) ([]byte, error) {
	_, version, sealed, err := parseEntry(value)
	if err != nil {
		return nil, err
	}
	var aad []byte
	if version == 2 {
		aad = []byte(path)
	}
	return openGCM(key, sealed, aad)
}

// sealEntry is the inverse of openEntry, in version 2.
func sealEntry(key []byte, term uint32, path string, plain []byte) ([]byte, error) {
	a, err := gcm(key)
	if err != nil {
		return nil, err
	}
	out := append(binary.BigEndian.AppendUint32(nil, term), 2)
	return a.Seal(out, nil, plain, []byte(path)), nil
}

// A dataKey is a term of the keyring.
type dataKey struct {
	Term        uint32    `json:"Term"`
	Version     int       `json:"Version"`
	Value       []byte    `json:"Value"`
	InstallTime time.Time `json:"InstallTime"`
	Encryptions uint64    `json:"encryptions,omitempty"`
}

// A keyring is the terms, and the root key that they are stored under.
type keyring struct {
	root   []byte
	keys   map[uint32]*dataKey
	active uint32
	text   []byte // as it was stored, for a copy
}

const (
	maxKeyring = 16 << 20
	maxTerms   = 1 << 16
)

// parseKeyring reads the plaintext of core/keyring, which it keeps. What it does
// not know it reads over, and a time it cannot read is no time.
func parseKeyring(text []byte) (*keyring, error) {
	if len(text) > maxKeyring {
		return nil, ErrTooLarge
	}
	plain, err := decompress(text, maxKeyring)
	if err != nil {
		return nil, err
	}
	var in struct {
		MasterKey []byte
		Keys      []struct {
			Term        uint32
			Version     int
			Value       []byte
			InstallTime json.RawMessage
			Encryptions json.RawMessage `json:"encryptions"`
		}
	}
	if err := json.Unmarshal(plain, &in); err != nil {
		return nil, errors.New("it is no JSON of a keyring")
	}
	if len(in.Keys) == 0 {
		return nil, errors.New("it holds no data key")
	}
	if len(in.Keys) > maxTerms {
		return nil, ErrTooLarge
	}
	k := &keyring{root: in.MasterKey, keys: map[uint32]*dataKey{}, text: text}
	for _, key := range in.Keys {
		if key.Term == 0 || !isKeySize(len(key.Value)) {
			return nil, errors.New("one of its data keys cannot be one")
		}
		if k.keys[key.Term] != nil {
			return nil, fmt.Errorf("it holds the term %d twice", key.Term)
		}
		d := &dataKey{Term: key.Term, Version: key.Version, Value: key.Value}
		json.Unmarshal(key.InstallTime, &d.InstallTime)
		json.Unmarshal(key.Encryptions, &d.Encryptions)
		k.keys[key.Term] = d
		k.active = max(k.active, key.Term)
	}
	return k, nil
}

// parseKey reads the plaintext of core/root-key, core/master or core/upgrade/N.
func parseKey(text []byte) (*dataKey, error) {
	plain, err := decompress(text, maxConfig)
	if err != nil {
		return nil, err
	}
	var k struct {
		Term    uint32
		Version int
		Value   []byte
	}
	if err := json.Unmarshal(plain, &k); err != nil || !isKeySize(len(k.Value)) {
		return nil, errors.New("it is no JSON of a key")
	}
	return &dataKey{Term: k.Term, Version: k.Version, Value: k.Value}, nil
}

// open opens an entry with the data key of its term.
func (k *keyring) open(path string, value []byte) ([]byte, error) {
	term, _, _, err := parseEntry(value)
	if err != nil {
		return nil, damaged(path, "%v", err)
	}
	key := k.keys[term]
	if key == nil {
		return nil, fmt.Errorf("%w: %s is under the term %d, and the keyring ends with %d", ErrUnknownTerm, path, term, k.active)
	}
	plain, err := openEntry(key.Value, path, value)
	if err != nil {
		return nil, damaged(path, "the data key of its term %d does not open it", term)
	}
	return plain, nil
}

// seal encrypts an entry with the active data key.
func (k *keyring) seal(path string, plain []byte) ([]byte, error) {
	return sealEntry(k.keys[k.active].Value, k.active, path, plain)
}

// terms returns the terms there are, in order.
func (k *keyring) terms() []uint32 {
	var out []uint32
	for term := range k.keys {
		out = append(out, term)
	}
	slices.Sort(out)
	return out
}

// wipe clears the keys.
func (k *keyring) wipe() {
	if k == nil {
		return
	}
	clear(k.root)
	clear(k.text)
	for _, key := range k.keys {
		clear(key.Value)
	}
}

// openKeyringAt opens core/keyring, which is under the root key and of term 1
// whatever terms it holds.
func openKeyringAt(path string, root, value []byte) (*keyring, error) {
	term, _, _, err := parseEntry(value)
	if err != nil {
		return nil, damaged(path, "%v", err)
	}
	if term != 1 {
		return nil, damaged(path, "its term is %d, not 1", term)
	}
	plain, err := openEntry(root, path, value)
	if err != nil {
		return nil, ErrRootKey
	}
	k, err := parseKeyring(plain)
	if err != nil {
		clear(plain)
		return nil, damaged(path, "%v", err)
	}
	return k, nil
}

// openInit opens barrier/init, which held the only data key before there were
// keyrings.
func openInit(root, value []byte) (*keyring, error) {
	plain, err := openEntry(root, pathInit, value)
	if err != nil {
		return nil, ErrRootKey
	}
	defer clear(plain)
	var in struct {
		Version int
		Key     []byte
	}
	if json.Unmarshal(plain, &in) != nil || !isKeySize(len(in.Key)) {
		return nil, damaged(pathInit, "it holds no key")
	}
	return &keyring{root: slices.Clone(root), active: 1, keys: map[uint32]*dataKey{1: {Term: 1, Version: 1, Value: in.Key}}}, nil
}

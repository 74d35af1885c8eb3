package vaultstore

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
)

// material is what the keys that were given open of a storage.
type material struct {
	storage storage
	prefix  string // of the keys that its entries are bound to

	config, recovery       *SealConfig // nil: not there, or unreadable
	configErr, recoveryErr error

	stored, recoveryBlobs []*Blob // of core/hsm/barrier-unseal-keys, core/recovery-key
	storedErr             error
	recoveryBlobsErr      error
	keyringBytes          []byte
	keyringErr            error

	deck       *deck
	set        []int  // the shares that combined to kek
	complete   bool   // whether every set was tried
	kek        []byte // what the shares combine to, or the recovery key
	recoverKey []byte // what a seal opened of core/recovery-key
	recoverBy  Seal   // the seal that did
	recoverAt  int    // which of those given it is

	root     []byte
	rootBy   opener
	storedBy Seal // the seal that opened the stored keys, if one did
	storedAt int
	ring     *keyring
	sealErrs []error
}

// An opener says what the root key was found by.
type opener string

const (
	byNothing opener = ""
	byShares  opener = "shares" // the stored keys are under what they combine to
	byLegacy  opener = "legacy" // the shares combine to the root key itself
	byGiven   opener = "root key"
	// otherwise the type of the seal
)

func (m *material) wipe() {
	clear(m.kek)
	clear(m.recoverKey)
	clear(m.root)
	m.ring.wipe()
}

// find reads what protects the store and tries on it what was given. What is
// wrong with the store is in the material; the error is of the system or the
// context.
func find(ctx context.Context, s storage, keys Keys) (*material, error) {
	return findAt(ctx, s, "", keys)
}

// findAt is find for a part of a storage: its entries are bound to their keys with
// the prefix.
func findAt(ctx context.Context, s storage, prefix string, keys Keys) (*material, error) {
	m := &material{storage: s, prefix: prefix, deck: newDeck(keys.Shares)}
	if err := m.load(s); err != nil {
		return nil, err
	}
	if len(keys.RootKey) > 0 {
		m.tryRoot(bytes.Clone(keys.RootKey), byGiven)
	}
	if err := m.trySeals(ctx, keys.Seals); err != nil {
		m.wipe()
		return nil, err
	}
	m.tryShares()
	return m, ctx.Err()
}

// load reads the entries that no data key protects.
func (m *material) load(s storage) error {
	value, ok, err := s.get(pathSealConfig)
	if err := keep(&m.configErr, err); err != nil {
		return err
	} else if ok {
		m.config, m.configErr = parseSealConfig(pathSealConfig, value)
	}
	value, ok, err = s.get(pathRecoveryConfig)
	if err := keep(&m.recoveryErr, err); err != nil {
		return err
	} else if ok {
		m.recovery, m.recoveryErr = parseSealConfig(pathRecoveryConfig, value)
	}
	value, ok, err = s.get(pathStoredKeys)
	if err := keep(&m.storedErr, err); err != nil {
		return err
	} else if ok {
		m.stored, m.storedErr = blobsOf(pathStoredKeys, value)
	}
	value, ok, err = s.get(pathRecoveryKey)
	if err := keep(&m.recoveryBlobsErr, err); err != nil {
		return err
	} else if ok {
		m.recoveryBlobs, m.recoveryBlobsErr = blobsOf(pathRecoveryKey, value)
	}
	value, _, err = s.get(pathKeyring)
	if err := keep(&m.keyringErr, err); err != nil {
		return err
	}
	m.keyringBytes = value
	if value == nil && m.keyringErr == nil {
		if value, ok, err = s.get(pathInit); err != nil {
			return keep(&m.keyringErr, err)
		} else if !ok {
			m.keyringErr = fmt.Errorf("%w: %s", ErrNotFound, pathKeyring)
		}
		m.keyringBytes = value
	}
	return nil
}

// keep notes that an entry is damaged, which is no error of the search.
func keep(into *error, err error) error {
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrTooLarge) {
		*into = err
		return nil
	}
	return err
}

func blobsOf(key string, value []byte) ([]*Blob, error) {
	blobs, err := parseBlobs(value)
	if err != nil {
		return nil, damaged(key, "it is cut, or no BlobInfo")
	}
	return blobs, nil
}

// tryRoot sees whether a root key opens the keyring. It takes the key.
func (m *material) tryRoot(root []byte, by opener) bool {
	ring, err := m.openRing(root)
	if err != nil {
		if !errors.Is(err, ErrRootKey) && m.keyringErr == nil {
			m.keyringErr = err // it opens, and holds nothing good; or is cut
		}
		if m.root == nil {
			m.root, m.rootBy = root, by
		} else {
			clear(root)
		}
		return false
	}
	if m.ring != nil {
		ring.wipe()
		clear(root)
		return true
	}
	clear(m.root)
	m.root, m.rootBy, m.ring = root, by, ring
	return true
}

func (m *material) openRing(root []byte) (*keyring, error) {
	if m.keyringBytes == nil {
		return nil, ErrNotFound
	}
	ring, err := openKeyringAt(m.prefix+pathKeyring, root, m.keyringBytes)
	if errors.Is(err, ErrRootKey) {
		if old, err := openInit(root, m.keyringBytes); err == nil {
			return old, nil
		}
	}
	return ring, err
}

// trySeals asks every seal for the stored keys and for the recovery key. What a
// seal cannot open is no error here.
func (m *material) trySeals(ctx context.Context, seals []Seal) error {
	for i, seal := range seals {
		for _, b := range m.stored {
			if b.ofShares() {
				continue // no seal needs to be asked
			}
			text, err := seal.OpenBlob(ctx, b)
			if err := m.sealErr(ctx, seal, pathStoredKeys, err); err != nil {
				return err
			} else if text == nil {
				continue
			}
			root, err := parseStoredKeys(text)
			clear(text)
			if err != nil {
				m.storedErr = err
				continue
			}
			if m.storedBy == nil {
				m.storedBy, m.storedAt = seal, i
			}
			m.tryRoot(root, opener(seal.Type()))
		}
		for _, b := range m.recoveryBlobs {
			key, err := seal.OpenBlob(ctx, b)
			if err := m.sealErr(ctx, seal, pathRecoveryKey, err); err != nil {
				return err
			} else if m.recoverKey == nil && isKeySize(len(key)) {
				m.recoverKey, m.recoverBy, m.recoverAt = key, seal, i
			}
		}
	}
	return nil
}

// sealErr notes what a seal said, and returns the error of the context alone.
func (m *material) sealErr(ctx context.Context, seal Seal, key string, err error) error {
	if err != nil {
		m.sealErrs = append(m.sealErrs, fmt.Errorf("%s, by %s: %w", key, seal.Type(), err))
	}
	return ctx.Err()
}

// tryShares looks for a set of the shares that opens the stored keys, or is the
// recovery key, or the root key of a legacy seal. Then it tries the recovery key
// that a seal opened, which is such a set's secret.
func (m *material) tryShares() {
	var likely []int
	for _, c := range []*SealConfig{m.config, m.recovery} {
		if c != nil && c.Threshold > 1 {
			likely = append(likely, c.Threshold)
		}
	}
	if len(m.deck.shares) > 0 {
		m.set, m.complete = m.deck.search(likely, func(secret []byte) bool {
			if m.tryKEK(secret) {
				m.kek = secret
				return true
			}
			clear(secret)
			return false
		})
	}
	if m.kek == nil && m.recoverKey != nil {
		m.kek = bytes.Clone(m.recoverKey)
		m.tryKEK(m.kek)
	}
}

// tryKEK reports whether a secret is the store's: it opens the stored keys, or is
// the recovery key, or opens the keyring.
func (m *material) tryKEK(secret []byte) bool {
	for _, b := range m.stored {
		text, err := openGCM(secret, b.sealed(), nil)
		if err != nil {
			continue
		}
		root, err := parseStoredKeys(text)
		clear(text)
		if err != nil {
			m.storedErr = err
			return true
		}
		m.tryRoot(root, byShares)
		return true
	}
	if m.recoverKey != nil && subtle.ConstantTimeCompare(secret, m.recoverKey) == 1 {
		return true
	}
	if m.ring != nil {
		if sideKEK, err := m.sideKEK(); err == nil && subtle.ConstantTimeCompare(secret, sideKEK) == 1 {
			return true
		}
		return false
	}
	if _, err := m.openRing(secret); err == nil {
		return m.tryRoot(bytes.Clone(secret), byLegacy)
	}
	return false
}

// sideKEK returns what the shares combined to when core/shamir-kek was written,
// which needs the keyring.
func (m *material) sideKEK() ([]byte, error) {
	value, err := entry(m.storage, pathShamirKEK)
	if err != nil {
		return nil, err
	}
	return m.ring.open(m.prefix+pathShamirKEK, value)
}

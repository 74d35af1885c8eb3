package named

import (
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
)

// The limits. Each has a door: trim a key's old versions, split a batch, encrypt
// what is large under a data key.
const (
	MaxName     = 64        // bytes of a key's name
	MaxVersions = 4096      // of a key, that are not trimmed
	MaxDocument = 1 << 20   // bytes of a key as it is stored, before it is encrypted; of RSA keys some 300 versions
	MaxMessage  = 32 << 20  // bytes of a plaintext, of an input to sign or hash, of associated data
	MaxContext  = 64 << 10  // bytes of a context
	MaxBatch    = 10_000    // items of a [Batch]
	MaxRandom   = 128 << 10 // bytes of [Random]

	// MinAutoRotate is the least period after which a key rotates by itself.
	MinAutoRotate = time.Hour

	// maxCached and maxCachedBytes bound the keys in memory: a key that is used
	// comes back.
	maxCached      = 1024
	maxCachedBytes = 64 << 20

	// maxTries bounds how often a change starts again since others changed the key.
	maxTries = 100
)

// Config is what keys are kept with.
type Config struct {
	// Keyring encrypts the keys: the Barrier's. It is required.
	Keyring *keyring.Keyring

	// Store keeps them. It is required.
	Store Store

	// Keep is called once, by [New], with the keys as a source of ciphertexts. It
	// is required: append it to the sources of the [migrate.Keeper], or to those
	// that [migrate.Rewrap] and [migrate.Retire] are given. A term that is
	// retired without them takes every key under it along.
	//
	//	Keep: func(s migrate.Source) { sources = append(sources, s) },
	Keep func(keys migrate.Source)

	// Refresh, if set, has the keyring look for a term that it does not know yet,
	// as another replica rotated: barrier.Admin().Refresh.
	Refresh func(context.Context) error

	// AEADs are the ciphers that the standard library does not offer. Without
	// one, keys of its type are refused. Each call returns one of its own, which
	// is wiped in the end where its memory holds no pointers.
	//
	//	AEADs: map[named.Type]func([]byte) (cipher.AEAD, error){
	//		named.ChaCha20Poly1305:  chacha20poly1305.New,
	//		named.XChaCha20Poly1305: chacha20poly1305.NewX,
	//	},
	AEADs map[Type]func(key []byte) (cipher.AEAD, error)

	// CacheFor is how long a key is used before the store is asked for it again:
	// so long a change that another process made may go unseen. Zero is five
	// seconds; below zero, the store is asked each time.
	CacheFor time.Duration

	// Now, if set, is asked for the time in place of the clock.
	Now func() time.Time
}

// Keys are a host's named keys. Make them with [New]. All methods are safe for
// concurrent use, and no lock is held while the store is asked.
type Keys struct {
	cfg   Config
	began time.Time
	cache atomic.Pointer[map[string]*entry] // never changed, but replaced

	mu      sync.Mutex // guards what follows, and every change of the cache
	flights map[string]*flight
	live    map[*state]struct{} // what is to be wiped when the keyring is sealed
}

// New returns the keys of a store. Nothing is read yet, and the keyring may be
// sealed. When it is sealed, what is in memory of the keys is dropped and wiped.
func New(cfg Config) (*Keys, error) {
	switch {
	case cfg.Keyring == nil:
		return nil, because(ErrConfig, "Keyring is not set: hand in the Barrier's")
	case cfg.Store == nil:
		return nil, because(ErrConfig, "Store is not set")
	case cfg.Keep == nil:
		return nil, because(ErrConfig, "Keep is not set: append its argument to the sources that are rewrapped and counted, or retiring a term loses every key under it")
	}
	for t, f := range cfg.AEADs {
		if t != ChaCha20Poly1305 && t != XChaCha20Poly1305 || f == nil {
			return nil, because(ErrConfig, "AEADs has %q: only %s and %s are handed in", string(t), ChaCha20Poly1305, XChaCha20Poly1305)
		}
	}
	if cfg.CacheFor == 0 {
		cfg.CacheFor = 5 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.AEADs = maps.Clone(cfg.AEADs)
	k := &Keys{cfg: cfg, began: time.Now(), flights: map[string]*flight{}, live: map[*state]struct{}{}}
	cfg.Keyring.OnSeal(k.drop)
	cfg.Keep(source{k})
	return k, nil
}

// String says what it is; there is nothing in it to print.
func (k *Keys) String() string { return "named.Keys" }

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?$`)

func checkName(name string) error {
	if len(name) > MaxName || !namePattern.MatchString(name) {
		return because(ErrInput, "a key's name is 1 to %d letters, digits, underscores, and between them dots and hyphens", MaxName)
	}
	return nil
}

// aadOf binds a document to the name it is stored under.
func aadOf(name string) []byte { return keyring.AAD("named key", name) }

// fetch loads a document from the store and decrypts it.
func (k *Keys) fetch(ctx context.Context, name string) (*document, string, error) {
	stored, revision, err := k.cfg.Store.Load(ctx, name)
	if err != nil {
		return nil, "", err
	}
	d, err := k.open(ctx, name, stored)
	return d, revision, err
}

func (k *Keys) open(ctx context.Context, name string, stored []byte) (*document, error) {
	if len(stored) > MaxDocument+keyring.Overhead {
		return nil, because(ErrCorrupt, "the stored key is longer than any")
	}
	plaintext, err := k.cfg.Keyring.Decrypt(nil, stored, aadOf(name))
	if errors.Is(err, keyring.ErrUnknownTerm) && k.cfg.Refresh != nil {
		if err := k.cfg.Refresh(ctx); err != nil {
			return nil, fmt.Errorf("the key is under a term that is not known yet: %w", err)
		}
		plaintext, err = k.cfg.Keyring.Decrypt(nil, stored, aadOf(name))
	}
	if err != nil {
		return nil, err
	}
	defer clear(plaintext)
	return parseDocument(name, plaintext)
}

// put encrypts a document and swaps it in.
func (k *Keys) put(ctx context.Context, d *document, revision string) (string, error) {
	plaintext, err := d.encode()
	if err != nil {
		return "", err
	}
	defer clear(plaintext)
	stored, err := k.cfg.Keyring.Encrypt(nil, plaintext, aadOf(d.Name))
	if err != nil {
		return "", err
	}
	return k.cfg.Store.Swap(ctx, d.Name, stored, revision)
}

// change edits a key, as often as it takes. The edit sees a document of its own
// each time, and does nothing that can't be done again.
func (k *Keys) change(ctx context.Context, op, name string, edit func(*document) error) (Info, error) {
	if err := checkName(name); err != nil {
		return Info{}, wrap(op, name, err)
	}
	for range maxTries {
		info, err := k.changeOnce(ctx, name, edit)
		if !errors.Is(err, ErrConflict) {
			return info, wrap(op, name, err)
		}
	}
	return Info{}, wrap(op, name, ErrConflict)
}

func (k *Keys) changeOnce(ctx context.Context, name string, edit func(*document) error) (Info, error) {
	d, revision, err := k.fetch(ctx, name)
	if err != nil {
		return Info{}, err
	}
	defer d.wipe()
	if err := edit(d); err != nil {
		return Info{}, err
	}
	d.Seq++
	defer k.invalidate(name) // also where nobody knows whether it was stored
	if _, err = k.put(ctx, d, revision); err != nil {
		return Info{}, err
	}
	return d.info(), nil
}

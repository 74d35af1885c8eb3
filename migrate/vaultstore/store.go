package vaultstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A Store is a storage of Vault or OpenBao that is open for reading. It is safe
// for concurrent use. It holds the keys in memory until it is closed.
type Store struct {
	storage storage
	info    Info

	mu    sync.RWMutex
	rings map[string]*keyring // by the prefix of what they encrypt; "" is the store's
}

// Info is what is known of a store. It holds no secret.
type Info struct {
	Kind     Kind
	Seal     *SealConfig // nil if core/seal-config is missing or damaged
	Recovery *SealConfig // of an auto seal's recovery shares; nil if there is none

	// OpenedBy is "shares", the type of a seal, "legacy" for shares of the root
	// key itself, or "root key".
	OpenedBy string

	Terms  []uint32 // of the keyring; the last is active
	Wrong  []int    // the shares, from 1, that are none of the set that opened the store
	Unused []int    // the shares, from 1, that are given twice
}

// Open opens what is at a path: a directory of storage "file", a directory with
// vault.db, vault.db itself, or a raft snapshot. Nothing is written there, and no
// lock is taken: stop the server, or open a copy. It opens whatever the keys
// suffice for, also where a server would not start any more; [Diagnose] says what
// is wrong then.
//
// The errors are [ErrNoStore], [ErrNotInitialized], [ErrShares], [ErrSeal],
// [ErrRootKey] and [ErrDamaged].
func Open(ctx context.Context, path string, keys Keys) (*Store, error) {
	return openAs(ctx, path, keys, false)
}

// Salvage is Open for a vault.db or a snapshot that is damaged: what cannot be
// read is as if it were not there. [Store.Damage] says what that was, once all was
// read.
func Salvage(ctx context.Context, path string, keys Keys) (*Store, error) {
	return openAs(ctx, path, keys, true)
}

func openAs(ctx context.Context, path string, keys Keys, lenient bool) (*Store, error) {
	s, err := openStorageAs(path, lenient)
	if err != nil {
		return nil, err
	}
	store, err := open(ctx, s, keys)
	if err != nil {
		s.Close()
		return nil, err
	}
	return store, nil
}

func open(ctx context.Context, s storage, keys Keys) (*Store, error) {
	m, err := find(ctx, s, keys)
	if err != nil {
		return nil, err
	}
	clear(m.kek)
	clear(m.recoverKey)
	if m.ring == nil {
		defer m.wipe()
		return nil, m.refused(keys)
	}
	clear(m.root)
	info := Info{Kind: s.kind(), Seal: m.config, Recovery: m.recovery, OpenedBy: string(m.rootBy), Terms: m.ring.terms(), Unused: m.deck.twice}
	info.Wrong = slices.Clone(m.deck.odd)
	if m.set != nil {
		info.Wrong = append(info.Wrong, m.deck.strangers(m.set)...)
		slices.Sort(info.Wrong)
	}
	return &Store{storage: s, info: info, rings: map[string]*keyring{"": m.ring}}, nil
}

// refused returns why nothing opened the keyring.
func (m *material) refused(keys Keys) error {
	missing := errors.Is(m.keyringErr, ErrNotFound)
	switch {
	case missing && m.config == nil && m.configErr == nil && !m.hasData():
		return fmt.Errorf("%w: there is neither %s nor %s", ErrNotInitialized, pathSealConfig, pathKeyring)
	case m.keyringErr != nil:
		return fmt.Errorf("%w: no key opens anything without it", m.keyringErr)
	case m.root != nil && m.rootBy == byGiven:
		return fmt.Errorf("%w than the one that was given", ErrRootKey)
	case m.root != nil:
		return fmt.Errorf("%w than the stored one, which was opened by %s", ErrRootKey, m.rootBy)
	case m.storedErr != nil:
		return m.storedErr
	}
	shamir := m.config == nil || m.config.shamir()
	if !shamir || len(keys.Seals) > 0 && len(keys.Shares) == 0 {
		return m.refusedSeal(keys)
	}
	return m.refusedShares(keys)
}

func (m *material) refusedSeal(keys Keys) error {
	kind := "auto"
	if m.config != nil {
		kind = m.config.Type
	}
	if len(keys.Seals) == 0 {
		return fmt.Errorf("%w: it is sealed by %s, whose key is needed; recovery shares open nothing by themselves", ErrSeal, kind)
	}
	return fmt.Errorf("%w: it is sealed by %s: %w", ErrSeal, kind, errors.Join(m.sealErrs...))
}

func (m *material) refusedShares(keys Keys) error {
	given, needed := len(keys.Shares), 0
	if m.config != nil {
		needed = m.config.Threshold
	}
	switch {
	case given == 0 && needed == 0:
		return fmt.Errorf("%w: none was given, and %s does not say how many it takes", ErrShares, pathSealConfig)
	case given == 0:
		return fmt.Errorf("%w: it takes %d shares, and none was given", ErrShares, needed)
	case len(m.deck.odd) > 0:
		return fmt.Errorf("%w: share %s has a length that none of the store's has", ErrShares, numbers(m.deck.odd))
	case len(m.deck.shares) < needed:
		return fmt.Errorf("%w: it takes %d different shares, and %d were given", ErrShares, needed, len(m.deck.shares))
	case !m.complete:
		return fmt.Errorf("%w: there are too many sets of %d shares to try all of them: give fewer", ErrShares, given)
	}
	if of := m.deck.family(needed); of != nil && len(of) < len(m.deck.shares) {
		return fmt.Errorf("%w: share %s does not belong to the others, and the others open nothing", ErrShares, numbers(m.deck.others(of)))
	} else if of != nil {
		return fmt.Errorf("%w: they belong together, and are of another store or of a set that was replaced", ErrShares)
	}
	return fmt.Errorf("%w: at least one of the %d is mistyped or of another set, and nothing tells which: give more shares, of which every set of %d is tried", ErrShares, given, needed)
}

// others returns the numbers of the shares outside a set.
func (d *deck) others(set []int) []int {
	var out []int
	for i, number := range d.number {
		if !slices.Contains(set, i) {
			out = append(out, number)
		}
	}
	return out
}

// numbers writes 1, 2 and 5.
func numbers(n []int) string {
	var b strings.Builder
	for i, v := range n {
		switch {
		case i > 0 && i == len(n)-1:
			b.WriteString(" and ")
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprint(&b, v)
	}
	return b.String()
}

// Info returns what is known of the store.
func (s *Store) Info() Info { return s.info }

// Damage returns what could not be read, until now, of a store that [Salvage]
// opened.
func (s *Store) Damage() []error {
	if d, ok := s.storage.(damagedStorage); ok {
		return d.damage()
	}
	return nil
}

// Close wipes the keys and closes the files.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ring := range s.rings {
		ring.wipe()
	}
	clear(s.rings)
	return s.storage.Close()
}

// plain are the keys whose entries are not encrypted by the barrier.
var plain = map[string]bool{
	pathSealConfig: true, pathRecoveryConfig: true, pathStoredKeys: true, pathRecoveryKey: true,
	"core/unseal-keys-backup": true, "core/recovery-keys-backup": true, "core/seal-initialization-flag": true,
	"core/seal-gen-info": true, "core/lock": true, "core/initialize-lock": true, "core/cluster/local/name": true,
}

// Get returns the plaintext of an entry by its storage key, such as
// "core/mounts", which the caller owns. Entries that no data key encrypts, such as
// core/seal-config, it returns as they are. Compressed JSON stays compressed:
// [Store.JSON] unpacks it.
func (s *Store) Get(key string) ([]byte, error) {
	value, err := entry(s.storage, key)
	if err != nil {
		return nil, err
	}
	return s.decrypt(key, value)
}

func (s *Store) decrypt(key string, value []byte) ([]byte, error) {
	if plain[key] {
		return value, nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	ring := s.ringOf(key)
	if ring == nil {
		return nil, errors.New("vaultstore: the store is closed")
	}
	if key == pathKeyring {
		return nil, fmt.Errorf("vaultstore: %s is not shown: it holds the keys", key)
	}
	return ring.open(key, value)
}

// ringOf returns the keyring with the longest prefix of a key.
func (s *Store) ringOf(key string) *keyring {
	best := ""
	for prefix := range s.rings {
		if strings.HasPrefix(key, prefix) && len(prefix) > len(best) && strings.TrimPrefix(key, prefix) != pathSealConfig {
			best = prefix
		}
	}
	return s.rings[best]
}

// JSON returns the plaintext of an entry of JSON, unpacked.
func (s *Store) JSON(key string) ([]byte, error) {
	text, err := s.Get(key)
	if err != nil {
		return nil, err
	}
	out, err := decompress(text, maxValue)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, key, err)
	}
	return out, nil
}

// List returns the names right below a prefix, folders with a slash: of "" or of
// one that ends with a slash.
func (s *Store) List(prefix string) ([]string, error) { return children(s.storage, prefix) }

// Walk calls f with every storage key that has the prefix, in an order that stays
// the same, until f returns an error.
func (s *Store) Walk(ctx context.Context, prefix string, f func(key string) error) error {
	return s.storage.walk(prefix, func(key string, _ func() ([]byte, error)) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return f(key)
	})
}

// each calls f with the plaintext of every entry below a prefix, or with why it
// cannot be read. What a crash left of a write is not one.
func (s *Store) each(ctx context.Context, prefix string, f func(key string, text []byte, err error) error) error {
	return s.storage.walk(prefix, func(key string, read func() ([]byte, error)) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		value, err := read()
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		var text []byte
		if err == nil {
			text, err = s.decrypt(key, value)
		}
		if err != nil && s.leftover(key, value) {
			return nil
		}
		return f(key, text, err)
	})
}

// leftover reports whether a file is what a crash left of a write: it is cut, or
// bound to the key without its end.
func (s *Store) leftover(key string, value []byte) bool {
	name, ok := strings.CutSuffix(key, tempSuffix)
	if !ok || s.storage.kind() != KindFile {
		return false
	}
	if value == nil {
		_, ok, _ := s.storage.get(name)
		return ok
	}
	text, err := s.decrypt(name, value)
	clear(text)
	return err == nil
}

package named

import (
	"bytes"
	"crypto/aes"
	"fmt"
)

// EncodeText encodes data as ciphertexts are.
func EncodeText(dst []byte, prefix string, data []byte) []byte {
	out, body, sealed := textRoom(dst, prefix, len(data))
	copy(sealed, data)
	encode(body, len(data))
	return out
}

// What the vectors of the RFCs are for.
var (
	KWPWrap   = kwpWrap
	KWPUnwrap = kwpUnwrap
)

// KWRounds is W, or its inverse, over a copy.
func KWRounds(kek, in []byte, wrap bool) []byte {
	block, err := aes.NewCipher(kek)
	if err != nil {
		panic(err)
	}
	out := bytes.Clone(in)
	if wrap {
		wrapRounds(block, out)
	} else {
		unwrapRounds(block, out)
	}
	return out
}

// AESBlock encrypts one block.
func AESBlock(key, in []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(in))
	block.Encrypt(out, in)
	return out
}

// ParseDocument reads a stored document, and writes it again.
func ParseDocument(name string, text []byte) ([]byte, error) {
	d, err := parseDocument(name, text)
	if err != nil {
		return nil, err
	}
	return d.encode()
}

// ParseBackup reads a backup, and writes it again.
func ParseBackup(text string) ([]byte, error) {
	d, err := parseBackup(text)
	if err != nil {
		return nil, err
	}
	if _, err := d.toVault(); err != nil {
		return nil, err
	}
	return d.encode()
}

// ParsePrivate reads what is imported.
func ParsePrivate(der []byte) error {
	_, err := parsePrivate(der)
	return err
}

// WrappingKeyName is the name of the key for imports.
const WrappingKeyName = wrappingKey

// SetSpent says how many messages the process encrypted under the latest version.
func (k *Key) SetSpent(n uint64) { k.state.version(k.state.doc.latest()).spent.Store(n) }

// Raw returns the memory of the key's secrets, to see that it is wiped.
func (k *Key) Raw() (all [][]byte) {
	for _, v := range k.state.doc.Versions {
		all = append(all, v.Key, v.MAC)
	}
	return all
}

// Live returns how many states would be wiped by a Seal.
func (k *Keys) Live() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.live)
}

// Cached returns how many keys are in the cache.
func (k *Keys) Cached() int { return len(*k.cache.Load()) }

// Swell has the cache take a key for one of a size.
func (k *Keys) Swell(name string, size int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.cached(name)
	k.keep(name, nil, &entry{key: old.key, revision: old.revision, size: size}, k.clock())
}

// Crowd has the cache take a key for n others as well.
func (k *Keys) Crowd(name string, n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.cached(name)
	k.edit(func(cache map[string]*entry) {
		for i := range n {
			cache[fmt.Sprintf("other%d", i)] = old
		}
	})
}

// MaxCached is how many there are at most.
const MaxCached = maxCached

// Enter keeps a key from being wiped until the returned function is called.
func (k *Key) Enter() func() {
	if err := k.state.enter(); err != nil {
		panic(err)
	}
	return k.state.leave
}

//go:build !goexperiment.boringcrypto && !race

package seal_test

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"maps"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/shamir"
)

// A collector works out the secrets from what a life tells.
type collector struct {
	t       *testing.T
	mask    [32]byte
	kinds   map[string]string // by secret
	shares  map[uint32][][]byte
	records [][]byte
	epochs  [][]byte // the heads of ciphertexts
}

func newCollector(t *testing.T) *collector {
	c := &collector{t: t, kinds: map[string]string{}, shares: map[uint32][][]byte{}}
	rand.Read(c.mask[:])
	return c
}

func (c *collector) maskText() string { return hex.EncodeToString(c.mask[:]) }

func (c *collector) hear(kind, value string) {
	b, err := hex.DecodeString(value)
	if err != nil {
		c.t.Fatal(err)
	}
	switch kind {
	case "record":
		c.records = append(c.records, b)
		return
	case "epoch":
		c.epochs = append(c.epochs, b)
		return
	}
	subtle.XORBytes(b, b, c.mask[:])
	var set uint32
	var x byte
	if n, _ := fmt.Sscanf(kind, "share %d %d", &set, &x); n == 2 {
		c.shares[set] = append(c.shares[set], append(b, x))
		kind = "share"
	}
	c.know(kind, b[:32])
}

func (c *collector) know(kind string, secret []byte) { c.kinds[string(secret)] = kind }

// secrets returns the kinds of all secrets, by secret.
func (c *collector) secrets() map[string]string {
	for _, stored := range c.records {
		rec, _, _, err := record.Parse(stored)
		if err != nil {
			c.t.Fatal(err)
		}
		for i := range rec.Slots {
			slot := &rec.Slots[i]
			seed := c.value(rec.Store, slot.Name, &slot.Tree, "", 1, 1)
			c.know("seed", seed)
			if err := seal.SecretsOf(stored, slot.ID, seed, c.know); err != nil {
				c.t.Fatal(err)
			}
		}
		c.knowEpochs(rec.Store)
	}
	return c.kinds
}

// knowEpochs derives the keys of epochs from the data keys, as package keyring
// does: see its FORMAT.md.
func (c *collector) knowEpochs(store string) {
	for secret, kind := range maps.Clone(c.kinds) {
		if kind != "data key" {
			continue
		}
		c.know("roster key", aead.Derive([]byte(secret), []byte(store), "sealwright/roster/v1", 32))
		for _, head := range c.epochs {
			term, salt, commitment := head[1:5], head[9:25], head[25:41]
			info := fmt.Sprintf("sealwright/keyring/v1/message\x00%c%s%s", len(store), store, term)
			if okm := aead.Derive([]byte(secret), salt, info, 48); bytes.Equal(okm[32:], commitment) {
				c.know("epoch key", okm[:32])
			}
		}
	}
}

// value computes what a node of a tree protects.
func (c *collector) value(store, slot string, n *record.Node, path string, k, of int) []byte {
	var parts [][]byte
	switch {
	case n.KMS != nil:
		w, err := plainKMS(n.KMS.Name).Unwrap(c.t.Context(), &n.KMS.Blob, kms.Binding{})
		if err != nil {
			c.t.Fatal(err)
		}
		c.know("w", w[:32])
		value, err := seal.LeafValue(store, slot, path, k, of, n.KMS, w[:32])
		if err != nil {
			c.t.Fatal(err)
		}
		return value
	case n.Shamir != nil:
		parts = c.shares[n.Shamir.Set]
	default:
		for i := range n.Threshold.Of {
			part := c.value(store, slot, &n.Threshold.Of[i], record.ChildPath(path, i), n.Threshold.Threshold, len(n.Threshold.Of))
			c.know("part", part)
			parts = append(parts, append(part, byte(i+1)))
		}
	}
	value, err := shamir.Combine(parts)
	if err != nil {
		c.t.Fatal(err)
	}
	return value
}

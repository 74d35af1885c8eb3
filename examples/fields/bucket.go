package main

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
)

// A bucket is a bucket of a bbolt file as a [migrate.Source]: its keys are the
// ids, its values binary ciphertexts.
type bucket struct {
	db   *bbolt.DB
	name string
}

func (b *bucket) Page(_ context.Context, after string, limit int) (page []migrate.Item, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(b.name)).Cursor()
		k, v := c.Seek([]byte(after))
		if k != nil && string(k) == after {
			k, v = c.Next()
		}
		for ; k != nil && len(page) < limit; k, v = c.Next() {
			if v != nil && len(k) > 0 { // no value: a bucket inside
				page = append(page, migrate.Item{ID: string(k), AAD: b.aad(string(k)), Ciphertext: bytes.Clone(v)})
			}
		}
		return nil
	})
	return page, err
}

func (b *bucket) Replace(_ context.Context, id string, old, next []byte) (replaced bool, err error) {
	err = b.db.Update(func(tx *bbolt.Tx) error {
		in := tx.Bucket([]byte(b.name))
		stored := in.Get([]byte(id))
		if replaced = stored != nil && bytes.Equal(stored, old); !replaced {
			return nil
		}
		return in.Put([]byte(id), next)
	})
	return replaced && err == nil, err
}

func (b *bucket) aad(id string) []byte { return keyring.AAD(b.name, id) }

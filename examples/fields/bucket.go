package main

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A bucket is a bucket of a bbolt file as a [migrate.Source]: its keys are the
// ids, its values binary ciphertexts.
type bucket struct {
	db   *bbolt.DB
	name string
	box  *seal.Box
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
				page = append(page, migrate.Item{ID: string(k), AAD: b.box.AAD(string(k)), Ciphertext: bytes.Clone(v)})
			}
		}
		return nil
	})
	return page, err
}

func (b *bucket) Replace(ctx context.Context, id string, old, next []byte) (replaced bool, err error) {
	batch := []migrate.Replacement{{ID: id, Old: old, Next: next}}
	err = b.ReplaceBatch(ctx, batch)
	return err == nil && batch[0].Replaced, err
}

// ReplaceBatch makes it a [migrate.Batcher]: a page is one transaction, and one
// sync of the file.
func (b *bucket) ReplaceBatch(_ context.Context, batch []migrate.Replacement) error {
	return b.db.Update(func(tx *bbolt.Tx) error {
		in := tx.Bucket([]byte(b.name))
		for i := range batch {
			e := &batch[i]
			stored := in.Get([]byte(e.ID))
			if e.Replaced = stored != nil && bytes.Equal(stored, e.Old); e.Replaced {
				if err := in.Put([]byte(e.ID), bytes.Clone(e.Next)); err != nil { // bbolt keeps it until the commit
					return err
				}
			}
		}
		return nil
	})
}

// Estimate is for the progress.
func (b *bucket) Estimate(context.Context) (n int64, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		n = int64(tx.Bucket([]byte(b.name)).Stats().KeyN)
		return nil
	})
	return n, err
}

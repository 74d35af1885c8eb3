package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/seal"
)

var sealBucket, recordKey, revisionKey = []byte("seal"), []byte("record"), []byte("revision")

// A boltStore keeps the record in the file that has the secrets. Bbolt syncs
// each transaction before it returns, and locks the file against a second
// process.
type boltStore struct {
	db *bbolt.DB
}

func (s boltStore) Load(ctx context.Context) (rec []byte, rev string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(sealBucket)
		if b == nil || b.Get(revisionKey) == nil {
			return seal.ErrNotFound
		}
		// What bbolt returns is its own, and gone with the transaction.
		rec, rev = bytes.Clone(b.Get(recordKey)), string(b.Get(revisionKey))
		return nil
	})
	return rec, rev, err
}

func (s boltStore) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	if len(rec) > seal.MaxRecordSize {
		return "", seal.ErrTooLarge
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	// Random, so that a restored backup never meets a revision again.
	rev = rand.Text()
	err = s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(sealBucket)
		if err != nil {
			return err
		}
		if string(b.Get(revisionKey)) != old {
			return seal.ErrConflict
		}
		if err := b.Put(recordKey, rec); err != nil {
			return err
		}
		return b.Put(revisionKey, []byte(rev))
	})
	if err != nil {
		return "", fmt.Errorf("store the record: %w", err)
	}
	return rev, nil
}

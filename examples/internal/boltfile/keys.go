package boltfile

import (
	"bytes"
	"context"
	"crypto/rand"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/keyring/named"
)

// KeysBucket has the named keys, by their names.
var KeysBucket = []byte("transit")

// Keys keep named keys in the file: a revision, and behind it the encrypted key.
type Keys struct {
	File *File
}

const revisionLength = 26 // of rand.Text

func (s Keys) Load(ctx context.Context, name string) (document []byte, revision string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	err = s.File.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(KeysBucket)
		if b == nil || len(b.Get([]byte(name))) < revisionLength {
			return named.ErrNotFound
		}
		kept := bytes.Clone(b.Get([]byte(name))) // what bbolt returns is its own
		document, revision = kept[revisionLength:], string(kept[:revisionLength])
		return nil
	})
	return document, revision, err
}

func (s Keys) Swap(ctx context.Context, name string, document []byte, revision string) (next string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	next = rand.Text()
	err = s.File.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(KeysBucket)
		if err != nil {
			return err
		}
		kept := b.Get([]byte(name))
		if string(kept[:min(len(kept), revisionLength)]) != revision {
			return named.ErrConflict
		}
		if document == nil {
			return b.Delete([]byte(name))
		}
		return b.Put([]byte(name), append([]byte(next), document...))
	})
	if err != nil || document == nil {
		return "", err
	}
	return next, nil
}

func (s Keys) List(ctx context.Context, after string, limit int) (names []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = s.File.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(KeysBucket)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, _ := c.Seek([]byte(after)); k != nil && len(names) < limit; k, _ = c.Next() {
			if string(k) > after {
				names = append(names, string(k))
			}
		}
		return nil
	})
	return names, err
}

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/sealwright/sealwright/seal"
)

// errLive: a server runs on the store.
var errLive = errors.New("a server has the store open")

// A boltStore is a record in a bbolt file, as examples/server has it: a bucket with
// the record under "record" and its revision under "revision". The file stays
// locked for as long as it is open, so that no server starts on it meanwhile.
type boltStore struct {
	db     *bbolt.DB
	name   string
	bucket []byte
}

var boltRecord, boltRevision = []byte("record"), []byte("revision")

func openBolt(path, bucket string, change bool) (b *boltStore, err error) {
	db, err := openBoltFile(path, change)
	if err != nil {
		return nil, err
	}
	return &boltStore{db: db, name: path, bucket: []byte(bucket)}, nil
}

// openBoltFile opens a bbolt file that nobody else has open.
func openBoltFile(path string, change bool) (db *bbolt.DB, err error) {
	defer func() { err = damaged(path, recover(), err) }()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, ReadOnly: !change})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("%w: another process has %s locked: stop it, or ask it (bao operator …); a copy of the file made while it runs may be torn", errLive, path)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return db, nil
}

// damaged makes an error of the panic that bbolt meets a damaged page with.
func damaged(path string, p any, err error) error {
	if p != nil {
		return fmt.Errorf("%w: the bbolt file %s: restore it from a backup", seal.ErrCorrupt, path)
	}
	return err
}

func (s *boltStore) close() { _ = s.db.Close() }

func (s *boltStore) Load(ctx context.Context) (rec []byte, rev string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	defer func() { err = damaged(s.name, recover(), err) }()
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(s.bucket)
		if b == nil || b.Get(boltRevision) == nil {
			return fmt.Errorf("bucket %q of %s: %w: see --record-bucket", s.bucket, s.name, seal.ErrNotFound)
		}
		rec, rev = bytes.Clone(b.Get(boltRecord)), string(b.Get(boltRevision)) // what bbolt returns is its own
		return nil
	})
	return rec, rev, err
}

func (s *boltStore) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	if len(rec) > seal.MaxRecordSize {
		return "", seal.ErrTooLarge
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	defer func() { err = damaged(s.name, recover(), err) }()
	rev = rand.Text() // a restored backup never meets a revision again
	err = s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(s.bucket)
		if err != nil {
			return err
		}
		if string(b.Get(boltRevision)) != old {
			return seal.ErrConflict
		}
		if err := b.Put(boltRecord, rec); err != nil {
			return err
		}
		return b.Put(boltRevision, []byte(rev))
	})
	if err != nil {
		return "", fmt.Errorf("store the record in %s: %w", s.name, err)
	}
	return rev, nil
}

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/seal"
)

// A database is one bbolt file. It is opened when it is first needed and can be,
// so that the server comes up, and says what is wrong, while the volume is not
// mounted or the file is damaged.
type database struct {
	path string

	mu      sync.Mutex
	db      *bbolt.DB
	damaged error // bbolt panicked over it, and still has it locked: not tried again
}

func (d *database) open() (db *bbolt.DB, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db != nil || d.damaged != nil {
		return d.db, d.damaged
	}
	defer func() {
		if p := recover(); p != nil {
			d.damaged = fmt.Errorf("%s is damaged: %v: restore it, and start again", d.path, p)
			err = d.damaged
		}
	}()
	if err := os.Mkdir(filepath.Dir(d.path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	// Another process that has the file keeps it locked.
	if db, err = bbolt.Open(d.path, 0o600, &bbolt.Options{Timeout: time.Second}); err != nil {
		return nil, fmt.Errorf("open %s: %w", d.path, err)
	}
	d.db = db
	return db, nil
}

func (d *database) view(f func(*bbolt.Tx) error) error { return d.do((*bbolt.DB).View, f) }

func (d *database) update(f func(*bbolt.Tx) error) error { return d.do((*bbolt.DB).Update, f) }

// do makes an error of the panic that bbolt meets a damaged page with.
func (d *database) do(how func(*bbolt.DB, func(*bbolt.Tx) error) error, f func(*bbolt.Tx) error) (err error) {
	db, err := d.open()
	if err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s is damaged: %v", d.path, p)
		}
	}()
	return how(db, f)
}

func (d *database) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db == nil {
		return nil
	}
	err := d.db.Close()
	d.db = nil
	return err
}

var sealBucket, recordKey, revisionKey = []byte("seal"), []byte("record"), []byte("revision")

// A boltStore keeps the record in the file that has the secrets. Bbolt syncs
// each transaction before it returns, and locks the file against a second
// process.
type boltStore struct {
	db *database
}

func (s boltStore) Load(ctx context.Context) (rec []byte, rev string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	err = s.db.view(func(tx *bbolt.Tx) error {
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
	err = s.db.update(func(tx *bbolt.Tx) error {
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

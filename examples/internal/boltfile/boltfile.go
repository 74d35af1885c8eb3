// Package boltfile keeps what a small server has in one bbolt file, so that one
// backup is always consistent: the record, named keys, and whatever the server
// itself puts there.
package boltfile

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

// A File is one bbolt file. It is opened when it is first needed and can be,
// so that the server comes up, and says what is wrong, while the volume is not
// mounted or the file is damaged.
type File struct {
	Path string

	mu      sync.Mutex
	db      *bbolt.DB
	damaged error // bbolt panicked over it, and still has it locked: not tried again
}

func (d *File) open() (db *bbolt.DB, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db != nil || d.damaged != nil {
		return d.db, d.damaged
	}
	defer func() {
		if p := recover(); p != nil {
			d.damaged = fmt.Errorf("%s is damaged: %v: restore it, and start again", d.Path, p)
			err = d.damaged
		}
	}()
	if err := os.Mkdir(filepath.Dir(d.Path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	// Another process that has the file keeps it locked.
	if db, err = bbolt.Open(d.Path, 0o600, &bbolt.Options{Timeout: time.Second}); err != nil {
		return nil, fmt.Errorf("open %s: %w", d.Path, err)
	}
	d.db = db
	return db, nil
}

// View and Update are those of bbolt.
func (d *File) View(f func(*bbolt.Tx) error) error { return d.do((*bbolt.DB).View, f) }

func (d *File) Update(f func(*bbolt.Tx) error) error { return d.do((*bbolt.DB).Update, f) }

// do makes an error of the panic that bbolt meets a damaged page with.
func (d *File) do(how func(*bbolt.DB, func(*bbolt.Tx) error) error, f func(*bbolt.Tx) error) (err error) {
	db, err := d.open()
	if err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s is damaged: %v", d.Path, p)
		}
	}()
	return how(db, f)
}

// Close closes the file. What comes later opens it again.
func (d *File) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.db == nil {
		return nil
	}
	err := d.db.Close()
	d.db = nil
	return err
}

// SealBucket has the record, under RecordKey, and its revision.
var SealBucket, RecordKey, revisionKey = []byte("seal"), []byte("record"), []byte("revision")

// A Record keeps a barrier's record in the file. Bbolt syncs
// each transaction before it returns, and locks the file against a second
// process.
type Record struct {
	File *File
}

func (s Record) Load(ctx context.Context) (rec []byte, rev string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	err = s.File.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(SealBucket)
		if b == nil || b.Get(revisionKey) == nil {
			return seal.ErrNotFound
		}
		// What bbolt returns is its own, and gone with the transaction.
		rec, rev = bytes.Clone(b.Get(RecordKey)), string(b.Get(revisionKey))
		return nil
	})
	return rec, rev, err
}

func (s Record) Swap(ctx context.Context, rec []byte, old string) (rev string, err error) {
	if len(rec) > seal.MaxRecordSize {
		return "", seal.ErrTooLarge
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	// Random, so that a restored backup never meets a revision again.
	rev = rand.Text()
	err = s.File.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(SealBucket)
		if err != nil {
			return err
		}
		if string(b.Get(revisionKey)) != old {
			return seal.ErrConflict
		}
		if err := b.Put(RecordKey, rec); err != nil {
			return err
		}
		return b.Put(revisionKey, []byte(rev))
	})
	if err != nil {
		return "", fmt.Errorf("store the record: %w", err)
	}
	return rev, nil
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
)

// One value of a bbolt file, such as a server's settings beside its buckets of
// many, as a [migrate.Source]. What is stored is compared and replaced in one
// transaction of bbolt's, which is the lock of all writers and on the disk when it
// returns.
func Example_value() {
	dir, err := os.MkdirTemp("", "value")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := bbolt.Open(filepath.Join(dir, "server.bolt"), 0o600, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	bucket, key := []byte("server"), []byte("settings")
	settings := migrate.Blob{
		ID:  "server/settings",
		AAD: keyring.AAD("server", "settings"),
		Load: func(context.Context) (stored []byte, err error) {
			err = db.View(func(tx *bbolt.Tx) error {
				if in := tx.Bucket(bucket); in != nil {
					stored = bytes.Clone(in.Get(key)) // bbolt's own is gone with the transaction
				}
				return nil
			})
			return stored, err
		},
		Swap: func(_ context.Context, old, next []byte) (replaced bool, err error) {
			err = db.Update(func(tx *bbolt.Tx) error {
				in := tx.Bucket(bucket)
				if in == nil {
					return nil
				}
				stored := in.Get(key)
				if replaced = stored != nil && bytes.Equal(stored, old); !replaced {
					return nil
				}
				return in.Put(key, bytes.Clone(next)) // bbolt keeps it until the commit
			})
			return err == nil && replaced, err
		},
	}

	owner := keyring.New() // of a Barrier: its Keyring
	kr := owner.Keyring()
	install := func(active uint32) {
		terms := make([]keyring.Term, active)
		for i := range terms {
			terms[i] = keyring.Term{Number: uint32(i) + 1, Key: keyring.Key{byte(i) + 1}, Active: uint32(i)+1 == active}
		}
		if err := owner.Install("a store", terms); err != nil {
			log.Fatal(err)
		}
	}
	install(1)
	err = db.Update(func(tx *bbolt.Tx) error {
		in, err := tx.CreateBucket(bucket)
		if err != nil {
			return err
		}
		stored, err := kr.Encrypt(nil, []byte("port 8200"), settings.AAD)
		if err != nil {
			return err
		}
		return in.Put(key, stored)
	})
	if err != nil {
		log.Fatal(err)
	}
	install(2)
	for p, err := range migrate.Rewrap(context.Background(), kr, settings, migrate.RewrapOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		if p.Done {
			fmt.Println("rewrapped:", p.Rewrapped)
		}
	}
	stored, err := settings.Load(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	term, err := keyring.TermOf(stored)
	if err != nil {
		log.Fatal(err)
	}
	plaintext, err := kr.Decrypt(nil, stored, settings.AAD)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("under term %d: %s\n", term, plaintext)
	late, err := settings.Swap(context.Background(), []byte("what was there before"), nil)
	fmt.Println("compared with something else:", late, err)
	// Output:
	// rewrapped: 1
	// under term 2: port 8200
	// compared with something else: false <nil>
}

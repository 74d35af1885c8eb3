package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// Requests that decrypt within transactions, just after another replica has rotated
// the keys, hold the connections that the store would need. In a pool of its own it
// needs none of theirs.
func TestDecryptWithinTransactions(t *testing.T) {
	for name, own := range map[string]bool{"a pool of its own": true, "the host's pool": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, key := filepath.Join(dir, "app.db"), filepath.Join(dir, "kms.key")
			must(t, localkms.Create(t.Context(), key))
			barrier := func(db *sql.DB) *seal.Barrier {
				wrapper, err := localkms.New(localkms.Config{Path: key})
				must(t, err)
				s := openStore(t, db, sqlstore.Config{Dialect: sqlstore.SQLite})
				must(t, s.CreateTable(t.Context()))
				b, err := seal.Open(seal.Config{Store: s, KMS: map[string]kms.Wrapper{"local": wrapper}, StoreTimeout: time.Second})
				must(t, err)
				t.Cleanup(func() { b.Close() })
				return b
			}
			const connections = 3
			host := openSQLite(t, path, "journal_mode(WAL)")
			host.SetMaxOpenConns(connections)
			pool := host
			if own {
				pool = openSQLite(t, path, "journal_mode(WAL)")
				pool.SetMaxOpenConns(1)
			}
			here, other := barrier(pool), barrier(openSQLite(t, path, "journal_mode(WAL)"))
			_, err := here.Init(t.Context(), map[string]seal.Spec{"local": seal.KMS{Wrapper: "local"}}, seal.By{})
			must(t, err)
			err = other.Unseal(t.Context())
			must(t, err)
			must(t, other.Rotate(t.Context(), seal.By{}))
			written, err := other.Keyring().Encrypt(nil, []byte("a token"), nil)
			must(t, err)
			held := sync.WaitGroup{}
			held.Add(connections)
			failed := make(chan error, connections)
			for range connections {
				go func() { failed <- request(t.Context(), host, here, &held, written) }()
			}
			starved := 0 // who fails gives back a connection, by which the others get on
			for range connections {
				err := <-failed
				if err == nil {
					continue
				}
				if starved++; own {
					t.Errorf("a request: %v", err)
				} else if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "give the store a pool of its own") {
					t.Errorf("a request whose connection the store waits for: error %v", err)
				}
			}
			if !own && starved == 0 {
				t.Error("requests that hold every connection of the store's pool got on: this shows nothing")
			}
		})
	}
}

// request reads within a transaction what another replica wrote, when all the
// others have begun theirs.
func request(ctx context.Context, db *sql.DB, b *seal.Barrier, held *sync.WaitGroup, written []byte) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	held.Done()
	held.Wait()
	_, err = b.Admin().Decrypt(ctx, nil, written, nil)
	return err
}

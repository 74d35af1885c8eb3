// Host is a whole server, as package seal's documentation has it: third parties'
// tokens in an encrypted column of a SQL database, unsealed by a KMS key, its keys
// rotated by itself, and operated by the stock bao and vault command lines.
//
//	export ADMIN_TOKEN=$(openssl rand -hex 16)
//	go run ./examples/host -dir DIR -create-key     once
//	go run ./examples/host -dir DIR
//
// In another terminal:
//
//	export BAO_ADDR=http://127.0.0.1:8210 BAO_TOKEN=$ADMIN_TOKEN
//	bao operator init -recovery-shares 3 -recovery-threshold 2
//	curl -H "X-Vault-Token: $BAO_TOKEN" -d 'a token' $BAO_ADDR/tokens/
//	curl -H "X-Vault-Token: $BAO_TOKEN" $BAO_ADDR/tokens/1
//	bao operator seal
//	bao operator unseal                       with two of the recovery shares
//
// The key is one in a file; a cloud's is made by another package, and the rest
// stays. A start never makes the key: where its file is away, since its volume is
// not mounted, a new one would open nothing. The server comes up sealed then, says
// so, and people can unseal it. serve.go is made to be copied.
package main

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	_ "github.com/ncruces/go-sqlite3/driver"

	"github.com/sealwright/sealwright/examples/internal/flags"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

func main() {
	dir := flag.String("dir", "", "the `directory` for the database")
	key := flag.String("key", "", "the `file` of the key (default: kms.key in the directory)")
	create := flag.Bool("create-key", false, "make the key, once, before the store's init, and end")
	addr := flag.String("addr", "127.0.0.1:8210", "the `address` to listen on")
	flags.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *key == "" {
		*key = filepath.Join(*dir, "kms.key")
	}
	start := func() error { return run(ctx, *dir, *key, *addr) }
	if *create {
		start = func() error { return createKey(ctx, *dir, *key) }
	}
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

// adminToken is the one token that may do everything.
func adminToken() string { return os.Getenv("ADMIN_TOKEN") }

// authorize is where a real server looks at its own users.
func authorize(r *http.Request, _ operator.Action) error {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Vault-Token")), []byte(adminToken())) != 1 {
		return errors.New("not the admin token")
	}
	return nil
}

// createKey is what the operator does once; it never replaces a key.
func createKey(ctx context.Context, dir, key string) error {
	if dir == "" {
		return errors.New("-dir is required")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return localkms.Create(ctx, key)
}

func run(ctx context.Context, dir, key, addr string) error {
	switch {
	case dir == "":
		return errors.New("-dir is required")
	case len(adminToken()) < 16:
		return errors.New("ADMIN_TOKEN is not set, or has fewer than 16 characters")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	db, err := openDatabase(dir)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, table); err != nil {
		return err
	}
	// The record has a pool of its own: a request that decrypts within a transaction
	// may have it loaded.
	records, err := openDatabase(dir)
	if err != nil {
		return err
	}
	defer records.Close()
	store, err := sqlstore.Open(records, sqlstore.Config{Dialect: sqlstore.SQLite})
	if err != nil {
		return err
	}
	if err := store.CreateTable(ctx); err != nil {
		return err
	}
	cloud, err := localkms.New(localkms.Config{Path: key}) // reads nothing yet
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	return serve(ctx, l, db, store, cloud)
}

// openDatabase opens a pool of one connection: SQLite has one writer.
func openDatabase(dir string) (*sql.DB, error) {
	pragmas := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)"}}
	file := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(filepath.Join(dir, "host.db")), RawQuery: pragmas.Encode()}
	db, err := sql.Open("sqlite3", file.String())
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

package sqlkeys_test

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/sealwright/sealwright/keyring/named/sqlkeys"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// The statement for the host's migrations.
func Example() {
	schema, err := sqlstore.Config{Dialect: sqlstore.SQLite, Table: sqlkeys.Table}.Schema()
	fmt.Println(schema, err)
	// Output:
	// CREATE TABLE IF NOT EXISTS "sealwright_keys" (
	// 	name TEXT NOT NULL PRIMARY KEY,
	// 	revision INTEGER NOT NULL,
	// 	record BLOB NOT NULL
	// ) <nil>
}

func ExampleOpen() {
	_ = func(ctx context.Context, db *sql.DB) (*sqlkeys.Store, error) {
		store, err := sqlkeys.Open(db, sqlstore.Config{Dialect: sqlstore.PostgreSQL})
		if err != nil {
			return nil, err
		}
		return store, store.CreateTable(ctx)
	}
}

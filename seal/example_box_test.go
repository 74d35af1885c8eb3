package seal_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"strconv"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// Tokens in a column of a table whose ids the database makes, beside one in clear
// that was there before.
func ExampleBox() {
	ctx := context.Background()
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(),
		KMS:   map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("prod")},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		log.Fatal(err)
	}
	db := openDatabase("a token in clear") // in row 1
	box := b.Box("tokens", "secret")
	box.Legacy = func(stored, _ []byte) ([]byte, error) { return stored, nil } // until all is rewrapped

	// A value is bound to its row, which therefore comes first.
	add := func(token string) (id int64, err error) {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return 0, err
		}
		defer tx.Rollback()
		if err := tx.QueryRowContext(ctx, "INSERT INTO tokens (secret) VALUES ('') RETURNING id").Scan(&id); err != nil {
			return 0, err
		}
		secret, err := box.EncryptString(ctx, token, strconv.FormatInt(id, 10))
		if err != nil {
			return 0, err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE tokens SET secret = $1 WHERE id = $2", secret, id); err != nil {
			return 0, err
		}
		return id, tx.Commit()
	}
	get := func(id int64) (string, error) {
		var secret string
		if err := db.QueryRowContext(ctx, "SELECT secret FROM tokens WHERE id = $1", id).Scan(&secret); err != nil {
			return "", err
		}
		return box.DecryptString(ctx, secret, strconv.FormatInt(id, 10))
	}

	id, err := add("a third party's token")
	fmt.Println(id, err)
	for id := range int64(2) {
		fmt.Println(get(id + 1))
	}

	// Who can write to the database puts one row's secret into another.
	if _, err := db.Exec("UPDATE tokens SET secret = $1 WHERE id = $2", secretOf(db, 2), 1); err != nil {
		log.Fatal(err)
	}
	_, err = get(1)
	fmt.Println("moved:", errors.Is(err, keyring.ErrCorrupt))
	// Output:
	// 2 <nil>
	// a token in clear <nil>
	// a third party's token <nil>
	// moved: true
}

func secretOf(db *sql.DB, id int64) (secret string) {
	if err := db.QueryRow("SELECT secret FROM tokens WHERE id = $1", id).Scan(&secret); err != nil {
		log.Fatal(err)
	}
	return secret
}

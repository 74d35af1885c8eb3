//go:build unix

package sqltest

import (
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/keyring/named/namedtest"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

func TestPostgresKeys(t *testing.T) {
	db := openPostgres(t, "admin")
	namedtest.Run(t, func(t *testing.T) named.Store {
		return keysIn(t, db, sqlstore.PostgreSQL, unique("keys"))
	})
}

func TestMariaDBKeys(t *testing.T) {
	db := openMariaDB(t, "root")
	namedtest.Run(t, func(t *testing.T) named.Store {
		return keysIn(t, db, sqlstore.MySQL, unique("keys"))
	})
}

//go:build unix

package sqltest

import (
	"testing"

	"github.com/sealwright/sealwright/seal/sqlstore"
)

func TestPostgresJournal(t *testing.T) {
	journalIn(t, openPostgres(t, "admin"), sqlstore.PostgreSQL)
}

func TestMariaDBJournal(t *testing.T) { journalIn(t, openMariaDB(t, "root"), sqlstore.MySQL) }

//go:build unix

package columntest_test

import (
	"errors"
	"flag"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/columntest"
	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/migrate/sqlsource"
	"github.com/sealwright/sealwright/seal"
)

// What speaks as MySQL does, where internal/sqltest/servers has built it.
var (
	dolt    = servers.Keep(dbtest.StartDolt)
	tidb    = servers.Keep(dbtest.StartTiDB)
	withKin = flag.Bool("kin", false, "have TestKin… run Dolt and TiDB")
)

func needKin(t *testing.T) {
	t.Helper()
	if !*withKin {
		t.Skip("Dolt and TiDB are run with -kin, where internal/sqltest/servers has built them")
	}
}

// Dolt reads the texts of a column as nothing, so that a rewrap was done with none
// rewrapped, and all were to be lost with their term. The planted fault: it still does.
func TestKinDoltIsRefused(t *testing.T) {
	needKin(t)
	d := open(t, "mysql", dolt.Need(t).DSN("root"), sqlsource.MySQL)
	table := columntest.Table("texts")
	d.Execute(t, "CREATE TABLE "+table+" (id int PRIMARY KEY, a text, b blob)", "INSERT INTO "+table+" VALUES (1, 'sw1.abc', 'sw1.abc')")
	var read string
	err := d.DB.QueryRowContext(t.Context(), "SELECT coalesce(CAST(CONVERT(a USING utf8mb4) AS BINARY), '') FROM "+table).Scan(&read)
	if err != nil || read != "" {
		t.Errorf("a text is read as %q, %v: Dolt may be taken by now", read, err)
	}
	for _, column := range []string{"a", "b"} {
		_, err := sqlsource.Open(t.Context(), d.DB, sqlsource.Config{Dialect: sqlsource.MySQL, Table: table, Columns: []string{column}})
		if !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "the database is Dolt") {
			t.Errorf("column %s: error %v, want that Dolt is refused", column, err)
		}
	}
}

func TestKinTiDB(t *testing.T) {
	needKin(t)
	columntest.Conform(t, open(t, "mysql", tidb.Need(t).DSN("root"), sqlsource.MySQL))
}

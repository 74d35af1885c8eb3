package sqltest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/sqltest/linear"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

// TestStaleWriter has writers race on every store, some with what they knew long
// ago, some with connections that break, and looks for an order that explains
// all that they were told. With a store that puts blindly there is none.
func TestStaleWriter(t *testing.T) {
	histories := 40
	if !testlevel.Whole() {
		histories = 10
	}
	backends := []struct {
		name string
		// open returns what makes n stores of a new record, one for each writer.
		open func(t testing.TB, n int) (fresh func() []seal.Store)
	}{
		{"MemStore", memStores},
		{"filestore", fileStores},
		{"SQLite", func(t testing.TB, n int) func() []seal.Store {
			return func() []seal.Store { return openSQLiteStores(t, n, "journal_mode(WAL)") }
		}},
		{"PostgreSQL", disturbedPostgresStores},
		{"MariaDB", disturbedMariaDBStores},
	}
	var total linear.Proof
	var names []string
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			names = append(names, b.name)
			here := linear.Prove(t, linear.Histories(histories), b.open(t, linear.Writers))
			t.Logf("%+v", here)
			total.Add(here)
		})
	}
	if !t.Failed() {
		t.Log(total.Figures(strings.Join(names, ",")))
	}
}

func memStores(_ testing.TB, n int) func() []seal.Store {
	return func() []seal.Store { return slices.Repeat([]seal.Store{seal.NewMemStore()}, n) }
}

func fileStores(t testing.TB, n int) func() []seal.Store {
	return func() (stores []seal.Store) {
		path := filepath.Join(t.TempDir(), "record")
		for range n {
			s, err := filestore.Open(path)
			must(t, err)
			stores = append(stores, s)
		}
		return stores
	}
}

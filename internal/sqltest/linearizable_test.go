package sqltest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/sealwright/sealwright/internal/sqltest/linear"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
	"github.com/sealwright/sealwright/seal/storetest"
)

// TestStaleWriter has writers race on every store, some with what they knew long
// ago, some with connections that break, and looks for an order that explains
// all that they were told. With a store that puts blindly there is none.
func TestStaleWriter(t *testing.T) {
	histories := 40
	if testing.Short() {
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
	var run, violations int
	var total linear.Tally
	var names []string
	mutant := "caught"
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			fresh := b.open(t, linear.Writers)
			names = append(names, b.name)
			var here linear.Tally
			for i := range histories {
				history := linear.Race(t, fresh(), uint64(i), &here)
				if result := linear.Check(history); result != porcupine.Ok {
					violations++
					t.Errorf("history %d: %s:\n%s", i, result, linear.Describe(history))
				}
				run++
			}
			t.Logf("%d histories, %+v", histories, here)
			if here.Conflicts == 0 || here.Applied == 0 || here.Unknown == here.Applied {
				t.Errorf("%+v: the histories have no conflicts, or no unknown outcome of either kind", here)
			}
			total.Add(here)
			for i := range histories { // it may go well once or twice
				var stores []seal.Store
				for _, s := range fresh() {
					stores = append(stores, storetest.BlindPut(s))
				}
				var ignored linear.Tally
				if linear.Check(linear.Race(t, stores, uint64(i), &ignored)) == porcupine.Illegal {
					return
				}
			}
			mutant = "missed"
			t.Errorf("%d histories of a store that puts blindly, and none was found out", histories)
		})
	}
	t.Logf("GUARANTEE 3 stale-writer: histories=%d violations=%d mutant=%s stores=%s swaps=%d conflicts=%d unknown=%d of-them-applied=%d",
		run, violations, mutant, strings.Join(names, ","), total.Swaps, total.Conflicts, total.Unknown, total.Applied)
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

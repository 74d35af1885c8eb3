package sqlstore

import (
	"slices"

	"github.com/sealwright/sealwright/internal/sqlerror"
)

// The errors by which a database says that it gave a transaction up for the sake
// of another one, and that nothing of it will ever be stored.
//
// PostgreSQL and its kin: serialization_failure, deadlock_detected.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
//
// MySQL and its kin: a deadlock, which at COMMIT is how Galera and Dolt say that
// another writer was first; a key that is there by now; TiDB's write conflicts.
// https://docs.pingcap.com/tidb/stable/error-codes
var (
	lostStates  = []string{"40001", "40P01"}
	lostNumbers = []uint64{1213, 1062, 8005, 9007}
)

// unlessLost returns err, or nil if it says no more than that another writer was
// first.
func unlessLost(err error) error {
	if slices.Contains(lostStates, sqlerror.State(err)) || slices.Contains(lostNumbers, sqlerror.Number(err)) {
		return nil
	}
	return err
}

package sqlstore

import (
	"errors"
	"reflect"
	"slices"
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
	if slices.Contains(lostStates, stateOf(err)) || slices.Contains(lostNumbers, numberOf(err)) {
		return nil
	}
	return err
}

// stateOf returns the SQLSTATE of an error of pgx or lib/pq, or "".
func stateOf(err error) string {
	if e, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return e.SQLState()
	}
	return ""
}

// numberOf returns the number of an error of a MySQL driver, or 0. It is a field
// of the error, without a method: Number of go-sql-driver's, Code of go-mysql's.
func numberOf(err error) uint64 {
	for ; err != nil; err = errors.Unwrap(err) {
		v := reflect.Indirect(reflect.ValueOf(err))
		if v.Kind() != reflect.Struct {
			continue
		}
		for _, name := range []string{"Number", "Code"} {
			if f, ok := v.Type().FieldByName(name); ok && len(f.Index) == 1 && f.Type.Kind() == reflect.Uint16 {
				return v.FieldByIndex(f.Index).Uint()
			}
		}
	}
	return 0
}

// Package mattn runs seal/sqlstore on mattn's driver of SQLite, which needs cgo.
package mattn

// Package sqltest runs seal/sqlstore on real databases: SQLite in this process,
// and PostgreSQL where its server is installed. It is a module of its own, never
// released, because of the drivers. MySQL is not run here: its statements are
// goldens in seal/sqlstore.
//
// It also checks histories of racing writers over every store for
// linearizability, with porcupine.
package sqltest

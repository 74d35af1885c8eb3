// Package sqltest runs seal/sqlstore on real databases: SQLite in this process,
// PostgreSQL, also behind PgBouncer, and MariaDB, also as a Galera cluster, where
// their servers are installed. The tests start those themselves, on sockets in a
// directory of their own, the cluster's nodes also on loopback, and stop them. It is a
// module of its own, never released and outside the workspace, because of the
// drivers. Oracle's MySQL, which the same dialect is for, is not run.
//
//	cd internal/sqltest && GOWORK=off go test ./...
//
// Dolt and TiDB, which speak as MySQL does, are built by a command, and run where they
// are asked for: see the command servers. TiDB has not been run yet, as it was not
// built in time: what sqlstore does for it is what its documentation says.
//
// It also checks histories of racing writers over every store for
// linearizability, with porcupine.
package sqltest

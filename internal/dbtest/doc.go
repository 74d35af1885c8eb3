// Package dbtest starts database servers for tests: PostgreSQL, also behind
// PgBouncer, and MariaDB, also as a Galera cluster, where they are installed, each in
// a directory of its own and on a socket there. They are on no network, but that the
// nodes of a cluster talk to each other on loopback. The program that uses it links
// the driver: pgx, or go-sql-driver's.
package dbtest

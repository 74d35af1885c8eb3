// Package dbtest starts database servers for tests: PostgreSQL, also behind
// PgBouncer, and MariaDB, where they are installed, each in a directory of its own,
// on a socket there and on no network. The program that uses it links the driver:
// pgx, or go-sql-driver's.
package dbtest

// Package dbtest starts database servers for tests: PostgreSQL, also behind
// PgBouncer, and MariaDB, also as a Galera cluster, where they are installed; Dolt and
// TiDB, where internal/sqltest/servers has built them. Each is in a directory of its
// own and on a socket there. They are on no network, but that the nodes of a cluster,
// and Dolt, listen on loopback. The program that uses it links the driver: pgx, or
// go-sql-driver's.
//
// The files that PostgreSQL and MariaDB begin with are made at the first use, kept in
// the user's cache (…/sealwright/…-files-…) and copied from then on.
package dbtest

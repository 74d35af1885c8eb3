// Package postgrestest starts the PostgreSQL server that is installed on this
// machine, for the tests of other modules. It needs a Unix system, and the driver
// "pgx" of database/sql, which its importer brings along: this module has no
// dependency.
package postgrestest

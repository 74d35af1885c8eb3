// Package columntest tests migrate/sqlsource over the databases and the drivers
// that people use. Its own tests run PostgreSQL and MariaDB, where they are
// installed, and SQLite; the package mattn has a driver that does not go into one
// program with ncruces', which has its name.
//
//	cd internal/columntest && GOWORK=off go test ./...
package columntest

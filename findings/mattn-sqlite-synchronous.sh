#!/bin/sh
# mattn/go-sqlite3 opens connections with synchronous = NORMAL.
#
# SQLite's documentation, and its build in this driver, have FULL as the default
# (https://www.sqlite.org/pragma.html#pragma_synchronous), and a data source name
# that says nothing of it asks for nothing. The driver sets NORMAL all the same, so
# that in WAL mode a commit that returned may be gone after a loss of power. Two
# other drivers leave the default. Whoever needs each commit to last writes
# _synchronous=FULL, or sets the pragma.
#
# Seen with github.com/mattn/go-sqlite3 v1.14.53 (SQLite 3.54.1), modernc.org/sqlite
# v1.60.1; needs Go and a C compiler. It prints, and this fails on anything else:
#
#   mattn, as it comes          synchronous=1
#   mattn, WAL                  synchronous=1
#   mattn, _synchronous=FULL    synchronous=2
#   modernc, as it comes        synchronous=2
#   modernc, WAL                synchronous=2
set -eu
want='mattn, as it comes          synchronous=1
mattn, WAL                  synchronous=1
mattn, _synchronous=FULL    synchronous=2
modernc, as it comes        synchronous=2
modernc, WAL                synchronous=2'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset GOFLAGS
export GOWORK=off CGO_ENABLED=1
cat >main.go <<'GO'
package main

import (
	"database/sql"
	"fmt"
	"log"
	"path/filepath"

	_ "github.com/mattn/go-sqlite3"
	_ "modernc.org/sqlite"
)

func main() {
	for i, c := range []struct{ name, driver, parameters string }{
		{"mattn, as it comes", "sqlite3", ""},
		{"mattn, WAL", "sqlite3", "?_journal_mode=WAL"},
		{"mattn, _synchronous=FULL", "sqlite3", "?_journal_mode=WAL&_synchronous=FULL"},
		{"modernc, as it comes", "sqlite", ""},
		{"modernc, WAL", "sqlite", "?_pragma=journal_mode(WAL)"},
	} {
		path, err := filepath.Abs(fmt.Sprintf("%d.db", i))
		if err != nil {
			log.Fatal(err)
		}
		db, err := sql.Open(c.driver, "file:"+path+c.parameters)
		if err != nil {
			log.Fatal(err)
		}
		var level int
		if err := db.QueryRow("PRAGMA synchronous").Scan(&level); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%-27s synchronous=%d\n", c.name, level)
		db.Close()
	}
}
GO
go mod init finding >log 2>&1 &&
	go get github.com/mattn/go-sqlite3@v1.14.53 modernc.org/sqlite@v1.60.1 >>log 2>&1 || {
	cat log
	exit 1
}
got=$(go run .)
printf '%s\n' "$got"
[ "$got" = "$want" ]

#!/bin/sh
# Dolt answers CONVERT(column USING utf8mb4) with '' where the column is a TEXT.
#
# In MySQL (https://dev.mysql.com/doc/refman/8.4/en/cast-functions.html#function_convert)
# the result is the text in that character set, whatever type of string it was. In
# Dolt it is for a VARCHAR and for a constant, and for a TEXT there is neither the
# text nor an error. Whoever reads a table so, to have bytes that no connection's
# character set changes, takes each value for an empty one.
#
# Seen with github.com/dolthub/dolt/go v0.40.5-0.20260306010754-a1fdc83b8378; needs
# Go, a C++ compiler and ICU (Debian: libicu-dev), and builds Dolt, which takes
# minutes the first time. It prints, and this fails on anything else:
#
#   constant,varchar_column,text_itself,text_column
#   abc,abc,abc,""
#   rows_that_are_empty
#   1
set -eu
want='constant,varchar_column,text_itself,text_column
abc,abc,abc,""
rows_that_are_empty
1'
version=v0.40.5-0.20260306010754-a1fdc83b8378
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
unset GOFLAGS
export GOWORK=off CGO_ENABLED=1 GOBIN="$dir/bin" DOLT_ROOT_PATH="$dir" DOLT_DISABLE_EVENT_FLUSH=1
go install -ldflags='-s -w' "github.com/dolthub/dolt/go/cmd/dolt@$version" >log 2>&1 || {
	cat log
	exit 1
}
mkdir db
cd db
dolt=$dir/bin/dolt
"$dolt" init --name nobody --email nobody@example.com >/dev/null
"$dolt" sql -q "CREATE TABLE t (id int PRIMARY KEY, v varchar(20), x text); INSERT INTO t VALUES (1, 'abc', 'abc')"
got=$(
	"$dolt" sql -r csv -q "SELECT CONVERT('abc' USING utf8mb4) AS constant, CONVERT(v USING utf8mb4) AS varchar_column, x AS text_itself, CONVERT(x USING utf8mb4) AS text_column FROM t"
	"$dolt" sql -r csv -q "SELECT count(*) AS rows_that_are_empty FROM t WHERE CONVERT(x USING utf8mb4) = ''"
)
printf '%s\n' "$got"
[ "$got" = "$want" ]

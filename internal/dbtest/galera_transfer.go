//go:build unix

package dbtest

import (
	"fmt"
	"os"
	"path/filepath"
)

// transfer is how the second node gets what the first one has: a copy, as both are of
// one machine. The method that MariaDB brings starts hundreds of programs for it. The
// server tells by its standard output, and by tables_flushed, when its files stand still.
// https://mariadb.com/docs/galera-cluster/galera-management/state-snapshot-transfers-ssts-in-galera-cluster
const transfer = `#!/bin/sh
here=${0%/*}
while [ $# -gt 0 ]; do
	case $1 in
	--role) role=$2 ;;
	--datadir) data=${2%/} ;;
	esac
	shift
done
await() { # a file, for a minute
	n=0
	until [ -s "$1" ]; do
		n=$((n + 1))
		[ $n -lt 600 ] || exit 32
		sleep 0.1
	done
}
set -e
if [ "$role" = joiner ]; then
	rm -rf "$data"/*
	echo "$data" >"$here/to"
	echo "ready $here"
	await "$here/state"
	cat "$here/state"
	exit
fi
echo "flush tables"
await "$data/tables_flushed"
read -r state <"$data/tables_flushed"
rm "$data/tables_flushed"
await "$here/to"
read -r to <"$here/to"
cd "$data"
for file in ibdata* ib_logfile0 undo* aria_log* */; do
	[ ! -e "$file" ] || cp -R "${file%/}" "$to"
done
echo "continue"
echo "$state" >"$here/part"
mv "$here/part" "$here/state"
echo "done $state"
`

// putTransfer puts the method "copy" into a directory, which must be in the server's
// PATH.
func putTransfer(dir, user string) error {
	if err := os.WriteFile(filepath.Join(dir, "wsrep_sst_copy"), []byte(transfer), 0o755); err != nil {
		return err
	}
	_, err := unprivileged(dir, user)
	return err
}

// transferPath has a server find the method.
func transferPath(dir string) string { return fmt.Sprintf("PATH=%s:%s", dir, os.Getenv("PATH")) }

package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// galeraVariables of a session are there in MariaDB and in Percona's cluster. On a
// node of a cluster wsrep_on is ON.
const galeraVariables = "SHOW SESSION VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_sync_wait', 'wsrep_dirty_reads')"

// awaitCluster returns a connection that reads what all nodes of a cluster have
// confirmed, and what puts it back. As database/sql does outside of a connection,
// it passes over two that were lost while nobody used them.
func (s *Store) awaitCluster(ctx context.Context) (conn *sql.Conn, restore func(), err error) {
	for range 3 {
		if conn, err = s.db.Conn(ctx); err != nil {
			return nil, nil, err
		}
		if restore, err = awaitGalera(ctx, conn); err == nil {
			return conn, restore, nil
		}
		conn.Close()
		if !errors.Is(err, driver.ErrBadConn) {
			break
		}
	}
	return nil, nil, err
}

// awaitGalera has a session on a node of a Galera cluster wait, before it begins a
// transaction, for all that other nodes confirmed: otherwise it reads what was
// there before, and takes the present revision for a wrong one. It returns what
// puts the session back.
// https://mariadb.com/docs/galera-cluster/reference/galera-cluster-system-variables#wsrep_sync_wait
func awaitGalera(ctx context.Context, conn *sql.Conn) (restore func(), err error) {
	const always = 7 // before reads, updates and inserts
	nothing := func() {}
	values, err := mysqlVariablesOf(ctx, conn, galeraVariables)
	if err != nil {
		return nil, err
	}
	if values["wsrep_on"] != "ON" {
		return nothing, nil
	}
	var set, reset []string
	if wait, err := strconv.ParseUint(values["wsrep_sync_wait"], 10, 8); err != nil {
		return nil, fmt.Errorf("wsrep_sync_wait is %q: %w", values["wsrep_sync_wait"], err)
	} else if wait&always != always {
		set = append(set, fmt.Sprintf("wsrep_sync_wait = %d", wait|always))
		reset = append(reset, fmt.Sprintf("wsrep_sync_wait = %d", wait))
	}
	if values["wsrep_dirty_reads"] == "ON" { // then a node that has lost the others does not wait
		set, reset = append(set, "wsrep_dirty_reads = OFF"), append(reset, "wsrep_dirty_reads = ON")
	}
	if set == nil {
		return nothing, nil
	}
	if _, err := conn.ExecContext(ctx, "SET SESSION "+strings.Join(set, ", SESSION ")); err != nil {
		return nil, err
	}
	return func() {
		if _, err := conn.ExecContext(ctx, "SET SESSION "+strings.Join(reset, ", SESSION ")); err != nil {
			conn.Raw(func(any) error { return driver.ErrBadConn }) // the host shall not have it
		}
	}, nil
}

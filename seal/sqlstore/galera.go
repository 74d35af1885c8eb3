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

// awaitCluster returns a connection that reads what all nodes of a cluster have
// confirmed, and what puts it back. As database/sql does outside of a connection,
// it passes over two that were lost while nobody used them.
func (s *Store) awaitCluster(ctx context.Context) (conn *sql.Conn, restore func(), err error) {
	for range 3 {
		if conn, err = s.db.Conn(ctx); err != nil {
			return nil, nil, err
		}
		if restore, err = prepareMySQL(ctx, conn); err == nil {
			return conn, restore, nil
		}
		conn.Close()
		if !errors.Is(err, driver.ErrBadConn) {
			break
		}
	}
	return nil, nil, err
}

// prepareMySQL has a session tell the truth, and returns what puts it back.
func prepareMySQL(ctx context.Context, conn *sql.Conn) (restore func(), err error) {
	values, err := mysqlVariablesOf(ctx, conn, sessionVariables)
	if err != nil {
		return nil, err
	}
	discard := func() { conn.Raw(func(any) error { return driver.ErrBadConn }) }
	if set := untruthful(values); set != nil {
		if err := setSession(ctx, conn, set); err != nil {
			discard()
			return nil, fmt.Errorf("set %s: %w", strings.Join(set, ", "), err)
		}
		return discard, nil // the next one that the driver makes is as the host wants it
	}
	set, reset, err := awaitGalera(values)
	if err != nil || set == nil {
		return func() {}, err
	}
	if err := setSession(ctx, conn, set); err != nil {
		return nil, err
	}
	return func() {
		if setSession(ctx, conn, reset) != nil {
			discard() // the host shall not have it
		}
	}, nil
}

func setSession(ctx context.Context, conn *sql.Conn, settings []string) error {
	_, err := conn.ExecContext(ctx, "SET SESSION "+strings.Join(settings, ", SESSION "))
	return err
}

// awaitGalera has a session on a node of a Galera cluster wait, before it begins a
// transaction, for all that other nodes confirmed: otherwise it reads what was
// there before, and takes the present revision for a wrong one. On a node wsrep_on
// is ON. It returns what to set, and what puts the session back.
// https://mariadb.com/docs/galera-cluster/reference/galera-cluster-system-variables#wsrep_sync_wait
func awaitGalera(values map[string]string) (set, reset []string, err error) {
	const always = 7 // before reads, updates and inserts
	if values["wsrep_on"] != "ON" {
		return nil, nil, nil
	}
	if wait, err := strconv.ParseUint(values["wsrep_sync_wait"], 10, 8); err != nil {
		return nil, nil, fmt.Errorf("wsrep_sync_wait is %q: %w", values["wsrep_sync_wait"], err)
	} else if wait&always != always {
		set = append(set, fmt.Sprintf("wsrep_sync_wait = %d", wait|always))
		reset = append(reset, fmt.Sprintf("wsrep_sync_wait = %d", wait))
	}
	if values["wsrep_dirty_reads"] == "ON" { // then a node that has lost the others does not wait
		set, reset = append(set, "wsrep_dirty_reads = OFF"), append(reset, "wsrep_dirty_reads = ON")
	}
	return set, reset, nil
}

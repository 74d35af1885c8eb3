package sqlstore

import "strings"

// sessionVariables asks for what may make a session of MySQL, and of what speaks
// like it, read what was there before, or confirm what is not stored. SHOW answers
// with those that the server knows.
var sessionVariables = func() string {
	names := []string{"wsrep_on", "wsrep_sync_wait", "wsrep_dirty_reads"}
	for _, v := range truthful {
		names = append(names, v.name)
	}
	return "SHOW SESSION VARIABLES WHERE Variable_name IN ('" + strings.Join(names, "', '") + "')"
}()

// truthful are settings of a session in Dolt and in TiDB, and what they must be.
var truthful = []struct{ name, want string }{
	// Dolt has a COMMIT that stores nothing.
	{"dolt_transactions_disabled", "0"},
	// TiDB before 8.0 can run an UPDATE that lost the race again, after it has said
	// that it changed the row: it then changes none, and COMMIT confirms that.
	// https://docs.pingcap.com/tidb/v7.5/optimistic-transaction
	{"tidb_disable_txn_auto_retry", "1"},
	// TiDB reads what was there some time ago.
	// https://docs.pingcap.com/tidb/stable/system-variables
	{"tidb_snapshot", "''"},
	{"tidb_read_staleness", "0"},
	{"tidb_low_resolution_tso", "0"},
	{"tidb_enable_external_ts_read", "0"},
	{"tidb_guarantee_linearizability", "1"},
}

// untruthful returns what to set.
func untruthful(values map[string]string) (set []string) {
	same := map[string]string{"": "''", "OFF": "0", "ON": "1"}
	for _, v := range truthful {
		value, ok := values[v.name]
		if short, ok := same[strings.ToUpper(value)]; ok {
			value = short
		}
		if ok && value != v.want && !(v.want == "0" && value == "''") {
			set = append(set, v.name+" = "+v.want)
		}
	}
	return set
}

package migrate_test

import (
	"flag"
	"runtime/debug"
	"testing"
)

// TestMain has the garbage of -short collected seldom, which is a fifth of its
// time: it is little, and of many small tests.
func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		debug.SetGCPercent(400)
	}
	m.Run()
}

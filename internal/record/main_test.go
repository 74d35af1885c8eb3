package record_test

import (
	"flag"
	"runtime/debug"
	"testing"
)

// TestMain has the garbage of -short collected seldom, which is a sixth of its time.
func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		debug.SetGCPercent(400)
	}
	m.Run()
}

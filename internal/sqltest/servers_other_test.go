//go:build !unix

package sqltest

import (
	"testing"

	"github.com/sealwright/sealwright/seal"
)

const noServers = "the tests start database servers on Unix only"

func disturbedPostgresStores(t testing.TB, _ int) func() []seal.Store { t.Skip(noServers); return nil }
func disturbedMariaDBStores(t testing.TB, _ int) func() []seal.Store  { t.Skip(noServers); return nil }

func newPostgresDSN(t *testing.T) string { t.Skip(noServers); return "" }
func newMariaDBDSN(t *testing.T) string  { t.Skip(noServers); return "" }

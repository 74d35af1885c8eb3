//go:build !unix

package sqltest

import (
	"testing"

	"github.com/sealwright/sealwright/seal"
)

func disturbedPostgresStores(t testing.TB, _ int) func() []seal.Store {
	t.Skip("the tests start a PostgreSQL server on Unix only")
	return nil
}

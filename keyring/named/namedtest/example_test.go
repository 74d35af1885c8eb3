package namedtest_test

import (
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/keyring/named/namedtest"
)

// A store of one's own is proven by a test like this one.
func Example() {
	_ = func(t *testing.T) { // TestStore
		namedtest.Run(t, func(t *testing.T) named.Store {
			return named.NewMemStore() // one's own, empty
		})
	}
	// Output:
}

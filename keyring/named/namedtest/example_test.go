package namedtest_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/keyring/named/namedtest"
)

// TestStore is all that a store of one's own needs to be proven.
func TestStore(t *testing.T) {
	namedtest.Run(t, func(t *testing.T) named.Store { return renamed{named.NewMemStore()} })
}

// A renamed store keeps the keys of one tenant among those of others.
type renamed struct{ named.Store }

func (s renamed) Load(ctx context.Context, name string) ([]byte, string, error) {
	return s.Store.Load(ctx, "t1."+name)
}

func (s renamed) Swap(ctx context.Context, name string, document []byte, revision string) (string, error) {
	return s.Store.Swap(ctx, "t1."+name, document, revision)
}

func (s renamed) List(ctx context.Context, after string, limit int) ([]string, error) {
	names, err := s.Store.List(ctx, "t1."+after, limit)
	for i := range names {
		names[i] = names[i][len("t1."):]
	}
	return names, err
}

// A store of one's own that is proven by the suite:
//
//	func TestStore(t *testing.T) {
//		namedtest.Run(t, func(t *testing.T) named.Store { return renamed{named.NewMemStore()} })
//	}
func Example() {
	store := renamed{named.NewMemStore()}
	_, err := store.Swap(context.Background(), "orders", []byte("encrypted"), "")
	fmt.Println(err)
	_, err = store.Swap(context.Background(), "orders", []byte("encrypted"), "stale")
	fmt.Println(err)
	// Output:
	// <nil>
	// named: changed by others meanwhile: try again
}

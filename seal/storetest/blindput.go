package storetest

import (
	"context"
	"errors"

	"github.com/sealwright/sealwright/seal"
)

// BlindPut returns a store over inner that ignores the expected revision and
// puts whatever it is given, as many real backends did. It is a planted fault:
// whatever checks that a stale writer cannot win must find it out.
func BlindPut(inner seal.Store) seal.Store { return blindPut{inner} }

type blindPut struct{ seal.Store }

func (b blindPut) Swap(ctx context.Context, rec []byte, _ string) (rev string, err error) {
	for {
		_, present, err := b.Load(ctx)
		if err != nil && !errors.Is(err, seal.ErrNotFound) {
			return "", err
		}
		rev, err := b.Store.Swap(ctx, rec, present)
		if !errors.Is(err, seal.ErrConflict) {
			return rev, err
		}
	}
}

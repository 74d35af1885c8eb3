package migrate

import (
	"context"
	"fmt"

	"github.com/sealwright/sealwright/seal"
)

// A Blob is a [Source] of one item: one value of a key-value store, a secret of an
// orchestrator. All its fields are required but AAD. For a file of its own there is
// [File]; a value of a bbolt file, and a bucket of many, are in examples/fields.
type Blob struct {
	ID  string // names it for people
	AAD []byte // its associated data

	// Load returns what is stored, or nothing where nothing is.
	Load func(ctx context.Context) ([]byte, error)

	// Swap is [Source.Replace] for the one item.
	Swap func(ctx context.Context, old, next []byte) (replaced bool, err error)
}

// Page returns the item.
func (b Blob) Page(ctx context.Context, after string, _ int) ([]Item, error) {
	if b.ID == "" || b.Load == nil || b.Swap == nil {
		return nil, fmt.Errorf("migrate: blob: %w: ID, Load or Swap is not set", seal.ErrConfig)
	}
	if after != "" {
		return nil, nil
	}
	stored, err := b.Load(ctx)
	if err != nil {
		return nil, err
	}
	return []Item{{b.ID, b.AAD, stored}}, nil
}

// Replace is Swap, of the item and no other.
func (b Blob) Replace(ctx context.Context, id string, old, next []byte) (bool, error) {
	if id != b.ID {
		return false, nil
	}
	return b.Swap(ctx, old, next)
}

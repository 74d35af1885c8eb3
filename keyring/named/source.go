package named

import (
	"bytes"
	"context"
	"errors"

	"github.com/sealwright/sealwright/migrate"
)

// A source shows the stored keys to package migrate: what [migrate.Rewrap]
// brings under the active term, and [migrate.Retire] counts.
type source struct{ k *Keys }

// Page loads the documents, one by one.
func (s source) Page(ctx context.Context, after string, limit int) ([]migrate.Item, error) {
	for {
		names, err := s.k.cfg.Store.List(ctx, after, limit)
		if err != nil || len(names) == 0 {
			return nil, err
		}
		var items []migrate.Item
		for _, name := range names {
			stored, _, err := s.k.cfg.Store.Load(ctx, name)
			if errors.Is(err, ErrNotFound) {
				continue // deleted since
			}
			if err != nil {
				return nil, err
			}
			items = append(items, migrate.Item{ID: name, AAD: aadOf(name), Ciphertext: stored})
		}
		if len(items) > 0 {
			return items, nil
		}
		after = names[len(names)-1]
	}
}

// Replace swaps the document, if it is still the one.
func (s source) Replace(ctx context.Context, id string, old, next []byte) (bool, error) {
	stored, revision, err := s.k.cfg.Store.Load(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !bytes.Equal(stored, old) {
		return false, nil
	}
	_, err = s.k.cfg.Store.Swap(ctx, id, next, revision)
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

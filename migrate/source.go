package migrate

import (
	"context"
	"errors"
	"fmt"
)

// A Source is one place where the host keeps ciphertexts, such as a column of a
// table or a bucket: what [Rewrap] re-encrypts, and [Count] and [Retire] count.
//
// The ids stand in an order of the source's own that never changes, such as
// that of the primary key. An item that is added goes anywhere in the order.
type Source interface {
	// Page returns at most limit items whose ids come after the given one, in
	// order; "" is before all. An empty page is the end. The items are read
	// until the next call of Page, and never changed.
	Page(ctx context.Context, after string, limit int) ([]Item, error)

	// Replace puts next in place of old, as one compare-and-set: if the item
	// still holds old, byte by byte, and its associated data is what Page
	// said. Otherwise, also if it is gone, it changes nothing and returns
	// false. When it returns true the change is durable. After an error the
	// change may have been made or not. It keeps neither slice.
	//
	// It stores next whole or fails: old is gone. The keyring's ciphertexts
	// are [keyring.Overhead] longer than their plaintexts, and as text 4/3 of
	// that and 4 bytes more: widen a column that legacy values just fit.
	//
	//	UPDATE tokens SET secret = @next WHERE id = @id AND secret = @old
	Replace(ctx context.Context, id string, old, next []byte) (replaced bool, err error)
}

// An Item is one ciphertext of a [Source].
type Item struct {
	ID         string // names it for [Source.Replace] and for people; not empty, no secret
	AAD        []byte // its associated data
	Ciphertext []byte // as it is stored: binary, or text that begins with "sw1."; or legacy; empty for NULL
}

// ErrChanged means that others changed an item each time that [Rewrap] was
// about to replace it. It is theirs as it stands; rewrap again.
var ErrChanged = errors.New("migrate: changed by others each time: rewrap again")

// An ItemError says which item was left as it is, and why. Its text holds
// nothing of what is stored.
type ItemError struct {
	ID  string
	Err error // of package keyring, [ErrLegacy], or [ErrChanged]
}

// Error returns the whole on one line, prefixed with "migrate: ".
func (e *ItemError) Error() string { return fmt.Sprintf("migrate: item %q: %v", e.ID, e.Err) }

// Unwrap returns e.Err.
func (e *ItemError) Unwrap() error { return e.Err }

// A SourceError says what a [Source] could not do.
type SourceError struct {
	Op  string // "page" or "replace"
	ID  string // the item to replace, or the one that the page was to come after
	Err error  // the source's
}

// Error returns the whole on one line, prefixed with "migrate: ".
func (e *SourceError) Error() string {
	if e.Op == "page" {
		return fmt.Sprintf("migrate: source: read the page after %q: %v", e.ID, e.Err)
	}
	return fmt.Sprintf("migrate: source: replace item %q: %v", e.ID, e.Err)
}

// Unwrap returns e.Err.
func (e *SourceError) Unwrap() error { return e.Err }

var (
	errStill = errors.New("the source does not go forward: a page holds the id that it was to come after")
	errNoID  = errors.New("the source has an item without an id")
)

// readPage is Page, and refuses what would never end.
func readPage(ctx context.Context, src Source, after string, limit int) ([]Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	page, err := src.Page(ctx, after, limit)
	if err != nil {
		return nil, &SourceError{"page", after, err}
	}
	for _, item := range page {
		if item.ID == "" {
			return nil, &SourceError{"page", after, errNoID}
		}
		if item.ID == after {
			return nil, &SourceError{"page", after, errStill}
		}
	}
	return page, nil
}

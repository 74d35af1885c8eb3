package migrate

import (
	"context"
	"errors"
	"fmt"
)

// A Source is one place where the host keeps ciphertexts, such as a column of a
// table or a bucket: what [Rewrap] re-encrypts, and [Count] and [Retire] count.
// For a column of a SQL database package sqlsource has one.
//
// The ids stand in an order of the source's own that never changes, such as
// that of the primary key. An item that is added goes anywhere in the order.
// With [RewrapOptions.Workers] the methods are called from several goroutines.
//
// What else a Source may be: a [Batcher], a [Counter], an [Estimator].
type Source interface {
	// Page returns at most limit items whose ids come after the given one, in
	// order; "" is before all. It may return fewer, such as of large ones; an
	// empty page is the end. The items are the caller's to read.
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

// A Batcher is a [Source] that replaces many items at once, so that a batch costs
// what one item does: a round trip and a durable commit.
type Batcher interface {
	// ReplaceBatch does for each element what Replace does, each a compare-and-set
	// with a verdict of its own, and sets Replaced where it was made. When it
	// returns nil those changes are durable. After an error each of them may have
	// been made or not. It keeps none of the slices.
	ReplaceBatch(ctx context.Context, batch []Replacement) error
}

// A Replacement is one element of a batch, as the arguments and the result of
// [Source.Replace].
type Replacement struct {
	ID        string
	Old, Next []byte
	Replaced  bool
}

// A Counter is a [Source] that counts on its own side what its items begin with, so
// that nothing is read for it but that. [Count] and [Retire] use it.
type Counter interface {
	// Heads returns how many items have each beginning, in any order; a beginning
	// may come more than once. See [Head].
	Heads(ctx context.Context) ([]Head, error)
}

// A Head is the beginning that some items have in common: of a ciphertext the
// first 9 bytes, or as text the first 16, which name its key. Of what is shorter
// than 41 bytes, or as text 59, and so no ciphertext, it is less. Of anything else
// it is anything that does not begin as a ciphertext does, such as "?". It is empty
// for items that hold nothing.
type Head struct {
	Begin []byte
	Tally
}

// An Estimator is a [Source] that knows about how many items it has, from what a
// database keeps of its tables, without counting them.
type Estimator interface {
	Estimate(ctx context.Context) (items int64, err error)
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

// ErrUnavailable is what a [Source] returns, also within another error, if it
// cannot do what was asked now, or does not know whether it did: the database is
// busy, in a deadlock, or the connection was lost. [Rewrap] reads again what is
// stored, and goes on.
var ErrUnavailable = errors.New("migrate: the source is not available now: try again")

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
	Op  string // "page", "replace", "batch" or "count"
	ID  string // the item to replace, the first of a batch, or the one that the page was to come after
	Err error  // the source's
}

// Error returns the whole on one line, prefixed with "migrate: ".
func (e *SourceError) Error() string {
	switch e.Op {
	case "page":
		return fmt.Sprintf("migrate: source: read the page after %q: %v", e.ID, e.Err)
	case "batch":
		return fmt.Sprintf("migrate: source: replace the items from %q on: %v", e.ID, e.Err)
	case "count":
		return fmt.Sprintf("migrate: source: count: %v", e.Err)
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

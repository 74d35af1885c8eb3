package seal

import (
	"context"
	"reflect"

	"github.com/sealwright/sealwright/internal/foreign"
	"github.com/sealwright/sealwright/internal/ledger"
)

// A Store keeps one record, and replaces it only by compare-and-swap. It is
// all the persistence a [Barrier] needs: a file, a row, a key in etcd.
//
// Both methods are safe for concurrent use, from several processes at once
// where the Store is shared. A revision is opaque to the Barrier; it is never
// empty, and never used again for other content.
type Store interface {
	// Load returns the record and its revision, or [ErrNotFound] if there is
	// none. A store that cannot be reached is any other error: "unreachable"
	// must never look like "not there". The caller owns rec.
	Load(ctx context.Context) (rec []byte, rev string, err error)

	// Swap replaces the record if its revision is still old, and returns the
	// new one; old == "" creates the record if there is none. It returns
	// [ErrConflict], with the store unchanged, when old is not the present
	// revision. When Swap returns nil the record is durable. Any other error
	// leaves the outcome unknown: the Barrier loads again and compares. Swap
	// neither keeps nor changes rec.
	//
	// A conflict says that nothing of rec is stored or ever will be, and no more: a
	// database that gives one of two writers up may say it to one whose old is the
	// present revision, who loads again and goes on. So a client that tries again by
	// itself after a lost answer must not: it would meet what it stored, call that a
	// conflict, and the Barrier would throw away the keys of the record that is there.
	// Let it try once, or return another error. What a Load returns is never older
	// than a Swap that has returned.
	Swap(ctx context.Context, rec []byte, old string) (rev string, err error)
}

// A Watcher is a [Store] that can tell of changes made by others.
type Watcher interface {
	// Watch sends on the channel, without blocking, whenever the record may
	// have changed, until ctx is done. It returns ctx.Err(), or the error that
	// stopped it earlier.
	Watch(ctx context.Context, changed chan<- struct{}) error
}

// A Limited is a [Store] that takes less than [MaxRecordSize], 64 KiB at least. The
// Barrier stops what makes a record grow before that ([ErrFull]), so that what
// evicts somebody has room. It is asked once.
type Limited interface {
	// MaxRecord returns how many bytes the store takes.
	MaxRecord() int
}

// A Placed is a [Store] that can say where it is.
type Placed interface {
	// Place returns where the record is, in words for people, and fully: two stores
	// of one Place keep one record.
	Place() string
}

// placeOf names the place of a store, where that can say it.
func placeOf(s Store) string {
	if p, ok := s.(Placed); ok {
		return foreign.Line(p.Place(), 300)
	}
	return ""
}

// isSame reports whether two stores keep one record, as far as one can see.
func isSame(x, y Store) bool {
	if x == nil || y == nil {
		return false
	}
	if reflect.ValueOf(x).Comparable() && reflect.ValueOf(y).Comparable() && x == y {
		return true
	}
	place := placeOf(x)
	return place != "" && place == placeOf(y)
}

// MaxRecordSize is the size in bytes of the largest record. A [Store] whose backend
// takes less keeps less, though 64 KiB at least, is a [Limited], and refuses the rest
// with [ErrTooLarge] before it sends anything. A record of three slots has about 12 KiB.
const MaxRecordSize = ledger.MaxRecordSize

var (
	// ErrNotFound is returned by a [Store] that holds no record.
	ErrNotFound = ledger.ErrNotFound

	// ErrConflict is returned by a [Store] whose record is not at the expected
	// revision. Nothing was changed.
	ErrConflict = ledger.ErrConflict

	// ErrTooLarge is returned by a [Store] that is given a record longer than it
	// keeps: than [MaxRecordSize], or than its backend takes. Nothing was sent.
	ErrTooLarge = ledger.ErrTooLarge

	// ErrExposed is returned by a [Store] whose file every user of the machine
	// may read or write.
	ErrExposed = ledger.ErrExposed
)

package seal

import (
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/internal/custody"
)

// What can be wrong with a share. Each is told before any shares are combined,
// as a [*ShareError] that names the share.
var (
	// ErrShareMalformed is returned for what is no share: a wrong length, a
	// character that no share has, a format newer than this program.
	ErrShareMalformed = custody.ErrShareMalformed

	// ErrShareChecksum is returned for a text whose characters are all
	// possible and yet one or more are mistyped, or stand in another order.
	ErrShareChecksum = errors.New("seal: mistyped share")

	// ErrShareOtherStore is returned for a share whose fingerprint is that of
	// no slot of this store, as far as its record knows: one that is older than
	// the share does not know it either.
	ErrShareOtherStore = custody.ErrShareOtherStore

	// ErrShareStale is returned for a share of this store, but of a set that
	// it is not at: an older one after a rekey, a newer one that was given up or
	// dropped. The record remembers the last 32 sets that opened nothing any more.
	ErrShareStale = custody.ErrShareStale

	// ErrShareAltered is returned where the share is of the right set and yet
	// not the one that was made: it misses the commitment in the record.
	ErrShareAltered = custody.ErrShareAltered

	// ErrShareDuplicate is returned for a share that was given before.
	ErrShareDuplicate = custody.ErrShareDuplicate
)

// A ShareError is an error about one share. It names the share and never
// shows it.
type ShareError struct {
	Kind   error  // one of the ErrShare sentinels
	X      byte   // the share's number in its set; 0 if it is not known
	Set    uint32 // the share's set; 0 if it is not known or has none
	Want   uint32 // with ErrShareStale, the newest set in use; with ErrShareOtherStore, of a share of a later set, the newest that the record ever had; 0 if none is
	Detail string // what is malformed, if that is the Kind
}

// Error returns the kind, the share's name, and what to do.
func (e *ShareError) Error() string {
	text := e.Kind.Error()
	if e.X != 0 {
		text += " (" + shareName(e.X, e.Set) + ")"
	}
	if advice := e.advice(); advice != "" {
		text += ": " + advice
	}
	return text
}

// Unwrap returns the kind.
func (e *ShareError) Unwrap() error { return e.Kind }

func (e *ShareError) advice() string {
	switch e.Kind {
	case ErrShareMalformed:
		return e.Detail
	case ErrShareChecksum:
		return "compare it with the original, nothing is corrected"
	case ErrShareOtherStore:
		if e.Want != 0 {
			return fmt.Sprintf("set %d is later than all that the record knows, which are %d: it is a share of another store, or this record is older than the share, as a backup from before a rekey is: look which", e.Set, e.Want)
		}
		return "bring a share of this store, or look whether this is the right store, and its record no older than the share"
	case ErrShareStale:
		if e.Want == 0 {
			return fmt.Sprintf("set %d was dropped, and people hold no other", e.Set)
		}
		age := "the share was replaced"
		if e.Set > e.Want {
			age = "the share was given up before it counted, or dropped, or the store's record is older than it"
		}
		return fmt.Sprintf("set %d, this store is at set %d, %s", e.Set, e.Want, age)
	case ErrShareAltered:
		return "compare the share with the original, then the record with a backup"
	case ErrShareDuplicate:
		return "give another one"
	}
	return ""
}

// shareName names a share without revealing it.
func shareName(x byte, set uint32) string {
	if set == 0 {
		return fmt.Sprintf("share %d", x)
	}
	return fmt.Sprintf("share %d of set %d", x, set)
}

// shareError is the error about a share in this package's type.
func shareError(err error) error {
	if e, ok := errors.AsType[*custody.ShareError](err); ok {
		if e.Kind == ErrShareMalformed {
			return malformed("an empty share")
		}
		return &ShareError{Kind: e.Kind, X: e.X, Set: e.Set, Want: e.Want}
	}
	return err
}

package seal

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/keyring"
)

// What a caller decides on. Each error that a [Barrier] returns is, by
// [errors.Is], one of these, one of package kms's, or a share's.
var (
	// ErrSealed: the server is sealed. Unseal it.
	ErrSealed = keyring.ErrSealed
	// ErrSealedByOperator: the server was sealed by Seal, which Run does not undo: give
	// it shares, or call Unseal. It is an ErrSealed.
	ErrSealedByOperator error = waiting("by an operator: it stays so until it is given shares, or Unseal is called")
	// ErrStarting: no attempt to unseal the server has come to an end yet. The text
	// says what is waited for, behind "seal: sealed, starting". It is an ErrSealed.
	ErrStarting error = starting("nothing was tried yet: Run unseals it, or Unseal, or shares")
	// ErrClosed: Close was called.
	ErrClosed = errors.New("seal: the barrier is closed")
	// ErrConfig: the configuration or an argument can never work.
	ErrConfig = errors.New("seal: configuration")

	// ErrUninitialized: the store was reached and holds no record. Call Init.
	ErrUninitialized = ledger.ErrUninitialized
	// ErrInitialized: the store holds a record already.
	ErrInitialized = errors.New("seal: already initialized")
	// ErrUnproven: shares or keys were made, but none was proven yet, so
	// nothing was encrypted. Unseal, or repeat Init with the same operation id.
	ErrUnproven = record.ErrUnproven

	// ErrStoreUnavailable: the store could not be read. It says nothing of
	// what is in it. Retry.
	ErrStoreUnavailable = ledger.ErrUnavailable
	// ErrOutcomeUnknown: a change was sent to the store, and neither its
	// success nor its failure could be learnt. Nothing is lost: the next call
	// that reaches the store finds out.
	ErrOutcomeUnknown = ledger.ErrUnknown
	// ErrCorrupt: the record is damaged. Restore it.
	ErrCorrupt = ledger.ErrCorrupt
	// ErrNewerFormat: the record was written by newer code. Upgrade.
	ErrNewerFormat = record.ErrNewer
	// ErrAnchor: [Config.Anchor] could not be read, so a process that starts
	// cannot know whether the record is an old one. Mend the anchor, or do
	// without it.
	ErrAnchor = ledger.ErrAnchor
	// ErrMissing: the record is gone from a store that had one. Restore it.
	ErrMissing = ledger.ErrMissing
	// ErrOtherStore: the record is not that of the store this process knew.
	ErrOtherStore = ledger.ErrOtherStore
	// ErrRolledBack: the record, or the data, is older than what was seen.
	ErrRolledBack = ledger.ErrRolledBack
	// ErrForked: the record does not descend from the one this process knew.
	ErrForked = ledger.ErrForked
	// ErrForged: the record was not made by those who made the slot's keys.
	ErrForged = errors.New("seal: the record is forged")
	// ErrUnpinned: what opens this slot could be made by a stranger. Set
	// [Config.Pins], or say [Config.TrustUnpinned].
	ErrUnpinned = errors.New("seal: the slot needs a pin")
	// ErrUnexpected: the slot is not as [Config.Shapes] has it, so that a process that
	// starts would not believe it. Change Shapes; at a start it is ErrForged.
	ErrUnexpected = errors.New("seal: the slot is not one of Config.Shapes")
	// ErrWrongSeed: a seed was found, and it is not this slot's.
	ErrWrongSeed = custody.ErrWrongSeed
	// ErrRootMoved: the root key was rotated elsewhere, and no KMS slot could
	// follow. Unseal again with shares.
	ErrRootMoved = errors.New("seal: the root key was rotated by another replica")

	// ErrPropagating: other replicas may not have seen yet what this needs them
	// to have seen; [Config.Propagation] says how long that takes. Wait.
	ErrPropagating = errors.New("seal: other replicas may not have seen it yet")
	// ErrStrands: other replicas could not follow this change by themselves.
	ErrStrands = errors.New("seal: other replicas could not follow")

	// ErrHandOff: another replica did not hand the root key over, or asked for it and
	// may not have it. The text says what to look into.
	ErrHandOff = errors.New("seal: hand-off")

	// ErrNoSlot: no slot of that name.
	ErrNoSlot = record.ErrNoSlot
	// ErrSlotExists: a slot of that name stands already.
	ErrSlotExists = record.ErrSlotExists
	// ErrLastSlot: no other proven slot would remain.
	ErrLastSlot = record.ErrLastSlot
	// ErrNoProof: no other slot opened the stored record just now, so nothing
	// is dropped. Repair another slot, or add one, and try again.
	ErrNoProof = record.ErrStaleProof
	// ErrInProgress: another operation is in progress.
	ErrInProgress = record.ErrInProgress
	// ErrNoOperation: the operation named is not in progress.
	ErrNoOperation = record.ErrNoOperation
	// ErrElsewhere: another replica gathers this operation's shares. The text
	// names it.
	ErrElsewhere = errors.New("seal: the operation's shares are gathered elsewhere")
	// ErrLeased: another replica has the lease, or took it over. The text names
	// it.
	ErrLeased = record.ErrLeased
	// ErrTermTwice: two forks of the store used one term number for two keys.
	// Data of one of them is unreadable here.
	ErrTermTwice = record.ErrTermTwice
	// ErrNotKnown: a record, or a slot of it, that this process never saw is
	// to be gone on with, and nobody has named it.
	ErrNotKnown = errors.New("seal: this process does not know the record")
	// ErrRecipient: a share was not encrypted to its custodian, for the reason
	// that follows: mend or change the key. Nothing was made.
	ErrRecipient = errors.New("seal: a share could not be encrypted to its custodian")
	// ErrFull: the record has no room for what makes it grow; what drops,
	// replaces and retires still has. Rewrap the data and retire old terms, or
	// drop slots.
	ErrFull = record.ErrFull
	// ErrExhausted: a number of the record is near its end, where no store gets
	// by itself: find out who wrote the record.
	ErrExhausted = record.ErrExhausted
	// ErrTermInUse: the term is the active one, or gone, or never was. The text says
	// which, and what the active one waits for.
	ErrTermInUse = record.ErrTermInUse
)

// An Error says what a [Barrier] was doing, to which slot, when an error came.
type Error struct {
	Op   string // "unseal", "add", "drop" …
	Slot string // "" where it is about none
	Err  error
}

// Error returns the whole on one line, prefixed with "seal: ".
func (e *Error) Error() string {
	op := e.Op
	if e.Slot != "" {
		op = fmt.Sprintf("%s slot %q", e.Op, e.Slot)
	}
	return causes.Line(fmt.Sprintf("seal: %s: %s", op, strings.TrimPrefix(e.Err.Error(), "seal: ")))
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func wrapError(op, slot string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Slot: slot, Err: err}
}

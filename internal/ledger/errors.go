package ledger

import (
	"errors"

	"github.com/sealwright/sealwright/internal/record"
)

// What can be said of a record in its store. Package seal hands them on under
// the same names, and documents them for its callers.
var (
	ErrNotFound      = errors.New("seal: no record in the store")
	ErrConflict      = errors.New("seal: the record was changed by another writer")
	ErrTooLarge      = errors.New("seal: the record is larger than the store takes")
	ErrExposed       = errors.New("seal: the record's file is open to every user")
	ErrUninitialized = errors.New("seal: not initialized: init it, if it is a new store")
	ErrUnavailable   = errors.New("seal: the store cannot be reached")
	ErrUnknown       = errors.New("seal: the outcome of the change is unknown")
	ErrCorrupt       = errors.New("seal: the record is damaged")
	ErrMissing       = errors.New("seal: the record is gone")
	ErrOtherStore    = errors.New("seal: the record is another store's")
	ErrRolledBack    = errors.New("seal: rolled back")
	ErrForked        = errors.New("seal: the record is a fork")
	ErrAnchor        = errors.New("seal: the anchor cannot be read")
	ErrNewerFormat   = record.ErrNewer
)

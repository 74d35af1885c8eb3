package seal

import (
	"crypto/subtle"

	"github.com/sealwright/sealwright/internal/record"
)

// Sealed returns nil while the Barrier is unsealed, and while it is sealed why,
// as Status does. It takes no lock and copies nothing, for every request to ask.
func (b *Barrier) Sealed() error {
	if why := b.reason.Load(); why != nil {
		return *why
	}
	return nil
}

// InitializedBy reports whether the store was made by the Init of that id, as
// far as the journal reaches back. The id is known to whoever asked for the
// Init: a host may let them have a [Admin.Reissue] of a slot that nobody has
// proven, where the answer that held its shares was lost. A sealed Barrier does
// not know: [ErrSealed].
func (a *Admin) InitializedBy(op OperationID) (bool, error) {
	o, err := a.b.current()
	if err != nil {
		return false, wrapError("initialized by", "", err)
	}
	defer o.Wipe()
	id := []byte(record.InitID(o.State.Store, string(op)))
	for i := range o.State.Journal {
		e := &o.State.Journal[i]
		if e.Event == "init" && op != "" && subtle.ConstantTimeCompare([]byte(e.Operation), id) == 1 {
			return true, nil
		}
	}
	return false, nil
}

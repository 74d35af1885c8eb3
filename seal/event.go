package seal

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/record"
)

// EventKind names what happened.
type EventKind string

// The kinds of events. The list grows; a handler passes by what it does not
// know.
const (
	EventInit         EventKind = "init"
	EventUnseal       EventKind = "unseal"        // an attempt, by KMS or with the last share
	EventShare        EventKind = "share"         // a share was given; Err says why not taken
	EventHandOff      EventKind = "hand-off"      // the root key, or shares, were handed to or by the replica Actor, or refused; or what others said to this one
	EventExpire       EventKind = "expire"        // shares given long ago were wiped
	EventSeal         EventKind = "seal"          // this process was sealed
	EventOverrun      EventKind = "overrun"       // the keys were wiped under what While runs: it had not returned in time
	EventAdd          EventKind = "add"           // a slot was added
	EventProve        EventKind = "prove"         // a slot opened the stored record, or did not
	EventReplace      EventKind = "replace"       // a rekey was committed
	EventDrop         EventKind = "drop"          // a slot was dropped
	EventRotate       EventKind = "rotate"        // a term was added; Detail says which, such as "term 3"
	EventActivate     EventKind = "activate"      // a term began to encrypt; the same
	EventRotateRoot   EventKind = "rotate-root"   // the root key was replaced
	EventReissue      EventKind = "reissue"       // a slot never proven was made anew
	EventRestore      EventKind = "restore"       // an older record was gone on with
	EventJoin         EventKind = "join"          // the terms of a fork were taken in
	EventRetire       EventKind = "retire"        // a term was removed; the same
	EventBegin        EventKind = "begin"         // an operation began
	EventEnd          EventKind = "end"           // an operation was cancelled
	EventClaim        EventKind = "claim"         // an operation was taken over by this replica
	EventLease        EventKind = "lease"         // the lease was taken, ended, or lost to another replica
	EventRefresh      EventKind = "refresh"       // a change by another replica was taken in
	EventRoster       EventKind = "roster"        // the roster cannot be read or written, or can again
	EventBehind       EventKind = "behind"        // an unsealed process cannot take in the stored record, or can again
	EventDrill        EventKind = "drill"         // Run tried whether a slot still opens the store
	EventStore        EventKind = "store"         // the store failed, or holds what it must not
	EventUnpinned     EventKind = "unpinned"      // a forgeable slot was believed, as configured
	EventAnchor       EventKind = "anchor"        // the anchor was made, or could not be moved on
	EventBudget       EventKind = "budget"        // a term nears its limit
	EventLongFork     EventKind = "unverified"    // too many changes were missed to prove descent
	EventKeyVersion   EventKind = "key-version"   // a KMS key has a newer version than the stored blob
	EventKeyMoved     EventKind = "key-moved"     // the configuration would wrap with another key than the stored blob's
	EventKeyScheduled EventKind = "key-scheduled" // a KMS key is disabled, about to expire, or scheduled for deletion
	EventRenew        EventKind = "renew"         // a slot was wrapped anew by its keys, or those that came in their place
)

// An Event is something that an auditor wants to know. It holds no secret.
// Events are emitted also while sealed, and for attempts that fail.
type Event struct {
	Time       time.Time
	Kind       EventKind
	Replica    string
	Actor      string      // who asked, as the host said
	Operation  OperationID // "" where none
	Slot       string      // "" where it is about none
	Set        uint32      // of a share that was given or checked; 0 where it is about none, or nobody could look
	Number     int         // of that share in its set
	Custodian  string      // who holds that share, as the record has it; "" where it says nothing
	Verdict    Verdict     // what that share was found to be; "" where it is about none, or nobody could look
	KMS        string      // by which the server was unsealed: names in [Config.KMS], with commas between; "" where people alone did
	Generation uint64      // of the record after the event; 0 where unknown
	Detail     string      // in words, for people
	Err        error       // nil if it succeeded
}

// A Verdict is what a share was found to be. Of one that is not right, Set, Number,
// Slot and Custodian of its [Event] are what it calls itself: anybody can write
// those on a share.
type Verdict string

const (
	// ShareRight is one that was made and delivered, also of a slot that waits to
	// be proven, and opens nothing until then.
	ShareRight Verdict = "right"
	// ShareStale is of a set that the store is not at: see [ErrShareStale].
	ShareStale Verdict = "stale"
	// ShareAltered is of a set that the store is at, and not what was made.
	ShareAltered Verdict = "altered"
	// ShareForeign is of another store, as far as anybody can tell.
	ShareForeign Verdict = "foreign"
	// ShareMalformed is no share.
	ShareMalformed Verdict = "malformed"
)

// JoinEvents returns a handler for [Config.OnEvent] that calls each of these, in
// their order; nil ones are left out. If one panics, the others have the event all
// the same.
func JoinEvents(handlers ...func(Event)) func(Event) {
	handlers = slices.DeleteFunc(slices.Clone(handlers), func(f func(Event)) bool { return f == nil })
	return func(e Event) {
		for _, f := range handlers {
			tell(f, e)
		}
	}
}

// tell calls the host's hook. One that panics loses its event: it must not take a
// half-finished change with it, nor the process.
func (b *Barrier) tell(e Event) {
	if b.cfg.OnEvent != nil {
		tell(b.cfg.OnEvent, e)
	}
}

func tell(f func(Event), e Event) {
	defer func() { _ = recover() }()
	f(e)
}

// LogEvents returns a handler for [Config.OnEvent] that writes each event to l:
// failures as warnings, the rest as information. That a store was never
// initialized is no failure: it waits for [Barrier.Init].
func LogEvents(l *slog.Logger) func(Event) {
	return func(e Event) {
		level, why := slog.LevelInfo, "error"
		switch {
		case e.Kind == EventUnseal && errors.Is(e.Err, ErrUninitialized):
			why = "reason"
		case e.Err != nil:
			level = slog.LevelWarn
		}
		attrs := []slog.Attr{slog.String("replica", e.Replica)}
		for _, a := range []struct{ key, value string }{
			{"actor", e.Actor}, {"operation", string(e.Operation)}, {"slot", e.Slot}, {"custodian", e.Custodian}, {"kms", e.KMS}, {"detail", e.Detail},
		} {
			if a.value != "" {
				attrs = append(attrs, slog.String(a.key, a.value))
			}
		}
		if e.Generation != 0 {
			attrs = append(attrs, slog.Uint64("generation", e.Generation))
		}
		if e.Err != nil {
			attrs = append(attrs, slog.String(why, e.Err.Error()))
		}
		l.LogAttrs(context.Background(), level, "seal "+string(e.Kind), attrs...)
	}
}

// emit tells the host of something.
func (b *Barrier) emit(kind EventKind, by By, slot string, detail string, err error) {
	b.emitEvent(by, Event{Kind: kind, Slot: slot, Detail: detail, Err: err})
}

// How the server was unsealed: with or without shares, or by another replica.
const (
	byKMS    = "by KMS"
	byPeople = "by people"
	byPeer   = "by the hand-off of replica "
	byPeers  = "by other replicas" // those that were asked, and of which none did
)

// emitEvent is emit of what has more to say. By who has the turn, [turn.tell] is
// called instead.
func (b *Barrier) emitEvent(by By, e Event) { b.tell(b.fill(by, e)) }

// fill fills in what every event has.
func (b *Barrier) fill(by By, e Event) Event {
	e.Time, e.Replica, e.Generation = time.Now(), b.cfg.Replica, b.ledger.Newest().Generation
	e.Actor, e.Operation = record.Person(by.Actor), by.Operation
	if rec := b.ledger.Parsed(); rec != nil && rec.BeganWith(string(e.Operation)) {
		e.Operation = OperationID(rec.Operation.ID) // the id itself is a credential
	}
	return e
}

package seal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
)

// Config is what [Open] needs. Only Store is required.
type Config struct {
	// Store keeps the record.
	Store Store

	// KMS holds the wrappers by the names that [KMS] specs use. The record
	// decides which slots exist; a wrapper without a slot is unused, and a
	// slot without its wrapper cannot open the store. The Barrier bounds,
	// retries and spreads the calls itself: a wrapper makes one attempt a
	// call.
	KMS map[string]kms.Wrapper

	// Pins are the fingerprints of slots, as [SlotStatus] shows them while the
	// store is unsealed. With a pin, a process that starts is unsealed by pinned
	// slots, and by shares in text where the record knows the identity of a
	// pinned slot, whatever record is in the store; and an empty store is
	// [ErrMissing], never uninitialized. Slots that a stranger with write
	// access to the store could have made need one: RSA-OAEP wraps, and shares
	// in Vault's bare form. Pin every slot: Status warns of slots that are not
	// pinned, and where none is. A rekey or a drop that would leave no pinned one
	// is refused ([ErrUnpinned]): add the new one's fingerprint to Pins, which its
	// [Delivery] and Status show, and restart first.
	Pins []string

	// Shapes are the slots that a process that starts expects, by name. If set,
	// no other opens the store, and none of another shape: whoever uses one key
	// of a 2-of-3 tree, and can write to the store, could otherwise put a store
	// of their own there, under the tree's name and opened by that key alone.
	// Set them before a slot of a new name is to unseal: Status warns of slots that
	// are not expected, and what would leave no expected one is refused
	// ([ErrUnexpected]). To change a slot's shape give it a new name, or do without
	// Shapes meanwhile.
	Shapes map[string]Spec

	// TrustUnpinned accepts slots that would otherwise need a pin, and so gives up
	// detecting a forged record for them. Status warns.
	TrustUnpinned bool

	// Anchor, if set, remembers which record is the newest, so that also a
	// process that starts notices an old one: [ErrRolledBack], [ErrForked], or
	// [ErrMissing] for none. It is worth something where whoever can write to
	// Store, or restores its backups, does not write here as well: a file on
	// another volume, a row in another database. Replicas may share it or have
	// one each. What it holds is not secret.
	//
	// A process that cannot read its anchor stays sealed ([ErrAnchor]). A running
	// process does not depend on the anchor; if it cannot update it, Status warns.
	// To go on with an older record on purpose, take the anchor away and start
	// anew; an empty one believes the first record that opens.
	Anchor Store

	// Peers, if set, returns the other replicas, of which a process that is sealed, or
	// that a new root key has left behind, asks for the root key, after the KMS slots
	// and while those are asked: people unseal one replica, and the others come up by
	// themselves. Package handoff has one over HTTP, and the asked side, which is
	// [Admin.HandOff]. Who may ask is decided there, by the host. What is handed over
	// opens the record that this process has loaded itself, or nothing; Pins, Shapes
	// and Anchor hold for it as for shares in text. Set it in every replica or in
	// none: with it a root key is rotated where no KMS slot lets the others follow.
	// An operator's [Barrier.Seal] is not undone by it. Nil: nobody is asked.
	Peers func(context.Context) ([]Peer, error)

	// PassShares has replicas pass on, to each other and to nobody else, the shares
	// that people give while they are sealed, so that it does not matter to which of
	// them each is given: as behind one load balancer. It takes Peers, and what those
	// ask; a share is encrypted to who asks, checked there as if it were given there,
	// and wiped when it would be where it was given. A replica that others take for
	// one of them then learns shares, which open the store until a rekey, where the
	// hand-off alone has it learn the root key.
	PassShares bool

	// Roster, if set, keeps which replicas there are and what each has taken in: one
	// small document, beside the record and never in its place, in a store of any
	// kind that replicas share. Then a term is activated, one is retired, and a root
	// key replaced, not only after the time that others should need, but when each
	// has said that it has, or can; what is refused names who has not. Run keeps it;
	// without Run a process is not in it. It is lost, or put back, without harm:
	// then time decides, as without it. Set it in every replica, with Propagation.
	Roster Store

	// MemberTTL is for how long a replica is waited for that is in the Roster, and
	// gives no sign of life any more, of which a process gives ten in this time, or
	// one each Poll where that is longer. One that is sealed or closed says so, and is
	// not waited for. After that it counts as one that does not run:
	// what it writes all the same, under a term that others have retired, is lost.
	// Zero: 15 minutes.
	MemberTTL time.Duration

	// Replica names this process in Status, events and errors; it must differ
	// between the processes that share a store. One that stays the same over
	// restarts lets a process go on with the operations that it gathered shares
	// for; another has to claim them. Empty: a random name.
	Replica string

	// Propagation is how long a new term is only read, before it encrypts, so
	// that every replica has it by then. Set it when several processes share
	// the store, to more than the time they take to notice a change. Zero:
	// a new term encrypts at once.
	Propagation time.Duration

	// Poll is how often Run looks at the store for changes by others where
	// the store is no [Watcher]. Zero: every 10 seconds.
	Poll time.Duration

	// Drill is how often Run tries, by a true unwrap, whether each KMS slot
	// still opens the store. Zero: every 6 hours; negative: never.
	Drill time.Duration

	// KeepVersions has Run leave each KMS slot wrapped by the version of its key
	// that wrapped it. As a rule, when a drill finds that the KMS has a newer
	// version of the same key, Run renews the slot, so that no slot depends on
	// a version that an operator is about to destroy.
	KeepVersions bool

	// Spread is how far apart Run spreads the first attempts of processes that
	// start together. Zero: 1 second. A thousand replicas on one KMS with a
	// quota need more: their number divided by the calls a second it allows.
	Spread time.Duration

	// HeadStart is how long an unseal waits for one KMS slot before it asks
	// the next one as well. Zero: 2 seconds.
	HeadStart time.Duration

	// Retry bounds the attempts at one KMS call.
	Retry kms.Policy

	// StoreTimeout bounds one call of the store. Zero: 15 seconds.
	StoreTimeout time.Duration

	// ShareTTL is for how long a share that was given waits for the others it
	// takes. Then it is wiped, and has to be given again. Run, Submit, Unseal and
	// Status look. Zero: 24 hours, so that custodians in any time zone can come;
	// negative: until the process ends.
	ShareTTL time.Duration

	// Grace is for how long Seal and Close wait for what [Barrier.While] runs.
	// Then the keys are wiped all the same, with an [EventOverrun]. Zero: 10
	// seconds.
	Grace time.Duration

	// OnEvent, if set, is called for each event, from the goroutine that
	// caused it, also from several at once. It must not block for long, and
	// must not call the Barrier; if it panics, its event is lost. [LogEvents]
	// makes one that logs, package journal one that writes them down, and
	// [JoinEvents] one of several.
	OnEvent func(Event)
}

// By says who asks for something, and as a step of which operation. The zero
// value is "nobody said".
type By struct {
	// Actor is the name of who asks, of any characters: nothing is refused for a
	// name. Events and the record's journal have it in at most 64 printable ASCII
	// characters, in which no two names are the same. Any other byte, and "%", is "%"
	// and two hex digits, as in URLs: José is Jos%C3%A9. What is then longer than that
	// ends in "%#" and 24 hex digits of the SHA-256 of the name.
	Actor string

	Operation OperationID // at most 64 printable ASCII characters; "" if it is none's
}

// An OperationID names an operation in progress.
type OperationID string

func newOperationID() OperationID { return OperationID(rand.Text()) }

func (c *Config) validate() error {
	if c.Store == nil {
		return fmt.Errorf("%w: Config.Store is required", ErrConfig)
	}
	switch {
	case isSame(c.Roster, c.Store):
		return fmt.Errorf("%w: Roster is the store of the record: give it a place of its own", ErrConfig)
	case isSame(c.Anchor, c.Store):
		return fmt.Errorf("%w: Anchor is the store of the record: give it a place of its own", ErrConfig)
	case isSame(c.Roster, c.Anchor):
		return fmt.Errorf("%w: Roster is the Anchor: give each a place of its own", ErrConfig)
	}
	for name, w := range c.KMS {
		if w == nil {
			return fmt.Errorf("%w: the KMS %q is nil", ErrConfig, name)
		}
		if err := record.CheckName(name); err != nil {
			return fmt.Errorf("%w: KMS: %w", ErrConfig, err)
		}
	}
	for _, pin := range c.Pins {
		if _, err := parsePin(pin); err != nil {
			return err
		}
	}
	for name, spec := range c.Shapes {
		if spec == nil {
			return fmt.Errorf("%w: Shapes: slot %q has no Spec", ErrConfig, name)
		}
		if err := errors.Join(record.CheckName(name), spec.record().Check()); err != nil {
			return fmt.Errorf("%w: Shapes: slot %q: %w", ErrConfig, name, err)
		}
	}
	if len(c.Pins) > 0 && c.TrustUnpinned {
		return fmt.Errorf("%w: Pins and TrustUnpinned exclude each other", ErrConfig)
	}
	if err := record.CheckIdentity(c.Replica); err != nil {
		return fmt.Errorf("%w: Replica: %w", ErrConfig, err)
	}
	if c.Replica == "" {
		c.Replica = "replica-" + rand.Text()[:8]
	}
	for _, d := range []struct {
		value *time.Duration
		zero  time.Duration
		name  string
	}{
		{&c.Poll, 10 * time.Second, "Poll"},
		{&c.Spread, time.Second, "Spread"},
		{&c.HeadStart, 2 * time.Second, "HeadStart"},
		{&c.StoreTimeout, 15 * time.Second, "StoreTimeout"},
		{&c.Grace, 10 * time.Second, "Grace"},
		{&c.Propagation, 0, "Propagation"},
		{&c.MemberTTL, 15 * time.Minute, "MemberTTL"},
	} {
		if *d.value < 0 {
			return fmt.Errorf("%w: %s is negative", ErrConfig, d.name)
		}
		if *d.value == 0 {
			*d.value = d.zero
		}
	}
	if c.Roster != nil && (c.Propagation == 0 || c.MemberTTL < 5*c.Poll) {
		return fmt.Errorf("%w: Roster needs a Propagation, and a MemberTTL of five times Poll at least, which is %v", ErrConfig, c.Poll)
	}
	if c.Drill == 0 {
		c.Drill = 6 * time.Hour
	}
	if c.ShareTTL == 0 {
		c.ShareTTL = 24 * time.Hour
	}
	return nil
}

// own puts copies in the place of the maps and slices, which are the host's.
func (c *Config) own() {
	c.KMS, c.Pins, c.Shapes = maps.Clone(c.KMS), slices.Clone(c.Pins), maps.Clone(c.Shapes)
	for name, spec := range c.Shapes {
		c.Shapes[name] = specOf(spec.record())
	}
}

// check refuses an operation that cannot be one.
func (by By) check() error {
	if err := record.CheckIdentity(string(by.Operation)); err != nil {
		return fmt.Errorf("%w: By: %w", ErrConfig, err)
	}
	return nil
}

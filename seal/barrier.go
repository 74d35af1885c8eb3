package seal

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/roster"
	"github.com/sealwright/sealwright/internal/secret"
	"github.com/sealwright/sealwright/keyring"
)

// A Barrier is the seal of one server: it opens the keyring that the record in
// a [Store] protects, and changes that record. It begins sealed. All methods
// are safe for concurrent use.
type Barrier struct {
	cfg     Config
	keys    *keyring.Owner
	ledger  *ledger.Ledger
	custody *custody.Keys
	drills  drills
	others  others
	limit   int // bytes that the store takes; 0: MaxRecordSize

	// turn is held, as a token in the channel, while the record is loaded or
	// swapped and what is in the store is made what the Barrier holds: a lock
	// that a context can leave. No KMS is asked by whoever has it.
	turn chan struct{}

	// life ends with Close, and everything that waits with it.
	life context.Context
	end  context.CancelCauseFunc

	// unsealed is a part of life: it ends when the Barrier is sealed. Guarded by
	// mu.
	unsealed    context.Context
	endUnsealed context.CancelCauseFunc

	// shutting is held, as turn is, by the one Seal or Close that is at work.
	shutting chan struct{}

	// reason is why, for whoever takes no lock.
	reason atomic.Pointer[error]

	mu          sync.Mutex            // guards what follows; never held during I/O
	open        func() *ledger.Opened // nil while sealed; a closure, which no printer opens
	progress    []SetProgress         // of the shares given for unsealing
	why         error                 // why it is sealed
	sealedBy    bool                  // an operator's Seal, which Run does not undo
	seals       uint64                // how often it was sealed
	draining    bool                  // sealed, and the keyring has its keys yet: nothing is installed
	running     map[*run]struct{}     // what While runs, since this unseal
	closed      bool
	gathers     map[OperationID]*custody.Quorum // the shares given so far; "" for unsealing
	behind      behind                          // why it cannot follow, while unsealed
	activeTerm  uint32                          // and since when it is known here
	activeSince time.Time
	caughtUp    *catchUp      // the last load for an unknown term
	changed     chan struct{} // closed and replaced when the state changes
	observed    map[uint32]observation

	roster rosterState // its fields say what guards them

	hooks hooks
}

// hooks are planted faults, set by this package's tests alone.
type hooks struct {
	// rewrite changes what a transition made, before it is stored.
	rewrite func(event EventKind, before, after record.State) record.State
	// believe makes Drop take any proof ever recorded.
	believe bool
	// answered is called when a hand-off's answer is made and not yet given out.
	answered func()
}

// Open returns a sealed Barrier over the configured store. It checks the
// configuration and touches neither the store nor any KMS: a server must come
// up, and say why it is sealed, without them. It keeps copies of the
// configuration's maps and slices.
func Open(cfg Config) (*Barrier, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg.own()
	life, end := context.WithCancelCause(context.Background())
	b := &Barrier{
		cfg:      cfg,
		life:     life,
		end:      end,
		keys:     keyring.New(),
		ledger:   ledger.New(ledger.Config{Store: cfg.Store, Anchor: anchorOf(cfg), Timeout: cfg.StoreTimeout, Pinned: len(cfg.Pins) > 0}),
		custody:  custody.NewKeys(cfg.KMS, cfg.Retry, cfg.HeadStart),
		turn:     make(chan struct{}, 1),
		shutting: make(chan struct{}, 1),
		running:  map[*run]struct{}{},
		gathers:  map[OperationID]*custody.Quorum{},
		changed:  make(chan struct{}),
		observed: map[uint32]observation{},
		drills:   newDrills(),
		others:   newOthers(),
		roster:   newRosterState(),
	}
	if s, ok := cfg.Store.(Limited); ok {
		b.limit = s.MaxRecord()
	}
	b.setWhy(ErrStarting)
	return b, nil
}

// Keyring returns the keyring, the same for the Barrier's life. While the
// Barrier is sealed its methods return [ErrSealed]; what [Barrier.While] runs
// has it until it returns.
func (b *Barrier) Keyring() *keyring.Keyring { return b.keys.Keyring() }

// Seal ends what [Barrier.While] runs, waits for its return, no longer than
// [Config.Grace], drains the operations in flight and wipes the keys. From its
// beginning on the Barrier says that it is sealed. It affects this process only.
// Run does not unseal it again; Unseal and Submit can. With a [Config.Roster] it
// then tells the others, for which it waits for two seconds or so.
func (b *Barrier) Seal(by By) error {
	if err := by.check(); err != nil {
		return err
	}
	ok, last := b.shut(ErrSealed, by)
	if !ok {
		return ErrClosed
	}
	b.emit(EventSeal, by, "", "", nil)
	b.leave(last)
	return nil
}

// Close is [Barrier.Seal], for good. What waits in the Barrier's methods returns
// [ErrClosed].
func (b *Barrier) Close() error {
	_, last := b.shut(ErrClosed, By{})
	b.end(ErrClosed)
	b.leave(last)
	return nil
}

// shut seals; it reports false if the Barrier was closed before, and returns what is
// to be said in the roster. A change in
// flight has its own copy of the root key, and finishes, unless it waits for a
// KMS.
func (b *Barrier) shut(why error, by By) (ok bool, last *roster.Signed) {
	b.shutting <- struct{}{}
	defer func() { <-b.shutting }()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false, nil
	}
	b.closed = why == ErrClosed
	b.sealedBy = true
	b.seals++
	b.draining = true
	running := b.running
	b.running = map[*run]struct{}{}
	last = b.farewell()
	b.forget(why)
	if !b.closed {
		b.setWhy(ErrSealedByOperator) // for who asks why it does not come back by itself
	}
	b.mu.Unlock()
	defer func() { // also if what the host has the keyring call panics
		b.mu.Lock()
		defer b.mu.Unlock()
		b.draining = false
		b.notify()
	}()
	b.drain(running, why, by)
	b.keys.Seal() // waits for the operations in flight, without b.mu
	return true, last
}

// forget wipes what the Barrier holds; b.mu is held.
func (b *Barrier) forget(why error) {
	if b.open != nil {
		b.open().Wipe()
		b.open = nil
		b.behind = behind{}
		b.endUnsealed(why)
	}
	b.ledger.Sealed()
	for _, q := range b.gathers {
		q.Wipe(why)
	}
	clear(b.gathers)
	b.setWhy(why)
	b.progress = nil
	b.notify()
}

// notify wakes those who wait for a change; b.mu is held.
func (b *Barrier) notify() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// Wait returns when the Barrier is unsealed, or with ctx.Err(), or with
// [ErrClosed].
func (b *Barrier) Wait(ctx context.Context) error {
	for {
		b.mu.Lock()
		open, closed, changed := b.open != nil, b.closed, b.changed
		b.mu.Unlock()
		switch {
		case closed:
			return ErrClosed
		case open:
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A turn at the record. What happens in it is told when it is given back, so that
// a handler that takes its time keeps nobody from the record. Whoever is handed
// one has it, and does not end it.
type turn struct {
	b    *Barrier
	told []Event
}

// tell has the host told of something when the turn ends.
func (t *turn) tell(by By, e Event) { t.told = append(t.told, t.b.fill(by, e)) }

// end gives the turn back.
func (t *turn) end() {
	<-t.b.turn
	for _, e := range t.told {
		t.b.tell(e)
	}
}

// take waits for its turn at the record.
func (b *Barrier) take(ctx context.Context) (*turn, error) {
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-b.life.Done():
		return nil, ErrClosed
	}
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		<-b.turn
		return nil, ErrClosed
	}
	return &turn{b: b}, nil
}

// clean is deferred, called, by whoever works with keys: it makes room on the
// stack, which would leave keys behind where it grows, and in the end clears
// what was done there.
func clean() func() {
	secret.BurnStack()
	return secret.BurnStack
}

// An intent says whether an opened record may unseal, and how often the Barrier
// had been sealed when that was asked for: a later Seal is not undone.
type intent struct {
	unseal bool
	seals  uint64
}

// toUnseal is the intent of whoever asks to unseal now.
func (b *Barrier) toUnseal() intent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return intent{unseal: true, seals: b.seals}
}

// install makes o, which it takes over, what the Barrier holds; the caller has
// the turn. Terms reach the keyring only here, from a record that is stored. A
// Barrier that was sealed meanwhile stays so.
func (b *Barrier) install(o *ledger.Opened, as intent) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		o.Wipe()
		return ErrClosed
	}
	switch {
	case b.open != nil:
	case !as.unseal:
		b.ledger.Saw(o)
		o.Wipe()
		return nil
	case as.seals != b.seals || b.draining:
		b.ledger.Saw(o)
		o.Wipe()
		return fmt.Errorf("%w: by an operator, in the meantime", ErrSealed)
	}
	if err := b.keys.Install(o.State.Store, keyringTerms(o.State.Terms)); err != nil {
		o.Wipe()
		return fmt.Errorf("%w: its keyring: %w", ErrCorrupt, err)
	}
	b.ledger.Saw(o)
	if b.open != nil {
		b.open().Wipe()
	} else {
		b.unsealed, b.endUnsealed = context.WithCancelCause(b.life)
	}
	b.observe(o.State.Terms)
	b.seeActive(&o.State)
	o.LockRoot()
	b.open = func() *ledger.Opened { return o }
	b.ledger.Unsealed()
	b.setWhy(nil)
	b.progress, b.sealedBy = nil, false
	b.dropOtherGathers(o.State.Operation)
	b.notify()
	return nil
}

// dropOtherGathers wipes the shares that were given for unsealing, to any other operation
// than op, or to one that another replica gathers; b.mu is held.
func (b *Barrier) dropOtherGathers(op *record.Operation) {
	for id, g := range b.gathers {
		if id == "" || op == nil || op.ID != string(id) || op.Replica != b.cfg.Replica {
			g.Wipe(ErrNoOperation)
			delete(b.gathers, id)
		}
	}
}

// current returns a copy of what the Barrier holds, for the caller to wipe, or
// ErrSealed.
func (b *Barrier) current() (*ledger.Opened, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	if b.open == nil {
		return nil, ErrSealed
	}
	return b.open().Reopen()
}

// until returns a context that ends with ctx, and with the Barrier's life, or, in
// what is asked while it is unsealed, with a Seal: people who are to unseal then
// must not wait for a change that waits for its KMS. The cause says which.
func (b *Barrier) until(ctx context.Context) (context.Context, func()) {
	b.mu.Lock()
	end := b.life
	if b.open != nil {
		end = b.unsealed
	}
	b.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(end, func() { cancel(context.Cause(end)) })
	return ctx, func() { stop(); cancel(nil) }
}

// anchorOf returns the anchor's store, nil for none.
func anchorOf(cfg Config) ledger.Store {
	if cfg.Anchor == nil {
		return nil
	}
	return cfg.Anchor
}

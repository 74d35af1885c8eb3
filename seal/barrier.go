package seal

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/secret"
	"github.com/sealwright/sealwright/keyring"
)

// A Barrier is the seal of one server: it opens the keyring that the record in
// a [Store] protects, and changes that record. It begins sealed. All methods
// are safe for concurrent use.
type Barrier struct {
	cfg  Config
	keys *keyring.Owner

	// turn is held, as a token in the channel, by whoever loads the record in
	// order to change it or to unseal with it: a lock that a context can leave.
	turn chan struct{}

	// keysMu orders what happens to the keyring; it is taken before mu.
	keysMu sync.Mutex

	mu            sync.Mutex     // guards what follows; never held during I/O
	open          func() *opened // nil while sealed; a closure, which no printer opens
	storeWarnings []string       // what the store said of itself at the last load
	parsed        *loaded        // the record last parsed; not authenticated
	mark          mark           // the newest record seen
	progress      []SetProgress  // of the shares given for unsealing
	why           error          // why it is sealed
	sealedBy      bool           // an operator's Seal, which Run does not undo
	closed        bool
	drafts        []func() *opened // changes sent to the store, their outcome not yet known
	gathers       map[OperationID]*gather
	health        map[uint32]drilled // by slot id
	changed       chan struct{}      // closed and replaced when the state changes
	observed      map[uint32]observation

	hooks hooks
}

// An opened is a record with what it protects.
type opened struct {
	state  record.State
	root   []byte
	rev    string
	digest record.Digest
}

// A mark is the newest record that this process has seen; it outlives a Seal.
type mark struct {
	store      string
	generation uint64
	digest     record.Digest

	fingerprints [][12]byte // of its slots
}

// hooks are planted faults, set by this package's tests alone.
type hooks struct {
	// rewrite changes what a transition made, before it is stored.
	rewrite func(event EventKind, before, after record.State) record.State
	// believe makes Drop take any proof ever recorded.
	believe bool
}

// Open returns a sealed Barrier over the configured store. It checks the
// configuration and touches neither the store nor any KMS: a server must come
// up, and say why it is sealed, without them.
func Open(cfg Config) (*Barrier, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Barrier{
		cfg:      cfg,
		keys:     keyring.New(),
		turn:     make(chan struct{}, 1),
		gathers:  map[OperationID]*gather{},
		health:   map[uint32]drilled{},
		changed:  make(chan struct{}),
		observed: map[uint32]observation{},
		why:      ErrSealed,
	}, nil
}

// Keyring returns the keyring, the same for the Barrier's life. While the
// Barrier is sealed its methods return [ErrSealed].
func (b *Barrier) Keyring() *keyring.Keyring { return b.keys.Keyring() }

// Seal drains the operations in flight and wipes the keys. It is an operator's
// act on this process: Run does not undo it, Unseal and Submit do.
func (b *Barrier) Seal(by By) error {
	if err := by.check(); err != nil {
		return err
	}
	if !b.shut(ErrSealed) {
		return ErrClosed
	}
	b.emit(EventSeal, by, "", "", nil)
	return nil
}

// Close seals for good. What waits in the Barrier's methods returns
// [ErrClosed].
func (b *Barrier) Close() error {
	b.shut(ErrClosed)
	return nil
}

// shut seals; it reports false if the Barrier was closed before. A change in
// flight has its own copy of the root key, and finishes.
func (b *Barrier) shut(why error) bool {
	b.keysMu.Lock()
	defer b.keysMu.Unlock()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.closed = why == ErrClosed
	b.sealedBy = true
	b.forget(why)
	b.mu.Unlock()
	b.keys.Seal() // waits for the operations in flight, without b.mu
	return true
}

// forget wipes what the Barrier holds; b.mu is held.
func (b *Barrier) forget(why error) {
	if b.open != nil {
		b.open().wipe()
		b.open = nil
	}
	for i := range b.drafts {
		b.drafts[i]().wipe()
	}
	b.drafts = nil
	for _, g := range b.gathers {
		g.wipe()
	}
	clear(b.gathers)
	b.why, b.progress = why, nil
	b.notify()
}

func (o *opened) wipe() {
	clear(o.root)
	o.state.Secrets.Wipe()
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

// take waits for its turn at the record, and returns the function that gives
// it back.
func (b *Barrier) take(ctx context.Context) (func(), error) {
	select {
	case b.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		<-b.turn
		return nil, ErrClosed
	}
	secret.BurnStack()
	return func() {
		secret.BurnStack() // of what was done in this turn
		<-b.turn
	}, nil
}

// install makes o, which it takes over, what the Barrier holds; the caller has
// the turn. Terms reach the keyring only here, from a record that is stored. A
// Barrier that was sealed meanwhile stays so, unless o comes from an unseal.
func (b *Barrier) install(o *opened, unsealing bool) error {
	b.keysMu.Lock()
	defer b.keysMu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		o.wipe()
		return ErrClosed
	}
	b.mark = markOf(o)
	if b.open == nil && !unsealing {
		o.wipe()
		return nil
	}
	if err := b.keys.Install(o.state.Store, keyringTerms(o.state.Terms)); err != nil {
		o.wipe()
		return fmt.Errorf("%w: its keyring: %w", ErrCorrupt, err)
	}
	if b.open != nil {
		b.open().wipe()
	}
	b.open = func() *opened { return o }
	b.why, b.progress, b.sealedBy = nil, nil, false
	b.observe(o.state.Terms)
	b.notify()
	return nil
}

func markOf(o *opened) mark {
	m := mark{store: o.state.Store, generation: o.state.Generation, digest: o.digest}
	for i := range o.state.Slots {
		m.fingerprints = append(m.fingerprints, [12]byte(o.state.Slots[i].Fingerprint))
	}
	return m
}

// current returns a copy of what the Barrier holds, for the caller to wipe, or
// ErrSealed.
func (b *Barrier) current() (*opened, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, ErrClosed
	}
	if b.open == nil {
		return nil, ErrSealed
	}
	o := b.open()
	return &opened{
		state: o.state.Clone(), root: bytes.Clone(o.root),
		rev: o.rev, digest: o.digest,
	}, nil
}

package seal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"

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

	// caughtUp is the last load that an unknown term made necessary; guarded by
	// the turn.
	caughtUp catchUp

	// life ends with Close, and everything that waits with it.
	life context.Context
	end  context.CancelFunc

	// unsealed is a part of life: it ends when the Barrier is sealed. Guarded by
	// mu.
	unsealed    context.Context
	endUnsealed context.CancelFunc

	// keysMu orders what happens to the keyring; it is taken before mu.
	keysMu sync.Mutex

	// reason is why, for whoever takes no lock.
	reason atomic.Pointer[error]

	mu            sync.Mutex     // guards what follows; never held during I/O
	open          func() *opened // nil while sealed; a closure, which no printer opens
	storeWarnings []string       // what the store said of itself at the last load
	parsed        *loaded        // the record last parsed; not authenticated
	mark          mark           // the newest record seen
	anchored      mark           // what Config.Anchor holds, as far as this process knows
	anchorErr     error          // what came of the last attempt to move it on
	progress      []SetProgress  // of the shares given for unsealing
	why           error          // why it is sealed
	sealedBy      bool           // an operator's Seal, which Run does not undo
	seals         uint64         // how often it was sealed
	closed        bool
	drafts        []func() *opened // changes sent to the store, their outcome not yet known
	gathers       map[OperationID]*gather
	health        map[uint32]drilled // by slot id
	followed      map[uint32]string  // by slot id: the key versions for which Run rewrapped it
	changed       chan struct{}      // closed and replaced when the state changes
	observed      map[uint32]observation

	hooks hooks
}

// An opened is a record with what it protects. At rest, as the Barrier holds
// it, it has no other key than the root key.
type opened struct {
	state  record.State
	root   []byte // in locked memory at rest
	rev    string
	digest record.Digest
	clear  [sha256.Size]byte // digest of the clear part
	sealed []byte            // the sealed part
}

// A mark is the newest record that was seen. It outlives a Seal, and with
// [Config.Anchor] the process.
type mark struct {
	store      string
	generation uint64
	digest     record.Digest

	fingerprints [][12]byte // of its slots
	term         [32]byte   // SHA-256 of its active data key; zero before any slot was proven
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
	life, end := context.WithCancel(context.Background())
	b := &Barrier{
		cfg:      cfg,
		life:     life,
		end:      end,
		keys:     keyring.New(),
		turn:     make(chan struct{}, 1),
		gathers:  map[OperationID]*gather{},
		health:   map[uint32]drilled{},
		followed: map[uint32]string{},
		changed:  make(chan struct{}),
		observed: map[uint32]observation{},
	}
	b.setWhy(ErrSealed)
	return b, nil
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
	b.end()
	return nil
}

// shut seals; it reports false if the Barrier was closed before. A change in
// flight has its own copy of the root key, and finishes, unless it waits for a
// KMS.
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
	b.seals++
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
		b.endUnsealed()
	}
	for i := range b.drafts {
		b.drafts[i]().wipe()
	}
	b.drafts = nil
	for _, g := range b.gathers {
		g.wipe(why)
	}
	clear(b.gathers)
	b.setWhy(why)
	b.progress = nil
	b.notify()
}

func (o *opened) wipe() {
	secret.Free(o.root)
	o.root = nil
	o.state.Secrets.Wipe()
}

// rest wipes all keys but the root key, which it moves to locked memory.
func (o *opened) rest() {
	root := secret.Keep(o.root)
	clear(o.root)
	o.root = root
	for i := range o.state.Terms {
		o.state.Terms[i].Key = [32]byte{}
	}
	clear(o.state.Identities)
}

// wake returns a copy of an opened at rest with all its keys, for the caller to
// wipe.
func (o *opened) wake() (*opened, error) {
	secrets, err := openSecrets(o.root, o.sealed, o.clear)
	if err != nil {
		return nil, fmt.Errorf("%w: what this process held: %w", ErrCorrupt, err)
	}
	out := *o
	out.state, out.root = o.state.Clone(), bytes.Clone(o.root)
	out.state.Secrets = *secrets
	return &out, nil
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
	secret.BurnStack()
	return func() {
		secret.BurnStack() // of what was done in this turn
		<-b.turn
	}, nil
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
func (b *Barrier) install(o *opened, as intent) error {
	b.keysMu.Lock()
	defer b.keysMu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		o.wipe()
		return ErrClosed
	}
	b.mark = markOf(o)
	switch {
	case b.open != nil:
	case !as.unseal:
		o.wipe()
		return nil
	case as.seals != b.seals:
		o.wipe()
		return fmt.Errorf("%w: by an operator, in the meantime", ErrSealed)
	}
	if err := b.keys.Install(o.state.Store, keyringTerms(o.state.Terms)); err != nil {
		o.wipe()
		return fmt.Errorf("%w: its keyring: %w", ErrCorrupt, err)
	}
	if b.open != nil {
		b.open().wipe()
	} else {
		b.unsealed, b.endUnsealed = context.WithCancel(b.life)
	}
	b.observe(o.state.Terms)
	o.rest()
	b.open = func() *opened { return o }
	b.setWhy(nil)
	b.progress, b.sealedBy = nil, false
	b.dismiss(o.state.Operation)
	b.notify()
	return nil
}

// dismiss wipes the shares that were given to any other operation than op, or
// to one that another replica gathers; b.mu is held.
func (b *Barrier) dismiss(op *record.Operation) {
	for id, g := range b.gathers {
		if id != "" && (op == nil || op.ID != string(id) || op.Replica != b.cfg.Replica) {
			g.wipe(ErrNoOperation)
			delete(b.gathers, id)
		}
	}
}

func markOf(o *opened) mark {
	m := mark{store: o.state.Store, generation: o.state.Generation, digest: o.digest}
	for i := range o.state.Slots {
		m.fingerprints = append(m.fingerprints, [12]byte(o.state.Slots[i].Fingerprint))
	}
	if o.state.Proved() {
		m.term = termDigest(o.state.ActiveTerm())
	}
	return m
}

// termDigest is what a mark keeps of a data key: it has 256 random bits, so its
// digest tells nothing of it.
func termDigest(t *record.Term) [32]byte { return sha256.Sum256(t.Key[:]) }

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
	return b.open().wake()
}

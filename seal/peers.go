package seal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/foreign"
	"github.com/sealwright/sealwright/internal/handoff"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
)

// A Peer is another replica of the store, for [Config.Peers].
type Peer struct {
	// Name is for events and errors: an address, or a name. It is no credential. Each
	// has its own: one that never came back from a call is not asked again before it has.
	Name string

	// Ask sends the request to the [Admin.HandOff] of the other replica, and returns
	// what that returned. The channel proves to the other side who this replica is,
	// and to this side that the other is one: what is received is worth no more than
	// that. It is called from several goroutines, and its ctx ends in seconds.
	Ask func(ctx context.Context, request []byte) (answer []byte, err error)
}

// How other replicas are asked: so many in a round, in random order, each a while
// after the one before, and for so long; and so long is the longest pause between
// two rounds. In a fleet that waits for people each replica asks, and is asked, less
// than twice a second, however large the fleet is.
const (
	peersAsked   = 16
	peerHead     = 250 * time.Millisecond
	peerPatience = 5 * time.Second
	peerPause    = 20 * time.Second

	// peersHung is how many calls may hang in all, given up on, before nobody is asked.
	peersHung = 64
)

// A listed is one of the other replicas, and how many are listed under its name.
type listed struct {
	Peer
	alike int
}

// openByPeers opens the record with the root key of another replica, in one round.
func (b *Barrier) openByPeers(ctx context.Context, l *ledger.Stored) (*ledger.Opened, error) {
	return b.roundOfPeers(ctx, l, peersAsked, peerHead, func() { b.tryShares(l) })
}

// roundOfPeers asks so many others, each a while after the one before, and calls
// after when it has said something.
func (b *Barrier) roundOfPeers(ctx context.Context, l *ledger.Stored, most int, head time.Duration, after func()) (*ledger.Opened, error) {
	ctx, done := b.until(ctx)
	defer done()
	peers, err := b.peers(ctx, most)
	if err != nil {
		b.toldOfPeers(ctx, unlisted, err)
		return nil, err
	}
	// Each says why not, in said; the errors that the race gathers are the same.
	said := make([]peerError, len(peers))
	o, i, _ := custody.Race(ctx, len(peers), head, func(ctx context.Context, i int, _ func()) (*ledger.Opened, error) {
		var o *ledger.Opened
		o, said[i] = b.askPeer(ctx, l, peers[i])
		after()
		if o == nil {
			return nil, said[i]
		}
		return o, nil
	}, (*ledger.Opened).Wipe)
	if i >= 0 {
		b.toldOfPeers(ctx, quiet, nil)
		return o, nil
	}
	what, err := sum(said)
	b.toldOfPeers(ctx, what, err)
	return nil, err
}

// peers returns those to ask in this round.
func (b *Barrier) peers(ctx context.Context, most int) (out []listed, err error) {
	ctx, cancel := context.WithTimeout(ctx, peerPatience)
	defer cancel()
	all, err := bounded.Through(ctx, b.others.listing, b.cfg.Peers)
	if err != nil {
		return nil, fmt.Errorf("%w: which other replicas there are was not told: %w", ErrHandOff, err)
	}
	alike := map[string]int{}
	for _, p := range all {
		if p.Ask != nil {
			p.Name = foreign.Line(p.Name, record.MaxIdentity)
			alike[p.Name]++
			out = append(out, listed{Peer: p})
		}
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	out = out[:min(len(out), most)]
	for i := range out {
		out[i].alike = alike[out[i].Name]
	}
	return out, nil
}

// askPeer opens the record with the root key of one other replica. Its key pair
// lives for this request.
func (b *Barrier) askPeer(ctx context.Context, l *ledger.Stored, p listed) (*ledger.Opened, peerError) {
	defer clean()()
	ctx, cancel := context.WithTimeout(ctx, peerPatience)
	defer cancel()
	no := func(what outcome, err error) (*ledger.Opened, peerError) { return nil, peerError{p.Name, what, err} }
	if err := b.others.hung.Full(p.Name, p.alike, peersHung); err != nil {
		return no(unreachable, err) // before a key pair is made for it
	}
	a, err := handoff.Ask(handoff.Request{Store: l.Store, Generation: l.Generation, Digest: l.Digest, Asker: b.cfg.Replica})
	if err != nil {
		return no(unreachable, err)
	}
	defer a.Wipe()
	defer b.others.asking(a.ID)()
	sent, at := slices.Clone(a.Bytes), time.Now() // it may be kept, or written to
	answer, err := bounded.Unless(ctx, &b.others.hung, p.Name, p.alike, peersHung, func(ctx context.Context) ([]byte, error) { return p.Ask(ctx, sent) }, nil)
	if err != nil {
		return no(unreachable, err)
	}
	if handoff.HasShares(answer) {
		switch err := b.takePassed(ctx, l, a, answer, at); {
		case err == nil, errors.Is(err, ErrConflict), ctx.Err() != nil:
			return no(quiet, handoff.Sealed)
		default:
			b.emit(EventHandOff, By{}, "", fmt.Sprintf("what replica %q answered was not taken", p.Name), fmt.Errorf("%w: %w", ErrHandOff, err))
			return no(wrong, err)
		}
	}
	o, from, err := b.takeAnswer(l, a, answer)
	if why, ok := errors.AsType[handoff.Refusal](err); ok {
		return no(refused(why), err)
	}
	switch {
	case errors.Is(err, ErrConflict): // a later record was taken in meanwhile
		return no(quiet, err)
	case err != nil:
		b.emit(EventHandOff, By{}, "", fmt.Sprintf("what replica %q answered was not taken", p.Name), fmt.Errorf("%w: %w", ErrHandOff, err))
		return no(wrong, err)
	}
	o.Peer = from
	return o, peerError{}
}

// takeAnswer opens the record that this process has loaded with the root key in an
// answer to its request: with no other, and by all that it asks of a record that
// others open for it.
func (b *Barrier) takeAnswer(l *ledger.Stored, a *handoff.Asking, answer []byte) (*ledger.Opened, string, error) {
	root, from, err := a.Open(answer)
	if err != nil {
		return nil, "", err
	}
	defer clear(root)
	if from == b.cfg.Replica {
		return nil, "", fmt.Errorf("the answer is in this replica's own name, %q", from)
	}
	o, err := b.ledger.Unlock(l, root)
	if errors.Is(err, aead.ErrWrongKey) || errors.Is(err, aead.ErrCorrupt) {
		return nil, "", errors.New("the root key in its answer does not open the stored record: who can write to the store, and what is this replica?")
	}
	if err != nil {
		return nil, "", err
	}
	if o.Missed != "" {
		b.emitEvent(By{}, missed(o))
	}
	if err := b.believePeer(o); err != nil {
		o.Wipe()
		return nil, "", err
	}
	return o, from, nil
}

// An outcome is what came of asking one replica, the least worth a word first.
type outcome int

const (
	quiet       outcome = iota // what everybody waits for, as long as nobody is unsealed
	unreachable                // the network's matter
	unlisted
	denied // the configuration's, here or there
	older  // the store's
	wrong  // somebody's fault, or deed
)

func refused(why handoff.Refusal) outcome {
	switch why {
	case handoff.Sealed, handoff.Newer, handoff.Busy, handoff.Itself:
		return quiet
	case handoff.Older, handoff.Forked, handoff.Other:
		return older
	}
	return denied
}

// A peerError is what one replica said, or was said of it.
type peerError struct {
	peer string
	what outcome
	err  error
}

func (e peerError) Error() string {
	switch {
	case e.what == unreachable:
		return fmt.Sprintf("replica %q cannot be asked: %v", e.peer, e.err)
	case e.what == wrong:
		return fmt.Sprintf("replica %q: %v", e.peer, e.err)
	}
	return fmt.Sprintf("replica %q %v", e.peer, e.err)
}

// Unwrap returns the cause, and of a refusal the error that it stands for.
func (e peerError) Unwrap() []error {
	switch e.err {
	case handoff.Older:
		return []error{ErrRolledBack}
	case handoff.Forked:
		return []error{ErrForked}
	case handoff.Other:
		return []error{ErrOtherStore}
	}
	return []error{e.err}
}

// errNobodyHands: nobody else is unsealed, and nothing is wrong.
var errNobodyHands error = waiting("and no other replica is unsealed")

// sum is the worst of what the replicas said, and of how many it is true.
func sum(said []peerError) (outcome, error) {
	if len(said) == 0 {
		return quiet, errNobodyHands
	}
	worst := slices.MaxFunc(said, func(a, b peerError) int { return int(a.what - b.what) })
	others := 0
	for _, e := range said {
		if e.what == worst.what {
			others++
		}
	}
	switch {
	case worst.what == quiet:
		return quiet, errNobodyHands
	case others > 1:
		return worst.what, fmt.Errorf("%w: %w (the same is true of %d of the %d that were asked)", ErrHandOff, worst, others, len(said))
	}
	return worst.what, fmt.Errorf("%w: %w", ErrHandOff, worst)
}

// toldOfPeers tells of what came of a round, unless the round before came to the
// same: they are seconds apart.
func (b *Barrier) toldOfPeers(ctx context.Context, what outcome, err error) {
	if ctx.Err() == nil && b.others.cameTo(what) && what != quiet {
		b.emit(EventHandOff, By{}, "", "no other replica has handed the root key over", err)
	}
}

// believePeer decides whether a record is one to believe that opens with the root
// key of another replica. That it is the other's own is known by the channel, as of
// shares in text it is by the identity that they bring along, so that is asked
// which is asked of those: that the record has a slot by which this configuration
// would have it opened. A pinned one knows its identity, which a stranger does not.
func (b *Barrier) believePeer(o *ledger.Opened) error {
	if !o.State.Proved() {
		return fmt.Errorf("%w: no slot of it was ever proven", ErrUnproven)
	}
	newest := b.ledger.Newest()
	var err error = waiting("and no slot opens the store")
	for i := range o.State.Slots {
		slot := &o.State.Slots[i]
		if !slot.Opens() {
			continue
		}
		fingerprint := record.FingerprintOf(o.State.Identities[slot.ID])
		if newest.Knows(o.State.Store, [12]byte(fingerprint[:12])) {
			return nil
		}
		if err = b.checkShape(slot); err == nil && (len(b.cfg.Pins) == 0 || b.isPin(fingerprint[:])) {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("%w: none of its slots is a pinned one: if they were replaced, pin the fingerprint of one that is meant, as Status of the other replica shows it", ErrForged)
		}
	}
	return err
}

// openAlone opens the record with nobody present: through a slot that needs nobody,
// and, where those fail or take their time, with the root key of another replica.
// Slot is nil where that did it.
func (b *Barrier) openAlone(ctx context.Context, l *ledger.Stored, keys *custody.Keys) (*ledger.Opened, *record.Slot, error) {
	if b.cfg.Peers == nil {
		return b.openByKMS(ctx, l, keys)
	}
	slots := machines(l.Record)
	o, i, errs := custody.Race(ctx, len(slots)+1, b.cfg.HeadStart, func(ctx context.Context, i int, _ func()) (*ledger.Opened, error) {
		if i == len(slots) {
			return b.openByPeers(ctx, l)
		}
		return b.openByKeys(ctx, l, slots[i], keys)
	}, (*ledger.Opened).Wipe)
	switch {
	case i >= 0 && i < len(slots):
		return o, slots[i], nil
	case i >= 0:
		return o, nil, nil
	case len(slots) == 0:
		errs = append(errs, custody.ErrNeedsPeople)
	}
	return nil, nil, causes.Join(errs...)
}

// onlyHandOff is what of an error the other replicas said, and is worth a word.
func onlyHandOff(err error) error {
	if errors.Is(err, ErrHandOff) {
		return err
	}
	return nil
}

package migrate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// KeeperConfig is what [NewKeeper] needs. Only Sources is required.
type KeeperConfig struct {
	// Sources are all places where the host keeps ciphertexts of the store. A term
	// is retired when nothing in them is under it: what is in none of them is lost
	// with it.
	Sources []KeeperSource

	// RotateAfter is how old the active term gets before it is replaced, such as 30
	// days. It is at least a minute. Zero: it is replaced by use alone. A term that
	// has old ones beside it is not replaced by age before a round under it has
	// begun, so that each rotation is followed by one however short this is.
	RotateAfter time.Duration

	// RotateAtUse is how much of what one process may encrypt under a term is used
	// up when it is replaced, at any age: above 0, up to 1. Zero: a half.
	RotateAtUse float64

	// KeepOld is how long a term stays after another has taken its place, though
	// nothing is under it: for as long as backups of the data are kept that would
	// be restored beside today's record. Zero: 90 days. [AtOnce]: not at all.
	// Negative: no term is retired.
	KeepOld time.Duration

	// Beat is how often the replica that works says so in the record. One that has
	// been silent for three of them, by another's clock, is taken for dead, and
	// that one goes on. It is from a second to 24 hours. Zero: 30 minutes.
	Beat time.Duration

	// Retry is how long after a round that left something undone the next one
	// begins, at first: each that leaves something as well doubles it, up to a
	// day. Zero: an hour.
	Retry time.Duration

	// Actor is in the events of what the Keeper does. Empty: "keeper".
	Actor string

	// OnStatus, if set, is called when the status changes, from the goroutine of
	// [Keeper.Run]. It must not block.
	OnStatus func(KeeperStatus)

	// Metrics, if set, is told what there is to show. A *sealhttp.Metrics is one.
	Metrics KeeperMetrics
}

// AtOnce is for [KeeperConfig.KeepOld]: a term goes as soon as nothing is under it.
// A backup of the data from before is then readable with a record from before alone.
const AtOnce time.Duration = 1

// A KeeperSource is one of the places that a [Keeper] looks after.
type KeeperSource struct {
	Name   string // for people and metrics, such as "tokens.secret"; unique
	Source Source

	// Rewrap is how it is rewrapped: workers, rates, a throttle. With a Bookmark that
	// all replicas share a round goes on where another one was interrupted. With a
	// Legacy the first round comes when the Keeper starts, and adopts what there is
	// of legacy values; what is written as one later comes in the next round.
	Rewrap RewrapOptions
}

// KeeperMetrics takes what a [Keeper] has to show.
type KeeperMetrics interface {
	Keeper(phase string, rotated, round time.Time, err error)
	Items(source string, counts map[string]int64)
	Rewrap(source string) func(outcomes map[string]int64)
}

// A Keeper does by itself what a rotation is made of: it adds a term when the
// active one is old or used up, rewraps what is under older ones, counts, and
// retires the terms that nothing is under any more. Every replica of a server
// has one, and one of them works:
//
//	keeper, err := migrate.NewKeeper(b, migrate.KeeperConfig{
//		Sources:     []migrate.KeeperSource{{Name: "tokens.secret", Source: tokens}},
//		RotateAfter: 30 * 24 * time.Hour,
//	})
//	…
//	go keeper.Run(ctx) // beside b.Run(ctx)
//
// Which one that is stands in the record as a lease: beside the operations of
// custodians, none of which it hinders. It is given back when a round is done or
// ctx ends; a replica that dies is replaced by another that has seen no sign of
// life of it for three [KeeperConfig.Beat]. What it had begun is gone on with: at
// any point all that counts is in the data and in the record.
//
// A round begins when every replica has had twice the time that it needs to see
// the active term: 2×([seal.Config.Propagation] + [seal.Config.Poll]). An item that cannot be rewrapped stays as it is, keeps its
// term, and is told of: the rest goes on. A Barrier that is sealed is waited for;
// one that is behind does nothing.
//
// Where a source has a Legacy in its options, the rounds adopt legacy values too,
// and the first one, which counts them, comes at the start without a rotation.
type Keeper struct {
	b       *seal.Barrier
	cfg     KeeperConfig
	by      seal.By
	running atomic.Bool

	mu     sync.Mutex
	status KeeperStatus

	// What follows is Run's.
	rotation pause // after one that failed, or was made here
	stuck    bool  // a rotation failed, and none came since
	rounds   pause // after one that left something
	clean    uint32
	term     uint32    // the active one
	termSeen time.Time // and since when, here
	begun    uint32    // the term under which a round began last, here or elsewhere
	before   string    // a lease of when the active term was first seen here
	first    bool      // no lease was looked at yet
	tried    string    // a lease whose taking has an unknown outcome
	watch    watch     // of another's lease
}

// NewKeeper returns a Keeper for the barrier, which does nothing until [Keeper.Run].
// The error is [seal.ErrConfig], for what can never work.
func NewKeeper(b *seal.Barrier, cfg KeeperConfig) (*Keeper, error) {
	if err := cfg.validate(b); err != nil {
		return nil, fmt.Errorf("migrate: keeper: %w", err)
	}
	cfg.Sources = slices.Clone(cfg.Sources)
	k := &Keeper{b: b, cfg: cfg, by: seal.By{Actor: cfg.Actor}}
	k.status.Phase = KeeperStopped
	return k, nil
}

func (c *KeeperConfig) validate(b *seal.Barrier) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", seal.ErrConfig, fmt.Sprintf(format, args...))
	}
	switch {
	case b == nil:
		return refuse("the Barrier is nil")
	case len(c.Sources) == 0:
		return refuse("no sources: name every place with ciphertexts")
	case c.RotateAfter != 0 && c.RotateAfter < time.Minute:
		return refuse("RotateAfter is %v: it is at least a minute, or 0 for never by age", c.RotateAfter)
	case c.RotateAtUse < 0 || c.RotateAtUse > 1 || math.IsNaN(c.RotateAtUse):
		return refuse("RotateAtUse is %v: it is above 0 and up to 1, or 0 for a half", c.RotateAtUse)
	case c.Beat != 0 && (c.Beat < time.Second || c.Beat > 24*time.Hour):
		return refuse("Beat is %v: it is from a second to 24 hours, or 0 for %v", c.Beat, keeperBeat)
	case c.Retry < 0:
		return refuse("Retry is %v: it is positive, or 0 for %v", c.Retry, keeperRetry)
	}
	names := map[string]bool{}
	for i, s := range c.Sources {
		switch {
		case s.Source == nil || s.Name == "" || names[s.Name]:
			return refuse("source %d, %q: each has a Source and a name of its own", i+1, s.Name)
		case s.Rewrap.After != "":
			return refuse("source %q has an After, and would be rewrapped from there on each time: use a Bookmark", s.Name)
		}
		if err := s.Rewrap.check(b.Keyring()); err != nil {
			return fmt.Errorf("source %q: %w", s.Name, err)
		}
		names[s.Name] = true
	}
	c.RotateAtUse = orDefault(c.RotateAtUse, 0.5)
	c.KeepOld = orDefault(c.KeepOld, keeperKeep)
	c.Beat = orDefault(c.Beat, keeperBeat)
	c.Retry = orDefault(c.Retry, keeperRetry)
	c.Actor = orDefault(c.Actor, "keeper")
	return nil
}

func orDefault[T comparable](v, zero T) T {
	if v == *new(T) {
		return zero
	}
	return v
}

const (
	keeperKeep  = 90 * 24 * time.Hour
	keeperBeat  = 30 * time.Minute
	keeperRetry = time.Hour
	keeperLook  = time.Minute    // how often it looks at what it has in memory
	keeperRest  = 24 * time.Hour // the longest pause
)

// Run keeps until ctx ends: it is for a goroutine of its own on every replica,
// beside [seal.Barrier.Run], or the function of a [seal.Barrier.While]. No
// failure ends it; [Keeper.Status] and the events tell of them.
//
// It returns ctx.Err(), or [seal.ErrClosed]; or [seal.ErrConfig] if it runs already.
func (k *Keeper) Run(ctx context.Context) error {
	if !k.running.CompareAndSwap(false, true) {
		return fmt.Errorf("migrate: keeper: %w: it runs already", seal.ErrConfig)
	}
	defer k.running.Store(false)
	defer k.tell(func(s *KeeperStatus) { s.Phase = KeeperStopped })
	k.rotation, k.rounds, k.clean, k.term, k.first, k.watch = pause{}, pause{}, 0, 0, true, watch{}
	k.begun, k.before = 0, ""
	for {
		if k.b.Sealed() != nil {
			k.phase(KeeperSealed)
			k.term = 0 // what is known of it begins anew
		}
		if err := k.b.Wait(ctx); err != nil {
			return err
		}
		changed := k.b.Admin().Changed() // also while it looks
		if err := until(ctx, k.look(ctx), changed); err != nil {
			return err
		}
	}
}

// until waits for a time, or a change that comes before.
func until(ctx context.Context, d time.Duration, changed <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-changed:
	case <-t.C:
	}
	return nil
}

// look does what is due, and returns when to look again.
func (k *Keeper) look(ctx context.Context) time.Duration {
	s := k.b.Status()
	switch {
	case s.Sealed:
		return 0
	case s.Behind != nil:
		k.fail(KeeperBehind, fmt.Errorf("migrate: keeper: this process cannot take in the stored record: %w", s.Behind))
		return keeperLook
	}
	if k.Status().Phase == KeeperBehind {
		k.fail(KeeperIdle, nil)
	}
	terms := termsOf(s)
	k.see(terms, s.Lease)
	if k.rotateDue(ctx, terms) {
		return 0
	}
	over, watched := k.free(ctx, s.Lease)
	wait, wanted := k.wanted(terms)
	var next time.Time
	if wanted {
		next = time.Now().Add(max(wait, 0)).Round(time.Second)
	}
	k.know(terms, next)
	switch {
	case watched > 0:
		return watched
	case terms.passive:
		k.phase(KeeperSettling)
		return keeperLook
	case !wanted || wait > 0:
		if over != nil {
			return k.work(ctx, over, clearing)
		}
		k.phase(KeeperIdle)
		if wanted {
			return min(keeperLook, wait)
		}
		if k.Status().Err != nil && !k.stuck {
			k.fail(KeeperIdle, nil) // another one did what this one could not
		}
		return keeperLook
	}
	if left, err := k.b.Admin().Settling(); err != nil || left > 0 {
		k.phase(KeeperSettling)
		return min(keeperLook, left)
	}
	return k.work(ctx, over, k.round)
}

// fail notes an error that the status shows until something succeeds.
func (k *Keeper) fail(phase KeeperPhase, err error) {
	if errors.Is(err, seal.ErrSealed) || errors.Is(err, context.Canceled) {
		err = nil // it is waited for
	}
	k.tell(func(s *KeeperStatus) { s.Phase, s.Err = phase, err })
}

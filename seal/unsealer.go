package seal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/causes"
	"github.com/sealwright/sealwright/internal/custody"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/wait"
	"github.com/sealwright/sealwright/kms"
)

// The pauses between the attempts of an auto-unseal are drawn from zero to a
// bound that doubles between these two, and before the first attempt from zero
// to Config.Spread: pods that restart together must not call together.
const (
	minPause = time.Second
	maxPause = time.Minute
)

// An unsealer tries to unseal, for Run, until it is stopped: each KMS slot by a
// clock of its own, so that one whose KMS hangs, or asks to be left alone, keeps
// no other waiting.
type unsealer struct {
	b       *Barrier
	as      intent
	stop    context.CancelFunc
	changed chan struct{} // the store may have changed

	mu   sync.Mutex
	said map[string]error // what each slot said last, by its name; nil: nothing to say
}

// saidByPeers is where in said the other replicas stand, behind all slots.
const saidByPeers = "\xff"

func (b *Barrier) startUnsealer(ctx context.Context) *unsealer {
	u := &unsealer{b: b, as: b.toUnseal(), changed: make(chan struct{}, 1)}
	ctx, u.stop = context.WithCancel(ctx)
	go u.run(ctx)
	return u
}

// look has the unsealer look whether the record is still the one it tries.
func (u *unsealer) look() {
	select {
	case u.changed <- struct{}{}:
	default:
	}
}

// A clock is the pauses between attempts; the zero one has made none.
type clock struct {
	bound time.Duration
	most  time.Duration // the longest bound; 0: maxPause
}

// wait pauses, from earliest on; it reports false when ctx ended.
func (c *clock) wait(ctx context.Context, earliest time.Time) bool {
	return wait.For(ctx, max(0, time.Until(earliest))+c.pause()) == nil
}

// pause returns the next pause.
func (c *clock) pause() time.Duration { return rand.N(c.grow()) }

// grow returns what the next pause is to be below.
func (c *clock) grow() time.Duration {
	most := c.most
	if most == 0 {
		most = maxPause
	}
	c.bound = max(minPause, min(2*c.bound, most))
	return c.bound
}

// run tries the record now stored, and the next one when it changes.
func (u *unsealer) run(ctx context.Context) {
	first := rand.N(u.b.cfg.Spread)
	u.b.replaceReason(u.as, starting(fmt.Sprintf("the first attempt comes in %v (Config.Spread)", first.Round(time.Millisecond))), isStarting)
	if wait.For(ctx, first) != nil {
		return
	}
	// A record that changes all the time is no reason to ask a KMS as often: what
	// was tried has a clock that no change hurries.
	var looks, tries clock
	said, woken := "", false // what is wrong with the store; whether a change of it had this look
	for {
		l, err := u.fetch(ctx)
		none := err != nil
		told := false
		if !none {
			looks = clock{}
			if woken && len(machines(l.Record)) > 0 && wait.For(ctx, rand.N(u.b.cfg.Spread)) != nil { // each replica was woken
				return
			}
			begun := time.Now()
			if told, err = u.try(ctx, l); time.Since(begun) > maxPause {
				tries = clock{}
			}
		}
		switch {
		case ctx.Err() != nil:
			return
		case err == nil, errors.Is(err, ErrConflict): // opened, or the record has changed
			said = ""
		default:
			u.b.setReason(u.as, err)
			again := err.Error() == said && (woken || errors.Is(err, ErrUninitialized))
			if said = err.Error(); !told && !again {
				u.b.emit(EventUnseal, By{}, "", "", err)
			}
		}
		woken = false
		if !none {
			if !tries.wait(ctx, time.Time{}) {
				return
			}
			continue
		}
		if woken = u.rest(ctx, looks.pause(), err); ctx.Err() != nil {
			return
		}
	}
}

// rest waits before the next look at a store that had no record to try, no longer
// than until it changes, and reports whether it did. One that is out of reach is not
// asked because of what it told before.
func (u *unsealer) rest(ctx context.Context, d time.Duration, err error) (changed bool) {
	if errors.Is(err, ErrStoreUnavailable) {
		select {
		case <-u.changed:
		default:
		}
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-u.changed:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// fetch loads the record, and says, as long as nothing else is known, that it does.
func (u *unsealer) fetch(ctx context.Context) (*ledger.Stored, error) {
	u.b.replaceReason(u.as, starting("the store is being asked for the record"), isStarting)
	asking, answered := context.WithCancel(ctx)
	defer answered()
	slow := time.AfterFunc(u.b.cfg.HeadStart, func() {
		u.b.replaceReason(u.as, fmt.Errorf("%w: no answer for %v so far", ErrStoreUnavailable, u.b.cfg.HeadStart), func(said error) bool {
			return asking.Err() == nil && isStarting(said)
		})
	})
	defer slow.Stop()
	return u.b.load(ctx)
}

// try tries one record until it is opened, or the store has another one:
// ErrConflict. Told is whether what failed was told of already.
func (u *unsealer) try(ctx context.Context, l *ledger.Stored) (told bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	u.mu.Lock()
	u.said = map[string]error{}
	u.mu.Unlock()
	slots := machines(l.Record)
	if len(slots) > 0 {
		u.b.replaceReason(u.as, beingAsked(slots), isOfStore)
	}
	var others sync.WaitGroup
	defer others.Wait()
	defer cancel(nil)
	others.Go(func() { u.watch(ctx, l, cancel) })
	others.Go(func() {
		defer clean()()
		u.quorum(ctx, l, len(slots) == 0, cancel)
	})
	ways := slots
	if u.b.cfg.Peers != nil {
		ways = append(ways, nil) // the other replicas, after the slots
	}
	if len(ways) == 0 {
		<-ctx.Done()
		return false, context.Cause(ctx)
	}
	o, i, _ := custody.Race(ctx, len(ways), u.b.cfg.HeadStart, func(ctx context.Context, i int, next func()) (*ledger.Opened, error) {
		if ways[i] == nil {
			return u.peers(ctx, l, len(slots) == 0)
		}
		return u.slot(ctx, l, ways[i], next)
	}, (*ledger.Opened).Wipe)
	if i < 0 {
		return false, context.Cause(ctx)
	}
	name, how := openedBy(o, ways[i])
	err = u.b.adoptIfStill(ctx, l, o, ways[i], byKMS, By{}, u.as)
	if err == nil || errors.Is(err, errFaster) {
		return false, nil
	}
	if !errors.Is(err, ErrConflict) {
		u.b.emit(EventUnseal, By{}, name, how, err)
	}
	return true, err
}

// peers asks the other replicas, round after round. It returns without having
// opened the record only when ctx has ended.
func (u *unsealer) peers(ctx context.Context, l *ledger.Stored, alone bool) (*ledger.Opened, error) {
	c := clock{most: peerPause}
	spoke := false
	for {
		o, err := u.b.openByPeers(ctx, l)
		if err == nil || ctx.Err() != nil {
			return o, err
		}
		if errors.Is(err, ErrRolledBack) {
			u.look() // another one knows a later record
		}
		if why := onlyHandOff(err); why != nil || spoke {
			spoke = why != nil
			if alone {
				u.say(ctx, "", missing(l.Record, u.b.gathered("")))
			}
			u.say(ctx, saidByPeers, why)
		}
		if !c.wait(ctx, time.Time{}) {
			return nil, ctx.Err()
		}
	}
}

// watch ends the attempts when the store has another record, or none that can be
// read.
func (u *unsealer) watch(ctx context.Context, l *ledger.Stored, end context.CancelCauseFunc) {
	for {
		select {
		case <-u.changed:
		case <-time.After(maxPause): // a store that watches says nothing when it goes away
		case <-ctx.Done():
			return
		}
		now, err := u.b.load(ctx)
		if err == nil && now.Digest != l.Digest {
			err = ErrConflict
		}
		if err != nil {
			end(err)
		}
	}
}

// quorum opens the record with the shares given so far, again and again: their
// quorum may wait for a KMS.
func (u *unsealer) quorum(ctx context.Context, l *ledger.Stored, alone bool, end context.CancelCauseFunc) {
	var c clock
	for {
		q := u.b.gathered("")
		q.Sift(l.Record)
		err := u.b.openByQuorum(ctx, l, "", By{}, custody.ErrNeedsPeople, u.as)
		switch {
		case ctx.Err() != nil, err == nil, errors.Is(err, errFaster):
			return
		case errors.Is(err, ErrConflict):
			end(ErrConflict)
			return
		case !errors.Is(err, custody.ErrNeedsPeople):
			u.say(ctx, "", err)
		case alone:
			u.say(ctx, "", missing(l.Record, q))
		}
		select {
		case <-time.After(c.pause()):
		case <-u.b.others.came:
		case <-ctx.Done():
			return
		}
	}
}

// slot tries one slot again and again. It returns without having opened it only
// when ctx has ended.
func (u *unsealer) slot(ctx context.Context, l *ledger.Stored, slot *record.Slot, next func()) (*ledger.Opened, error) {
	var c clock
	keys := u.b.custody.Once() // the clock here repeats it
	for {
		asking, answered := context.WithCancel(ctx)
		slow := time.AfterFunc(u.b.cfg.HeadStart, func() { u.say(asking, slot.Name, notYet(slot, u.b.cfg.HeadStart)) })
		o, err := u.b.openByKeys(ctx, l, slot, keys)
		slow.Stop()
		answered()
		if err == nil || ctx.Err() != nil {
			return o, err
		}
		u.say(ctx, slot.Name, err)
		u.b.emit(EventUnseal, By{}, slot.Name, byKMS, err)
		next()
		if !c.wait(ctx, keys.RestUntil(&slot.Tree)) {
			return nil, ctx.Err()
		}
	}
}

// notYet names the KMS that a slot waits for.
func notYet(slot *record.Slot, since time.Duration) error {
	var names []string
	slot.Tree.Leaves(func(leaf *record.Node) bool {
		if leaf.KMS != nil {
			names = append(names, strconv.Quote(leaf.KMS.Name))
		}
		return true
	})
	return wrapError("open", slot.Name, &kms.Error{Op: "unwrap", Kind: kms.ErrUnavailable,
		Err: fmt.Errorf("KMS %s: no answer for %v so far", strings.Join(names, ", "), since)})
}

// say makes what was said last, of each slot, the reason why the Barrier is
// sealed. Of a record that is tried no more, whose ctx has ended, nothing is.
func (u *unsealer) say(ctx context.Context, slot string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	u.said[slot] = err
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(u.said)) {
		errs = append(errs, u.said[name])
	}
	if why := causes.Join(errs...); why != nil {
		u.b.setReason(u.as, why)
	}
}

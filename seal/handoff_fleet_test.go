package seal_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
)

// A fleet is replicas over one store that hand the root key to each other, over a
// channel that proves each one's name.
type fleet struct {
	t      testing.TB
	store  seal.Store
	slots  map[string]seal.Spec
	shares []seal.Share
	events eventList
	change func(replica string, cfg *seal.Config) // nil: nothing

	mu     sync.Mutex
	up     map[string]*seal.Barrier
	stops  map[string]context.CancelFunc
	ended  sync.WaitGroup
	asked  int
	strays func(from, to string, request []byte) ([]byte, error) // in the way of a request, if set
}

var fiveThree = seal.Shamir{Shares: 5, Threshold: 3}

func newFleet(t testing.TB) *fleet {
	return &fleet{
		t: t, store: seal.NewMemStore(), slots: map[string]seal.Spec{"people": fiveThree},
		up: map[string]*seal.Barrier{}, stops: map[string]context.CancelFunc{},
	}
}

func (f *fleet) config(replica string) seal.Config {
	cfg := seal.Config{
		Store: f.store, Replica: replica, Drill: -1, Retry: kms.Policy{Attempts: 1}, OnEvent: f.events.add,
		Peers: func(context.Context) ([]seal.Peer, error) { return f.peers(replica), nil },
	}
	if f.change != nil {
		f.change(replica, &cfg)
	}
	return cfg
}

// peers is all replicas that run, as that one sees them.
func (f *fleet) peers(replica string) (peers []seal.Peer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(f.up)) {
		peers = append(peers, seal.Peer{Name: name, Ask: func(ctx context.Context, request []byte) ([]byte, error) {
			return f.ask(ctx, replica, name, request)
		}})
	}
	return peers
}

func (f *fleet) ask(ctx context.Context, from, to string, request []byte) ([]byte, error) {
	f.mu.Lock()
	f.asked++
	b, strays := f.up[to], f.strays
	f.mu.Unlock()
	if strays != nil {
		return strays(from, to, request)
	}
	if b == nil {
		return nil, errors.New("connection refused")
	}
	answer, _ := b.Admin().HandOff(ctx, request, from, nil)
	return answer, nil
}

// asks is how often any of them was asked.
func (f *fleet) asks() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// start starts a replica, sealed, with its Run.
func (f *fleet) start(replica string) *seal.Barrier {
	b := f.open(replica)
	ctx, stop := context.WithCancel(context.Background())
	f.ended.Go(func() { _ = b.Run(ctx) })
	f.mu.Lock()
	f.up[replica], f.stops[replica] = b, stop
	f.mu.Unlock()
	return b
}

// open is start without Run, and out of the others' sight.
func (f *fleet) open(replica string) *seal.Barrier {
	b, err := seal.Open(f.config(replica))
	must(f.t, err)
	return b
}

// kill ends a replica.
func (f *fleet) kill(replica string) {
	f.mu.Lock()
	b, stop := f.up[replica], f.stops[replica]
	delete(f.up, replica)
	f.mu.Unlock()
	if b != nil {
		stop()
		b.Close()
	}
}

// crash ends a replica that says nothing more.
func (f *fleet) crash(replica string) {
	f.freeze(replica)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.up, replica)
}

func (f *fleet) end() {
	for _, name := range f.names() {
		f.kill(name)
	}
	f.ended.Wait()
}

func (f *fleet) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.up))
}

func (f *fleet) replica(name string) *seal.Barrier {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.up[name]
}

// init makes the store, by a replica that then ends.
func (f *fleet) init() {
	f.t.Helper()
	b := f.open("maker")
	defer b.Close()
	d, err := b.Init(f.t.Context(), f.slots, seal.By{})
	must(f.t, err)
	for _, set := range d.Sets {
		f.shares = append(f.shares, set.Shares...)
	}
	f.unseal(b)
}

// unseal gives three shares.
func (f *fleet) unseal(b *seal.Barrier) {
	f.t.Helper()
	for _, s := range f.shares[:3] {
		_, err := b.Submit(f.t.Context(), s, seal.By{})
		must(f.t, err)
	}
	must(f.t, b.Sealed())
}

// unsealed counts those that are.
func (f *fleet) unsealed() (n int) {
	for _, name := range f.names() {
		if f.replica(name).Sealed() == nil {
			n++
		}
	}
	return n
}

// within waits, in virtual time, until all replicas are as ok wants them.
func (f *fleet) within(d time.Duration, what string, ok func(*seal.Barrier) error) time.Duration {
	f.t.Helper()
	begun := time.Now()
	for {
		synctest.Wait()
		var why error
		for _, name := range f.names() {
			if err := ok(f.replica(name)); err != nil {
				why = fmt.Errorf("%s: %w", name, err)
				break
			}
		}
		if why == nil {
			return time.Since(begun)
		}
		if time.Since(begun) > d {
			f.t.Fatalf("%s: not within %v: %v", what, d, why)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// follows reports why a replica does not hold the record of another.
func follows(leader *seal.Barrier) func(*seal.Barrier) error {
	want := leader.Status().Generation
	return func(b *seal.Barrier) error {
		switch s := b.Status(); {
		case s.Sealed:
			return s.Reason
		case s.Behind != nil:
			return s.Behind
		case s.Generation < want:
			return fmt.Errorf("at generation %d of %d", s.Generation, want)
		}
		return nil
	}
}

// TestOneCeremonyUnsealsAFleet is guarantee 29: of fifty replicas people unseal one,
// the others come up by themselves, and so does each that restarts, and each that a
// rekey and a new root key leave behind; also when all are killed but one.
func TestOneCeremonyUnsealsAFleet(t *testing.T) {
	together(t)
	virtual(t, func(t *testing.T) {
		replicas, waited, counted := 50, time.Minute, 30*time.Second
		if !testlevel.Whole() { // each asks each, in two key exchanges
			replicas, waited = 8, 30*time.Second
		}
		f := newFleet(t)
		f.change = func(_ string, cfg *seal.Config) { cfg.Propagation = 15 * time.Second }
		defer f.end()
		f.init()
		for i := range replicas {
			f.start(fmt.Sprintf("pod-%d", i))
		}
		time.Sleep(waited) // while each looks soon
		synctest.Wait()
		before := f.asks()
		time.Sleep(counted) // nobody comes
		synctest.Wait()
		if n := f.unsealed(); n != 0 {
			t.Fatalf("%d unsealed by themselves", n)
		}
		rate := float64(f.asks()-before) / float64(replicas) / counted.Seconds()
		if rate > 2 {
			t.Errorf("each replica is asked %.1f times a second", rate)
		}
		if list := f.events.of(seal.EventHandOff); len(list) != 0 {
			t.Errorf("a fleet that waits has %d events of it: %v", len(list), list[0])
		}
		first := f.replica("pod-7")
		f.unseal(first)
		took := f.within(time.Minute, "the ceremony", (*seal.Barrier).Sealed)

		ceremonies, restarts := 1, 0
		for i, name := range f.names() {
			if testing.Short() && i%3 != 0 {
				continue
			}
			f.kill(name)
			f.start(name)
			f.within(5*time.Second, "a restart", (*seal.Barrier).Sealed)
			restarts++
		}

		leader := f.replica("pod-3")
		ct := func() []byte {
			ct, err := leader.Keyring().Encrypt(nil, []byte("x"), nil)
			must(t, err)
			return ct
		}
		reads := func(ct []byte) {
			t.Helper()
			for _, name := range f.names() {
				if _, err := f.replica(name).Keyring().Decrypt(nil, ct, nil); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		must(t, leader.Admin().RotateRoot(t.Context(), seal.By{}))
		f.within(time.Minute, "another root key", follows(leader))
		d, err := leader.Admin().Rekey(t.Context(), "people", fiveThree, seal.By{})
		must(t, err)
		op, _, err := leader.Admin().Prove(t.Context(), "people", seal.By{})
		must(t, err)
		f.shares = d.Sets[0].Shares
		for _, s := range f.shares[:3] {
			_, err := leader.Submit(t.Context(), s, seal.By{Operation: op})
			must(t, err)
		}
		f.within(time.Minute, "a rekey", follows(leader))
		time.Sleep(time.Minute)
		reads(ct())

		for _, name := range f.names()[1:] {
			f.kill(name)
		}
		for i := range replicas {
			if name := fmt.Sprintf("pod-%d", i); f.replica(name) == nil {
				f.start(name)
				restarts++
			}
		}
		f.within(time.Minute, "all but one restarted", (*seal.Barrier).Sealed)

		given := 0
		for _, e := range f.events.of(seal.EventHandOff) {
			if e.Err != nil {
				t.Errorf("%v", e)
			} else {
				given++
			}
		}
		if up := f.unsealed(); up != replicas {
			t.Errorf("%d of %d unsealed", up, replicas)
		}
		proved(t, "GUARANTEE 29 one-ceremony: ceremonies=%d replicas=%d up_in=%.1fs restarts=%d roots_followed=2 handed_over=%d asked_a_second=%.1f",
			ceremonies, f.unsealed(), took.Seconds(), restarts, given, rate)
	})
}

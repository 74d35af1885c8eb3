package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

const (
	rosterPropagation = 15 * time.Second
	rosterTTL         = 10 * time.Minute
	rosterSoon        = 2 * time.Minute // by when each has looked, and told
)

// newRosterFleet is three unsealed replicas of a store that people alone open, each
// in the roster; they hand the root key to each other.
func newRosterFleet(t *testing.T, change func(replica string, cfg *seal.Config)) (*fleet, *seal.MemStore) {
	roster := seal.NewMemStore()
	f := newFleet(t)
	f.change = func(replica string, cfg *seal.Config) {
		cfg.Propagation, cfg.Roster, cfg.MemberTTL = rosterPropagation, roster, rosterTTL
		if change != nil {
			change(replica, cfg)
		}
	}
	f.init()
	for _, name := range []string{"a", "b", "c"} {
		f.unseal(f.start(name))
	}
	settle(rosterSoon)
	return f, roster
}

func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// freeze stops a replica from looking at the store, and from telling, while it goes
// on encrypting: a process that hangs, or whose network does.
func (f *fleet) freeze(replica string) {
	f.mu.Lock()
	stop := f.stops[replica]
	f.mu.Unlock()
	stop()
	synctest.Wait()
}

// thaw has it look again.
func (f *fleet) thaw(replica string) {
	ctx, stop := context.WithCancel(context.Background())
	b := f.replica(replica)
	f.mu.Lock()
	f.stops[replica] = stop
	f.mu.Unlock()
	f.ended.Go(func() { _ = b.Run(ctx) })
}

// refused checks that something is, with the error, for a replica that is named.
func refused(t *testing.T, what string, err, want error, names ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v", what, err)
		return
	}
	for _, name := range names {
		if !strings.Contains(err.Error(), fmt.Sprintf("replica %q", name)) {
			t.Errorf("%s: replica %q is not named: %v", what, name, err)
		}
	}
}

func activeTerm(b *seal.Barrier) uint32 {
	for _, term := range b.Status().Terms {
		if term.State == seal.TermActive {
			return term.Number
		}
	}
	return 0
}

func rosterText(t *testing.T, s seal.Store) (text []byte, rev string) {
	t.Helper()
	text, rev, err := s.Load(context.Background())
	must(t, err)
	return text, rev
}

func warns(b *seal.Barrier, words ...string) bool {
	text := strings.Join(b.Status().Warnings, "\n")
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// TestNothingIsDecidedOverAReplicaThatHangs: for longer than Propagation one replica
// does not look; the term was activated, and the one that it encrypts under retired.
func TestNothingIsDecidedOverAReplicaThatHangs(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		f, _ := newRosterFleet(t, nil)
		defer f.end()
		a, c := f.replica("a"), f.replica("c")
		if list := a.Status().Members; len(list) != 2 || list[0].Replica != "b" || list[1].Replica != "c" || list[0].Term != 1 || !list[0].Alone || list[0].Gone {
			t.Fatalf("members: %+v", list)
		}
		f.freeze("c")
		must(t, a.Rotate(ctx, seal.By{}))
		settle(4 * rosterPropagation)
		if got := activeTerm(a); got != 1 {
			t.Errorf("term %d was activated", got)
		}
		refused(t, "activate", a.Admin().Activate(ctx, 2, seal.By{}), seal.ErrPropagating, "c")
		if !warns(a, `term 2 is not activated`, `replica "c"`) {
			t.Errorf("warnings: %q", a.Status().Warnings)
		}
		for _, e := range f.events.of(seal.EventActivate) {
			if e.Actor == "sealwright" {
				t.Errorf("an event of what waits: %v", e.Err)
			}
		}

		must(t, a.Admin().ActivateUnseen(ctx, 2, seal.By{}))
		settle(10 * rosterPropagation)
		refused(t, "check", a.Admin().CheckRetire(ctx, 1), seal.ErrPropagating, "c")
		refused(t, "retire", a.Admin().RetireUncounted(ctx, 1, seal.By{}), seal.ErrPropagating, "c")
		if left, err := a.Admin().Settling(); err != nil || left == 0 {
			t.Errorf("settling: %v, %v", left, err)
		}
		if !warns(a, "no term before 2 is retired", `replica "c"`) {
			t.Errorf("warnings: %q", a.Status().Warnings)
		}
		ct, err := c.Keyring().Encrypt(nil, []byte("late"), nil) // under term 1, which was retired by now
		must(t, err)

		f.thaw("c")
		settle(10 * time.Second)
		refused(t, "just after", a.Admin().CheckRetire(ctx, 1), seal.ErrPropagating)
		settle(2 * rosterPropagation)
		must(t, a.Admin().CheckRetire(ctx, 1)) // and a count finds what was written late
		if out, err := a.Keyring().Decrypt(nil, ct, nil); err != nil || string(out) != "late" {
			t.Errorf("written late: %v", err)
		}
		if n := len(a.Status().Warnings); warns(a, "retired") {
			t.Errorf("%d warnings left: %q", n, a.Status().Warnings)
		}
	})
}

// TestAReplicaThatEndedIsWaitedForSoLong, and no longer.
func TestAReplicaThatEndedIsWaitedForSoLong(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		f, _ := newRosterFleet(t, nil)
		defer f.end()
		a := f.replica("a")
		f.crash("c")
		must(t, a.Rotate(ctx, seal.By{}))
		settle(rosterTTL / 2)
		if activeTerm(a) != 1 {
			t.Error("nobody was waited for")
		}
		settle(rosterTTL)
		if activeTerm(a) != 2 {
			t.Errorf("still waited for: %q", a.Status().Warnings)
		}
		must(t, a.Admin().CheckRetire(ctx, 1))
		if m := a.Status().Members[1]; m.Replica != "c" || !m.Gone {
			t.Errorf("%+v", m)
		}
		settle(5 * rosterTTL)
		if n := len(a.Status().Members); n != 1 {
			t.Errorf("%d members", n)
		}

		f.unseal(f.start("c")) // in its place
		settle(rosterSoon)
		if m := a.Status().Members; len(m) != 2 || m[1].Gone || m[1].Term != 2 {
			t.Errorf("%+v", m)
		}
	})
}

// TestARootRotationAsksEachReplica whether it can follow, and not only whether one
// could that is made like this one.
func TestARootRotationAsksEachReplica(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		f, _ := newRosterFleet(t, func(replica string, cfg *seal.Config) {
			if replica == "c" {
				cfg.Peers = nil
			}
		})
		defer f.end()
		a, c := f.replica("a"), f.replica("c")
		refused(t, "rotate root", a.Admin().RotateRoot(ctx, seal.By{}), seal.ErrStrands, "c")
		must(t, a.Admin().RotateRootStranding(ctx, seal.By{}))
		settle(rosterSoon)
		if !errors.Is(c.Status().Behind, seal.ErrRootMoved) {
			t.Fatalf("behind: %v", c.Status().Behind)
		}
		// What it says is authentic under the data key that it has, not under a root
		// key that it has not.
		if m := a.Status().Members[1]; m.Behind.IsZero() || m.Gone {
			t.Errorf("%+v", m)
		}
		if !warns(a, `replica "c" cannot take in the stored record`) {
			t.Errorf("warnings: %q", a.Status().Warnings)
		}
		refused(t, "once more", a.Admin().RotateRoot(ctx, seal.By{}), seal.ErrStrands, "c")

		// A drop locks somebody out: it is made all the same, and says whom it leaves.
		_, err := a.Admin().Add(ctx, "more", two, seal.By{})
		must(t, err)
		_, _, err = a.Admin().Drop(ctx, []string{"more"}, seal.By{}, seal.SlotPending)
		must(t, err)
		drops := f.events.of(seal.EventDrop)
		if len(drops) != 1 || !strings.Contains(drops[0].Detail, `replica "c"`) {
			t.Errorf("%+v", drops)
		}
		settle(4 * rosterPropagation)
		refused(t, "retire", a.Admin().CheckRetire(ctx, 1), seal.ErrPropagating, "c")

		f.unseal(c)
		settle(rosterSoon)
		if m := a.Status().Members[1]; !m.Behind.IsZero() {
			t.Errorf("%+v", m)
		}
	})
}

// TestAttackRosterIsWritten by whoever can write to it: the worst that they can do is
// to be in the way. Nothing is decided earlier for it.
func TestAttackRosterIsWritten(t *testing.T) {
	together(t)
	part := 1
	if !testlevel.Whole() {
		part = shortly
	}
	part = testlevel.Most(part, 4*shortly)
	for name, tt := range map[string]struct {
		write func(text, before []byte) []byte // what is written over the roster; nil: it is taken away
		word  string                           // that a warning has
	}{
		"forged: c has it": {func(text, _ []byte) []byte {
			return bytes.Replace(text, cEntry(text), bytes.ReplaceAll(cEntry(text), []byte(`"newest":1`), []byte(`"newest":2`)), 1)
		}, "nobody vouches for"},
		"forged: c encrypts under it": {func(text, _ []byte) []byte {
			forged := bytes.ReplaceAll(cEntry(text), []byte(`"newest":1`), []byte(`"newest":2`))
			return bytes.Replace(text, cEntry(text), bytes.ReplaceAll(forged, []byte(`"term":1`), []byte(`"term":2`)), 1)
		}, "nobody vouches for"},
		"c is taken out": {func(text, _ []byte) []byte {
			return bytes.Replace(text, append([]byte(","), cEntry(text)...), nil, 1)
		}, ""},
		"replayed": {func(_, before []byte) []byte { return before }, ""},
		"another store's": {func(text, _ []byte) []byte {
			i := bytes.Index(text, []byte(`"store":"`)) + len(`"store":"`)
			return append(append(bytes.Clone(text[:i]), strings.Repeat("f", 32)...), text[i+32:]...)
		}, "another store"},
		"huge":      {func([]byte, []byte) []byte { return bytes.Repeat([]byte("x"), seal.MaxRecordSize/part) }, "does not hold a roster"},
		"no roster": {func([]byte, []byte) []byte { return []byte("hello\n") }, "does not hold a roster"},
		"empty":     {func(text, _ []byte) []byte { return append(text[:bytes.Index(text, []byte("[{"))+1], "]}\n"...) }, ""},
	} {
		if testing.Short() && (name == "forged: c encrypts under it" || name == "no roster" || name == "another store's") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ctx := t.Context()
				f, roster := newRosterFleet(t, nil)
				defer f.end()
				a := f.replica("a")
				before, _ := rosterText(t, roster)
				settle(3 * time.Minute) // signs of life
				f.freeze("c")
				must(t, a.Rotate(ctx, seal.By{}))
				settle(rosterSoon)
				text, rev := rosterText(t, roster)
				forged := tt.write(bytes.Clone(text), before)
				if bytes.Equal(forged, text) {
					t.Fatal("nothing was forged")
				}
				_, err := roster.Swap(ctx, forged, rev)
				must(t, err)
				settle(rosterSoon)
				if tt.word != "" && !warns(a, tt.word) {
					t.Errorf("warnings: %q", a.Status().Warnings)
				}
				if activeTerm(a) != 1 {
					t.Error("the term was activated")
				}
				must(t, a.Admin().ActivateUnseen(ctx, 2, seal.By{}))
				settle(4 * rosterPropagation)
				refused(t, "retire", a.Admin().RetireUncounted(ctx, 1, seal.By{}), seal.ErrPropagating, "c")

				// What was there is not written over where it is no roster.
				if now, _ := rosterText(t, roster); tt.word != "" && tt.word != "nobody vouches for" && !bytes.Equal(now, forged) {
					t.Error("something else was written over")
				}
				if a.Sealed() != nil {
					t.Error("sealed")
				}
			})
		})
	}
}

// cEntry is the entry of replica c, the last one.
func cEntry(text []byte) []byte {
	i := bytes.Index(text, []byte(`{"replica":"c"`))
	return text[i:bytes.LastIndex(text, []byte("]"))]
}

// A sick is a store that hangs, or fails, as it is told.
type sick struct {
	seal.Store
	hang, fail atomic.Bool
	end        chan struct{} // of what hangs; nil: never
	calls      atomic.Int64
}

func (s *sick) call() error {
	s.calls.Add(1)
	if s.hang.Load() {
		<-s.end // whatever the context says
	}
	if s.fail.Load() {
		return errors.New("away")
	}
	return nil
}

func (s *sick) Load(ctx context.Context) ([]byte, string, error) {
	if err := s.call(); err != nil {
		return nil, "", err
	}
	return s.Store.Load(ctx)
}

func (s *sick) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	if err := s.call(); err != nil {
		return "", err
	}
	return s.Store.Swap(ctx, rec, old)
}

// TestAttackRosterIsAway: one that cannot be read seals nobody and holds up nothing
// for ever; time decides, and whoever was heard of before it went counts on.
func TestAttackRosterIsAway(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		s := &sick{Store: seal.NewMemStore()}
		s.fail.Store(true)
		f, _ := newRosterFleet(t, func(_ string, cfg *seal.Config) { cfg.Roster = s })
		defer f.end()
		a := f.replica("a")
		if !warns(a, "by time alone", "away") || len(a.Status().Members) != 0 {
			t.Errorf("warnings: %q", a.Status().Warnings)
		}
		must(t, a.Rotate(ctx, seal.By{}))
		settle(2 * rosterPropagation)
		if activeTerm(a) != 2 {
			t.Error("time does not decide")
		}
		settle(2 * rosterPropagation)
		must(t, a.Admin().CheckRetire(ctx, 1))
		must(t, a.Admin().RotateRoot(ctx, seal.By{}))
		if n := len(f.events.of(seal.EventRoster)); n != 3 { // each replica, once
			t.Errorf("%d events of it", n)
		}

		s.fail.Store(false)
		settle(2 * time.Minute)
		if len(a.Status().Members) != 2 || warns(a, "by time alone") {
			t.Errorf("it is back: %+v, %q", a.Status().Members, a.Status().Warnings)
		}
		f.freeze("c")
		s.fail.Store(true)
		must(t, a.Rotate(ctx, seal.By{}))
		settle(2 * rosterTTL)
		refused(t, "away for long", a.Admin().Activate(ctx, 3, seal.By{}), seal.ErrPropagating, "c")
	})
}

// TestAttackRosterHangs: also a store that never comes back, whatever the contexts
// say, costs a change the time of one call, and everything else nothing.
func TestAttackRosterHangs(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		s := &sick{Store: seal.NewMemStore(), end: make(chan struct{})}
		defer close(s.end)
		s.hang.Store(true)
		f := newFleet(t)
		f.change = func(_ string, cfg *seal.Config) {
			cfg.Propagation, cfg.Roster, cfg.StoreTimeout = time.Millisecond, s, 50*time.Millisecond
			cfg.Poll = 20 * time.Millisecond
		}
		defer f.end()
		f.init()
		a := f.start("a")
		f.unseal(a)
		must(t, a.Rotate(ctx, seal.By{}))
		for range 10 {
			_ = a.Admin().CheckRetire(ctx, 7)
		}
		must(t, a.Admin().RotateRoot(ctx, seal.By{}))
		_, err := a.Keyring().Encrypt(nil, []byte("x"), nil)
		must(t, err)
		if n := s.calls.Load(); n != 1 {
			t.Errorf("%d calls hang in it", n)
		}
		must(t, a.Seal(seal.By{}))
	})
}

// A hidden is a store that Open does not take for the one that it is.
type hidden struct{ seal.Store }

func (hidden) Place() string { return "the place of tests" }

// TestTheRosterIsNotTheRecord: a roster in the place of the record, or of the
// anchor, changes neither.
func TestTheRosterIsNotTheRecord(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t)
		anchor := seal.NewMemStore()
		f.change = func(replica string, cfg *seal.Config) {
			cfg.Propagation, cfg.Roster, cfg.Anchor = rosterPropagation, hidden{f.store}, anchor
			if replica == "b" {
				cfg.Roster = hidden{anchor}
			}
		}
		defer f.end()
		f.init()
		before, _ := rosterText(t, f.store)
		for _, name := range []string{"a", "b"} {
			f.unseal(f.start(name))
		}
		settle(time.Minute)
		after, _ := rosterText(t, f.store)
		if !bytes.Equal(before, after) {
			t.Error("the record was written over")
		}
		if text, _ := rosterText(t, anchor); !bytes.HasPrefix(text, []byte(`{"anchor":`)) {
			t.Errorf("the anchor was: %s", text)
		}
		for _, name := range f.names() {
			what := map[string]string{"a": "it is a record, without which all", "b": "it is an anchor"}[name]
			if !warns(f.replica(name), "the place of tests: it does not hold a roster", what) || warns(f.replica(name), "made anew") {
				t.Errorf("%s: %q", name, f.replica(name).Status().Warnings)
			}
		}
	})
}

// TestALeaseRetiresNothingThatWasWrittenMeanwhile: another replica was heard to
// encrypt under the term after the lease was taken, for the count.
func TestALeaseRetiresNothingThatWasWrittenMeanwhile(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		f, _ := newRosterFleet(t, nil)
		defer f.end()
		a := f.replica("a")
		f.freeze("c")
		must(t, a.Rotate(ctx, seal.By{}))
		settle(time.Minute)
		must(t, a.Admin().ActivateUnseen(ctx, 2, seal.By{}))
		l, err := a.Admin().TakeLease(ctx, time.Hour, nil, seal.By{}) // a host that does not ask Settling
		must(t, err)
		f.thaw("c")
		settle(10 * time.Minute)
		must(t, a.Admin().CheckRetire(ctx, 1))
		err = l.Retire(ctx, 1)
		refused(t, "retire", err, seal.ErrPropagating)
		if err == nil || !strings.Contains(err.Error(), "count again") {
			t.Errorf("%v", err)
		}
		must(t, l.End(ctx, "", nil))
		l, err = a.Admin().TakeLease(ctx, time.Hour, nil, seal.By{})
		must(t, err)
		must(t, l.Retire(ctx, 1))
	})
}

// TestAFleetKeepsItsRoster: fifty replicas, one document.
func TestAFleetKeepsItsRoster(t *testing.T) {
	together(t)
	virtual(t, func(t *testing.T) {
		replicas := 50
		if !testlevel.Whole() {
			replicas = 12
		}
		replicas = testlevel.Most(replicas, 8)
		s := &sick{Store: seal.NewMemStore()}
		f := newFleet(t)
		f.change = func(_ string, cfg *seal.Config) { cfg.Propagation, cfg.Roster = rosterPropagation, s }
		defer f.end()
		f.init()
		for i := range replicas {
			f.start(fmt.Sprintf("pod-%02d", i))
		}
		first := f.replica("pod-07")
		f.unseal(first)
		f.within(time.Minute, "the ceremony", (*seal.Barrier).Sealed)
		took := f.within(5*time.Minute, "the roster", func(b *seal.Barrier) error {
			if n := len(b.Status().Members); n != replicas-1 {
				return fmt.Errorf("%d members", n)
			}
			return nil
		})
		before := s.calls.Load()
		settle(10 * time.Minute)
		rate := float64(s.calls.Load()-before) / float64(replicas) / 10
		if rate > 4 {
			t.Errorf("each replica calls the store of the roster %.1f times a minute", rate)
		}
		begun := time.Now()
		must(t, first.Rotate(t.Context(), seal.By{}))
		f.within(2*time.Minute, "a rotation", func(b *seal.Barrier) error {
			if got := activeTerm(b); got != 2 {
				return fmt.Errorf("term %d", got)
			}
			return nil
		})
		rotated := time.Since(begun)
		if rotated < rosterPropagation {
			t.Errorf("activated after %v", rotated)
		}
		text, _ := rosterText(t, s.Store)
		t.Logf("roster: replicas=%d bytes=%d known_in=%.0fs calls_a_minute=%.1f term_everywhere_in=%.0fs", replicas, len(text), took.Seconds(), rate, rotated.Seconds())
	})
}

// TestRosterConfig: what can never work is refused.
func TestRosterConfig(t *testing.T) {
	record, anchor := seal.NewMemStore(), seal.NewMemStore()
	file := func(name string) seal.Store {
		s, err := filestore.Open(name)
		must(t, err)
		return s
	}
	_, err := seal.Open(seal.Config{Store: file("a.json"), Anchor: file("b.json"), Roster: file("c.json"), Propagation: time.Second})
	must(t, err)
	for name, cfg := range map[string]seal.Config{
		"no Propagation":                     {Roster: seal.NewMemStore()},
		"a TTL too short":                    {Roster: seal.NewMemStore(), Propagation: time.Second, MemberTTL: time.Second},
		"a negative TTL":                     {MemberTTL: -1},
		"the roster is the record's":         {Store: record, Roster: record, Propagation: time.Second},
		"the anchor is the record's":         {Store: record, Anchor: record},
		"the roster is the anchor's":         {Roster: anchor, Anchor: anchor, Propagation: time.Second},
		"the roster is the record's, a file": {Store: file("a.json"), Roster: file("./a.json"), Propagation: time.Second},
	} {
		if cfg.Store == nil {
			cfg.Store = seal.NewMemStore()
		}
		if _, err := seal.Open(cfg); !errors.Is(err, seal.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/handoff"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal"
)

// newPassFleet is sealed replicas that pass shares to each other.
func newPassFleet(t *testing.T, change func(replica string, cfg *seal.Config), names ...string) *fleet {
	f := newFleet(t)
	f.change = func(replica string, cfg *seal.Config) {
		cfg.PassShares = true
		if change != nil {
			change(replica, cfg)
		}
	}
	f.init()
	for _, name := range names {
		f.start(name)
	}
	settle(5 * time.Second)
	return f
}

func given(b *seal.Barrier) int {
	if p := b.Status().Progress; len(p) == 1 {
		return p[0].Given
	}
	return 0
}

func (f *fleet) give(replica string, share int) (done bool) {
	f.t.Helper()
	done, err := f.replica(replica).Submit(f.t.Context(), f.shares[share], seal.By{Actor: "anna"})
	must(f.t, err)
	return done
}

// TestSharesAreGivenToAnyReplica: three shares at three of them, as a load balancer
// would have it, are one ceremony.
func TestSharesAreGivenToAnyReplica(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newPassFleet(t, nil, "a", "b", "c")
		defer f.end()
		if f.give("a", 0) || f.give("b", 1) {
			t.Fatal("two of three did it")
		}
		if n := given(f.replica("b")); n != 2 {
			t.Errorf("whoever gave the second was told of %d", n)
		}
		f.within(time.Minute, "the progress, everywhere", func(b *seal.Barrier) error {
			if n := given(b); n != 2 {
				return fmt.Errorf("%d", n)
			}
			return nil
		})
		if !f.give("c", 2) {
			t.Errorf("the third share: %v", f.replica("c").Status().Reason)
		}
		f.within(time.Minute, "the others", (*seal.Barrier).Sealed)
		if _, err := f.replica("a").Submit(t.Context(), f.shares[3], seal.By{}); err != nil {
			t.Errorf("one more: %v", err)
		}
		for _, e := range f.events.of(seal.EventHandOff) {
			if e.Err != nil || e.Actor == "" && !strings.Contains(e.Detail, "handed") {
				t.Errorf("%+v", e)
			}
		}
	})
}

// TestAFleetGathers what was given to three of it, of which each asks some in a round.
func TestAFleetGathers(t *testing.T) {
	together(t)
	virtual(t, func(t *testing.T) {
		var names []string
		for i := range testlevel.Most(20, 8) {
			names = append(names, fmt.Sprintf("pod-%d", i))
		}
		f := newPassFleet(t, nil, names...)
		defer f.end()
		for i, name := range []string{"pod-3", names[len(names)/2+1], names[len(names)*7/8]} {
			f.give(name, i)
			time.Sleep(time.Second)
		}
		f.within(time.Minute, "the ceremony", (*seal.Barrier).Sealed)
	})
}

// TestSharesArePassedByNobodyElse than sealed replicas that the host has told to, to
// those that it lets ask.
func TestSharesArePassedByNobodyElse(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		f := newPassFleet(t, func(replica string, cfg *seal.Config) {
			cfg.PassShares = replica != "silent"
			cfg.Peers = nil // so that each is asked by hand
		}, "a", "silent")
		defer f.end()
		f.give("a", 0)
		f.give("silent", 0)
		rec := stored(t, f.store)
		ask := func(r handoff.Request, to string, refused error) ([]byte, *handoff.Asking) {
			a, err := handoff.Ask(r)
			must(t, err)
			answer, err := f.replica(to).Admin().HandOff(ctx, a.Bytes, r.Asker, refused)
			if err == nil {
				t.Error("a sealed one has handed over")
			}
			return answer, a
		}
		right := requestOf(t, rec, "b")
		answer, asking := ask(right, "a", nil)
		shares, from, err := asking.OpenShares(answer)
		if err != nil || from != "a" || len(shares) != 1 || shares[0].X != f.shares[0].X() || len(answer) > seal.MaxHandOffAnswer {
			t.Fatalf("%d shares from %q: %v", len(shares), from, err)
		}
		if bytes.Contains(answer, shares[0].Y) {
			t.Error("in clear")
		}
		other, old := right, right
		other.Store, old.Generation = strings.Repeat("f", 32), right.Generation+1
		for name, tt := range map[string]struct {
			request handoff.Request
			to      string
			refused error
		}{
			"the host does not let it ask":      {right, "a", errors.New("no")},
			"it is not told to pass them":       {right, "silent", nil},
			"a request about another store":     {other, "a", nil},
			"a request about another record":    {old, "a", nil},
			"a request in the asked one's name": {requestOf(t, rec, "a"), "a", nil},
		} {
			if answer, _ := ask(tt.request, tt.to, tt.refused); handoff.HasShares(answer) {
				t.Errorf("%s: passed", name)
			}
		}
		must(t, f.replica("a").Seal(seal.By{}))
		_, err = f.replica("a").Submit(ctx, f.shares[0], seal.By{})
		must(t, err)
		if answer, _ := ask(right, "a", nil); handoff.HasShares(answer) {
			t.Error("sealed by an operator: passed")
		}
	})
}

// TestAttackPassedShares: what an answer brings is checked as if it were given here.
func TestAttackPassedShares(t *testing.T) {
	altered := func(s seal.Share) handoff.Share {
		out := shareOf(s)
		out.Y[5] ^= 1
		return out
	}
	for name, tt := range map[string]struct {
		answer func(t *testing.T, f *fleet, request []byte) []byte
		event  string
	}{
		"an altered share": {func(t *testing.T, f *fleet, request []byte) []byte {
			return answerShares(t, request, "rogue", altered(f.shares[1]), shareOf(f.shares[2]))
		}, "1 shares that it passed are not right"},
		"a share of another set": {func(t *testing.T, f *fleet, request []byte) []byte {
			s := shareOf(f.shares[1])
			s.Set = 77
			return answerShares(t, request, "rogue", s)
		}, "1 shares that it passed are not right"},
		"an answer to another request": {func(t *testing.T, f *fleet, request []byte) []byte {
			a, err := handoff.Ask(requestOf(t, stored(t, f.store), "a"))
			must(t, err)
			return answerShares(t, a.Bytes, "rogue", shareOf(f.shares[1]))
		}, "not one to this request"},
		"another answerer": {func(t *testing.T, f *fleet, request []byte) []byte {
			answer := answerShares(t, request, "rogue", shareOf(f.shares[1]))
			return bytes.Replace(answer, []byte("rogue"), []byte("other"), 1)
		}, "not one to this request"},
		"cut": {func(t *testing.T, f *fleet, request []byte) []byte {
			answer := answerShares(t, request, "rogue", shareOf(f.shares[1]))
			return answer[:len(answer)-1]
		}, "not a message"},
		"none": {func(*testing.T, *fleet, []byte) []byte { return []byte{1, 's'} }, "not a message"},
		"two that have expired, of the three it takes": {func(t *testing.T, f *fleet, request []byte) []byte {
			s := []handoff.Share{shareOf(f.shares[1]), shareOf(f.shares[2])}
			s[0].Age, s[1].Age = 25*time.Hour, 25*time.Hour
			return answerShares(t, request, "rogue", s...)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				f := newPassFleet(t, nil, "a", "rogue")
				defer f.end()
				f.strays = func(_, to string, request []byte) ([]byte, error) {
					if to != "rogue" {
						return nil, errors.New("away")
					}
					return tt.answer(t, f, request), nil
				}
				f.give("a", 0)
				settle(time.Minute)
				want := 1
				if strings.HasPrefix(name, "an altered") {
					want = 2 // the right one beside it
				}
				if n := given(f.replica("a")); n != want {
					t.Errorf("%d shares", n)
				}
				told := ""
				for _, e := range f.events.of(seal.EventHandOff) {
					if e.Replica == "a" && errors.Is(e.Err, seal.ErrHandOff) && strings.Contains(e.Detail, `"rogue" answered was not taken`) {
						told = e.Err.Error()
					}
				}
				if (told != "") != (tt.event != "") || !strings.Contains(told, tt.event) {
					t.Errorf("told: %q", told)
				}
			})
		})
	}
}

// TestAHungReplicaHoldsNobodyUp who gives a share: not for longer than a moment.
func TestAHungReplicaHoldsNobodyUp(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newPassFleet(t, nil, "a", "b", "c")
		defer f.end()
		f.strays = func(from, to string, request []byte) ([]byte, error) {
			if to == "b" {
				time.Sleep(time.Hour) // whatever the context says
			}
			answer, _ := f.replica(to).Admin().HandOff(context.Background(), request, from, nil)
			return answer, nil
		}
		f.give("a", 0)
		begun := time.Now()
		f.give("c", 1)
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		if n := given(f.replica("c")); n != 2 {
			t.Errorf("%d shares: what a has came all the same", n)
		}
		if !f.give("c", 2) {
			t.Error("a quorum")
		}
		time.Sleep(2 * time.Hour) // until what hangs has come back
	})
}

// TestWhoIsNotNeededIsNotWaitedFor: the quorum is there, and one has not answered.
func TestWhoIsNotNeededIsNotWaitedFor(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newPassFleet(t, func(replica string, cfg *seal.Config) {
			all := cfg.Peers
			cfg.Peers = func(ctx context.Context) ([]seal.Peer, error) {
				peers, err := all(ctx)
				for i := range peers {
					if replica == "c" && peers[i].Name == "b" {
						peers[i].Ask = func(ctx context.Context, _ []byte) ([]byte, error) {
							<-ctx.Done()
							return nil, ctx.Err()
						}
					}
				}
				return peers, err
			}
		}, "a", "b", "c")
		defer f.end()
		f.give("a", 0)
		f.give("a", 1)
		begun := time.Now()
		if !f.give("c", 2) {
			t.Error("no quorum")
		}
		if took := time.Since(begun); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// TestSharesThatComeLateAreTried at once, and not when it is time again.
func TestSharesThatComeLateAreTried(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newPassFleet(t, nil, "a", "b", "c")
		defer f.end()
		f.strays = func(string, string, []byte) ([]byte, error) { return nil, errors.New("no route") }
		for i, name := range f.names() {
			f.give(name, i)
		}
		settle(testlevel.Most(10*time.Minute, 2*time.Minute))
		if f.unsealed() != 0 {
			t.Fatal("unsealed")
		}
		f.mu.Lock()
		f.strays = nil
		f.mu.Unlock()
		f.within(time.Minute, "the network is back", (*seal.Barrier).Sealed)
		opened := f.events.of(seal.EventUnseal)
		first := opened[slices.IndexFunc(opened, func(e seal.Event) bool { return e.Err == nil && e.Detail == "by people" && e.Replica != "maker" })]
		var came time.Time
		for _, e := range f.events.of(seal.EventHandOff) {
			if e.Replica == first.Replica && strings.Contains(e.Detail, "passed by this replica") {
				came = e.Time
			}
		}
		if came.IsZero() || first.Time.Sub(came) > time.Second {
			t.Errorf("the last came at %v, and were tried at %v", came, first.Time)
		}
	})
}

// TestPassedSharesExpire everywhere when they would where they were given, and do
// not go round for ever.
func TestPassedSharesExpire(t *testing.T) {
	together(t)
	virtual(t, func(t *testing.T) {
		f := newPassFleet(t, func(_ string, cfg *seal.Config) { cfg.ShareTTL = 4 * time.Minute }, []string{"a", "b", "c", "d"}[:testlevel.Most(4, 2)]...)
		defer f.end()
		begun := time.Now()
		f.give("a", 0)
		time.Sleep(2 * time.Minute)
		f.give("b", 1)
		f.within(time.Minute, "both, everywhere", func(b *seal.Barrier) error {
			if n := given(b); n != 2 {
				return fmt.Errorf("%d", n)
			}
			return nil
		})
		settle(time.Until(begun.Add(4*time.Minute + time.Second)))
		for range 120 {
			for _, name := range f.names() {
				if n := given(f.replica(name)); n > 1 {
					t.Fatalf("%s has %d shares %v after the first was given", name, n, time.Since(begun))
				}
			}
			settle(time.Second)
		}
		settle(4 * time.Minute)
		for _, name := range f.names() {
			if n := given(f.replica(name)); n != 0 {
				t.Errorf("%s has %d shares", name, n)
			}
		}
	})
}

// TestAWrongShareIsToldToWhoGaveIt, and passed to nobody.
func TestAWrongShareIsToldToWhoGaveIt(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newPassFleet(t, nil, "a", "b")
		defer f.end()
		f.give("a", 0)
		other := newFleet(t)
		other.init()
		var wrong *seal.ShareError
		if _, err := f.replica("b").Submit(t.Context(), other.shares[1], seal.By{}); !errors.As(err, &wrong) {
			t.Errorf("%v", err)
		}
		settle(time.Minute)
		for _, name := range f.names() {
			if n := given(f.replica(name)); n != 1 {
				t.Errorf("%s has %d shares", name, n)
			}
		}
	})
}

// requestOf is a request about a stored record.
func requestOf(t *testing.T, rec []byte, asker string) handoff.Request {
	t.Helper()
	l, err := ledger.Parse(rec)
	must(t, err)
	return handoff.Request{Store: l.Store, Generation: l.Generation, Digest: l.Digest, Asker: asker}
}

func stored(t *testing.T, s seal.Store) []byte {
	t.Helper()
	rec, _, err := s.Load(t.Context())
	must(t, err)
	return rec
}

func shareOf(s seal.Share) handoff.Share {
	return handoff.Share{Fingerprint: s.Fingerprint(), Set: s.Set(), X: s.X(), Y: s.RevealRaw()[:32]}
}

func answerShares(t *testing.T, request []byte, answerer string, shares ...handoff.Share) []byte {
	t.Helper()
	r, err := handoff.ParseRequest(request)
	must(t, err)
	answer, err := r.AnswerShares(answerer, shares)
	must(t, err)
	return answer
}

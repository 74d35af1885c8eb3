package seal_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/handoff"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal"
)

// TestAttackPeersThatNeverComeBack: whatever the contexts say. Each round, for ever,
// left a goroutine and a request behind for each that was asked, 69,642 in a day, and
// so did each look at who there is.
func TestAttackPeersThatNeverComeBack(t *testing.T) {
	for name, tt := range map[string]struct {
		peers int
		name  func(peer, round int) string
		list  bool // it is the list that never comes
		most  int64
	}{
		"each has its name":       {16, func(peer, _ int) string { return fmt.Sprint("pod-", peer) }, false, 16},
		"all have one name":       {16, func(int, int) string { return "pods" }, false, 16},
		"none has a name":         {16, func(int, int) string { return "" }, false, 16},
		"another name each round": {16, func(peer, round int) string { return fmt.Sprint(peer, "-", round) }, false, 64 + 16},
		"the list":                {0, nil, true, 1},
	} {
		if testing.Short() && (name == "each has its name" || name == "none has a name") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				var hang, rounds atomic.Int64
				end := make(chan struct{})
				f := newFleet(t)
				f.change = func(replica string, cfg *seal.Config) {
					cfg.PassShares = true
					cfg.Peers = func(context.Context) (out []seal.Peer, err error) {
						round := int(rounds.Add(1))
						if tt.list && replica == "a" {
							hang.Add(1)
							<-end
						}
						for i := range min(tt.peers, testlevel.Most(16, 6)) {
							out = append(out, seal.Peer{Name: tt.name(i, round), Ask: func(context.Context, []byte) ([]byte, error) {
								hang.Add(1)
								<-end
								return nil, errors.New("at last")
							}})
						}
						return out, nil
					}
				}
				f.init()
				hang.Store(0)
				a := f.start("a")
				before := runtime.NumGoroutine()
				settle(10 * time.Minute) // thirty rounds
				if n, more := hang.Load(), runtime.NumGoroutine()-before; n > tt.most || n == 0 || int64(more) > tt.most+8 {
					t.Errorf("%d calls hang, and %d goroutines are left", n, more)
				}
				if why := fmt.Sprint(a.Sealed()); !strings.Contains(why, "has not answered the call before") {
					t.Errorf("why it is sealed: %s", why)
				}
				begun := time.Now()
				f.unseal(a) // people, beside them
				if took := time.Since(begun); took > 10*time.Second {
					t.Errorf("people waited for %v", took)
				}
				close(end)
				f.end()
			})
		})
	}
}

// TestAPeerThatCameBackIsAskedAgain, and one that hangs keeps no other one of its name
// from being asked.
func TestAPeerThatCameBackIsAskedAgain(t *testing.T) {
	for _, names := range [][]string{{"bad", "good"}, {"pods", "pods"}, {"bad"}} {
		t.Run(strings.Join(names, " "), func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				s := setStage(t, nil)
				end := make(chan struct{})
				hand := func(ctx context.Context, request []byte) ([]byte, error) { return s.hand(ctx, request), nil }
				bad := func(ctx context.Context, request []byte) ([]byte, error) {
					<-end
					return nil, errors.New("at last")
				}
				var peers atomic.Pointer[[]seal.Peer]
				list := []seal.Peer{{Name: names[0], Ask: bad}}
				peers.Store(&list)
				asker := s.another("asker", func(cfg *seal.Config) {
					cfg.Peers = func(context.Context) ([]seal.Peer, error) { return *peers.Load(), nil }
				})
				if asker.Unseal(t.Context()) == nil {
					t.Fatal("unsealed by one that hangs")
				}
				if len(names) == 1 {
					close(end)
					settle(0)
					list := []seal.Peer{{Name: names[0], Ask: hand}}
					peers.Store(&list)
					must(t, asker.Unseal(t.Context()))
					return
				}
				both := append(slices.Clone(list), seal.Peer{Name: names[1], Ask: hand})
				peers.Store(&both)
				must(t, asker.Unseal(t.Context()))
				close(end)
			})
		})
	}
}

// TestAttackOneShareIsRepeated: who has one right share had every other replica asked
// again by each repetition.
func TestAttackOneShareIsRepeated(t *testing.T) {
	virtual(t, func(t *testing.T) {
		peers := testlevel.Most(64, 16)
		var asked atomic.Int64
		f := newFleet(t)
		f.change = func(_ string, cfg *seal.Config) {
			cfg.PassShares = true
			cfg.Peers = func(context.Context) (out []seal.Peer, err error) {
				for i := range peers {
					out = append(out, seal.Peer{Name: fmt.Sprint(i), Ask: func(context.Context, []byte) ([]byte, error) {
						asked.Add(1)
						return handoff.Sealed.Bytes("x"), nil
					}})
				}
				return out, nil
			}
		}
		f.init()
		b := f.open("a")
		defer b.Close()
		submit := func(times int) int64 {
			asked.Store(0)
			for range times {
				_, err := b.Submit(t.Context(), f.shares[0], seal.By{})
				if err != nil && !errors.Is(err, seal.ErrShareDuplicate) {
					t.Fatal(err)
				}
			}
			return asked.Load()
		}
		if n := submit(100); n > int64(2*peers) || n < int64(peers) {
			t.Errorf("asked %d times for one share", n)
		}
		time.Sleep(time.Second)
		if n := submit(100); n > int64(2*peers) || n < int64(peers) {
			t.Errorf("a second later: asked %d times", n)
		}
		asked.Store(0)
		_, err := b.Submit(t.Context(), f.shares[1], seal.By{}) // another one waits for nobody
		must(t, err)
		if n := asked.Load(); n != int64(peers) {
			t.Errorf("another share: asked %d times", n)
		}
	})
}

// TestAttackPassedSharesUseUpTheHandOff: whoever had shares passed as often as they
// could kept the root key from the others, once there was one.
func TestAttackPassedSharesUseUpTheHandOff(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newPassFleet(t, func(_ string, cfg *seal.Config) { cfg.Peers = nil }, "a")
		defer f.end()
		f.give("a", 0)
		a := f.replica("a")
		passed := 0
		for range 300 {
			ask, err := handoff.Ask(requestOf(t, stored(t, f.store), "b"))
			must(t, err)
			answer, _ := a.Admin().HandOff(t.Context(), ask.Bytes, "b", nil)
			if handoff.HasShares(answer) {
				passed++
			}
		}
		if passed != 200 {
			t.Errorf("passed %d times at once", passed)
		}
		f.give("a", 1)
		f.give("a", 2)
		ask, err := handoff.Ask(requestOf(t, stored(t, f.store), "b"))
		must(t, err)
		if _, err := a.Admin().HandOff(t.Context(), ask.Bytes, "b", nil); err != nil {
			t.Errorf("the root key: %v", err)
		}
	})
}

// TestARefusedReplicaIsToldOfOnce: it asks again in seconds, each replica, for as long as
// nobody mends it.
func TestARefusedReplicaIsToldOfOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t)
		f.init()
		b := f.open("a")
		defer b.Close()
		ask := func(name, why string, times int) int {
			before := len(f.events.of(seal.EventHandOff))
			for range times {
				_, err := b.Admin().HandOff(t.Context(), nil, name, errors.New(why))
				if !errors.Is(err, seal.ErrHandOff) {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			return len(f.events.of(seal.EventHandOff)) - before
		}
		for i, n := range []int{ask("x", "not planned", 100), ask("y", "not planned", 2), ask("x", "no certificate", 2)} {
			if n != 1 {
				t.Errorf("%d: %d events", i, n)
			}
		}
		if n := ask("x", "no certificate", 700); n != 1 {
			t.Errorf("in twelve minutes: %d events", n)
		}
	})
}

// TestWhatIsTrueOfAllIsCounted once, in words that are a sentence.
func TestWhatIsTrueOfAllIsCounted(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := setStage(t, nil)
		asker := s.another("asker", func(cfg *seal.Config) {
			cfg.Peers = func(context.Context) (out []seal.Peer, err error) {
				for i := range 3 {
					out = append(out, seal.Peer{Name: fmt.Sprint("web-", i), Ask: func(context.Context, []byte) ([]byte, error) { return nil, errors.New("no route") }})
				}
				return out, nil
			}
		})
		const want = `cannot be asked: no route (the same is true of 3 of the 3 that were asked)`
		if err := asker.Unseal(t.Context()); err == nil || !strings.Contains(fmt.Sprint(asker.Sealed()), want) {
			t.Errorf("%v; %v", err, asker.Sealed())
		}
	})
}

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
	"github.com/sealwright/sealwright/internal/secret/secrettest"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// A stage is a store with an unsealed replica, "good", and a sealed one, "asker",
// whose requests go to answer.
type stage struct {
	*fleet
	good, asker *seal.Barrier
	answer      func(ctx context.Context, request []byte) ([]byte, error)
	secrets     map[string][]byte // of the good one, while it was unsealed
}

// setStage makes one; change is made to the asker's configuration.
func setStage(t *testing.T, change func(*seal.Config)) *stage {
	s := &stage{fleet: newFleet(t)}
	s.init()
	s.good = s.open("good")
	t.Cleanup(func() { s.good.Close() })
	s.unseal(s.good)
	s.secrets = s.good.SecretsNow()
	s.answer = func(ctx context.Context, request []byte) ([]byte, error) { return s.hand(ctx, request), nil }
	s.asker = s.another("asker", change)
	return s
}

// another opens a sealed replica that asks where the asker does.
func (s *stage) another(replica string, change func(*seal.Config)) *seal.Barrier {
	cfg := s.config(replica)
	cfg.Peers = func(context.Context) ([]seal.Peer, error) {
		return []seal.Peer{{Name: "other", Ask: func(ctx context.Context, request []byte) ([]byte, error) { return s.answer(ctx, request) }}}, nil
	}
	if change != nil {
		change(&cfg)
	}
	b, err := seal.Open(cfg)
	must(s.t, err)
	s.t.(*testing.T).Cleanup(func() { b.Close() })
	return b
}

// hand is what the good replica says to the asker's request.
func (s *stage) hand(ctx context.Context, request []byte) []byte {
	answer, _ := s.good.Admin().HandOff(ctx, request, "asker", nil)
	return answer
}

// request returns one of the asker's, whose answer never comes.
func (s *stage) request(ctx context.Context) (sent []byte) {
	kept := s.answer
	defer func() { s.answer = kept }()
	s.answer = func(_ context.Context, request []byte) ([]byte, error) {
		sent = request
		return nil, errors.New("lost")
	}
	_ = s.asker.Unseal(ctx)
	return sent
}

// rogue answers with a root key of its own choice.
func rogue(root []byte) func(context.Context, []byte) ([]byte, error) {
	return func(_ context.Context, request []byte) ([]byte, error) {
		r, err := handoff.ParseRequest(request)
		if err != nil {
			return nil, err
		}
		return r.Answer("rogue", root)
	}
}

// TestHandOffAttacks is the other half of guarantee 29: each attack on a hand-off is
// refused, and beside it what it is made of is taken where nothing is wrong with it.
func TestHandOffAttacks(t *testing.T) {
	together(t)
	tried, refused := 0, 0
	attacks := 0
	attack := func(name string, change func(*seal.Config), do func(*testing.T, *stage) error, is ...error) {
		if attacks++; testing.Short() && attacks%2 == 0 {
			return
		}
		t.Run(name, func(t *testing.T) {
			tried++
			s := setStage(t, change)
			err := do(t, s)
			if err == nil || s.asker.Sealed() == nil {
				t.Fatalf("it opened: %v", err)
			}
			for _, kind := range is {
				if !errors.Is(err, kind) {
					t.Errorf("%v, want %v", err, kind)
				}
			}
			for _, e := range s.events.of(seal.EventUnseal) {
				if e.Replica == "asker" && e.Err == nil {
					t.Errorf("an event says that it was unsealed: %v", e)
				}
			}
			shown := fmt.Sprintf("%v %v %+v", err, s.events.list, s.asker.Status())
			for name, form := range secrettest.FindAny(shown, s.secrets) {
				t.Errorf("%s was shown: %s", name, form)
			}
			if !t.Failed() {
				refused++
			}
		})
	}
	// asked is the asker's round, and what was said of it as an event.
	asked := func(s *stage) error {
		err := s.asker.Unseal(s.t.Context())
		for _, e := range s.events.of(seal.EventHandOff) {
			if e.Replica == "asker" && e.Err != nil {
				err = errors.Join(err, e.Err)
			}
		}
		return err
	}
	// seen fails where the good replica has no event of a refusal.
	seen := func(s *stage, err error) error {
		s.t.Helper()
		if !slices.ContainsFunc(s.events.of(seal.EventHandOff), func(e seal.Event) bool { return e.Replica == "good" && e.Err != nil }) {
			s.t.Error("no event tells of the refusal")
		}
		return err
	}
	directly := func(s *stage, request []byte, replica string, refused error) error {
		answer, err := s.good.Admin().HandOff(s.t.Context(), request, replica, refused)
		if len(answer) > 100 {
			s.t.Error("the answer holds a key")
		}
		s.answer = func(context.Context, []byte) ([]byte, error) { return answer, nil }
		return errors.Join(err, asked(s))
	}

	attack("a replica that the host does not let ask", nil, func(t *testing.T, s *stage) error {
		return seen(s, directly(s, s.request(t.Context()), "asker", errors.New("its token is not one of ours")))
	}, seal.ErrHandOff)
	attack("a replica that the host does not name", nil, func(t *testing.T, s *stage) error {
		return seen(s, directly(s, s.request(t.Context()), "", nil))
	}, seal.ErrHandOff)
	attack("a request in another's name", nil, func(t *testing.T, s *stage) error {
		return seen(s, directly(s, s.request(t.Context()), "eve", nil))
	}, seal.ErrHandOff)
	attack("a request in the asked replica's name", nil, func(t *testing.T, s *stage) error {
		s.asker.Close()
		s.asker = s.another("good", nil)
		return seen(s, directly(s, s.request(t.Context()), "good", nil))
	}, seal.ErrHandOff)
	attack("a replayed answer", nil, func(t *testing.T, s *stage) error {
		first := s.hand(t.Context(), s.request(t.Context()))
		s.answer = func(context.Context, []byte) ([]byte, error) { return first, nil }
		return asked(s)
	}, seal.ErrHandOff)
	attack("a replayed request", nil, func(t *testing.T, s *stage) error {
		request := s.request(t.Context())
		s.hand(t.Context(), request) // who asked is gone, and its key with it
		again := s.hand(t.Context(), request)
		s.answer = func(context.Context, []byte) ([]byte, error) { return again, nil }
		return asked(s)
	}, seal.ErrHandOff)
	attack("an answer that was relayed to another asker", nil, func(t *testing.T, s *stage) error {
		victim := s.another("victim", nil)
		var stolen []byte
		s.answer = func(ctx context.Context, request []byte) ([]byte, error) {
			stolen, _ = s.good.Admin().HandOff(ctx, request, "victim", nil)
			return nil, errors.New("lost")
		}
		_ = victim.Unseal(t.Context())
		s.answer = func(context.Context, []byte) ([]byte, error) { return stolen, nil }
		return asked(s)
	}, seal.ErrHandOff)
	attack("an answer in the asker's own name", nil, func(t *testing.T, s *stage) error {
		_, root := s.good.Opened(t)
		s.answer = func(_ context.Context, request []byte) ([]byte, error) {
			r, err := handoff.ParseRequest(request)
			must(t, err)
			return r.Answer("asker", root)
		}
		return asked(s)
	}, seal.ErrHandOff)
	attack("a stale generation", nil, func(t *testing.T, s *stage) error {
		old, _, err := s.store.Load(t.Context())
		must(t, err)
		must(t, s.good.Rotate(t.Context(), seal.By{}))
		s.asker.SwapStore(storeOf(t, old)) // it was put back, or is read from a replica that lags
		return asked(s)
	}, seal.ErrHandOff, seal.ErrRolledBack)
	attack("a newer generation", nil, func(t *testing.T, s *stage) error {
		other := s.open("elsewhere")
		defer other.Close()
		s.unseal(other)
		must(t, other.Rotate(t.Context(), seal.By{}))
		return asked(s) // and is to wait, as below
	}, seal.ErrSealed)
	attack("a fork", nil, func(t *testing.T, s *stage) error {
		old, _, err := s.store.Load(t.Context())
		must(t, err)
		fork := storeOf(t, old)
		other := s.open("elsewhere")
		defer other.Close()
		other.SwapStore(fork)
		s.unseal(other)
		must(t, other.Rotate(t.Context(), seal.By{}))
		must(t, s.good.Rotate(t.Context(), seal.By{}))
		s.asker.SwapStore(fork)
		return seen(s, asked(s))
	}, seal.ErrHandOff, seal.ErrForked)
	attack("a request about another store", nil, func(t *testing.T, s *stage) error {
		other := setStage(t, nil)
		s.answer = func(ctx context.Context, request []byte) ([]byte, error) { return other.hand(ctx, request), nil }
		return asked(s)
	}, seal.ErrHandOff, seal.ErrOtherStore)
	attack("the root key of another store", nil, func(t *testing.T, s *stage) error {
		_, root := setStage(t, nil).good.Opened(t)
		s.answer = rogue(root)
		return asked(s)
	}, seal.ErrHandOff)
	attack("a former root key", nil, func(t *testing.T, s *stage) error {
		_, root := s.good.Opened(t)
		must(t, s.good.Admin().RotateRoot(t.Context(), seal.By{}))
		s.answer = rogue(root)
		return asked(s)
	}, seal.ErrHandOff)
	attack("a refusal that a stranger makes up", nil, func(t *testing.T, s *stage) error {
		s.answer = func(context.Context, []byte) ([]byte, error) { return handoff.Older.Bytes("rogue"), nil }
		return asked(s)
	}, seal.ErrHandOff)
	attack("a store writer who adds a replica", nil, func(t *testing.T, s *stage) error {
		// Whatever stands in the record names eve: an operation, a lease, a person.
		eve := s.open("eve")
		defer eve.Close()
		s.unseal(eve)
		_, err := eve.Admin().TakeLease(t.Context(), time.Minute, nil, seal.By{Actor: "eve"})
		must(t, err)
		_, _, err = eve.Admin().Prove(t.Context(), "people", seal.By{Actor: "eve"})
		must(t, err)
		must(t, s.good.Admin().Refresh(t.Context()))
		return seen(s, directly(s, s.request(t.Context()), "eve", errors.New("no certificate of ours")))
	}, seal.ErrHandOff)
	attack("a request that is none", nil, func(t *testing.T, s *stage) error {
		return seen(s, directly(s, bytes.Repeat([]byte{1}, seal.MaxHandOffRequest+1), "asker", nil))
	}, seal.ErrHandOff)
	attack("an answer without end", nil, func(t *testing.T, s *stage) error {
		s.answer = func(context.Context, []byte) ([]byte, error) { return make([]byte, 1<<20), nil }
		return asked(s)
	}, seal.ErrHandOff)
	attack("a peer that panics", nil, func(t *testing.T, s *stage) error {
		s.answer = func(context.Context, []byte) ([]byte, error) { panic("a host's fault") }
		return asked(s)
	}, seal.ErrHandOff)
	attack("a list of replicas that panics", func(c *seal.Config) {
		c.Peers = func(context.Context) ([]seal.Peer, error) { panic("a host's fault") }
	}, func(t *testing.T, s *stage) error { return asked(s) }, seal.ErrHandOff)
	attack("an asked replica that is sealed", nil, func(t *testing.T, s *stage) error {
		must(t, s.good.Seal(seal.By{}))
		return asked(s)
	}, seal.ErrSealed)
	attack("an asked replica that is sealed while it answers", nil, func(t *testing.T, s *stage) error {
		s.good.SealWhileAnswering()
		return asked(s)
	}, seal.ErrSealed)
	attack("an asker that is sealed by an operator while the answer comes", nil, func(t *testing.T, s *stage) error {
		s.answer = func(ctx context.Context, request []byte) ([]byte, error) {
			answer := s.hand(ctx, request)
			return answer, s.asker.Seal(seal.By{})
		}
		return asked(s)
	}, seal.ErrSealed)
	for _, what := range []string{"cut", "extended", "flipped"} {
		attack("an answer that was "+what, nil, func(t *testing.T, s *stage) error {
			n := len(s.hand(t.Context(), s.request(t.Context())))
			for i := 0; i < n; i += 61 { // internal/handoff has every byte
				s.answer = func(ctx context.Context, request []byte) ([]byte, error) {
					answer := s.hand(ctx, request)
					switch what {
					case "cut":
						return answer[:i], nil
					case "extended":
						return slices.Insert(answer, i, 0), nil
					}
					answer[i] ^= 4
					return answer, nil
				}
				if asked(s) == nil {
					return nil
				}
			}
			return asked(s)
		}, seal.ErrHandOff)
	}
	testlevel.Counted(t, "GUARANTEE 29 hand-off-attacks: tried=%d refused=%d", tried, refused)
}

// storeOf is a store of its own with that record.
func storeOf(t testing.TB, rec []byte) seal.Store {
	store := seal.NewMemStore()
	_, err := store.Swap(t.Context(), rec, "")
	must(t, err)
	return store
}

// TestHandOffIsTaken is the control of the attacks: with nothing wrong a root key is
// handed over, both sides say so, and whoever was too early has to wait.
func TestHandOffIsTaken(t *testing.T) {
	s := setStage(t, nil)
	ct, err := s.good.Keyring().Encrypt(nil, []byte("x"), nil)
	must(t, err)
	must(t, s.asker.Unseal(t.Context()))
	if got, err := s.asker.Keyring().Decrypt(nil, ct, nil); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	given := s.events.of(seal.EventHandOff)
	if len(given) != 1 || given[0].Replica != "good" || given[0].Actor != "asker" || given[0].Err != nil {
		t.Errorf("events of the one who gave: %v", given)
	}
	taken := s.events.of(seal.EventUnseal)
	if last := taken[len(taken)-1]; last.Replica != "asker" || last.Err != nil || !strings.Contains(last.Detail, `"good"`) || last.Slot != "" {
		t.Errorf("event of the one who took: %v", last)
	}

	late := s.another("asker", nil)
	must(t, s.asker.Rotate(t.Context(), seal.By{}))
	if err := late.Unseal(t.Context()); !errors.Is(err, seal.ErrSealed) || errors.Is(err, seal.ErrHandOff) {
		t.Errorf("before the other has seen the record: %v", err)
	}
	must(t, s.good.Admin().Refresh(t.Context()))
	must(t, late.Unseal(t.Context()))
}

// TestHandOffOfAForgersStore: a store of their own, put there by who can also answer
// as a replica, is refused wherever shares in text are, and only there.
func TestHandOffOfAForgersStore(t *testing.T) {
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a")}}
	forgersRoot := []byte(strings.Repeat("r", 32))
	for _, tt := range []struct {
		name                 string
		pins, anchor, shapes bool
		is                   error // nil: it opens, as THREATS says
	}{
		{"nothing set", false, false, false, nil},
		{"a pin", true, false, false, seal.ErrForged},
		{"an anchor", false, true, false, seal.ErrForked},
		{"another shape", false, false, true, seal.ErrForged},
		{"all", true, true, true, seal.ErrForked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := l
			l.TB = t
			store, anchor := seal.NewMemStore(), seal.NewMemStore()
			good := l.barrier(store, func(c *seal.Config) { c.Anchor = anchor })
			defer good.Close()
			d, err := good.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
			must(t, err)
			l.proveSlot(good, "people", d)
			c := l.copyOf("true", store, good, nil)
			forged, _ := l.rival(t, c, "people", seal.Shamir{Shares: 1, Threshold: 1})
			for _, running := range []bool{false, true} {
				asker := l.barrier(storeOf(t, forged), func(cfg *seal.Config) {
					cfg.Replica, cfg.KMS = "asker", nil
					cfg.Peers = func(context.Context) ([]seal.Peer, error) {
						return []seal.Peer{{Name: "good", Ask: func(ctx context.Context, request []byte) ([]byte, error) {
							answer, _ := good.Admin().HandOff(ctx, request, "asker", nil)
							return answer, nil
						}}, {Name: "rogue", Ask: rogue(forgersRoot)}}, nil
					}
					if tt.pins {
						cfg.Pins = []string{fmt.Sprintf("%x", c.state.Slots[0].Fingerprint), fmt.Sprintf("%x", c.state.Slots[1].Fingerprint)}
					}
					if tt.anchor {
						cfg.Anchor = anchor
					}
					if tt.shapes {
						cfg.Shapes = map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}
					}
				})
				defer asker.Close()
				is := tt.is
				if running { // that had the true one open, and was sealed
					asker.SwapStore(storeOf(t, c.stored))
					must(t, asker.Unseal(t.Context()))
					must(t, asker.Seal(seal.By{}))
					asker.SwapStore(storeOf(t, forged))
					is = seal.ErrForked
				}
				err := asker.Unseal(t.Context())
				if is == nil && err == nil {
					continue
				}
				if is == nil || !errors.Is(err, is) || !errors.Is(err, seal.ErrHandOff) || asker.Sealed() == nil {
					t.Errorf("running %v: %v, want %v", running, err, is)
				}
				// The true one is taken.
				asker.SwapStore(storeOf(t, c.stored))
				if err := asker.Unseal(t.Context()); err != nil {
					t.Errorf("running %v: the true store: %v", running, err)
				}
			}
		})
	}
}

// TestHandOffDoesNotUndoASeal: what an operator sealed stays so, for an hour, beside
// replicas that would hand it the root key.
func TestHandOffDoesNotUndoASeal(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t)
		defer f.end()
		f.init()
		f.unseal(f.start("one"))
		two := f.start("two")
		f.within(time.Minute, "the other", (*seal.Barrier).Sealed)
		must(t, two.Seal(seal.By{Actor: "ops"}))
		asked := f.asks()
		time.Sleep(time.Hour)
		if err := two.Sealed(); !errors.Is(err, seal.ErrSealedByOperator) || f.asks() != asked {
			t.Errorf("%v, asked %d times", err, f.asks()-asked)
		}
		must(t, two.Unseal(t.Context()))
	})
}

// TestHandOffBesideOnesThatHang: peers that hang, also without hearing that it is
// over, keep neither another peer nor people waiting.
func TestHandOffBesideOnesThatHang(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f := newFleet(t)
		defer f.end()
		f.init()
		release := make(chan struct{})
		defer close(release)
		f.strays = func(from, to string, request []byte) ([]byte, error) {
			if to == "good" {
				answer, _ := f.replica("good").Admin().HandOff(context.Background(), request, from, nil)
				return answer, nil
			}
			<-release
			return nil, errors.New("at last")
		}
		hanging := testlevel.Most(15, 5)
		for i := range hanging {
			f.start(fmt.Sprint("hangs-", i))
		}
		time.Sleep(time.Minute)
		begun := time.Now()
		f.unseal(f.replica("hangs-3")) // people, beside them
		if took := time.Since(begun); took > time.Second {
			t.Errorf("people waited for %v", took)
		}
		f.unseal(f.start("good"))
		took := f.within(2*time.Minute, "beside those that hang", (*seal.Barrier).Sealed)
		testlevel.Counted(t, "GUARANTEE 29 hand-off-hangs: hanging=%d up_in=%.1fs", hanging, took.Seconds())
	})
}

// TestHandOffIsBounded: whoever may ask cannot keep a replica busy with it.
func TestHandOffIsBounded(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := setStage(t, nil)
		request := s.request(t.Context())
		ask := func() (n int) {
			for range 300 {
				answer, err := s.good.Admin().HandOff(t.Context(), request, "asker", nil)
				switch {
				case err == nil:
					n++
				case !errors.Is(err, seal.ErrPropagating) || !bytes.Equal(answer, handoff.Busy.Bytes("good")):
					t.Fatalf("%x, %v", answer, err)
				}
			}
			return n
		}
		if n := ask(); n != 200 {
			t.Errorf("%d at once", n)
		}
		time.Sleep(time.Second)
		if n := ask(); n != 50 {
			t.Errorf("%d a second later", n)
		}
	})
}

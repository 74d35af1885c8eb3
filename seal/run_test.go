package seal_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// fleet makes processes over one store, with Run going in each.
func (v *vault) fleet(ctx context.Context, n int, adjust func(*seal.Config)) ([]*seal.Barrier, func()) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	var out []*seal.Barrier
	for range n {
		cfg := seal.Config{Store: v.faulty, KMS: map[string]kms.Wrapper{"a": v.fake.Key("a"), "b": v.fake.Key("b")}}
		adjust(&cfg)
		b, err := seal.Open(cfg)
		must(v.t, err)
		out = append(out, b)
		running.Go(func() {
			if err := b.Run(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, seal.ErrClosed) {
				v.t.Errorf("Run ended: %v", err)
			}
		})
	}
	return out, func() {
		cancel()
		running.Wait()
		for _, b := range out {
			b.Close()
		}
	}
}

// TestOutage takes KMS and store away for a day.
func TestOutage(t *testing.T) {
	together(t)
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		var mu sync.Mutex
		seals, warned := 0, 0
		replicas, stop := v.fleet(ctx, 3, func(c *seal.Config) {
			c.OnEvent = func(e seal.Event) {
				mu.Lock()
				defer mu.Unlock()
				if e.Kind == seal.EventSeal {
					seals++
				}
				if e.Kind == seal.EventDrill && e.Err != nil {
					warned++
				}
			}
		})
		defer stop()
		for _, r := range replicas {
			must(t, r.Wait(ctx))
		}
		before := v.stored(ctx)
		v.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.NoDNS}))
		v.faulty.Outage(errors.New("no route"))
		calls, written := v.fake.Count(""), 0
		drills, hours := 0, testlevel.Most(24, 4)
		for range hours * 60 {
			time.Sleep(time.Minute)
			for _, r := range replicas {
				c0 := v.fake.Count("")
				must(t, v.write(r))
				must(t, v.readable(r))
				written++
				if v.fake.Count("") != c0 {
					t.Error("a KMS was called to encrypt")
				}
				clear(v.acked)
				if r.Status().Sealed {
					t.Fatal("an outage sealed a server")
				}
			}
		}
		drills = v.fake.Count("") - calls
		v.faulty.Outage(nil)
		if !bytes.Equal(before, v.stored(ctx)) {
			t.Error("an outage changed the record")
		}
		testlevel.Counted(t, "GUARANTEE 7 no-self-inflicted-outage: hours=%d replicas=3 writes=%d seals=%d data_path_kms_calls=0 drill_calls=%d drill_warnings=%d", hours, written, seals, drills, warned)
		if seals != 0 {
			t.Error("sealed")
		}
	})
}

// TestHerd restarts a thousand replicas against one KMS with the quota of an
// Azure vault of software RSA 4096 keys.
func TestHerd(t *testing.T) {
	together(t)
	const window = 10 * time.Second
	replicas := 1000
	if !testlevel.Whole() {
		replicas = 200
	}
	quota := replicas / 2
	floor := window * time.Duration(replicas/quota) / 2 // the last call fits when the second window begins
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[1].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		calls := v.fake.Count("")
		v.fake.Limit(quota, window)
		begin := time.Now()
		fleet, stop := v.fleet(ctx, replicas, func(c *seal.Config) { c.Spread = 17 * time.Second; c.Drill = -1; c.Poll = time.Hour })
		defer stop()
		for _, r := range fleet {
			must(t, r.Wait(ctx))
		}
		took := time.Since(begin)
		perReplica := float64(v.fake.Count("")-calls) / float64(replicas)
		if took > 2*floor || perReplica > 1.2 {
			t.Errorf("%v for all (floor %v), %.2f calls each", took, floor, perReplica)
		}
		v.fake.Limit(0, 0)
		proved(t, "GUARANTEE 8 herd-safe-start: replicas=%d took=%.1fs floor=%.0fs calls_each=%.2f", replicas, took.Seconds(), floor.Seconds(), perReplica)
	})
}

// TestHeadStart: a second KMS is asked when the first one does not answer.
func TestHeadStart(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: map[string]seal.Spec{"auto": threeSlots["auto"], "other": threeSlots["other"]}}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		must(t, b.Seal(seal.By{}))
		v.fake.Script(func(c kmstest.Call) kmstest.Fault {
			if c.Key == "a" {
				return kmstest.Fault{Failure: kmstest.Hang}
			}
			return kmstest.Fault{}
		})
		begin := time.Now()
		if err := b.Unseal(ctx); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("the second KMS was asked after %v", took)
		}
		v.fake.Script(nil)
		b.Close()
	})
}

// TestRunWaitsForTheKMS: a server comes up without its KMS, says why it is
// sealed, and unseals when the KMS is back; people may be faster.
func TestRunWaitsForTheKMS(t *testing.T) {
	for _, people := range []bool{false, true} {
		virtual(t, func(t *testing.T) {
			ctx := t.Context()
			v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
			b.Close()
			v.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Denied}))
			fleet, stop := v.fleet(ctx, 1, func(*seal.Config) {})
			defer stop()
			r := fleet[0]
			time.Sleep(10 * time.Minute)
			status := r.Status()
			if !status.Sealed || !errors.Is(status.Reason, kms.ErrDenied) || !strings.Contains(status.Reason.Error(), "auto") {
				t.Fatalf("status: %+v", status)
			}
			if people {
				must(t, v.gather(ctx, r, seal.By{}))
			} else {
				v.fake.Script(nil)
				time.Sleep(2 * time.Minute)
			}
			if status := r.Status(); status.Sealed {
				t.Fatalf("still sealed: %v", status.Reason)
			}
			// What an operator sealed stays sealed.
			v.fake.Script(nil)
			must(t, r.Seal(seal.By{Actor: "operator"}))
			time.Sleep(testlevel.Most(24*time.Hour, 2*time.Hour))
			if !r.Status().Sealed {
				t.Error("Run undid an operator's seal")
			}
			if _, err := r.Keyring().Encrypt(nil, nil, nil); !errors.Is(err, seal.ErrSealed) {
				t.Errorf("a sealed server encrypted: %v", err)
			}
		})
	}
}

// TestPropagation: a new term is read by every replica before any writes under
// it, and a replica that slept finds it by Decrypt.
func TestPropagation(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		fleet, stop := v.fleet(ctx, 3, func(c *seal.Config) { c.Propagation = time.Minute })
		defer stop()
		for _, r := range fleet {
			must(t, r.Wait(ctx))
		}
		activeOf := func(r *seal.Barrier) uint32 {
			for _, term := range r.Status().Terms {
				if term.State == seal.TermActive {
					return term.Number
				}
			}
			return 0
		}
		was := activeOf(fleet[0])
		must(t, fleet[0].Rotate(ctx, seal.By{}))
		for range 90 {
			time.Sleep(time.Second)
			for _, w := range fleet {
				ct, err := w.Keyring().Encrypt(nil, []byte("x"), nil)
				must(t, err)
				for _, r := range fleet {
					if _, err := r.Keyring().Decrypt(nil, ct, nil); err != nil {
						t.Fatalf("a replica cannot read what another wrote: %v", err)
					}
				}
			}
		}
		for _, r := range fleet {
			if now := activeOf(r); now != was+1 {
				t.Errorf("term %d is active, %d was before", now, was)
			}
		}
		// A process that does not Run follows at the first unknown term.
		idle := v.boot()
		defer idle.Close()
		must(t, v.unseal(ctx, idle))
		must(t, fleet[0].Rotate(ctx, seal.By{}))
		time.Sleep(2 * time.Minute)
		ct, err := fleet[1].Keyring().Encrypt(nil, []byte("late"), nil)
		must(t, err)
		if pt, err := idle.Admin().Decrypt(ctx, nil, ct, nil); err != nil || string(pt) != "late" {
			t.Errorf("an idle replica: %q, %v", pt, err)
		}
		// And one that follows a new root key through its KMS.
		must(t, fleet[0].Admin().RotateRoot(ctx, seal.By{}))
		must(t, idle.Admin().Refresh(ctx))
	})
}

// TestDrillWarns: a disabled key is found while there is time.
func TestDrillWarns(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		v.fake.Disable("a")
		var log bytes.Buffer
		fleet, stop := v.fleet(ctx, 1, func(c *seal.Config) {
			c.OnEvent = seal.LogEvents(slog.New(slog.NewTextHandler(&log, nil)))
		})
		must(t, fleet[0].Wait(ctx)) // by the other key
		time.Sleep(12 * time.Hour)
		status := fleet[0].Status()
		stop()
		found := false
		for _, w := range status.Warnings {
			found = found || strings.Contains(w, `slot "auto"`) && strings.Contains(w, "do not restart")
		}
		for _, slot := range status.Slots {
			if slot.Name == "auto" && !errors.Is(slot.DrillError, kms.ErrKeyDisabled) {
				t.Errorf("the drill of the disabled key: %v", slot.DrillError)
			}
		}
		if !found || !strings.Contains(log.String(), "seal drill") || !strings.Contains(log.String(), "level=WARN") {
			t.Errorf("no warning: %q\n%s", status.Warnings, log.String())
		}
	})
}

// TestRootMovedWithoutAKMS: in a people-only store another replica that rotates
// the root key leaves this one behind, which goes on serving and says so.
func TestRootMovedWithoutAKMS(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[0].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		other := v.boot()
		defer other.Close()
		must(t, v.unseal(ctx, other))
		must(t, other.Admin().RotateRoot(ctx, seal.By{}))
		if err := b.Admin().Refresh(ctx); !errors.Is(err, seal.ErrRootMoved) {
			t.Errorf("refresh: %v", err)
		}
		must(t, v.write(b))
		must(t, b.Seal(seal.By{}))
		must(t, v.unseal(ctx, b))
		must(t, b.Admin().Refresh(ctx))
	})
}

// TestOutcomeUnknown: a swap that is stored although the store says it failed,
// with the store away until later, is found by the next call.
func TestOutcomeUnknown(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[0].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		_, swaps := v.faulty.Calls()
		loads, _ := v.faulty.Calls()
		v.faulty.OnSwap = map[int]storetest.Fault{swaps + 1: {Effect: storetest.FailAfter}}
		v.faulty.OnLoad = map[int]storetest.Fault{}
		for k := loads + 2; k < loads+200; k++ {
			v.faulty.OnLoad[k] = storetest.Fault{Effect: storetest.FailBefore}
		}
		if err := b.Admin().RotateRoot(ctx, seal.By{}); !errors.Is(err, seal.ErrOutcomeUnknown) {
			t.Fatalf("rotate root: %v", err)
		}
		must(t, v.write(b))
		v.faulty.OnLoad = nil
		must(t, b.Admin().Refresh(ctx)) // nobody else has the new root key: people are not asked
		must(t, b.Rotate(ctx, seal.By{}))
		must(t, v.readable(b))
	})
}

// TestRewrap: after a rotation of the KMS key the old version can be destroyed
// once the slot was wrapped anew.
func TestRenew(t *testing.T) {
	for _, name := range []string{"auto", "clouds", "both"} {
		bubble(t, func(t *testing.T) {
			ctx := t.Context()
			begin := map[string]seal.Spec{"people": threeSlots["people"], "auto": threeSlots["auto"], "clouds": shapes[3].slots["clouds"], "both": shapes[4].slots["both"]}
			v, b := scenario{begin: begin}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
			defer func() { b.Close() }()
			must(t, v.write(b))
			op, _, err := b.Admin().Prove(ctx, "both", seal.By{})
			must(t, err)
			must(t, v.gather(ctx, b, seal.By{Operation: op}))
			v.fake.Rotate("a")
			must(t, b.Admin().Drill(ctx))
			warned := 0
			for _, w := range b.Status().Warnings {
				if strings.Contains(w, "version 1 is stored, version 2 is current") {
					warned++
				}
			}
			if warned != 3 {
				t.Errorf("%d warnings of an old version, in %q", warned, b.Status().Warnings)
			}
			must(t, b.Admin().Renew(ctx, name, seal.By{}))
			v.fake.Destroy("a", "1")
			v.fake.Destroy("c", "")
			// By the renewed slot alone: no other has a key left.
			if name == "both" {
				must(t, b.Seal(seal.By{}))
				for n, set := range v.held {
					if set.Slot != "both" {
						delete(v.held, n)
					}
				}
				must(t, v.gather(ctx, b, seal.By{}))
			} else {
				must(t, b.Seal(seal.By{}))
				err = b.Unseal(ctx)
				must(t, err)
			}
			must(t, v.readable(b))
			if err := b.Admin().Renew(ctx, "nobody", seal.By{}); !errors.Is(err, seal.ErrNoSlot) {
				t.Error(err)
			}
		})
	}
}

// TestRunFollowsKeyVersions: a fleet renews a slot once when its key has a new
// version, and the old one may then be destroyed.
func TestRunFollowsKeyVersions(t *testing.T) {
	for _, keep := range []bool{false, true} {
		virtual(t, func(t *testing.T) {
			ctx := t.Context()
			v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
			b.Close()
			for name := range threeSlots {
				b := v.boot()
				must(t, v.unseal(ctx, b))
				op, done, err := b.Admin().Prove(ctx, name, seal.By{})
				must(t, err)
				if !done {
					must(t, v.gather(ctx, b, seal.By{Operation: op}))
				}
				must(t, v.write(b))
				b.Close()
			}
			fleet, stop := v.fleet(ctx, testlevel.Most(5, 2), func(c *seal.Config) {
				c.KMS, c.KeepVersions, c.Poll = v.own(), keep, time.Minute // of two days
			})
			defer stop()
			for _, b := range fleet {
				must(t, b.Wait(ctx))
			}
			before := fleet[0].Status().Generation
			v.fake.Rotate("a")
			time.Sleep(24 * time.Hour)
			if got := fleet[0].Status().Generation - before; keep && got != 0 || !keep && (got < 1 || got > 5) {
				t.Errorf("keep=%v: %d changes of the record for one new version", keep, got)
			}
			before = fleet[0].Status().Generation
			time.Sleep(24 * time.Hour)
			if got := fleet[0].Status().Generation - before; got != 0 {
				t.Errorf("keep=%v: %d more changes on the next day", keep, got)
			}
			if warned := strings.Contains(strings.Join(fleet[0].Status().Warnings, "\n"), "version 1 is stored"); warned != keep {
				t.Errorf("keep=%v: warnings %q", keep, fleet[0].Status().Warnings)
			}
			v.fake.Destroy("a", "1")
			v.fake.Destroy("b", "")
			cold := v.boot()
			defer cold.Close()
			if err := cold.Unseal(ctx); (err == nil) == keep {
				t.Errorf("keep=%v: with the old version destroyed: %v", keep, err)
			}
			if !keep {
				must(t, v.readable(cold))
			}
		})
	}
}

// A moved is a wrapper whose alias names another key than the one that it
// probes: it was moved in between.
type moved struct {
	*kmstest.Key
	other *kmstest.Key
}

func (m moved) Wrap(ctx context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	return m.other.Wrap(ctx, key, b)
}

func (m moved) Unwrap(ctx context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	if out, err := m.other.Unwrap(ctx, blob, b); err == nil {
		return out, nil
	}
	return m.Key.Unwrap(ctx, blob, b)
}

// TestRunKeepsTheKey: Run never takes a slot to another key; it tries, and leaves
// that to an operator, who may.
func TestRunKeepsTheKey(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		other := v.fake.Key("other")
		for _, wrapper := range []kms.Wrapper{v.fake.Key("a"), moved{v.fake.Key("a"), other}} {
			fleet, stop := v.fleet(ctx, 1, func(c *seal.Config) { c.KMS["a"], c.Poll = wrapper, testlevel.Most(c.Poll, time.Minute) })
			must(t, fleet[0].Wait(ctx))
			_, _, err := fleet[0].Admin().Prove(ctx, "auto", seal.By{})
			must(t, err)
			before := fleet[0].Status().Generation
			v.fake.Rotate("a")
			time.Sleep(24 * time.Hour)
			_, elsewhere := wrapper.(moved)
			if (fleet[0].Status().Generation == before) != elsewhere {
				t.Errorf("%T: generation %d, then %d", wrapper, before, fleet[0].Status().Generation)
			}
			if err := fleet[0].Admin().Renew(ctx, "auto", seal.By{}); err != nil {
				t.Errorf("%T: %v", wrapper, err)
			}
			stop()
		}
	})
}

// TestScheduledForDeletion is said while there is time.
func TestScheduledForDeletion(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		v.fake.ScheduleDeletion("a", time.Date(2027, 1, 2, 3, 4, 0, 0, time.UTC))
		if err := b.Admin().Drill(ctx); !errors.Is(err, kms.ErrKeyGone) {
			t.Errorf("drill: %v", err)
		}
		if all := strings.Join(b.Status().Warnings, "\n"); !strings.Contains(all, "scheduled for deletion on 2027-01-02 03:04 UTC") {
			t.Errorf("warnings: %s", all)
		}
	})
}

// TestRunObeysRetryAfter: however often the store is polled in between.
func TestRunObeysRetryAfter(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[1].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		before := v.fake.Count("")
		v.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: 2 * time.Minute}))
		fleet, stop := v.fleet(ctx, 1, func(c *seal.Config) { c.Retry.Attempts = 1 })
		defer stop()
		time.Sleep(time.Hour)
		calls := v.fake.Count("") - before
		if calls < 15 || calls > 30 {
			t.Errorf("%d calls in an hour, asked to wait 2 minutes after each", calls)
		}
		v.fake.Script(nil)
		time.Sleep(5 * time.Minute)
		if fleet[0].Status().Sealed {
			t.Errorf("still sealed: %v", fleet[0].Status().Reason)
		}
	})
}

// TestASealedServerSaysThatItsStoreIsAway, also while it waits for people, and
// waits for them again when it is back.
func TestASealedServerSaysThatItsStoreIsAway(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[0].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		fleet, stop := v.fleet(ctx, 1, func(*seal.Config) {})
		defer stop()
		says := func(want error, words string) {
			t.Helper()
			time.Sleep(2 * time.Minute)
			if reason := fleet[0].Status().Reason; !errors.Is(reason, want) || !strings.Contains(reason.Error(), words) {
				t.Errorf("it says %v", reason)
			}
		}
		says(seal.ErrSealed, "waiting for people")
		v.faulty.Outage(errors.New("no route"))
		says(seal.ErrStoreUnavailable, "no route")
		v.faulty.Outage(nil)
		says(seal.ErrSealed, "waiting for people")
	})
}

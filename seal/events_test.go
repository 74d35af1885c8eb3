package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/secret/secrettest"
	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

// A deed is something that an auditor wants to know, and how it is done.
type deed struct {
	name string
	kind seal.EventKind
	fail bool
	do   func(ctx context.Context, v *vault, b *seal.Barrier)
}

var deeds = []deed{
	{"unseal", seal.EventUnseal, false, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Seal(seal.By{}); b.Unseal(ctx) }},
	{"unseal without the KMS", seal.EventUnseal, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Seal(seal.By{})
		v.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Denied}))
		b.Unseal(ctx)
		v.fake.Script(nil)
		b.Unseal(ctx)
	}},
	{"a share while sealed", seal.EventShare, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Seal(seal.By{})
		b.Submit(ctx, v.held[1].Shares[0], seal.By{Actor: "anna"})
		b.Unseal(ctx)
	}},
	{"a wrong share while sealed", seal.EventShare, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Seal(seal.By{})
		other := scenario{begin: shapes[0].slots}.prepare(ctx, v.t)
		b.Submit(ctx, other.held[1].Shares[0], seal.By{})
		b.Unseal(ctx)
	}},
	{"a share while unsealed", seal.EventShare, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Submit(ctx, v.held[1].Shares[0], seal.By{})
	}},
	{"a share that is only looked at", seal.EventShare, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Admin().CheckShare(ctx, v.held[1].Shares[0], seal.By{})
	}},
	{"a wrong share that is only looked at", seal.EventShare, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		other := scenario{begin: shapes[0].slots}.prepare(ctx, v.t)
		b.Admin().CheckShare(ctx, other.held[1].Shares[0], seal.By{})
	}},
	{"a share for an operation that is not", seal.EventShare, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Submit(ctx, v.held[1].Shares[0], seal.By{Operation: "none"})
	}},
	{"a hand-off", seal.EventHandOff, false, func(ctx context.Context, v *vault, b *seal.Barrier) { askAnother(ctx, v, b, nil) }},
	{"a hand-off to whom the host does not know", seal.EventHandOff, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		askAnother(ctx, v, b, errors.New("no certificate of ours"))
	}},
	{"seal", seal.EventSeal, false, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Seal(seal.By{Actor: "ops"}); b.Unseal(ctx) }},
	{"init of a store in use", seal.EventInit, true, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Init(ctx, threeSlots, seal.By{}) }},
	{"rotate", seal.EventRotate, false, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Rotate(ctx, seal.By{}) }},
	{"activate what is not there", seal.EventActivate, true, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Admin().Activate(ctx, 99, seal.By{}) }},
	{"rotate root", seal.EventRotateRoot, false, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Admin().RotateRoot(ctx, seal.By{}) }},
	{"rotate without the store", seal.EventRotate, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		v.faulty.Outage(errors.New("gone"))
		b.Rotate(ctx, seal.By{})
		v.faulty.Outage(nil)
	}},
	{"retire the active term", seal.EventRetire, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Admin().RetireUncounted(ctx, lastTerm(b), seal.By{})
	}},
	{"retire", seal.EventRetire, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Rotate(ctx, seal.By{})
		b.Admin().RetireUncounted(ctx, b.Status().Terms[0].Number, seal.By{})
	}},
	{"take the lease", seal.EventLease, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Admin().TakeLease(ctx, time.Minute, nil, seal.By{})
	}},
	{"end the lease", seal.EventLease, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		l, _ := b.Admin().TakeLease(ctx, time.Minute, nil, seal.By{})
		l.End(ctx, "done", nil)
	}},
	{"lose the lease", seal.EventLease, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		l, _ := b.Admin().TakeLease(ctx, time.Minute, nil, seal.By{})
		b.Admin().TakeLease(ctx, time.Minute, b.Status().Lease, seal.By{})
		l.Keep(ctx)
	}},
	{"rotate once", seal.EventRotate, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Admin().RotateFrom(ctx, lastTerm(b), seal.By{})
	}},
	{"drill", seal.EventDrill, false, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Admin().Drill(ctx) }},
	{"drill of a disabled key", seal.EventDrill, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		v.fake.Disable("a")
		b.Admin().Drill(ctx)
		v.fake.Enable("a")
	}},
	{"a disabled key", seal.EventKeyScheduled, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		v.fake.Disable("a")
		b.Admin().Drill(ctx)
		v.fake.Enable("a")
	}},
	{"prove", seal.EventProve, false, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Admin().Prove(ctx, "auto", seal.By{}) }},
	{"prove with a dead key", seal.EventProve, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		v.fake.Disable("a")
		b.Admin().Prove(ctx, "auto", seal.By{})
		v.fake.Enable("a")
	}},
	{"an operation", seal.EventBegin, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		op, _, _ := b.Admin().Prove(ctx, "people", seal.By{})
		b.Admin().Cancel(ctx, seal.By{Operation: op})
	}},
	{"its cancel", seal.EventEnd, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		op, _, _ := b.Admin().Prove(ctx, "people", seal.By{})
		b.Admin().Cancel(ctx, seal.By{Operation: op})
	}},
	{"cancel of none", seal.EventEnd, true, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Admin().Cancel(ctx, seal.By{Operation: "x"}) }},
	{"claim", seal.EventClaim, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		op, _, _ := b.Admin().Prove(ctx, "people", seal.By{})
		b.Admin().Claim(ctx, seal.By{Operation: op})
		b.Admin().Cancel(ctx, seal.By{Operation: op})
	}},
	{"add", seal.EventAdd, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Admin().Add(ctx, "more", seal.KMS{Wrapper: "c"}, seal.By{})
	}},
	{"add twice", seal.EventAdd, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Admin().Add(ctx, "auto", seal.KMS{Wrapper: "c"}, seal.By{})
	}},
	{"reissue", seal.EventReissue, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Admin().Add(ctx, "late", seal.Shamir{Shares: 2, Threshold: 2}, seal.By{})
		b.Admin().Reissue(ctx, "late", seal.Shamir{Shares: 2, Threshold: 2}, seal.By{})
	}},
	{"renew", seal.EventRenew, false, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Admin().Renew(ctx, "auto", seal.By{}) }},
	{"restore of another generation", seal.EventRestore, true, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Admin().Restore(ctx, 1, seal.By{}) }},
	{"join of nothing", seal.EventJoin, true, func(ctx context.Context, v *vault, b *seal.Barrier) { b.Admin().Join(ctx, nil, seal.By{}) }},
	{"drop", seal.EventDrop, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Admin().Drop(ctx, []string{"other"}, seal.By{})
	}},
	{"drop of what is not there", seal.EventDrop, true, func(ctx context.Context, v *vault, b *seal.Barrier) {
		b.Admin().Drop(ctx, []string{"nobody"}, seal.By{})
	}},
	{"rekey", seal.EventReplace, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		v.migrate(ctx, b, migrate.Plan{Slots: map[string]seal.Spec{"people": seal.Shamir{Shares: 4, Threshold: 3}}})
	}},
	{"a change by another replica", seal.EventRefresh, false, func(ctx context.Context, v *vault, b *seal.Barrier) {
		other, err := seal.Open(seal.Config{Store: v.inner, KMS: v.own()})
		must(v.t, err)
		defer other.Close()
		other.Unseal(ctx)
		other.Rotate(ctx, seal.By{})
		b.Admin().Refresh(ctx)
	}},
}

// TestEveryDeedIsAnEvent: done or tried, sealed or not; and a sink that fails
// changes nothing of what is done.
func TestEveryDeedIsAnEvent(t *testing.T) {
	together(t)
	missing, broken := 0, 0
	begin := scenario{begin: threeSlots}.prepared(t)
	for _, sink := range []string{"good", "panicking", "none"} {
		for i, d := range deeds {
			if testing.Short() && sink != "good" && i%6 != 0 {
				continue
			}
			t.Run(d.name+", a "+sink+" sink", func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					ctx := t.Context()
					v := begin.undamaged().vault(ctx, t, seal.NewMemStore())
					var mu sync.Mutex
					found := false
					cfg := seal.Config{Store: v.faulty, KMS: v.own(), Replica: "test", Retry: kms.Policy{Attempts: 1}}
					if sink != "none" {
						cfg.OnEvent = func(e seal.Event) {
							mu.Lock()
							defer mu.Unlock()
							found = found || e.Kind == d.kind && (e.Err != nil) == d.fail && e.Replica == "test"
							if sink == "panicking" {
								panic("the sink is broken")
							}
						}
					}
					b, err := seal.Open(cfg)
					must(t, err)
					defer b.Close()
					err = b.Unseal(ctx)
					must(t, err)
					must(t, v.write(b))
					found = false
					d.do(ctx, v, b)
					if sink != "none" && !found {
						missing++
						t.Errorf("no event %q with failure=%v", d.kind, d.fail)
					}
					if err := errors.Join(b.Admin().Refresh(ctx), v.readable(b)); err != nil && d.kind != seal.EventRetire {
						broken++
						t.Errorf("afterwards: %v", err)
					}
				})
			})
		}
	}
	proved(t, "GUARANTEE 25 every-event: deeds=%d sinks=3 missing=%d broken=%d", len(deeds), missing, broken)
}

// askAnother has a sealed replica ask b for its root key.
func askAnother(ctx context.Context, v *vault, b *seal.Barrier, refused error) {
	other, err := seal.Open(seal.Config{Store: v.inner, Replica: "asker", Peers: func(context.Context) ([]seal.Peer, error) {
		return []seal.Peer{{Name: "other", Ask: func(ctx context.Context, request []byte) ([]byte, error) {
			answer, _ := b.Admin().HandOff(ctx, request, "asker", refused)
			return answer, nil
		}}}, nil
	}})
	must(v.t, err)
	defer other.Close()
	_ = other.Unseal(ctx)
}

// TestNoSecretIsShown does everything, and searches all that was shown for
// every secret there was.
func TestNoSecretIsShown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		var shown strings.Builder
		var mu sync.Mutex
		var log bytes.Buffer
		toLog := seal.LogEvents(slog.New(slog.NewJSONHandler(&log, nil)))
		show := func(values ...any) {
			mu.Lock()
			defer mu.Unlock()
			for _, value := range values {
				fmt.Fprintf(&shown, "%v %+v %#v %s %x", value, value, value, value, value)
			}
		}
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		file := filepath.Join(t.TempDir(), "journal")
		kept, err := journal.Open(journal.Config{Place: journal.File{Path: file}})
		must(t, err)
		cfg := seal.Config{Store: v.faulty, KMS: v.own(), Retry: kms.Policy{Attempts: 1}, OnEvent: func(e seal.Event) {
			toLog(e)
			kept.Event(e)
			show(e, e.Err)
		}}
		b, err = seal.Open(cfg)
		must(t, err)
		defer b.Close()
		err = b.Unseal(ctx)
		must(t, err)
		secrets := map[string][]byte{}
		collect := func() {
			maps.Copy(secrets, b.SecretsNow())
			for _, set := range v.held {
				for i, s := range set.Shares {
					if raw := s.RevealRaw(); raw != nil {
						secrets[fmt.Sprintf("share %d of set %d", i, set.Set)] = raw[:32]
					}
				}
			}
		}
		for _, d := range deeds {
			collect()
			d.do(ctx, v, b)
		}
		// Errors of every kind, on top.
		for i, f := range kmstest.Failures() {
			if testing.Short() && i%4 != 0 {
				continue
			}
			v.fake.Script(kmstest.Always(kmstest.Fault{Failure: f}))
			_, err := b.Admin().Add(ctx, "x", seal.KMS{Wrapper: "a"}, seal.By{})
			show(err, b.Admin().Drill(ctx))
			v.fake.Script(nil)
		}
		for _, value := range []any{b, struct{ held *seal.Barrier }{b}, b.Status(), cfg, v.held, v.held[1], b.Keyring()} {
			for _, text := range secrettest.Sinks(value) {
				shown.WriteString(text)
			}
		}
		for name, form := range secrettest.FindAny(shown.String(), secrets) {
			t.Errorf("%s was shown: %s", name, form)
		}
		for name, form := range secrettest.FindAny(log.String(), secrets) {
			t.Errorf("%s was logged: %s", name, form)
		}
		must(t, kept.Close())
		journaled, err := os.ReadFile(file)
		must(t, err)
		if n := bytes.Count(journaled, []byte("\n")); n < len(deeds) {
			t.Errorf("only %d lines in the journal", n)
		}
		for name, form := range secrettest.FindAny(string(journaled), secrets) {
			t.Errorf("%s is in the journal: %s", name, form)
		}
		if len(secrets) < 10 {
			t.Errorf("only %d secrets", len(secrets))
		}
		// The search must be able to find something.
		planted := slices.Concat([]byte("x"), secrets["root key"])
		control := secrettest.Find(fmt.Sprint(planted), secrets["root key"]) != ""
		if !control {
			t.Error("a planted secret was not found")
		}
		testlevel.Counted(t, "GUARANTEE 20 barrier-shows-no-secret: secrets=%d bytes=%d leaks=0 control=%v", len(secrets), shown.Len()+log.Len()+len(journaled), control)
	})
}

// TestIntentIsBound: a share serves what its sender named, and nothing else.
func TestIntentIsBound(t *testing.T) {
	tried, misused := 0, 0
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: map[string]seal.Spec{"people": threeSlots["people"], "auto": threeSlots["auto"]}}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		set := v.held[1]
		bait, _, err := b.Admin().Prove(ctx, "people", seal.By{}) // what the people were told
		must(t, err)
		_, err = b.Submit(ctx, set.Shares[0], seal.By{Operation: bait})
		must(t, err)

		// The switch: the bait is cancelled, and something else begun.
		must(t, b.Admin().Cancel(ctx, seal.By{Operation: bait}))
		v.fake.Disable("a")
		op, done, err := b.Admin().Drop(ctx, []string{"auto"}, seal.By{})
		must(t, err)
		v.fake.Enable("a")
		if done || op == bait {
			t.Fatalf("drop: %v %v", op, done)
		}
		tried++
		if _, err := b.Submit(ctx, set.Shares[1], seal.By{Operation: bait}); !errors.Is(err, seal.ErrNoOperation) {
			misused++
			t.Errorf("a share for the cancelled operation: %v", err)
		}
		// A share given for unsealing, or for the bait, counts for nothing here.
		tried++
		_, err = b.Submit(ctx, set.Shares[1], seal.By{})
		must(t, err)
		_, err = b.Submit(ctx, set.Shares[1], seal.By{Operation: op})
		must(t, err)
		if s := b.Status(); s.Operation == nil || s.Operation.Progress[0].Given != 1 || len(s.Slots) != 2 {
			misused++
			t.Errorf("the drop has taken shares that were not given to it: %+v", s.Operation)
		}
		// The id of one's own choosing cannot take an old id's place either.
		must(t, b.Admin().Cancel(ctx, seal.By{Operation: op}))
		tried++
		if _, err := b.Admin().BeginMigration(ctx, []seal.Goal{{Name: "auto", Drop: true}, {Name: "people", Spec: threeSlots["people"]}}, seal.By{Operation: bait}); err == nil {
			// The same id, other goals: shares given to the first are gone.
			if s := b.Status(); len(s.Operation.Progress) != 0 {
				misused++
				t.Errorf("a reused id inherits shares: %+v", s.Operation.Progress)
			}
			must(t, b.Admin().Cancel(ctx, seal.By{Operation: bait}))
		}
	})
	t.Logf("GUARANTEE 22 intent-is-bound: tried=%d misused=%d", tried, misused)
}

// TestWaitingIsNoFailure: a server that only people open has asked nobody, and
// tells of no failed unseal, however often Run looks.
func TestWaitingIsNoFailure(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: shapes[0].slots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		var mu sync.Mutex
		unseals := 0
		fleet, stop := v.fleet(ctx, 1, func(c *seal.Config) {
			c.OnEvent = func(e seal.Event) {
				mu.Lock()
				defer mu.Unlock()
				if e.Kind == seal.EventUnseal {
					unseals++
				}
			}
		})
		defer stop()
		time.Sleep(time.Hour)
		if mu.Lock(); unseals != 0 {
			t.Errorf("%d events of an unseal that nobody tried", unseals)
		}
		mu.Unlock()
		if reason := fleet[0].Status().Reason; reason == nil || !strings.Contains(reason.Error(), "waiting for people") {
			t.Errorf("reason %v", reason)
		}
		must(t, v.gather(ctx, fleet[0], seal.By{}))
		if mu.Lock(); unseals != 1 {
			t.Errorf("%d events of one unseal", unseals)
		}
		mu.Unlock()
	})
}

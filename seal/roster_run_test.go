package seal_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// TestAReplicaThatIsStoppedHoldsNothingUp: each that was scaled down, in good order,
// was waited for for as long as one that hangs.
func TestAReplicaThatIsStoppedHoldsNothingUp(t *testing.T) {
	for name, stop := range map[string]func(*testing.T, *fleet){
		"closed": func(_ *testing.T, f *fleet) { f.kill("c") },
		"sealed": func(t *testing.T, f *fleet) { must(t, f.replica("c").Seal(seal.By{})) },
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ctx := t.Context()
				f, roster := newRosterFleet(t, nil)
				defer f.end()
				a := f.replica("a")
				before, _ := rosterText(t, roster)
				stop(t, f)
				settle(time.Minute)
				last, _ := rosterText(t, roster)
				must(t, a.Rotate(ctx, seal.By{}))
				settle(4 * rosterPropagation)
				if got := activeTerm(a); got != 2 {
					t.Errorf("waited for: %q", a.Status().Warnings)
				}
				if m := a.Status().Members; len(m) != 1 || m[0].Replica != "b" {
					t.Errorf("members: %+v", m)
				}
				settle(4 * rosterPropagation)
				must(t, a.Admin().CheckRetire(ctx, 1))

				if f.replica("c") == nil {
					f.start("c")
				}
				f.unseal(f.replica("c")) // the same process, or another
				settle(rosterSoon)
				_, rev := rosterText(t, roster)
				_, err := roster.Swap(ctx, last, rev) // and somebody has it leave again
				must(t, err)
				settle(rosterSoon)
				f.freeze("c")
				if m := a.Status().Members; len(m) != 2 || m[1].Replica != "c" || m[1].Term != 2 {
					t.Errorf("members: %+v", m)
				}
				must(t, a.Rotate(ctx, seal.By{}))
				settle(rosterSoon)
				_, rev = rosterText(t, roster)
				_, err = roster.Swap(ctx, before, rev)
				must(t, err)
				settle(rosterSoon)
				refused(t, "activate", a.Admin().Activate(ctx, 3, seal.By{}), seal.ErrPropagating, "c")
			})
		})
	}
}

// TestAttackTheRosterHangsAsOneLeaves: it is waited for for three seconds, and once.
func TestAttackTheRosterHangsAsOneLeaves(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := &sick{Store: seal.NewMemStore()}
		f := newFleet(t)
		f.change = func(_ string, cfg *seal.Config) { cfg.Propagation, cfg.Roster = rosterPropagation, s }
		f.init()
		a := f.start("a")
		f.unseal(a)
		settle(rosterSoon)
		s.end = make(chan struct{})
		s.hang.Store(true)
		for range 2 {
			begun := time.Now()
			must(t, a.Seal(seal.By{}))
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("Seal waited for %v", took)
			}
		}
		if before := s.calls.Load(); before == 0 {
			t.Error("nobody was told")
		}
		close(s.end)
		f.end()
	})
}

// TestTwoReplicasOfOneName are said to be, for one of them is not waited for.
func TestTwoReplicasOfOneName(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f, _ := newRosterFleet(t, func(_ string, cfg *seal.Config) {
			if cfg.Replica == "c" {
				cfg.Replica = "b"
			}
		})
		defer f.end()
		settle(time.Minute)
		if !warns(f.replica("b"), `another process reports as replica "b"`) && !warns(f.replica("c"), `another process reports as replica "b"`) {
			t.Errorf("%q", f.replica("b").Status().Warnings)
		}
		if warns(f.replica("a"), "another process") {
			t.Errorf("%q", f.replica("a").Status().Warnings)
		}
	})
}

// TestAttackAReplicaThatIsUnheard: two processes have one replica's name, or an old
// roster was put back; the one that lives was never listened to again, and the term
// was retired that it encrypts under.
func TestAttackAReplicaThatIsUnheard(t *testing.T) {
	for _, twice := range []bool{true, false} {
		t.Run(fmt.Sprintf("one name of two: %v", twice), func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				ctx := t.Context()
				f, roster := newRosterFleet(t, func(_ string, cfg *seal.Config) {
					if cfg.Replica == "c" && twice {
						cfg.Replica = "b"
					}
				})
				defer f.end()
				before, _ := rosterText(t, roster)
				put := func(text []byte) {
					_, rev := rosterText(t, roster)
					_, err := roster.Swap(ctx, text, rev)
					must(t, err)
				}
				if !twice { // c is another process by now, which found nothing in its place, and so is who looks
					for _, name := range []string{"c", "a"} {
						f.kill(name)
						put(append(bytes.Clone(before[:bytes.Index(before, []byte("[{"))+1]), "]}\n"...))
						f.start(name)
						settle(rosterSoon)
					}
					f.freeze("c")
					put(before)
					settle(rosterSoon) // a meets it
					f.thaw("c")
					settle(rosterSoon)
				}
				a, c, name := f.replica("a"), f.replica("c"), "c"
				if twice {
					name = "b"
				}
				f.freeze("c")
				must(t, a.Rotate(ctx, seal.By{}))
				for range 4 {
					settle(rosterTTL / 5)
					if got := activeTerm(a); got != 1 {
						t.Fatalf("term %d was activated", got)
					}
				}
				refused(t, "activate", a.Admin().Activate(ctx, 2, seal.By{}), seal.ErrPropagating, name)
				must(t, a.Admin().ActivateUnseen(ctx, 2, seal.By{}))
				f.thaw("c") // and looks, but does not get on
				settle(time.Second)
				f.freeze("c")
				if term := activeTerm(c); term != 2 {
					settle(4 * rosterPropagation)
					refused(t, "retire", a.Admin().RetireUncounted(ctx, 1, seal.By{}), seal.ErrPropagating, name)
				}
			})
		})
	}
}

// TestALostEntryIsMadeAgainAtOnce: at the next look, and not at the next sign of life,
// which is a minute later.
func TestALostEntryIsMadeAgainAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		f, roster := newRosterFleet(t, nil)
		defer f.end()
		for _, name := range f.names() {
			f.freeze(name) // and looks when it is told to
		}
		a := f.replica("a")
		seal.Report(t.Context(), a)
		first, _ := rosterText(t, roster)
		settle(2 * time.Minute)
		seal.Report(t.Context(), a)
		now, _ := rosterText(t, roster)
		if bytes.Equal(first, now) {
			t.Fatal("no sign of life")
		}
		for what, lost := range map[string][]byte{
			"all are taken away": append(bytes.Clone(now[:bytes.Index(now, []byte("[{"))+1]), "]}\n"...),
			"an old one":         first,
		} {
			_, rev := rosterText(t, roster)
			_, err := roster.Swap(t.Context(), lost, rev)
			must(t, err)
			seal.Report(t.Context(), a)
			if text, _ := rosterText(t, roster); bytes.Equal(text, lost) || !bytes.Contains(text, []byte(`"replica":"a"`)) {
				t.Errorf("%s, and it is as it was: %s", what, text)
			}
		}
		before, _ := rosterText(t, roster)
		seal.Report(t.Context(), a)
		if text, _ := rosterText(t, roster); !bytes.Equal(text, before) {
			t.Error("written for nothing")
		}
	})
}

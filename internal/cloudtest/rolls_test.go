package cloudtest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A host reconciles at every start, with what its stanzas want and no drop. The
// fleet has a spare key too, so that every replica opens whatever its stanza
// says. It is rolled to a configuration, half or wholly to another, and back to
// the first, for every two of them: no slot goes that nobody asked to drop, and
// a stanza that was edited in place is refused and not taken for done.
func TestRolls(t *testing.T) {
	ctx := context.Background()
	restarts, lost, stranded, dropped := 0, 0, 0, 0
	providers := pairs(t)
	for _, p := range providers {
		spare := new(kmstest.Fake).Key("spare")
		configs := p.configs()
		for i := range configs {
			configs[i].kms["spare"] = spare
		}
		for _, x := range configs {
			for _, y := range configs {
				for half := 1; half <= 3; half++ {
					first := configs[0]
					f := p.fleet(t, first, first, first)
					original, err := f.begin(ctx, first)
					if err != nil {
						t.Fatal(err)
					}
					for n, c := range []config{first, first, first, x, x, x, y, y, y, first, first, first} {
						if n >= 6+half && n < 9 {
							continue // as far as it is rolled
						}
						f.roll(ctx, f.replicas[n%3], c)
						f.live(ctx, []string{"p"})
					}
					if got := fingerprint(f.replicas[0].barrier, "p"); got != original {
						dropped++
						f.problem("slot p is gone, or another one: %s", got)
					}
					for _, problem := range f.problems {
						t.Errorf("%s, %s on %d: %s", x.name, y.name, half, problem)
					}
					restarts, lost, stranded = restarts+f.restarts, lost+f.lost, stranded+f.stranded
				}
			}
		}
	}
	t.Logf("GUARANTEE 1 fleet-rolls: providers=%d restarts=%d lost=%d stranded=%d dropped_unasked=%d", len(providers), restarts, lost, stranded, dropped)
}

// begin makes the store, and returns the fingerprint of slot p.
func (f *fleet) begin(ctx context.Context, c config) (string, error) {
	b, err := f.boot("installer", c.kms)
	if err != nil {
		return "", err
	}
	defer b.Close()
	_, err = b.Init(ctx, map[string]seal.Spec{"p": slotP, "spare": seal.KMS{Wrapper: "spare"}}, seal.By{})
	return fingerprint(b, "p"), err
}

func fingerprint(b *seal.Barrier, slot string) string {
	for _, s := range b.Status().Slots {
		if s.Name == slot && s.State == seal.SlotActive {
			return s.Fingerprint
		}
	}
	return "none"
}

// roll restarts a replica with a config, and reconciles as its host would.
func (f *fleet) roll(ctx context.Context, r *replica, c config) {
	if r.barrier != nil {
		r.barrier.Close()
	}
	f.restarts++
	var err error
	r.config = c
	if r.barrier, err = f.boot("replica", c.kms); err != nil {
		f.problem("%v", err)
		return
	}
	if err := r.barrier.Unseal(ctx); err != nil {
		f.stranded++
		f.problem("%s: %v", c.name, err)
		return
	}
	r.open = true
	plan := migrate.Plan{Slots: c.want}
	before, _, _ := f.store.Load(ctx)
	report, err := migrate.Check(ctx, r.barrier, plan)
	if after, _, _ := f.store.Load(ctx); err != nil || !bytes.Equal(before, after) {
		f.problem("%s: check: %v; changed %t", c.name, err, !bytes.Equal(before, after))
	}
	result, err := migrate.Reconcile(ctx, r.barrier, plan, migrate.Options{})
	problems := errors.Join(report.Problems...)
	if c.name == "edited" {
		for _, err := range []error{problems, err} {
			if !errors.Is(err, kms.ErrWrongKey) || !strings.Contains(err.Error(), "give the new key a name of its own") {
				f.problem("an edited stanza: %v", err)
			}
		}
		return
	}
	if problems != nil || err != nil || !result.Done {
		f.problem("%s: %v; %v, done %t", c.name, problems, err, result.Done)
	}
	for want := range c.want {
		if !slices.Contains(names(r.barrier.Status()), want) {
			f.problem("%s: slot %s is not there", c.name, want)
		}
	}
	if said := strings.Join(report.Warnings, "\n"); (c.name == "second alone") != strings.Contains(said, `slot "p" does not open`) {
		f.problem("%s: the warnings are %q", c.name, said)
	}
}

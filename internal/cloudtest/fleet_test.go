package cloudtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// The slots of the fleet: p, which init made with key one, and p2, which has key
// two and a name of its own.
var (
	slotP  = seal.KMS{Wrapper: "p"}
	slotP2 = seal.KMS{Wrapper: "p2"}
)

// A pair is two keys of one provider.
type pair struct {
	provider string
	one, two kms.Wrapper
}

func pairs(t *testing.T) []pair {
	t.Helper()
	byName := map[string]kms.Wrapper{}
	for _, c := range custodies(t) {
		for name, w := range c.kms {
			byName[name] = w
		}
	}
	fake := &kmstest.Fake{}
	out := []pair{{"fake", fake.Key("one"), fake.Key("two")}}
	for _, name := range []string{"azurekeyvault", "gcpckms", "awskms"} {
		out = append(out, pair{name, byName[name], byName[name+"2"]})
	}
	if !testlevel.Whole() {
		out = out[:2]
	}
	return out
}

// A config is what a replica starts with.
type config struct {
	name string
	kms  map[string]kms.Wrapper
	want map[string]seal.Spec
}

// configs are the first one, and the ways in which operators ask for the second
// key in its place.
func (p pair) configs() []config {
	return []config{
		{"first", map[string]kms.Wrapper{"p": p.one}, map[string]seal.Spec{"p": slotP}},
		{"edited", map[string]kms.Wrapper{"p": p.two}, map[string]seal.Spec{"p": slotP}},
		{"second alone", map[string]kms.Wrapper{"p2": p.two}, map[string]seal.Spec{"p2": slotP2}},
		{"both", map[string]kms.Wrapper{"p": p.one, "p2": p.two}, map[string]seal.Spec{"p2": slotP2}},
	}
}

// refusals are the errors that the slots of a store have for a config, or nil if
// one of them opens it.
func (p pair) refusals(c config, slots []string) (kinds []error) {
	keys := map[string]kms.Wrapper{"p": p.one, "p2": p.two}
	for _, name := range slots {
		switch c.kms[name] {
		case keys[name]:
			return nil
		case nil:
			kinds = append(kinds, kms.ErrMisconfigured)
		default:
			kinds = append(kinds, kms.ErrWrongKey)
		}
	}
	return kinds
}

// A fleet is replicas over one store, and what they have written.
type fleet struct {
	pair
	store    seal.Store
	replicas []*replica
	data     map[string][]byte

	restarts, refused, lost, stranded int
	problems                          []string
}

type replica struct {
	config
	number  int
	barrier *seal.Barrier
	open    bool
}

func (f *fleet) problem(format string, args ...any) {
	f.problems = append(f.problems, f.provider+": "+fmt.Sprintf(format, args...))
}

func (f *fleet) boot(name string, wrappers map[string]kms.Wrapper) (*seal.Barrier, error) {
	return seal.Open(seal.Config{Store: f.store, KMS: wrappers, TrustUnpinned: true, Replica: name, Retry: kms.Policy{Attempts: 1}})
}

// restart starts a replica anew, with a config, over a store of which slots are
// active. It must open, or say truthfully why not.
func (f *fleet) restart(ctx context.Context, r *replica, c config, slots []string) {
	if r.barrier != nil {
		r.barrier.Close()
	}
	f.restarts++
	var err error
	r.config = c
	if r.barrier, err = f.boot(fmt.Sprint("replica-", r.number), c.kms); err != nil {
		f.problem("%v", err)
		return
	}
	err = r.barrier.Unseal(ctx)
	r.open = err == nil
	kinds := f.refusals(c, slots)
	switch {
	case kinds == nil && err != nil:
		f.stranded++
		f.problem("%s, slots %v: a replica that holds the key does not open: %v", c.name, slots, err)
	case kinds != nil && err == nil:
		f.problem("%s, slots %v: it opens without the key", c.name, slots)
	case kinds != nil:
		f.refused++
		for _, kind := range kinds {
			if !errors.Is(err, kind) || !errors.Is(r.barrier.Sealed(), kind) {
				f.problem("%s, slots %v: %v is no %v", c.name, slots, err, kind)
			}
		}
		for kind, words := range map[error]string{
			kms.ErrWrongKey: "configure the key that the blob names", kms.ErrMisconfigured: "the configuration has none of that name",
		} {
			if slices.Contains(kinds, kind) && !strings.Contains(err.Error(), words) {
				f.problem("%v does not say %q", err, words)
			}
		}
	case !slices.Equal(names(r.barrier.Status()), slots):
		f.problem("%s: the slots are %v, want %v", c.name, names(r.barrier.Status()), slots)
	}
}

// names are the slots that open the store.
func names(s seal.Status) (out []string) {
	for _, slot := range s.Slots {
		if slot.State != seal.SlotPending {
			out = append(out, slot.Name)
		}
	}
	slices.Sort(out)
	return out
}

func (f *fleet) write(b *seal.Barrier) {
	name := fmt.Sprint("value ", len(f.data))
	ciphertext, err := b.Keyring().Encrypt(nil, []byte(name), nil)
	if err != nil {
		f.problem("write: %v", err)
		return
	}
	f.data[name] = ciphertext
}

// live has every replica that is open write, and read what all have written. One
// whose config holds no key of the store any more goes on with what it has, and
// says so of what is newer.
func (f *fleet) live(ctx context.Context, slots []string) {
	for _, r := range f.replicas {
		if r.open {
			f.write(r.barrier)
		}
	}
	for _, r := range f.replicas {
		if !r.open {
			continue
		}
		cut := f.refusals(r.config, slots) != nil
		for name, ciphertext := range f.data {
			text, err := r.barrier.Admin().Decrypt(ctx, nil, ciphertext, nil)
			if err == nil && string(text) == name || cut && errors.Is(err, seal.ErrRootMoved) {
				continue
			}
			f.lost++
			f.problem("%s, slots %v: %s reads %q, %v", r.name, slots, name, text, err)
		}
	}
}

func (p pair) fleet(t *testing.T, configs ...config) *fleet {
	f := &fleet{pair: p, store: seal.NewMemStore(), data: map[string][]byte{}}
	for i, c := range configs {
		f.replicas = append(f.replicas, &replica{number: i, config: c})
	}
	t.Cleanup(func() {
		for _, r := range f.replicas {
			if r.barrier != nil {
				r.barrier.Close()
			}
		}
	})
	return f
}

// A stage is where the migration of the fleet is, and the slots that open the
// store then.
type stage struct {
	name  string
	slots []string
	reach func(context.Context, *seal.Barrier) error
}

// stages lead from key one to key two and back again, one swap or so each.
func stages() []stage {
	by := seal.By{Actor: "operator", Operation: "move"}
	there := migrate.Plan{Slots: map[string]seal.Spec{"p2": slotP2}, Drop: []string{"p"}}
	back := migrate.Plan{Slots: map[string]seal.Spec{"p": slotP}, Drop: []string{"p2"}}
	reconcile := func(plan migrate.Plan) func(context.Context, *seal.Barrier) error {
		return func(ctx context.Context, b *seal.Barrier) error {
			r, err := migrate.Reconcile(ctx, b, plan, migrate.Options{By: seal.By{Actor: "operator"}})
			if err == nil && !r.Done {
				err = errors.New("it is not done")
			}
			return err
		}
	}
	return []stage{
		{"before", []string{"p"}, func(context.Context, *seal.Barrier) error { return nil }},
		{"begun", []string{"p"}, func(ctx context.Context, b *seal.Barrier) error {
			_, err := b.Admin().BeginMigration(ctx, []seal.Goal{{Name: "p2", Spec: slotP2}, {Name: "p", Drop: true}}, by)
			return err
		}},
		{"added", []string{"p"}, func(ctx context.Context, b *seal.Barrier) error {
			_, err := b.Admin().Add(ctx, "p2", slotP2, by)
			return err
		}},
		{"proven", []string{"p", "p2"}, func(ctx context.Context, b *seal.Barrier) error {
			_, _, err := b.Admin().Prove(ctx, "p2", by)
			return err
		}},
		{"dropped", []string{"p2"}, reconcile(there)},
		{"returned", []string{"p"}, reconcile(back)},
	}
}

// Three replicas, of which each has the first configuration or one of the ways
// to ask for the second key, at every stage of the migration between them: they
// go on through it, and restart one after the other. All assignments are tried,
// up to their order, so that half-rolled and reverted fleets are among them.
func TestFleet(t *testing.T) {
	ctx := context.Background()
	restarts, refused, lost, stranded := 0, 0, 0, 0
	providers := pairs(t)
	for _, p := range providers {
		configs := p.configs()
		for i, x := range configs {
			for j, y := range configs[i:] {
				for _, z := range configs[i+j:] {
					f := p.fleet(t, x, y, z)
					if err := f.migrate(ctx); err != nil {
						t.Fatalf("%s, %s/%s/%s: %v", p.provider, x.name, y.name, z.name, err)
					}
					for _, problem := range f.problems {
						t.Errorf("%s/%s/%s: %s", x.name, y.name, z.name, problem)
					}
					restarts, refused, lost, stranded = restarts+f.restarts, refused+f.refused, lost+f.lost, stranded+f.stranded
				}
			}
		}
	}
	if refused == 0 || refused == restarts {
		t.Errorf("%d of %d restarts were refused: nothing was tried", refused, restarts)
	}
	t.Logf("GUARANTEE 1 fleet-stages: providers=%d restarts=%d truthfully_refused=%d lost=%d stranded=%d", len(providers), restarts, refused, lost, stranded)
}

// migrate walks the fleet through all stages. The operator has both keys.
func (f *fleet) migrate(ctx context.Context) error {
	both := f.configs()[3]
	operator, err := f.boot("operator", both.kms)
	if err != nil {
		return err
	}
	defer operator.Close()
	if _, err := operator.Init(ctx, map[string]seal.Spec{"p": slotP}, seal.By{}); err != nil {
		return err
	}
	for _, s := range stages() {
		if err := s.reach(ctx, operator); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		f.write(operator)
		f.live(ctx, s.slots) // of replicas that were open before
		for _, r := range f.replicas {
			f.restart(ctx, r, r.config, s.slots)
			f.live(ctx, s.slots)
		}
	}
	return nil
}

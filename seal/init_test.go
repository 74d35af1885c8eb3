package seal_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestInitIsSafeToLose: until custody is proven an init can be taken up again,
// by its operation id or the host's explicit word, and by nobody else.
func TestInitIsSafeToLose(t *testing.T) {
	people := shapes[0].slots
	cases, wrong := 0, 0
	expect := func(what string, ok bool, err error) {
		cases++
		if !ok {
			wrong++
			t.Errorf("%s: %v", what, err)
		}
	}
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		v := newVault(t, seal.NewMemStore())
		b := v.boot()
		defer func() { b.Close() }()
		first, err := b.Init(ctx, people, seal.By{Operation: "first", Actor: "installer"})
		must(t, err)
		_, err = b.Keyring().Encrypt(nil, nil, nil)
		expect("encrypting before a proof", errors.Is(err, seal.ErrSealed), err)
		_, err = b.Admin().Add(ctx, "auto", seal.KMS{Wrapper: "a"}, seal.By{})
		expect("adding before a proof", errors.Is(err, seal.ErrSealed), err)

		stranger := v.boot()
		defer stranger.Close()
		_, err = stranger.Init(ctx, people, seal.By{Operation: "stranger"})
		expect("a stranger's init", errors.Is(err, seal.ErrUnproven) && strings.Contains(err.Error(), "by test"), err)
		_, err = stranger.Init(ctx, people, seal.By{})
		expect("a stranger's init without an id", errors.Is(err, seal.ErrUnproven), err)

		// The delivery was lost: the same id makes new shares.
		second, err := b.Init(ctx, people, seal.By{Operation: "first"})
		expect("init again by its id", err == nil, err)
		_, err = b.Submit(ctx, first.Sets[0].Shares[0], seal.By{})
		expect("a share of the lost delivery", errors.Is(err, seal.ErrShareStale), err)
		third, err := stranger.Admin().InitAgain(ctx, people, seal.By{Operation: "host"})
		expect("init again by the host's word", err == nil, err)
		_, err = b.Submit(ctx, second.Sets[0].Shares[0], seal.By{})
		expect("a share of the second delivery", errors.Is(err, seal.ErrShareStale), err)
		must(t, v.take(third))
		must(t, v.unseal(ctx, b))
		must(t, v.write(b))
		for _, again := range []bool{false, true} {
			init := b.Init
			if again {
				init = b.Admin().InitAgain
			}
			_, err = init(ctx, people, seal.By{Operation: "host"})
			expect("init of a store in use", errors.Is(err, seal.ErrInitialized), err)
		}
		must(t, v.readable(b))
	})

	// Two inits race: the loser's shares open nothing, three times over.
	for range testlevel.Most(20, 3) {
		bubble(t, func(t *testing.T) {
			ctx := t.Context()
			v := newVault(t, seal.NewMemStore())
			barriers := []*seal.Barrier{v.boot(), v.boot()}
			deliveries, errs := make([]seal.Delivery, 2), make([]error, 2)
			var race sync.WaitGroup
			for i, b := range barriers {
				race.Go(func() { deliveries[i], errs[i] = b.Init(ctx, people, seal.By{}) })
			}
			race.Wait()
			winner := 0
			if errs[0] != nil {
				winner = 1
			}
			expect("one of two inits", errs[winner] == nil && errs[1-winner] != nil, errors.Join(errs...))
			expect("the loser gets no shares", len(deliveries[1-winner].Sets) == 0, nil)
			must(t, v.take(deliveries[winner]))
			for _, b := range barriers {
				must(t, v.unseal(ctx, b))
				must(t, v.write(b))
				must(t, v.readable(b))
				b.Close()
			}
		})
	}

	// A KMS that fails at any call of init leaves nothing that cannot be made.
	for call := 1; call <= 4; call++ {
		for i, f := range kmstest.Failures() {
			if testing.Short() && (i+call)%4 != 0 {
				continue
			}
			bubble(t, func(t *testing.T) {
				ctx := t.Context()
				v := newVault(t, seal.NewMemStore())
				b := v.boot()
				defer b.Close()
				v.fake.Script(kmstest.Nth(call, kmstest.Fault{Failure: f}))
				_, err := b.Init(ctx, shapes[1].slots, seal.By{Operation: "op"})
				v.fake.Script(nil)
				if err != nil {
					_, err = b.Init(ctx, shapes[1].slots, seal.By{Operation: "op"})
				}
				expect("init with a KMS that fails: "+string(f), err == nil, err)
				must(t, v.write(b))
			})
		}
	}
	testlevel.Counted(t, "GUARANTEE 5 init-safe-to-lose: cases=%d wrong=%d", cases, wrong)
}

// TestPinsKeepAnEmptyStoreFromInit: with a pin, "not found" is a missing volume.
func TestPinsKeepAnEmptyStoreFromInit(t *testing.T) {
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"a": (&kmstest.Fake{}).Key("a")},
		Pins: []string{strings.Repeat("0", 24)},
	})
	must(t, err)
	defer b.Close()
	if _, err := b.Init(t.Context(), shapes[1].slots, seal.By{}); !errors.Is(err, seal.ErrMissing) {
		t.Errorf("init: %v", err)
	}
	if err := b.Unseal(t.Context()); !errors.Is(err, seal.ErrMissing) || errors.Is(err, seal.ErrUninitialized) {
		t.Errorf("unseal: %v", err)
	}
}

package seal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// Each test below was an attack that worked, or an accident that happened.

// TestAttackForgeUnderPinnedProcess: a record whose slot a stranger made, under
// a process that has the true one open.
func TestAttackForgeUnderPinnedProcess(t *testing.T) {
	for _, sealedFirst := range []bool{false, true} {
		t.Run(fmt.Sprint("sealedFirst=", sealedFirst), func(t *testing.T) {
			ctx := t.Context()
			rsa := &kmstest.Fake{Type: "rsa", Forgeable: true}
			l := locksmith{t, map[string]kms.Wrapper{"rsa": rsa.Key("rsa")}}
			store := seal.NewMemStore()
			maker := l.barrier(store, func(c *seal.Config) { c.TrustUnpinned = true })
			_, err := maker.Init(ctx, map[string]seal.Spec{"soft": seal.KMS{Wrapper: "rsa"}}, seal.By{})
			must(t, err)
			c := l.copyOf("store", store, maker, nil)
			pin := fmt.Sprintf("%x", c.state.Slots[0].Fingerprint)
			b := l.barrier(store, func(c *seal.Config) { c.Pins = []string{pin} })
			err = b.Unseal(ctx)
			must(t, err)
			if sealedFirst {
				must(t, b.Seal(seal.By{}))
			}
			// The forger: store bytes and the RSA public key, nothing else.
			r := c.record(t)
			root := bytes.Repeat([]byte{0x66}, 32)
			digest := record.DigestOf(c.stored)
			base := record.Record{Format: 1, MinReader: 1, Store: r.Store, Generation: r.Generation + 1, Previous: digest[:],
				Root: r.Root, LastTerm: r.LastTerm + 1, LastSlot: r.LastSlot, LastSet: r.LastSet}
			n, _ := l.barrier(seal.NewMemStore(), nil).NewSlotFor(t, &base, "soft", seal.KMS{Wrapper: "rsa"}, root)
			base.LastSlot++
			f := record.FingerprintOf(n.Identity)
			base.Slots = []record.Slot{{ID: base.LastSlot, Name: "soft", State: record.Active, Fingerprint: f[:12], Tree: n.Tree,
				PublicKey: n.PublicKey, Wrap: n.Wrap, Proven: &record.Proof{Root: base.Root, Generation: 1}}}
			forged, err := seal.SealRecord(record.State{Record: base, Secrets: record.Secrets{
				Terms:      []record.Term{{Number: base.LastTerm, State: record.TermActive, Key: [32]byte{0x66}}},
				Identities: map[uint32][32]byte{base.LastSlot: n.Identity},
				Digests:    []record.Digest{digest},
			}}, root)
			must(t, err)
			_, rev, _ := store.Load(ctx)
			_, err = store.Swap(ctx, forged, rev)
			must(t, err)
			err = b.Admin().Refresh(ctx)
			if sealedFirst {
				err = b.Unseal(ctx)
			}
			if err == nil && b.Status().Generation == base.Generation {
				a, _ := b.Keyring().Active()
				t.Fatalf("FORGED RECORD BELIEVED by pinned process; encrypts under forger's term %v", a)
			}
			t.Log(err)
		})
	}
}

// TestAttackGenerationPanics: the last generation that there is.
func TestAttackGenerationPanics(t *testing.T) {
	ctx := t.Context()
	fake := &kmstest.Fake{}
	l := locksmith{t, map[string]kms.Wrapper{"a": fake.Key("a")}}
	store := seal.NewMemStore()
	b := l.barrier(store, nil)
	_, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{})
	must(t, err)
	c := l.copyOf("store", store, b, nil)
	r := c.record(t)
	d := record.DigestOf(c.stored)
	r.Previous = d[:]
	r.Generation = record.MaxGeneration
	forged := l.forge(r, nothing)
	_, rev, _ := store.Load(ctx)
	_, err = store.Swap(ctx, forged, rev)
	must(t, err)
	t.Log(b.Admin().Refresh(ctx))
}

// TestAttackReissueStrands: an initial slot made anew while the other key is
// dead, and a crash.
func TestAttackReissueStrands(t *testing.T) {
	ctx := t.Context()
	v := newVault(t, seal.NewMemStore())
	b := v.boot()
	slots := map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}
	d, err := b.Init(ctx, slots, seal.By{})
	must(t, err)
	must(t, v.take(d))
	must(t, v.write(b))
	v.fake.Destroy("a", "")
	v.fake.Disable("a")
	d, err = b.Admin().Reissue(ctx, "people", slots["people"], seal.By{})
	if err != nil {
		t.Skip("refused: ", err)
	}
	must(t, v.take(d))
	b.Close() // crash before the proof
	b = v.boot()
	if err := v.unseal(ctx, b); err != nil {
		t.Fatalf("STORE LOST although old and new custodians hold all shares: %v", err)
	}
}

// TestAttackBaitAndSwitch: shares given to one migration drop what it never
// named.
func TestAttackBaitAndSwitch(t *testing.T) {
	ctx := t.Context()
	v := newVault(t, seal.NewMemStore())
	b := v.boot()
	slots := map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}
	must(t, v.initialize(ctx, b, slots))
	op0, _, err := b.Admin().Prove(ctx, "people", seal.By{})
	must(t, err)
	must(t, v.gather(ctx, b, seal.By{Operation: op0}))
	v.fake.Script(func(c kmstest.Call) kmstest.Fault {
		if c.Key == "a" {
			return kmstest.Fault{Failure: kmstest.Disabled}
		}
		return kmstest.Fault{}
	})
	op, err := b.Admin().BeginMigration(ctx, []seal.Goal{{Name: "extra", Spec: seal.KMS{Wrapper: "b"}}}, seal.By{})
	must(t, err)
	must(t, v.gather(ctx, b, seal.By{Operation: op}))
	// a different plan under the same id is "joined"
	id, err := b.Admin().BeginMigration(ctx, []seal.Goal{{Name: "people", Spec: seal.Shamir{Shares: 1, Threshold: 1}}, {Name: "auto", Drop: true}}, seal.By{Operation: op})
	t.Logf("BeginMigration with other goals: id same=%v err=%v", id == op, err)
	_, done, err := b.Admin().Drop(ctx, []string{"auto"}, seal.By{Operation: op})
	if err == nil && done {
		t.Fatal("slot auto dropped on shares given for a migration that only adds \"extra\"")
	}
	t.Log(done, err)
}

// TestAttackReconcileSpins: keep the people, drop the only KMS slot.
func TestAttackReconcileSpins(t *testing.T) {
	ctx := t.Context()
	v := newVault(t, seal.NewMemStore())
	b := v.boot()
	slots := map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}
	must(t, v.initialize(ctx, b, slots))
	op0, _, err := b.Admin().Prove(ctx, "people", seal.By{})
	must(t, err)
	must(t, v.gather(ctx, b, seal.By{Operation: op0}))
	n := 0
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := migrate.Reconcile(ctx, b, migrate.Plan{Slots: map[string]seal.Spec{"people": slots["people"]}, Drop: []string{"auto"}},
		migrate.Options{Progress: func(m migrate.Move, done bool, err error) {
			if done {
				if n++; n > 50 {
					cancel()
				}
			}
		}})
	if n > 50 {
		t.Fatalf("Reconcile spins: %d drops 'made', none is: %v", n, err)
	}
	t.Logf("%+v %v", r.Waiting, err)
}

// TestAttackDropByTree: the people of a tree prove it in place of a dead key.
func TestAttackDropByTree(t *testing.T) {
	ctx := t.Context()
	v := newVault(t, seal.NewMemStore())
	b := v.boot()
	slots := map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"},
		"tree": seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}, seal.Shamir{Shares: 3, Threshold: 2}}}}
	must(t, v.initialize(ctx, b, slots))
	v.fake.Disable("a")
	op, done, err := b.Admin().Drop(ctx, []string{"auto"}, seal.By{})
	t.Log(op, done, err)
	for _, set := range v.held {
		for _, s := range set.Shares[:2] {
			_, err = b.Submit(ctx, s, seal.By{Operation: op})
			t.Log("submit:", err)
		}
	}
	if b.Status().Operation != nil {
		t.Fatalf("drop asked people, got their quorum, and is not done: %v", err)
	}
}

// TestAttackOldSharesEndProve: the old custodians of a slot meddle in the proof
// of the new ones.
func TestAttackOldSharesEndProve(t *testing.T) {
	ctx := t.Context()
	v := newVault(t, seal.NewMemStore())
	b := v.boot()
	people := seal.Shamir{Shares: 3, Threshold: 2}
	must(t, v.initialize(ctx, b, map[string]seal.Spec{"people": people}))
	var old seal.ShareSet
	for _, s := range v.held {
		old = s
	}
	d, err := b.Admin().Rekey(ctx, "people", people, seal.By{})
	must(t, err)
	op, _, err := b.Admin().Prove(ctx, "people", seal.By{})
	must(t, err)
	_, err = b.Submit(ctx, d.Sets[0].Shares[0], seal.By{Operation: op})
	must(t, err)
	for _, s := range old.Shares[:2] {
		_, err := b.Submit(ctx, s, seal.By{Operation: op})
		t.Log("old:", err)
	}
	_, err = b.Submit(ctx, d.Sets[0].Shares[1], seal.By{Operation: op})
	if err != nil {
		t.Fatalf("old shares ended the operation of the new ones: %v", err)
	}
}

// TestAttackSealUndone: an operator seals while Run asks a KMS.
func TestAttackSealUndone(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		v := newVault(t, seal.NewMemStore())
		b := v.boot()
		must(t, v.initialize(ctx, b, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}))
		b.Close()
		v.fake.Script(kmstest.Always(kmstest.Fault{Delay: 5 * time.Second}))
		b = v.boot()
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		time.Sleep(3 * time.Second) // Run waits for the KMS
		must(t, b.Seal(seal.By{Actor: "operator"}))
		time.Sleep(time.Minute)
		if !b.Status().Sealed {
			t.Error("Run undid the operator's Seal")
		}
		cancel()
		<-done
		b.Close()
	})
}

// TestAttackKMSHoldsTurn: a KMS that throttles for an hour keeps nobody out.
func TestAttackKMSHoldsTurn(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		v := newVault(t, seal.NewMemStore())
		b := v.boot()
		must(t, v.initialize(ctx, b, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}))
		b.Close()
		v.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Throttled, RetryAfter: time.Hour}))
		b, err := seal.Open(seal.Config{Store: v.inner, KMS: v.own()}) // default policy
		must(t, err)
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		time.Sleep(10 * time.Second)
		c, stop := context.WithTimeout(ctx, 30*time.Minute)
		defer stop()
		err = v.gather(c, b, seal.By{})
		if b.Status().Sealed {
			t.Errorf("people with good shares waited 30 minutes behind a throttling KMS: %v", err)
		}
		cancel()
		<-done
		b.Close()
	})
}

// TestAttackCloseLeavesWaiters: Close releases whoever waits.
func TestAttackCloseLeavesWaiters(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		v := newVault(t, seal.NewMemStore())
		b := v.boot()
		must(t, v.initialize(ctx, b, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}))
		b.Close()
		v.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Hang}))
		b, err := seal.Open(seal.Config{Store: v.inner, KMS: v.own()})
		must(t, err)
		start := time.Now()
		errs := make(chan error, 2)
		go func() { err := b.Unseal(ctx); errs <- err }()
		time.Sleep(time.Second)
		go func() { errs <- b.Admin().Refresh(ctx) }()
		time.Sleep(time.Second)
		b.Close()
		for range 2 {
			err := <-errs
			t.Logf("%v after Close: closed=%v", time.Since(start)-2*time.Second, errors.Is(err, seal.ErrClosed))
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("callers waited %v after Close", d)
		}
	})
}
func TestAttackRunLeaksWatch(t *testing.T) {
	virtual(t, func(t *testing.T) {
		v := newVault(t, seal.NewMemStore())
		b := v.boot()
		must(t, v.initialize(t.Context(), b, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}))
		done := make(chan error)
		ctx, cancel := context.WithCancel(context.Background())
		_ = cancel // a host that only calls Close
		go func() { done <- b.Run(ctx) }()
		time.Sleep(time.Minute)
		b.Close()
		t.Log(<-done)
	})
}

// TestAttackRestoreForged: the door for old records is none for forged ones.
func TestAttackRestoreForged(t *testing.T) {
	ctx := t.Context()
	rsa := &kmstest.Fake{Type: "rsa", Forgeable: true}
	l := locksmith{t, map[string]kms.Wrapper{"rsa": rsa.Key("rsa")}}
	store := seal.NewMemStore()
	maker := l.barrier(store, func(c *seal.Config) { c.TrustUnpinned = true })
	_, err := maker.Init(ctx, map[string]seal.Spec{"soft": seal.KMS{Wrapper: "rsa"}}, seal.By{})
	must(t, err)
	c := l.copyOf("store", store, maker, nil)
	b := l.barrier(store, func(cfg *seal.Config) { cfg.Pins = []string{fmt.Sprintf("%x", c.state.Slots[0].Fingerprint)} })
	err = b.Unseal(ctx)
	must(t, err)
	must(t, b.Rotate(ctx, seal.By{}))
	real := l.copyOf("rotated", store, b, nil)
	r := c.record(t)
	root := bytes.Repeat([]byte{0x66}, 32)
	base := record.Record{Format: 1, MinReader: 1, Store: r.Store, Generation: 2, Previous: make([]byte, 32), Root: 1, LastTerm: 1}
	n, _ := l.barrier(seal.NewMemStore(), nil).NewSlotFor(t, &base, "soft", seal.KMS{Wrapper: "rsa"}, root)
	base.LastSlot++
	f := record.FingerprintOf(n.Identity)
	base.Slots = []record.Slot{{ID: 1, Name: "soft", State: record.Active, Fingerprint: f[:12], Tree: n.Tree,
		PublicKey: n.PublicKey, Wrap: n.Wrap, Proven: &record.Proof{Root: 1, Generation: 1}}}
	forged, err := seal.SealRecord(record.State{Record: base, Secrets: record.Secrets{
		Terms:      []record.Term{{Number: 1, State: record.TermActive, Key: [32]byte{0x66}}},
		Identities: map[uint32][32]byte{1: n.Identity},
	}}, root)
	must(t, err)
	_, rev, _ := store.Load(ctx)
	_, err = store.Swap(ctx, forged, rev)
	must(t, err)
	if err = b.Admin().Restore(ctx, 2, seal.By{}); !errors.Is(err, seal.ErrNotKnown) {
		t.Errorf("a record that the process never saw: %v", err)
	}
	err = b.Admin().RestoreUnknown(ctx, fmt.Sprintf("%x", record.DigestOf(forged)), []string{fmt.Sprintf("%x", f[:12])}, seal.By{})
	after, _, _ := store.Load(ctx)
	t.Log(err)
	if rec, _, _, perr := record.Parse(after); perr == nil && rec.Generation > 2 {
		// what the forger reads with his own root key
		terms := seal.OpenWith(t, after, root)
		for _, tm := range terms {
			for _, have := range real.state.Terms {
				if tm.Key == have.Key {
					t.Errorf("the forger's root key now opens true data key %d; Restore err=%v", tm.Number, err)
				}
			}
		}
		t.Errorf("Restore believed the forged record (generation now %d, terms %d)", rec.Generation, len(terms))
	}
}

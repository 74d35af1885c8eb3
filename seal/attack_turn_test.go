package seal_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// A blink is a store that tells of each change once, and fails when it is asked.
type blink struct {
	*seal.MemStore
	fails atomic.Int64 // so many loads
}

func (s *blink) Load(ctx context.Context) ([]byte, string, error) {
	if s.fails.Add(-1) >= 0 {
		return nil, "", errors.New("no route to host")
	}
	return s.MemStore.Load(ctx)
}

// TestAttackChangeMissedByAnOutage: the store tells of a change once, and is away
// when it is asked for it. Nobody asked again: a sealed process tried the old
// record for ever, and one that runs wrote on under a term that others retired.
func TestAttackChangeMissedByAnOutage(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		fake := &kmstest.Fake{}
		store := seal.NewMemStore()
		open := func(replica string, s seal.Store) *seal.Barrier {
			b, err := seal.Open(seal.Config{Store: s, Replica: replica, Drill: -1, Retry: kms.Policy{Attempts: 1},
				KMS: map[string]kms.Wrapper{"a": fake.Key("a"), "b": fake.Key("b")}})
			must(t, err)
			return b
		}
		one := open("one", store)
		defer one.Close()
		_, err := one.Init(ctx, map[string]seal.Spec{"1": key("a")}, seal.By{})
		must(t, err)

		seen := &blink{MemStore: store}
		two := open("two", seen)
		defer two.Close()
		go two.Run(ctx)
		time.Sleep(10 * time.Second)
		seen.fails.Store(1)
		must(t, one.Rotate(ctx, seal.By{}))
		time.Sleep(5 * time.Minute)
		if s := two.Status(); s.Sealed || s.Generation != one.Status().Generation {
			t.Errorf("unsealed: at generation %d of %d", s.Generation, one.Status().Generation)
		}

		fake.Disable("a")
		seen = &blink{MemStore: store}
		three := open("three", seen)
		defer three.Close()
		go three.Run(ctx)
		time.Sleep(10 * time.Second)
		_, err = one.Admin().Add(ctx, "2", key("b"), seal.By{})
		must(t, err)
		time.Sleep(10 * time.Second)
		seen.fails.Store(1)
		_, _, err = one.Admin().Prove(ctx, "2", seal.By{})
		must(t, err)
		time.Sleep(10 * time.Minute)
		if s := three.Status(); s.Sealed {
			t.Errorf("sealed beside a slot that opens: %v", s.Reason)
		}
	})
}

// TestAttackPeopleWaitForTheKMSOfOneBehind: shares for a process that cannot follow
// were each taken only when its KMS had failed in every attempt.
func TestAttackPeopleWaitForTheKMSOfOneBehind(t *testing.T) {
	virtual(t, func(t *testing.T) {
		release := make(chan struct{})
		for _, refreshed := range []bool{false, true} {
			x, one := newBench(t, func(context.Context) error { <-release; return errors.New("at last") }, map[string]seal.Spec{"1": key("x"), "people": two})
			defer one.Close()
			behind := x.open("two")
			defer behind.Close()
			for _, s := range x.held["people"][:2] {
				_, err := behind.Submit(t.Context(), s, seal.By{})
				must(t, err)
			}
			x.foul.armed.Store(true)
			must(t, one.Admin().RotateRoot(t.Context(), seal.By{}))
			if refreshed {
				_ = behind.Admin().Refresh(t.Context())
			}
			for _, s := range x.held["people"][:2] {
				begun := time.Now()
				_, err := behind.Submit(t.Context(), s, seal.By{})
				must(t, err)
				if took := time.Since(begun); took >= enough {
					t.Errorf("behind %v: a share was taken after %v", refreshed, took)
				}
				begun = time.Now()
				_, _ = behind.Admin().CheckShare(t.Context(), s, seal.By{})
				if took := time.Since(begun); took >= enough {
					t.Errorf("behind %v: a share was checked after %v", refreshed, took)
				}
			}
			if s := behind.Status(); s.Behind != nil || s.Generation != one.Status().Generation {
				t.Errorf("behind: %v", s.Behind)
			}
		}
		close(release)
	})
}

// TestAttackSharesStayWhereTheyServeNothing: shares given to one that could not
// follow, or was sealed, when a KMS came to be faster, stayed in the memory of an
// unsealed process, and counted when it was next behind.
func TestAttackSharesStayWhereTheyServeNothing(t *testing.T) {
	t.Run("behind", func(t *testing.T) {
		ctx := t.Context()
		p := newPair(t, map[string]seal.Spec{"people": two, "auto": key("a")}, 0)
		p.fake.Disable("a")
		must(t, p.one.Admin().RotateRoot(ctx, seal.By{}))
		_, err := p.two.Submit(ctx, p.shares[0], seal.By{})
		must(t, err)
		if p.two.GatheredFor("") != 1 {
			t.Fatal("it is not behind")
		}
		p.fake.Enable("a")
		must(t, p.two.Admin().Refresh(ctx))
		if n := p.two.GatheredFor(""); n != 0 {
			t.Errorf("%d shares are kept", n)
		}
	})
	t.Run("sealed", func(t *testing.T) {
		virtual(t, func(t *testing.T) {
			ctx := t.Context()
			fake, store := &kmstest.Fake{}, &late{Store: seal.NewMemStore()}
			b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"a": fake.Key("a")}})
			must(t, err)
			defer b.Close()
			d, err := b.Init(ctx, map[string]seal.Spec{"people": two, "auto": key("a")}, seal.By{})
			must(t, err)
			must(t, b.Seal(seal.By{}))
			loads, submitted := 0, make(chan error, 1)
			store.loading = func() {
				if loads++; loads == 2 { // Unseal looks whether the record is still there
					go func() { _, err := b.Submit(ctx, d.Sets[0].Shares[0], seal.By{}); submitted <- err }()
					time.Sleep(time.Second)
				}
			}
			err = b.Unseal(ctx)
			must(t, err)
			if err := <-submitted; err != nil {
				t.Error(err)
			}
			if n := b.GatheredFor(""); n != 0 {
				t.Errorf("%d shares are kept", n)
			}
		})
	})
}

// TestAttackSealedReasonStays: an operator sealed, and an attempt that was still
// under way had the last word on why.
func TestAttackSealedReasonStays(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		release := make(chan struct{})
		x, b := newBench(t, func(context.Context) error { <-release; return errors.New("at last") }, map[string]seal.Spec{"1": key("x")})
		must(t, b.Close())
		x.foul.armed.Store(true)
		for range 8 { // Run begins at a random time
			b = x.open("two")
			go b.Run(ctx)
			go b.Unseal(ctx)
			time.Sleep(2100 * time.Millisecond)
			must(t, b.Seal(seal.By{}))
			time.Sleep(5 * time.Minute)
			if why := b.Status().Reason; why != seal.ErrSealedByOperator || !errors.Is(why, seal.ErrSealed) {
				t.Errorf("sealed by an operator, and it says: %v", why)
			}
			must(t, b.Close())
		}
		close(release)
	})
}

// TestAttackForkWhileTheKMSIsAsked: a process looked at a fork, took in the true
// record while a KMS was asked to open the fork, and then the fork after all.
func TestAttackForkWhileTheKMSIsAsked(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		before := v.stored(ctx)
		must(t, b.Admin().Refresh(ctx))

		half := *v
		half.inner = seal.NewMemStore()
		half.faulty.Inner = half.inner
		_, err := half.inner.Swap(ctx, before, "")
		must(t, err)
		other, err := seal.Open(seal.Config{Store: half.inner, KMS: v.own()})
		must(t, err)
		defer other.Close()
		must(t, v.unseal(ctx, other))
		must(t, other.Admin().RotateRoot(ctx, seal.By{}))
		must(t, other.Rotate(ctx, seal.By{}))
		fork := half.stored(ctx)

		replica, err := seal.Open(seal.Config{Store: v.inner, KMS: v.own()})
		must(t, err)
		defer replica.Close()
		must(t, v.unseal(ctx, replica))
		must(t, replica.Rotate(ctx, seal.By{}))
		truth := v.stored(ctx)
		ct, err := replica.Keyring().Encrypt(nil, []byte("true"), nil)
		must(t, err)

		store, loads := &late{Store: v.inner}, 0
		store.loading = func() {
			switch loads++; loads {
			case 2: // of another refresh, while the KMS opens the fork and its caller waits for the turn
				time.Sleep(10 * time.Second)
				v.put(ctx, truth)
			case 3:
				v.put(ctx, fork)
			}
		}
		b.SwapStore(store)
		v.put(ctx, fork)
		v.fake.Script(kmstest.Always(kmstest.Fault{Delay: 5 * time.Second}))
		ended := make(chan error, 1)
		go func() { ended <- b.Admin().Refresh(ctx) }()
		time.Sleep(time.Second)
		must(t, b.Admin().Refresh(ctx))
		if err := <-ended; !errors.Is(err, seal.ErrForked) {
			t.Errorf("a fork was taken in: %v", err)
		}
		if out, err := b.Keyring().Decrypt(nil, ct, nil); err != nil || string(out) != "true" {
			t.Errorf("what was written under the true record: %v", err)
		}
	})
}

// TestAttackRestoreLosesATerm: a term was stored between the moment when Restore
// looked what this process holds and the one when it loaded the backup.
func TestAttackRestoreLosesATerm(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		defer b.Close()
		backup, generation := v.stored(ctx), b.Status().Generation
		must(t, b.Rotate(ctx, seal.By{}))
		store := &late{Store: v.inner}
		restored, rotated := make(chan error, 1), make(chan error, 1)
		loads := 0
		store.loading = func() {
			switch loads++; loads {
			case 1: // of the rotation
				go func() { restored <- b.Admin().Restore(ctx, generation, seal.By{}) }()
				time.Sleep(time.Second)
			case 2: // of the restore
				select {
				case err := <-rotated:
					must(t, errors.Join(err, v.write(b)))
				case <-time.After(time.Second):
				}
				v.put(ctx, backup)
			}
		}
		b.SwapStore(store)
		go func() { rotated <- b.Rotate(ctx, seal.By{}) }()
		must(t, <-restored)
		if err := v.readable(b); err != nil {
			t.Errorf("what was written before the backup was put back: %v", err)
		}
		synctest.Wait()
	})
}

// TestAttackBehindIsNotWhatWas: a fetch that failed when the record had long been
// taken in another way said that the process cannot follow; a restore left it said;
// and each text of a KMS was an event.
func TestAttackBehindIsNotWhatWas(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		p := newPair(t, map[string]seal.Spec{"people": two, "auto": key("a")}, 0)
		defer p.one.Close()
		defer p.two.Close()
		p.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Denied, Delay: 5 * time.Second}))
		must(t, p.one.Admin().RotateRoot(ctx, seal.By{}))
		ended := make(chan error, 1)
		go func() { ended <- p.two.Admin().Refresh(ctx) }()
		time.Sleep(time.Second)
		for _, s := range p.shares[:2] {
			_, err := p.two.Submit(ctx, s, seal.By{})
			must(t, err)
		}
		<-ended
		if s := p.two.Status(); s.Behind != nil || s.Generation != p.one.Status().Generation {
			t.Errorf("at generation %d, behind: %v", s.Generation, s.Behind)
		}
	})
	ctx := t.Context()
	p := newPair(t, map[string]seal.Spec{"people": two, "auto": key("a")}, 0)
	p.fake.Disable("a")
	must(t, p.one.Admin().RotateRoot(ctx, seal.By{}))
	_ = p.two.Admin().Refresh(ctx)
	p.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Denied}))
	if _ = p.two.Admin().Refresh(ctx); p.behind != 1 || !errors.Is(p.two.Status().Behind, kms.ErrDenied) {
		t.Errorf("%d events of one that is behind: %v", p.behind, p.two.Status().Behind)
	}
	v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
	defer b.Close()
	backup, generation := v.stored(ctx), b.Status().Generation
	must(t, b.Rotate(ctx, seal.By{}))
	v.put(ctx, backup)
	if err := b.Admin().Refresh(ctx); !errors.Is(err, seal.ErrRolledBack) || b.Status().Behind == nil {
		t.Fatal(err)
	}
	must(t, b.Admin().Restore(ctx, generation, seal.By{}))
	if why := b.Status().Behind; why != nil {
		t.Errorf("restored, and behind: %v", why)
	}
}

// TestAttackOneUnsealIsOneEvent: where people and a KMS opened the record at once,
// an auditor read that each had unsealed the server.
func TestAttackOneUnsealIsOneEvent(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		fake, store, events := &kmstest.Fake{}, &late{Store: seal.NewMemStore()}, atomic.Int64{}
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"a": fake.Key("a")}, OnEvent: func(e seal.Event) {
			if e.Kind == seal.EventUnseal && e.Err == nil {
				events.Add(1)
			}
		}})
		must(t, err)
		defer b.Close()
		_, err = b.Init(ctx, map[string]seal.Spec{"auto": key("a")}, seal.By{})
		must(t, err)
		must(t, b.Seal(seal.By{}))
		events.Store(0)
		fake.Script(kmstest.Always(kmstest.Fault{Delay: 500 * time.Millisecond}))
		store.loading = func() { time.Sleep(time.Second) }
		ended := make(chan error, 2)
		for range 2 {
			go func() { err := b.Unseal(ctx); ended <- err }()
		}
		must(t, errors.Join(<-ended, <-ended))
		if n := events.Load(); n != 1 || b.Status().Sealed {
			t.Errorf("%d events of one unseal", n)
		}
	})
}

// TestAttackReasonNamesTheKMS, and not the end of whoever waited for it.
func TestAttackReasonNamesTheKMS(t *testing.T) {
	virtual(t, func(t *testing.T) {
		x, b := newBench(t, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, map[string]seal.Spec{"1": key("x")})
		must(t, b.Close())
		x.foul.armed.Store(true)
		b = x.open("two")
		defer b.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := b.Unseal(ctx)
		if err == nil || !strings.Contains(err.Error(), `KMS "x"`) || !strings.Contains(b.Status().Reason.Error(), `KMS "x"`) {
			t.Errorf("%v; %v", err, b.Status().Reason)
		}
	})
}

package seal_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// hosted is an unsealed Barrier, as a host has it, and its events.
func hosted(t *testing.T, change func(*seal.Config)) (*seal.Barrier, *eventList) {
	t.Helper()
	events := &eventList{}
	cfg := seal.Config{
		Store:   seal.NewMemStore(),
		KMS:     map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("k")},
		OnEvent: events.add,
	}
	if realTime() {
		cfg.Grace = 300 * time.Millisecond
	}
	if change != nil {
		change(&cfg)
	}
	b, err := seal.Open(cfg)
	must(t, err)
	t.Cleanup(func() { b.Close() })
	_, err = b.Init(t.Context(), map[string]seal.Spec{"auto": key("cloud")}, seal.By{})
	must(t, err)
	return b, events
}

// An eventList keeps events.
type eventList struct {
	mu   sync.Mutex
	list []seal.Event
}

func (l *eventList) add(e seal.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, e)
}

func (l *eventList) of(kind seal.EventKind) (list []seal.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.list {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// TestWhileEndsBeforeTheKeys: a Seal, or a Close, ends the context of what While
// runs, says from then on that the Barrier is sealed, and leaves the keyring its
// keys until the function has returned.
func TestWhileEndsBeforeTheKeys(t *testing.T) {
	for name, tt := range map[string]struct {
		end   func(*seal.Barrier) error
		cause error
		want  error // of While
	}{
		"Seal":  {func(b *seal.Barrier) error { return b.Seal(seal.By{Actor: "ada"}) }, seal.ErrSealed, context.Canceled},
		"Close": {(*seal.Barrier).Close, seal.ErrClosed, seal.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b, events := hosted(t, nil)
				started, ended := make(chan struct{}), make(chan error, 1)
				var wrote atomic.Bool
				go func() {
					ended <- b.While(ctx, func(ctx context.Context) error {
						close(started)
						<-ctx.Done()
						if got := context.Cause(ctx); !errors.Is(got, tt.cause) {
							t.Errorf("the cause: %v", got)
						}
						if err := b.Sealed(); !errors.Is(err, tt.cause) || !b.Status().Sealed {
							t.Errorf("meanwhile it says: %v", err)
						}
						if err := b.Rotate(context.WithoutCancel(ctx), seal.By{}); !errors.Is(err, tt.cause) {
							t.Errorf("a change was begun: %v", err)
						}
						time.Sleep(50 * time.Millisecond)
						ct, err := b.Keyring().Encrypt(nil, []byte("the last write"), nil)
						if err == nil {
							_, err = b.Keyring().Decrypt(nil, ct, nil)
						}
						if err != nil {
							t.Errorf("what it had begun: %v", err)
						}
						wrote.Store(true)
						return errors.New("the context has ended, so nobody asks")
					})
				}()
				<-started
				must(t, tt.end(b))
				if !wrote.Load() {
					t.Error("the keys went before it had returned")
				}
				if _, err := b.Keyring().Encrypt(nil, nil, nil); !errors.Is(err, seal.ErrSealed) {
					t.Errorf("afterwards: %v", err)
				}
				if tt.want == context.Canceled {
					cancel()
				}
				if err := <-ended; err != tt.want {
					t.Errorf("While returned %v", err)
				}
				if list := events.of(seal.EventOverrun); len(list) != 0 {
					t.Errorf("%+v", list)
				}
			})
		})
	}
}

// TestWhileRunsAgain: once for each unseal, also for one that comes while the
// function of the last is still returning, and where that returned early.
func TestWhileRunsAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b, _ := hosted(t, nil)
		var runs [3]atomic.Int64
		running := make(chan struct{}, 100)
		var whiles sync.WaitGroup
		for i, f := range []func(context.Context) error{
			func(context.Context) error { return nil }, // its work is soon done
			func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			func(ctx context.Context) error { <-ctx.Done(); return errors.New("http: Server closed") },
		} {
			whiles.Go(func() {
				err := b.While(ctx, func(ctx context.Context) error {
					runs[i].Add(1)
					running <- struct{}{}
					return f(ctx)
				})
				if err != context.Canceled {
					t.Errorf("function %d: %v", i, err)
				}
			})
		}
		const times = 5
		for range times {
			for range runs {
				<-running
			}
			must(t, b.Seal(seal.By{}))
			must(t, b.Unseal(ctx))
		}
		for range runs {
			<-running
		}
		if !realTime() {
			synctest.Wait()
		}
		for i := range runs {
			if n := runs[i].Load(); n != times+1 {
				t.Errorf("function %d ran %d times", i, n)
			}
		}
		cancel()
		whiles.Wait()
	})
}

// unsealed is for a call that also says how the Barrier is.
// TestWhileEnds has what ends a While, and what it returns then.
func TestWhileEnds(t *testing.T) {
	errOwn := errors.New("the port is taken")
	for name, tt := range map[string]struct {
		sealed bool
		first  func(b *seal.Barrier, cancel func())
		f      func(ctx context.Context, b *seal.Barrier, cancel func()) error
		want   error
		runs   int64
	}{
		"its own error":            {f: func(context.Context, *seal.Barrier, func()) error { return errOwn }, want: errOwn, runs: 1},
		"the context, before":      {first: func(_ *seal.Barrier, cancel func()) { cancel() }, want: context.Canceled},
		"closed, before":           {first: func(b *seal.Barrier, _ func()) { b.Close() }, want: seal.ErrClosed},
		"the context, while it is": {f: func(_ context.Context, _ *seal.Barrier, cancel func()) error { cancel(); return errOwn }, want: context.Canceled, runs: 1},
		"the context, done early": {f: func(_ context.Context, _ *seal.Barrier, cancel func()) error {
			time.AfterFunc(time.Millisecond, cancel)
			return nil
		}, want: context.Canceled, runs: 1},
		"the context, sealed": {sealed: true, first: func(_ *seal.Barrier, cancel func()) { time.AfterFunc(time.Millisecond, cancel) }, want: context.Canceled},
		"closed, sealed":      {sealed: true, first: func(b *seal.Barrier, _ func()) { time.AfterFunc(time.Millisecond, func() { b.Close() }) }, want: seal.ErrClosed},
		"closed, done early": {f: func(_ context.Context, b *seal.Barrier, _ func()) error {
			time.AfterFunc(time.Millisecond, func() { b.Close() })
			return nil
		}, want: seal.ErrClosed, runs: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b, _ := hosted(t, nil)
				if tt.sealed {
					must(t, b.Seal(seal.By{}))
				}
				if tt.first != nil {
					tt.first(b, cancel)
				}
				var runs atomic.Int64
				err := b.While(ctx, func(ctx context.Context) error {
					runs.Add(1)
					return tt.f(ctx, b, cancel)
				})
				if err != tt.want || runs.Load() != tt.runs {
					t.Errorf("%v after %d runs", err, runs.Load())
				}
			})
		})
	}
	b, _ := hosted(t, nil)
	if err := b.While(t.Context(), nil); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "seal: while: configuration: the function is nil") {
		t.Errorf("no function: %v", err)
	}
	if _, err := seal.Open(seal.Config{Store: seal.NewMemStore(), Grace: -1}); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), "Grace is negative") {
		t.Errorf("a negative grace: %v", err)
	}
}

// TestWhileOverrun: a function that does not return in time keeps nobody waiting
// for longer than the grace, once; the keys go, which is an event, and what it does
// afterwards finds the keyring sealed. So does one that seals the Barrier itself.
func TestWhileOverrun(t *testing.T) {
	const grace = 200 * time.Millisecond
	for name, own := range map[string]bool{"it does not look": false, "it seals by itself": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b, events := hosted(t, func(cfg *seal.Config) { cfg.Grace = grace })
				started, release, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
				go func() {
					ended <- b.While(ctx, func(context.Context) error {
						if own {
							must(t, b.Seal(seal.By{Actor: "ada"}))
						}
						close(started)
						<-release
						if _, err := b.Keyring().Encrypt(nil, nil, nil); !errors.Is(err, seal.ErrSealed) {
							t.Errorf("afterwards: %v", err)
						}
						return nil
					})
				}()
				begun := time.Now()
				<-started
				if !own {
					must(t, b.Seal(seal.By{Actor: "ada"}))
				}
				if took := time.Since(begun); took < grace || !realTime() && took != grace {
					t.Errorf("Seal took %v", took)
				}
				list := events.of(seal.EventOverrun)
				if len(list) != 1 || list[0].Actor != "ada" || !errors.Is(list[0].Err, seal.ErrSealed) ||
					!strings.Contains(list[0].Err.Error(), "with 1 of the functions that While runs still at work 200ms after") {
					t.Errorf("%+v", list)
				}
				begun = time.Now()
				b.Close() // nobody waits for it twice
				if took := time.Since(begun); !realTime() && took != 0 {
					t.Errorf("Close took %v", took)
				}
				close(release)
				if err := <-ended; err != seal.ErrClosed {
					t.Errorf("While returned %v", err)
				}
			})
		})
	}
}

// TestWhileUnsealDuringSeal: who asks to unseal while a Seal waits for what While
// runs gets it, when the Seal has ended, or leaves with their context; nothing is
// opened in between, under keys that are about to be wiped.
func TestWhileUnsealDuringSeal(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b, _ := hosted(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		started := make(chan struct{}, 10)
		go b.While(ctx, func(ctx context.Context) error {
			started <- struct{}{}
			<-ctx.Done()
			time.Sleep(5 * time.Second)
			return nil
		})
		<-started
		sealing := make(chan error, 1)
		begun := time.Now()
		go func() { sealing <- b.Seal(seal.By{}) }()
		synctest.Wait()

		short, stop := context.WithTimeout(ctx, time.Second)
		defer stop()
		if err := b.Unseal(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an impatient one: %v", err)
		}
		if _, err := b.Submit(short, seal.Share{}, seal.By{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an impatient one with a share: %v", err)
		}
		if err := b.UnsealAtOnce(ctx); !errors.Is(err, seal.ErrSealed) {
			t.Errorf("one who does not wait: %v", err)
		}
		must(t, b.Unseal(ctx))
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("unsealed after %v", took)
		}
		must(t, <-sealing)
		<-started
		if _, err := b.Keyring().Encrypt(nil, nil, nil); err != nil {
			t.Errorf("unsealed after the Seal: %v", err)
		}
	})
}

// TestWhilePanics: the panic is the caller's, and no Seal waits for the function.
func TestWhilePanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, events := hosted(t, nil)
		func() {
			defer func() {
				if v := recover(); v != "a bug" {
					t.Errorf("recovered %v", v)
				}
			}()
			b.While(t.Context(), func(context.Context) error { panic("a bug") })
		}()
		left := make(chan struct{})
		go func() {
			defer close(left)
			b.While(t.Context(), func(context.Context) error {
				runtime.Goexit()
				return nil
			})
		}()
		<-left
		begun := time.Now()
		must(t, b.Seal(seal.By{}))
		if took := time.Since(begun); !realTime() && took != 0 || len(events.of(seal.EventOverrun)) != 0 {
			t.Errorf("Seal took %v", took)
		}
	})
}

// TestSealPanics: what a host has the keyring call at a Seal panics, and the keys
// are gone all the same, and can come back.
func TestSealPanics(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b, _ := hosted(t, nil)
		bug := true
		b.Keyring().OnSeal(func() {
			if bug {
				panic("a bug")
			}
		})
		func() {
			defer func() {
				if v := recover(); v != "a bug" {
					t.Errorf("recovered %v", v)
				}
			}()
			b.Seal(seal.By{})
		}()
		bug = false
		if _, err := b.Keyring().Encrypt(nil, nil, nil); !errors.Is(err, seal.ErrSealed) || b.Sealed() == nil {
			t.Errorf("not sealed: %v", err)
		}
		must(t, b.Unseal(t.Context()))
		must(t, b.Seal(seal.By{}))
	})
}

// TestWhileIsNotDisturbed by rotations, of the data key and of the root key, by this
// process and by another, nor by a store that is away.
func TestWhileIsNotDisturbed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		store, fake := seal.NewMemStore(), &kmstest.Fake{}
		wrappers := map[string]kms.Wrapper{"cloud": fake.Key("k")}
		b, _ := hosted(t, func(cfg *seal.Config) { cfg.Store, cfg.KMS = store, wrappers })
		other, err := seal.Open(seal.Config{Store: store, KMS: wrappers})
		must(t, err)
		defer other.Close()
		must(t, other.Unseal(ctx))

		var runs atomic.Int64
		ended, started := make(chan error, 1), make(chan struct{})
		go func() {
			ended <- b.While(ctx, func(ctx context.Context) error {
				if runs.Add(1) == 1 {
					close(started)
				}
				<-ctx.Done()
				return nil
			})
		}()
		<-started
		must(t, b.Rotate(ctx, seal.By{}))
		must(t, other.Rotate(ctx, seal.By{}))
		must(t, b.Admin().Refresh(ctx))
		must(t, other.Admin().RotateRoot(ctx, seal.By{}))
		fake.Disable("k")
		if err := b.Admin().Refresh(ctx); !errors.Is(err, seal.ErrRootMoved) || b.Status().Behind == nil {
			t.Errorf("not behind: %v", err)
		}
		fake.Enable("k")
		must(t, b.Admin().Refresh(ctx))
		cancel()
		if err := <-ended; err != context.Canceled || runs.Load() != 1 {
			t.Errorf("%v after %d runs", err, runs.Load())
		}
	})
}

// TestWhileRaces: functions come and go while the Barrier is sealed and unsealed
// from several sides. None ever finds the keyring sealed before its context has
// ended, and none begins once sealing has.
func TestWhileRaces(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b, events := hosted(t, func(cfg *seal.Config) { cfg.Grace = time.Minute })
	var whiles, others sync.WaitGroup
	var runs atomic.Int64
	for range 4 {
		whiles.Go(func() {
			err := b.While(ctx, func(ctx context.Context) error {
				runs.Add(1)
				for i := range 50 {
					name := fmt.Append(nil, i)
					ct, err := b.Keyring().Encrypt(nil, name, nil)
					if err == nil {
						_, err = b.Keyring().Decrypt(nil, ct, nil)
					}
					if err != nil {
						t.Errorf("under the feet of what runs: %v", err)
					}
					if ctx.Err() != nil {
						return ctx.Err()
					}
				}
				return nil
			})
			if err != context.Canceled {
				t.Error(err)
			}
		})
	}
	rounds := 200
	if !testlevel.Whole() {
		rounds = 50
	}
	rounds = testlevel.Most(rounds, 15)
	for _, f := range []func() error{
		func() error { return b.Seal(seal.By{}) },
		func() error { err := b.Unseal(ctx); return err },
		func() error { err := b.Unseal(ctx); return err },
		func() error { return b.Rotate(ctx, seal.By{}) },
		func() error { return b.Admin().Refresh(ctx) },
	} {
		others.Go(func() {
			for range rounds {
				if err := f(); err != nil && !errors.Is(err, seal.ErrSealed) && !errors.Is(err, seal.ErrConflict) {
					t.Error(err)
				}
			}
		})
	}
	others.Wait()
	must(t, b.Unseal(ctx))
	if _, err := b.Keyring().Encrypt(nil, nil, nil); err != nil {
		t.Errorf("unsealed, and the keyring says: %v", err)
	}
	cancel()
	whiles.Wait()
	if runs.Load() == 0 || len(events.of(seal.EventOverrun)) != 0 {
		t.Errorf("%d runs, overran: %v", runs.Load(), events.of(seal.EventOverrun))
	}
}

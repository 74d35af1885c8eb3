package seal_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestTogether has everything at once on three replicas of one store: data
// encrypted and decrypted, data key and root key rotated, slots renewed and
// proven, servers sealed, unsealed by the KMS and by people, and looked at. It
// is for the race detector; and whatever was encrypted must decrypt.
func TestTogether(t *testing.T) {
	rounds := 60
	if !testlevel.Whole() {
		rounds = 15
	}
	rounds = testlevel.Most(rounds, 4)
	ctx, store, cloud := t.Context(), seal.NewMemStore(), &kmstest.Fake{}
	open := func() *seal.Barrier {
		b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"cloud": cloud.Key("k")}})
		must(t, err)
		t.Cleanup(func() { b.Close() })
		return b
	}
	replicas := []*seal.Barrier{open(), open(), open()}
	d, err := replicas[0].Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
	must(t, err)
	var group sync.WaitGroup
	var written, seals, refused atomic.Int64
	var mu sync.Mutex
	var values [][]byte
	// meant drops the errors that the others cause.
	meant := func(what string, err error) {
		for _, known := range []error{nil, seal.ErrSealed, keyring.ErrUnknownTerm, seal.ErrShareDuplicate, seal.ErrShareStale, seal.ErrConflict} {
			if errors.Is(err, known) {
				if err != nil {
					refused.Add(1)
				}
				return
			}
		}
		t.Errorf("%s: %v", what, err)
	}
	for _, b := range replicas {
		must(t, b.Unseal(ctx))
		for worker := range 2 {
			group.Go(func() {
				for i := range 50 * rounds {
					text := fmt.Sprintf("%d/%d", worker, i)
					sealed, err := b.Keyring().Encrypt(nil, []byte(text), nil)
					meant("encrypt", err)
					mu.Lock()
					if err == nil {
						values = append(values, sealed)
						written.Add(1)
					}
					var old []byte
					if len(values) > 0 {
						old = values[rand.IntN(len(values))]
					}
					mu.Unlock()
					if old != nil {
						meant("decrypt", second(b.Admin().Decrypt(ctx, nil, old, nil)))
					}
				}
			})
		}
		group.Go(func() {
			for i := range rounds {
				meant("rotate", b.Rotate(ctx, seal.By{}))
				meant("rotate root", b.Admin().RotateRoot(ctx, seal.By{}))
				if i%4 == 0 {
					meant("renew", b.Admin().Renew(ctx, "auto", seal.By{}))
					_, _, err := b.Admin().Prove(ctx, "auto", seal.By{})
					meant("prove", err)
				}
				meant("refresh", b.Admin().Refresh(ctx))
			}
		})
		group.Go(func() {
			for i := range rounds / 3 {
				must(t, b.Seal(seal.By{}))
				seals.Add(1)
				if i%2 == 0 {
					meant("unseal", b.Unseal(ctx))
				}
				for _, s := range d.Sets[0].Shares[:2] {
					meant("submit", second(b.Submit(ctx, s, seal.By{})))
				}
				meant("inspect", second(b.Admin().Inspect(ctx)))
				time.Sleep(5 * time.Millisecond) // for the others to get something done
			}
		})
	}
	group.Wait()
	fresh := open()
	must(t, fresh.Unseal(ctx))
	for _, sealed := range values {
		must(t, second(fresh.Keyring().Decrypt(nil, sealed, nil)))
	}
	proved(t, "GUARANTEE 26 barrier-together: replicas=%d written=%d decrypted=%d seals=%d terms=%d refused=%d generation=%d",
		len(replicas), written.Load(), len(values), seals.Load(), len(fresh.Status().Terms), refused.Load(), fresh.Status().Generation)
}

func second[T any](_ T, err error) error { return err }

// TestDayOfOutages lets store and KMS come and go for a day, each by itself,
// while three servers rotate their keys and one of them is restarted now and
// then. None that runs is ever sealed, all data stays readable, and a server
// that was restarted comes back when both can be reached.
func TestDayOfOutages(t *testing.T) {
	together(t)
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		v, b := scenario{begin: threeSlots}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
		b.Close()
		var seals atomic.Int64
		adjust := func(c *seal.Config) {
			c.OnEvent = func(e seal.Event) {
				if e.Kind == seal.EventSeal {
					seals.Add(1)
				}
			}
		}
		replicas, stop := v.fleet(ctx, 2, adjust)
		defer stop()
		restarted, end := v.fleet(ctx, 1, adjust)
		defer func() { end() }()
		r := rand.New(rand.NewPCG(7, 24))
		outages, rotations, refused, restarts, written, away := 0, 0, 0, 0, 0, 0
		storeUp, kmsUp := true, true
		hours := testlevel.Most(24, 4)
		for minute := range hours * 60 {
			time.Sleep(time.Minute)
			if r.IntN(20) == 0 {
				storeUp = !storeUp
				v.faulty.Outage(map[bool]error{false: errors.New("no route"), true: nil}[storeUp])
				outages++
			}
			if r.IntN(20) == 0 {
				kmsUp = !kmsUp
				failure := []kmstest.Failure{kmstest.NoDNS, kmstest.Throttled, kmstest.ServerError, kmstest.Hang}[r.IntN(4)]
				v.fake.Script(map[bool]func(kmstest.Call) kmstest.Fault{false: kmstest.Always(kmstest.Fault{Failure: failure}), true: nil}[kmsUp])
				outages++
			}
			if minute%97 == 96 {
				end()
				restarted, end = v.fleet(ctx, 1, adjust)
				restarts++
			}
			if minute%30 == 29 {
				err := replicas[r.IntN(2)].Rotate(ctx, seal.By{})
				if err == nil {
					rotations++
				} else if refused++; storeUp || !errors.Is(err, seal.ErrStoreUnavailable) {
					t.Errorf("rotate, with the store up %t: %v", storeUp, err)
				}
			}
			all := append(replicas[:2:2], restarted...)
			for _, b := range all {
				if b.Status().Sealed {
					if b != restarted[0] {
						t.Fatalf("minute %d: an outage sealed a server: %v", minute, b.Status().Reason)
					}
					away++
					continue
				}
				must(t, v.write(b))
				written++
			}
			if storeUp && len(v.acked) > 200 {
				time.Sleep(30 * time.Second) // they hear of each other's terms
				for _, b := range replicas {
					must(t, v.readable(b))
				}
				clear(v.acked)
			}
		}
		v.faulty.Outage(nil)
		v.fake.Script(nil)
		time.Sleep(15 * time.Minute) // the longest pause between two tries
		for _, b := range append(replicas, restarted...) {
			if b.Status().Sealed {
				t.Fatalf("still sealed: %v", b.Status().Reason)
			}
			must(t, v.readable(b))
		}
		testlevel.Counted(t, "GUARANTEE 7 day-of-outages: hours=%d replicas=3 outages=%d writes=%d rotations=%d refused_rotations=%d restarts=%d sealed_minutes_after_restart=%d seals=%d lost=0",
			hours, outages, written, rotations, refused, restarts, away, seals.Load())
		if seals.Load() != 0 {
			t.Error("sealed")
		}
	})
}

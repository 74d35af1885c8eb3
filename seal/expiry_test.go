package seal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// TestSharesExpire: shares that were given so far stayed in memory for the
// process's life. They go after ShareTTL, whoever looks: Run, the next share, a
// try to unseal, or Status.
func TestSharesExpire(t *testing.T) {
	together(t)
	const poll = 20 * time.Minute // a thousand hours of ten seconds are as many looks
	for name, tt := range map[string]struct {
		ttl   time.Duration
		stays time.Duration // and an hour later they are gone; negative: never
	}{
		"by default":  {0, 23 * time.Hour},
		"as the host": {2 * time.Hour, time.Hour},
		"never":       {-1, -1},
	} {
		for _, look := range []string{"Run", "Submit", "Unseal", "Status"} {
			if testing.Short() && name != "as the host" && look != "Status" {
				continue
			}
			t.Run(name+"/"+look, func(t *testing.T) {
				virtual(t, func(t *testing.T) {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					var wiped atomic.Int64
					store := seal.NewMemStore()
					open := func() *seal.Barrier {
						b, err := seal.Open(seal.Config{Store: store, ShareTTL: tt.ttl, Poll: poll, OnEvent: func(e seal.Event) {
							if e.Kind == seal.EventExpire {
								wiped.Add(1)
							}
						}})
						must(t, err)
						return b
					}
					b := open()
					defer b.Close()
					d, err := b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
					must(t, err)
					shares := d.Sets[0].Shares
					if look == "Run" {
						go b.Run(ctx)
					}
					begun := time.Now()
					_, err = b.Submit(ctx, shares[0], seal.By{})
					must(t, err)
					if tt.stays < 0 {
						time.Sleep(100 * time.Hour)
						if p := b.Status().Progress; len(p) != 1 || p[0].Given != 1 || !p[0].Expires.IsZero() || wiped.Load() != 0 {
							t.Errorf("after 100 hours: %+v, %d events", p, wiped.Load())
						}
						_, err = b.Submit(ctx, shares[1], seal.By{})
						must(t, err)
						must(t, b.Sealed())
						return
					}
					time.Sleep(tt.stays)
					if p := b.Status().Progress; len(p) != 1 || p[0].Given != 1 || !p[0].Expires.Equal(begun.Add(tt.stays+time.Hour)) {
						t.Errorf("after %v: %+v", tt.stays, p)
					}
					time.Sleep(time.Hour + poll + time.Minute) // Run looks every Poll
					switch look {
					case "Run":
						if wiped.Load() != 1 {
							t.Errorf("nobody looked but Run, and %d events", wiped.Load())
						}
					case "Submit":
						done, err := b.Submit(ctx, shares[1], seal.By{})
						if s := b.Status(); err != nil || done || s.Progress[0].Given != 1 {
							t.Errorf("the next share: %+v, %v", s, err)
						}
						must(t, b.Seal(seal.By{}))
					case "Unseal":
						if err := b.Unseal(ctx); !errors.Is(err, seal.ErrSealed) || !strings.Contains(err.Error(), "0 of 2 shares given") {
							t.Errorf("%v", err)
						}
					}
					s := b.Status()
					if len(s.Progress) != 0 || wiped.Load() != 1 || !errors.Is(s.Reason, seal.ErrSealed) {
						t.Errorf("%+v, %d events", s, wiped.Load())
					}
					if look == "Status" && !strings.Contains(s.Reason.Error(), "are forgotten: give them again") {
						t.Errorf("reason: %v", s.Reason)
					}
					for _, share := range shares[:2] { // no duplicate: it is given again
						_, err = b.Submit(ctx, share, seal.By{})
						must(t, err)
					}
					must(t, b.Sealed())
				})
			})
		}
	}
}

// TestSharesOfAnOperationExpire: also those that a running server gathers.
func TestSharesOfAnOperationExpire(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		wiped := ""
		b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), ShareTTL: time.Hour, OnEvent: func(e seal.Event) {
			if e.Kind == seal.EventExpire {
				wiped += fmt.Sprint(e.Operation, ": ", e.Detail)
			}
		}})
		must(t, err)
		defer b.Close()
		d, err := b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
		must(t, err)
		shares := d.Sets[0].Shares
		for _, s := range shares[:2] {
			_, err = b.Submit(ctx, s, seal.By{})
			must(t, err)
		}
		op, _, err := b.Admin().Prove(ctx, "people", seal.By{})
		must(t, err)
		by := seal.By{Operation: op}
		_, err = b.Submit(ctx, shares[0], by)
		must(t, err)
		if p := b.Status().Operation.Progress; len(p) != 1 || p[0].Given != 1 || !p[0].Expires.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("%+v", p)
		}
		time.Sleep(time.Hour)
		done, err := b.Submit(ctx, shares[1], by)
		must(t, err)
		if s := b.Status(); done || s.Operation == nil || len(s.Operation.Progress) != 1 || s.Operation.Progress[0].Given != 1 {
			t.Errorf("half of a quorum of an hour ago was a proof: %+v", s.Operation)
		}
		if want := string(op) + ": 1 shares that were given more than 1h0m0s ago were wiped"; wiped != want {
			t.Errorf("events %q, want %q", wiped, want)
		}
		done, err = b.Submit(ctx, shares[0], by)
		must(t, err)
		if s := b.Status(); !done || s.Operation != nil {
			t.Errorf("%+v", s.Operation)
		}
	})
}

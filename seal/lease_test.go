package seal_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// leaseReplicas are two unsealed replicas that a key opens, and what the events of
// both say of leases.
func leaseReplicas(t *testing.T, propagation time.Duration) (one, two *seal.Barrier, events *[]string) {
	store, fake := seal.NewMemStore(), &kmstest.Fake{}
	events = new([]string)
	open := func(replica string) *seal.Barrier {
		b, err := seal.Open(seal.Config{
			Store: store, Replica: replica, Propagation: propagation, Poll: time.Minute, Drill: -1,
			KMS: map[string]kms.Wrapper{"a": fake.Key("a")},
			OnEvent: func(e seal.Event) {
				if e.Kind != seal.EventLease {
					return
				}
				text := e.Replica + " " + e.Actor + ": " + e.Detail
				if e.Err != nil {
					text += ": " + e.Err.Error()
				}
				*events = append(*events, text)
			},
		})
		must(t, err)
		t.Cleanup(func() { b.Close() })
		return b
	}
	one, two = open("one"), open("two")
	_, err := one.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}, seal.By{})
	must(t, err)
	if err := two.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	return one, two, events
}

func TestLease(t *testing.T) {
	one, two, events := leaseReplicas(t, time.Minute)
	ctx, by := t.Context(), seal.By{Actor: "keeper"}
	l, err := one.Admin().TakeLease(ctx, time.Minute, nil, by)
	must(t, err)
	s := one.Status().Lease
	if s == nil || s.ID != l.ID() || s.Replica != "one" || s.Every != time.Minute || s.Beat != one.Status().Generation || !s.Ours || time.Since(s.Taken) > time.Hour {
		t.Fatalf("%+v", s)
	}
	if _, err := two.Admin().TakeLease(ctx, time.Minute, nil, by); !errors.Is(err, seal.ErrLeased) || err.Error() != `seal: take the lease: the lease is another replica's: replica "one" has it` {
		t.Errorf("by another: %v", err)
	}
	must(t, two.Admin().Refresh(ctx))
	seen := two.Status().Lease
	if seen == nil || seen.Ours || seen.ID != l.ID() {
		t.Fatalf("%+v", seen)
	}
	must(t, l.Keep(ctx))
	if _, err := two.Admin().TakeLease(ctx, time.Minute, seen, by); !errors.Is(err, seal.ErrLeased) {
		t.Errorf("taken over as it was before a sign of life: %v", err)
	}
	must(t, two.Admin().Refresh(ctx))
	over, err := two.Admin().TakeLease(ctx, time.Minute, two.Status().Lease, by)
	must(t, err)
	for what, err := range map[string]error{"keep": l.Keep(ctx), "end": l.End(ctx, "", nil)} {
		if !errors.Is(err, seal.ErrLeased) || !strings.HasSuffix(err.Error(), `replica "two" has it`) {
			t.Errorf("%s by who had it: %v", what, err)
		}
	}
	must(t, over.End(ctx, "12 items", errors.New("3 items are left")))
	if _, err := one.Admin().TakeLease(ctx, time.Minute, nil, by); !errors.Is(err, seal.ErrLeased) || err.Error() != "seal: take the lease: the lease is another replica's, or was: the record has changed, look again" {
		t.Errorf("taken by one that has not seen that another one had it: %v", err)
	}
	if one, two := one.Status().Lease, two.Status().Lease; two != nil {
		t.Errorf("after its end: %+v, %+v", one, two)
	}
	for i, want := range []string{
		`one keeper: taken`,
		`two keeper: taken: seal: the lease is another replica's: replica "one" has it`,
		`two keeper: taken over from replica "one", which gave no sign of life: seal: the lease is another replica's: replica "one" has it`,
		`two keeper: taken over from replica "one", which gave no sign of life`,
		`one keeper: `, `one keeper: ended: `, // in either order
		"two keeper: ended: 12 items: 3 items are left",
	} {
		if i >= len(*events) || i != 4 && i != 5 && (*events)[i] != want {
			t.Errorf("event %d of %q, want %q", i, *events, want)
		}
	}
}

// Signs of life are given beside the work, by another goroutine, and change nothing
// of whose work it is.
func TestLeaseAtOnce(t *testing.T) {
	virtual(t, func(t *testing.T) {
		one, _, events := leaseReplicas(t, 0)
		ctx := t.Context()
		for range 10 {
			must(t, one.Rotate(ctx, seal.By{}))
		}
		l, err := one.Admin().TakeLease(ctx, time.Minute, nil, seal.By{Actor: "the keeper of π"})
		must(t, err)
		time.Sleep(time.Hour)
		var beats sync.WaitGroup
		beats.Go(func() {
			for range 10 {
				if err := l.Keep(ctx); err != nil {
					t.Error(err)
				}
			}
		})
		for term := range uint32(10) {
			if err := l.Retire(ctx, 1+term); err != nil {
				t.Error(err)
			}
		}
		beats.Wait()
		must(t, l.End(ctx, "ten terms", nil))
		if last := (*events)[len(*events)-1]; last != "one the keeper of %CF%80: ended: ten terms" {
			t.Error(last)
		}
	})
}

func TestLeaseRefused(t *testing.T) {
	one, _, _ := leaseReplicas(t, 0)
	ctx := t.Context()
	for _, every := range []time.Duration{0, time.Millisecond, 25 * time.Hour} {
		if l, err := one.Admin().TakeLease(ctx, every, nil, seal.By{}); !errors.Is(err, seal.ErrConfig) || l != nil {
			t.Errorf("a sign of life every %v: %v", every, err)
		}
	}
	if _, err := one.Admin().TakeLease(ctx, time.Minute, nil, seal.By{Operation: seal.OperationID(strings.Repeat("a", 100))}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("a long operation: %v", err)
	}
	must(t, one.Seal(seal.By{}))
	if _, err := one.Admin().TakeLease(ctx, time.Minute, nil, seal.By{}); !errors.Is(err, seal.ErrSealed) {
		t.Errorf("sealed: %v", err)
	}
	if _, err := one.Admin().Settling(); !errors.Is(err, seal.ErrSealed) {
		t.Errorf("sealed: %v", err)
	}
	if _, err := one.Admin().Usage(); !errors.Is(err, seal.ErrSealed) {
		t.Errorf("sealed: %v", err)
	}
}

// A term is retired under the lease that the data was counted under, twice as long
// after the rotation as any replica needs to see it.
func TestRetireUnderALease(t *testing.T) {
	virtual(t, func(t *testing.T) {
		one, two, _ := leaseReplicas(t, time.Minute)
		ctx := t.Context()
		must(t, one.Rotate(ctx, seal.By{}))
		time.Sleep(time.Minute)
		must(t, one.Admin().Activate(ctx, 2, seal.By{}))
		l, err := one.Admin().TakeLease(ctx, time.Minute, nil, seal.By{})
		must(t, err)
		if left, err := one.Admin().Settling(); err != nil || left != 4*time.Minute {
			t.Errorf("%v, %v", left, err)
		}
		for _, d := range []time.Duration{0, 2 * time.Minute, 2*time.Minute - time.Second} {
			time.Sleep(d)
			if err := l.Retire(ctx, 1); !errors.Is(err, seal.ErrPropagating) {
				t.Errorf("after %v more: %v", d, err)
			}
		}
		time.Sleep(time.Second)
		must(t, two.Admin().Refresh(ctx))
		_, err = two.Admin().TakeLease(ctx, time.Minute, two.Status().Lease, seal.By{})
		must(t, err)
		if err := l.Retire(ctx, 1); !errors.Is(err, seal.ErrLeased) || len(one.Status().Terms) != 2 {
			t.Errorf("by who had it: %v", err)
		}
		must(t, one.Admin().Refresh(ctx))
		l, err = one.Admin().TakeLease(ctx, time.Minute, one.Status().Lease, seal.By{})
		must(t, err)
		if err := l.Retire(ctx, 2); !errors.Is(err, seal.ErrTermInUse) {
			t.Errorf("the active term: %v", err)
		}
		must(t, l.Retire(ctx, 1))
		if terms := one.Status().Terms; len(terms) != 1 {
			t.Errorf("%+v", terms)
		}
	})
}

// Of replicas that find a rotation due at the same time, one makes it.
func TestRotateFrom(t *testing.T) {
	one, two, _ := leaseReplicas(t, time.Minute)
	ctx := t.Context()
	if rotated, err := one.Admin().RotateFrom(ctx, 1, seal.By{}); !rotated || err != nil {
		t.Errorf("%v, %v", rotated, err)
	}
	if rotated, err := two.Admin().RotateFrom(ctx, 1, seal.By{}); rotated || err != nil {
		t.Errorf("again: %v, %v", rotated, err)
	}
	if terms := two.Status().Terms; len(terms) > 2 {
		t.Errorf("%+v", terms)
	}
	must(t, two.Seal(seal.By{}))
	if rotated, err := two.Admin().RotateFrom(ctx, 2, seal.By{}); rotated || !errors.Is(err, seal.ErrSealed) {
		t.Errorf("sealed: %v, %v", rotated, err)
	}
}

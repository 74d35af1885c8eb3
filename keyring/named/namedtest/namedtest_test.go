package namedtest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
)

func TestMemStore(t *testing.T) {
	Run(t, func(*testing.T) named.Store { return named.NewMemStore() })
}

// A recorder keeps what a check says about a store, instead of failing.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Error(...any)          { r.failed = true }
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Fatal(...any)          { r.failed = true; panic(r) }
func (r *recorder) Fatalf(string, ...any) { r.failed = true; panic(r) }

// catches reports whether a check fails.
func catches(c check, s named.Store) (failed bool) {
	r := new(recorder)
	defer func() {
		if p := recover(); p != nil && p != r {
			panic(p)
		}
		failed = r.failed
	}()
	c.run(r, s)
	return r.failed
}

// A faulty store does something that real ones did.
type faulty struct {
	named.Store
	swap func(s named.Store, ctx context.Context, name string, doc []byte, rev string) (string, error)
	load func(s named.Store, ctx context.Context, name string) ([]byte, string, error)
	list func(s named.Store, ctx context.Context, after string, limit int) ([]string, error)
}

func (f faulty) Swap(ctx context.Context, name string, doc []byte, rev string) (string, error) {
	if f.swap != nil {
		return f.swap(f.Store, ctx, name, doc, rev)
	}
	return f.Store.Swap(ctx, name, doc, rev)
}

func (f faulty) Load(ctx context.Context, name string) ([]byte, string, error) {
	if f.load != nil {
		return f.load(f.Store, ctx, name)
	}
	return f.Store.Load(ctx, name)
}

func (f faulty) List(ctx context.Context, after string, limit int) ([]string, error) {
	if f.list != nil {
		return f.list(f.Store, ctx, after, limit)
	}
	return f.Store.List(ctx, after, limit)
}

// Each planted fault is caught by some check.
func TestPlanted(t *testing.T) {
	for name, f := range map[string]faulty{
		"puts blindly": {swap: func(s named.Store, ctx context.Context, name string, doc []byte, _ string) (string, error) {
			_, rev, _ := s.Load(ctx, name)
			return s.Swap(ctx, name, doc, rev)
		}},
		"counts revisions from 1 again": {
			swap: func(s named.Store, ctx context.Context, name string, doc []byte, rev string) (string, error) {
				old, real, _ := s.Load(ctx, name)
				want := ""
				if real != "" {
					want = fmt.Sprint(old[0])
				}
				if rev != want {
					return "", named.ErrConflict
				}
				if doc != nil {
					n := byte(1)
					if real != "" {
						n = old[0] + 1
					}
					doc = append([]byte{n}, doc...)
				}
				next, err := s.Swap(ctx, name, doc, real)
				if next != "" {
					next = fmt.Sprint(doc[0])
				}
				return next, err
			},
			load: func(s named.Store, ctx context.Context, name string) ([]byte, string, error) {
				doc, _, err := s.Load(ctx, name)
				if err != nil {
					return nil, "", err
				}
				return doc[1:], fmt.Sprint(doc[0]), nil
			},
		},
		"lists in another order": {list: func(s named.Store, ctx context.Context, after string, limit int) ([]string, error) {
			names, err := s.List(ctx, after, limit)
			slices.Reverse(names)
			return names, err
		}},
		"lists more than asked for": {list: func(s named.Store, ctx context.Context, after string, _ int) ([]string, error) {
			return s.List(ctx, after, 1000)
		}},
		"takes an outage for an absence": {load: func(s named.Store, ctx context.Context, name string) ([]byte, string, error) {
			doc, rev, err := s.Load(ctx, name)
			if err != nil {
				err = named.ErrNotFound
			}
			return doc, rev, err
		}},
		"does not remove": {swap: func(s named.Store, ctx context.Context, name string, doc []byte, rev string) (string, error) {
			if doc == nil {
				doc = []byte{}
			}
			return s.Swap(ctx, name, doc, rev)
		}},
	} {
		var caught []string
		for _, c := range checks {
			f.Store = named.NewMemStore()
			if catches(c, f) {
				caught = append(caught, c.name)
			}
		}
		if len(caught) == 0 {
			t.Errorf("a store that %s passes", name)
		}
		t.Logf("a store that %s: %v", name, caught)
	}
}

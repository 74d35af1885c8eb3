package kmstest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// options lets the suite play the administrator of a Fake.
func options(f *kmstest.Fake) kmstest.Options {
	opts := kmstest.Options{
		Unbound:   f.Forgeable,
		Forgeable: f.Forgeable,
		Rotate:    func(_ *testing.T, key string) { f.Rotate(key) },
		Stall: func(t *testing.T, arrived func()) {
			f.Script(func(kmstest.Call) kmstest.Fault {
				arrived()
				return kmstest.Fault{Failure: kmstest.Hang}
			})
			t.Cleanup(func() { f.Script(nil) })
		},
	}
	for _, failure := range kmstest.Failures() {
		if failure == kmstest.Hang || failure.Kind() == nil {
			continue
		}
		c := kmstest.FaultCase{Name: string(failure), Want: failure.Kind(), Inject: func(t *testing.T) {
			f.Script(kmstest.Always(kmstest.Fault{Failure: failure, RetryAfter: 3 * time.Second}))
			t.Cleanup(func() { f.Script(nil) })
		}}
		if kms.Temporary(c.Want) {
			c.RetryAfter = 3 * time.Second
		}
		opts.Faults = append(opts.Faults, c)
	}
	return opts
}

func open(f *kmstest.Fake) func(*testing.T, string) kms.Wrapper {
	return func(_ *testing.T, key string) kms.Wrapper { return f.Key(key) }
}

func TestFakeConforms(t *testing.T) {
	for name, f := range map[string]*kmstest.Fake{
		"zero":      {},
		"forgeable": {Type: "rsa", Forgeable: true, DisabledWraps: true},
	} {
		t.Run(name, func(t *testing.T) {
			kmstest.Conformance(t, open(f), options(f))
		})
	}
}

// TestConformanceCatches plants a fault in a provider and looks for it with the
// suite. Every check must have a fault that it catches.
func TestConformanceCatches(t *testing.T) {
	caught := make(map[string]int)
	for name, m := range mutants() {
		t.Run(name, func(t *testing.T) {
			if err := found(t, m.caughtBy, m.plant); err == nil {
				t.Errorf("%q did not catch it", m.caughtBy)
			} else {
				t.Log(err)
				caught[m.caughtBy]++
			}
		})
	}
	total := 0
	for _, name := range kmstest.CheckNames() {
		if caught[name] == 0 {
			t.Errorf("%q caught nothing", name)
		}
		total += caught[name]
		if name == "faults" {
			continue // TestFakeConforms runs it on a right provider
		}
		if err := found(t, name, func(k *kmstest.Key) kms.Wrapper { return k }); err != nil {
			t.Errorf("%q finds a fault where none is planted: %v", name, err)
		}
	}
	t.Logf("GUARANTEE 24 kms-conformance: planted=%d caught=%d", len(mutants()), total)
}

// found runs one check on a Fake whose keys suffer a planted fault. It runs in a
// bubble, where a call that hangs costs no time.
func found(t *testing.T, check string, plant func(*kmstest.Key) kms.Wrapper) (err error) {
	run := func(t *testing.T) {
		f := &kmstest.Fake{Latency: time.Microsecond}
		err = kmstest.Check(t, check, func(_ *testing.T, key string) kms.Wrapper { return plant(f.Key(key)) }, options(f))
	}
	if check == "faults" { // it has subtests, which a bubble cannot have
		run(t)
	} else {
		synctest.Test(t, func(t *testing.T) {
			run(t)
			time.Sleep(2 * time.Hour) // lets calls end that did not watch their context
		})
	}
	return err
}

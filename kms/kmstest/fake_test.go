package kmstest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

var (
	secret  = bytes.Repeat([]byte{7}, 32)
	binding = kms.Binding{Store: "s", Slot: "cloud"}
)

// wrap wraps the secret, which must succeed.
func wrap(t *testing.T, w kms.Wrapper) *kms.Blob {
	t.Helper()
	blob, err := w.Wrap(t.Context(), secret, binding)
	if err != nil {
		t.Fatalf("Wrap: %v", err)
	}
	return blob
}

// check unwraps, which must succeed, or fail with kind and words.
func check(t *testing.T, w kms.Wrapper, blob *kms.Blob, kind error, words string) {
	t.Helper()
	key, err := w.Unwrap(t.Context(), blob, binding)
	switch {
	case kind == nil && err != nil:
		t.Errorf("Unwrap: %v", err)
	case kind == nil && !bytes.Equal(key, secret):
		t.Errorf("Unwrap: a wrong key")
	case kind != nil && (!errors.Is(err, kind) || !strings.Contains(err.Error(), words)):
		t.Errorf("Unwrap: %v, want %v with %q", err, kind, words)
	}
}

// TestAdministration takes a key through what an administrator does to it.
func TestAdministration(t *testing.T) {
	for name, test := range map[string]struct {
		do    func(f *kmstest.Fake)
		kind  error
		words string
	}{
		"rotate":                 {do: func(f *kmstest.Fake) { f.Rotate("k") }},
		"disable":                {func(f *kmstest.Fake) { f.Disable("k") }, kms.ErrKeyDisabled, `fake key "k"`},
		"enable again":           {do: func(f *kmstest.Fake) { f.Disable("k"); f.Enable("k") }},
		"schedule deletion":      {func(f *kmstest.Fake) { f.ScheduleDeletion("k", time.Now()) }, kms.ErrKeyGone, "waits for its deletion"},
		"cancel deletion":        {do: func(f *kmstest.Fake) { f.ScheduleDeletion("k", time.Now()); f.Enable("k") }},
		"destroy its version":    {func(f *kmstest.Fake) { f.Destroy("k", "1") }, kms.ErrKeyGone, `version "1" is destroyed`},
		"destroy all versions":   {func(f *kmstest.Fake) { f.Rotate("k"); f.Destroy("k", "") }, kms.ErrKeyGone, `version "1" is destroyed`},
		"destroy a later one":    {do: func(f *kmstest.Fake) { f.Rotate("k"); f.Destroy("k", "2") }},
		"destroy what is not":    {do: func(f *kmstest.Fake) { f.Destroy("k", "7") }},
		"recreate":               {func(f *kmstest.Fake) { f.Recreate("k") }, kms.ErrWrongKey, "cannot decrypt"},
		"an alias for the key":   {do: func(f *kmstest.Fake) { f.Alias("other name", "k") }},
		"make its name an alias": {func(f *kmstest.Fake) { f.Alias("k", "other") }, kms.ErrWrongKey, `the blob is of key "k"`},
	} {
		t.Run(name, func(t *testing.T) {
			var f kmstest.Fake
			w := f.Key("k")
			blob := wrap(t, w)
			test.do(&f)
			check(t, w, blob, test.kind, test.words)
		})
	}
}

func TestAliasMoves(t *testing.T) {
	var f kmstest.Fake
	f.Alias("prod", "one")
	w := f.Key("prod")
	blob := wrap(t, w)
	if blob.KeyID != "one" {
		t.Errorf("KeyID is %q, want the key behind the alias", blob.KeyID)
	}
	check(t, f.Key("one"), blob, nil, "")
	f.Alias("prod", "two")
	check(t, w, blob, kms.ErrWrongKey, `the blob is of key "one"`)
	f.Alias("prod", "one")
	check(t, w, blob, nil, "")
}

func TestDisabledWraps(t *testing.T) {
	for _, lax := range []bool{false, true} {
		f := &kmstest.Fake{DisabledWraps: lax}
		w := f.Key("k")
		blob := wrap(t, w)
		f.Disable("k")
		if _, err := w.Wrap(t.Context(), secret, binding); lax != (err == nil) || !lax && !errors.Is(err, kms.ErrKeyDisabled) {
			t.Errorf("DisabledWraps %v: Wrap: %v", lax, err)
		}
		check(t, w, blob, kms.ErrKeyDisabled, "enable it")
	}
}

func TestProbe(t *testing.T) {
	var f kmstest.Fake
	w, at := f.Key("k"), time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	probe := func(want kms.Health) {
		t.Helper()
		got, err := w.Probe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Probe (-want +got):\n%s", diff)
		}
	}
	probe(kms.Health{KeyID: "k", Version: "1", Enabled: true})
	f.Rotate("k")
	probe(kms.Health{KeyID: "k", Version: "2", Enabled: true})
	f.Disable("k")
	probe(kms.Health{KeyID: "k", Version: "2"})
	f.ScheduleDeletion("k", at)
	probe(kms.Health{KeyID: "k", Version: "2", Deletion: at})
	f.Enable("k")
	blob := wrap(t, w)
	ahead, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	f.Expire("k", ahead)
	probe(kms.Health{KeyID: "k", Version: "2", Enabled: true, Expires: ahead})
	f.Expire("k", past)
	probe(kms.Health{KeyID: "k", Version: "2", Expires: past})
	if _, err := w.Wrap(t.Context(), secret, binding); !errors.Is(err, kms.ErrKeyDisabled) {
		t.Errorf("Wrap with an expired key: %v", err)
	}
	if _, err := w.Unwrap(t.Context(), blob, binding); err != nil {
		t.Errorf("Unwrap with an expired key: %v", err)
	}
	f.Expire("k", time.Time{})
	f.Destroy("k", "")
	if _, err := w.Probe(t.Context()); !errors.Is(err, kms.ErrKeyGone) {
		t.Errorf("Probe of a destroyed key: %v", err)
	}
}

// TestFailures lets every call suffer every failure, before and after the work.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults, wrong := 0, 0
		for _, failure := range kmstest.Failures() {
			for _, op := range []string{kmstest.OpWrap, kmstest.OpUnwrap, kmstest.OpProbe} {
				for _, after := range []bool{false, true} {
					faults++
					name := fmt.Sprintf("%s of %s, after=%v", failure, op, after)
					if err := suffer(t, failure, op, after); err != nil {
						wrong++
						t.Errorf("%s: %v", name, err)
					}
				}
			}
		}
		t.Logf("GUARANTEE 24 kms-errors: faults=%d wrong=%d", faults, wrong)
	})
}

// harmless are the failures that leave some calls alone.
var harmless = map[string][]kmstest.Failure{
	kmstest.OpWrap: {kmstest.Recreated, kmstest.AliasMoved},
	kmstest.OpProbe: {
		kmstest.Recreated, kmstest.AliasMoved, kmstest.Truncated, kmstest.Extended,
		kmstest.WrongPlaintext, kmstest.OtherPlaintext,
	},
}

func suffer(t *testing.T, failure kmstest.Failure, op string, after bool) error {
	f := &kmstest.Fake{Type: "t"}
	w := f.Key("k")
	if _, err := w.Wrap(t.Context(), bytes.Repeat([]byte{9}, 32), binding); err != nil {
		return err
	}
	blob := wrap(t, w)
	f.Script(kmstest.Nth(3, kmstest.Fault{Failure: failure, After: after, RetryAfter: time.Minute}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()

	key, made, err := secret, blob, error(nil)
	switch op {
	case kmstest.OpWrap:
		made, err = w.Wrap(ctx, secret, binding)
	case kmstest.OpUnwrap:
		key, err = w.Unwrap(ctx, blob, binding)
	case kmstest.OpProbe:
		_, err = w.Probe(ctx)
	}
	call := f.Calls()[2]
	if call.Op != op || call.Key != "k" || call.N != 3 || call.Err != err {
		return fmt.Errorf("the call is noted as %+v", call)
	}
	if failure.Lies(op) {
		if err != nil || !call.Done {
			return fmt.Errorf("a lie fails: %v", err)
		}
		if op == kmstest.OpWrap { // what was made does not open to the secret
			key, err = w.Unwrap(t.Context(), made, binding)
		}
		if err == nil && (len(key) != 32 || bytes.Equal(key, secret)) {
			return errors.New("the lie is true")
		}
		return nil
	}
	if slices.Contains(harmless[op], failure) {
		return err
	}
	want := failure.Kind()
	if !errors.Is(err, want) || !strings.Contains(err.Error(), `kms: `+op+` t key "k": `) {
		return fmt.Errorf("%v, want %v", err, want)
	}
	if damaged := failure == kmstest.Truncated || failure == kmstest.Extended; call.Done != (after || damaged) {
		return fmt.Errorf("Done is %v", call.Done)
	}
	e, _ := errors.AsType[*kms.Error](err)
	if kms.Temporary(err) != (e.RetryAfter == time.Minute) {
		return fmt.Errorf("RetryAfter is %v", e.RetryAfter)
	}
	if failure == kmstest.NoDNS {
		if _, ok := errors.AsType[*net.DNSError](err); !ok {
			return fmt.Errorf("the cause is no *net.DNSError: %v", err)
		}
	}
	if failure == kmstest.Hang && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the end of the context is hidden: %v", err)
	}
	check(t, w, blob, nil, "") // the next call is well again
	return nil
}

func TestOtherPlaintextIsTheOther(t *testing.T) {
	var f kmstest.Fake
	w := f.Key("k")
	other := bytes.Repeat([]byte{9}, 48)
	if _, err := w.Wrap(t.Context(), other, binding); err != nil {
		t.Fatal(err)
	}
	blob := wrap(t, w)
	f.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.OtherPlaintext}))
	if got, err := w.Unwrap(t.Context(), blob, binding); err != nil || !bytes.Equal(got, other) {
		t.Errorf("Unwrap: %x, %v, want the key wrapped before", got, err)
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &kmstest.Fake{Latency: 40 * time.Millisecond}
		w := f.Key("k")
		f.Script(kmstest.Nth(2, kmstest.Fault{Delay: time.Second}))
		start := time.Now()
		blob := wrap(t, w)
		check(t, w, blob, nil, "")
		if got, want := time.Since(start), 1080*time.Millisecond; got != want {
			t.Errorf("two calls took %v, want %v", got, want)
		}
		f.Script(kmstest.Always(kmstest.Fault{Delay: time.Hour}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := w.Unwrap(ctx, blob, binding)
		if !errors.Is(err, kms.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Unwrap past the deadline: %v", err)
		}
		if c := f.Calls()[2]; c.Done {
			t.Errorf("a call that was not answered is done: %+v", c)
		}
	})
}

func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f kmstest.Fake
		w := f.Key("k")
		blob := wrap(t, w)
		f.Limit(2, 10*time.Second)
		check(t, w, blob, nil, "")
		time.Sleep(4 * time.Second)
		check(t, w, blob, nil, "")
		_, err := w.Unwrap(t.Context(), blob, binding)
		if e, _ := errors.AsType[*kms.Error](err); e == nil || e.Kind != kms.ErrThrottled || e.RetryAfter != 6*time.Second {
			t.Errorf("the third call: %v, want throttled for 6s", err)
		}
		time.Sleep(6 * time.Second)
		check(t, w, blob, nil, "")
		f.Limit(0, 0)
		for range 5 {
			check(t, w, blob, nil, "")
		}
		if got := f.Count(""); got != 10 {
			t.Errorf("Count is %d, want 10", got)
		}
		if got := f.Count(kmstest.OpWrap); got != 1 {
			t.Errorf("Count of wraps is %d, want 1", got)
		}
	})
}

// TestScriptMayUseTheFake disables a key in the middle of a conversation.
func TestScriptMayUseTheFake(t *testing.T) {
	var f kmstest.Fake
	w := f.Key("k")
	blob := wrap(t, w)
	f.Script(func(c kmstest.Call) kmstest.Fault {
		if c.N == 3 {
			f.Disable(c.Key)
		}
		return kmstest.Fault{}
	})
	check(t, w, blob, nil, "")
	check(t, w, blob, kms.ErrKeyDisabled, "enable it")
	f.Script(nil)
	f.Enable("k")
	check(t, w, blob, nil, "")
}

func TestDeterministic(t *testing.T) {
	var one, two kmstest.Fake
	if diff := cmp.Diff(wrap(t, one.Key("k")), wrap(t, two.Key("k"))); diff != "" {
		t.Errorf("two Fakes differ:\n%s", diff)
	}
	other := kmstest.Fake{Type: "another"}
	if bytes.Equal(wrap(t, one.Key("k")).Ciphertext, wrap(t, other.Key("k")).Ciphertext) {
		t.Error("two types of Fake do not differ")
	}
}

func TestAuthenticates(t *testing.T) {
	for _, forgeable := range []bool{false, true} {
		f := &kmstest.Fake{Forgeable: forgeable}
		w := f.Key("k")
		if own := wrap(t, w); w.Authenticates(own) == forgeable {
			t.Errorf("Forgeable %v: Authenticates is %v", forgeable, forgeable)
		}
		if w.Authenticates(wrap(t, f.Key("other"))) || w.Authenticates(nil) {
			t.Error("another key's blob, or none, is authentic")
		}
		_, err := w.Unwrap(t.Context(), wrap(t, w), kms.Binding{Store: "elsewhere"})
		if forgeable != (err == nil) {
			t.Errorf("Forgeable %v: Unwrap elsewhere: %v", forgeable, err)
		}
	}
}

package seal_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/storetest"
)

// TestTruthfulErrors is the table of faults and what the Barrier says of them.
func TestTruthfulErrors(t *testing.T) {
	begin := map[string]seal.Spec{"auto": seal.KMS{Wrapper: "a"}}
	newer := func(rec []byte) []byte {
		return []byte(strings.Replace(strings.Replace(string(rec), `"format":1,"min_reader":1`, `"format":9,"min_reader":9,"novelty":{}`, 1), "\n", "", 1))
	}
	cases := map[string]struct {
		fault func(ctx context.Context, v *vault)
		want  error
		words string
		not   error
	}{
		"store unreachable": {func(_ context.Context, v *vault) { v.faulty.Outage(errors.New("no route to host")) }, seal.ErrStoreUnavailable, "no route to host", seal.ErrUninitialized},
		"store damaged":     {func(_ context.Context, v *vault) { v.faulty.Outage(fmt.Errorf("file: %w", seal.ErrCorrupt)) }, seal.ErrCorrupt, "file", seal.ErrStoreUnavailable},
		"store exposed":     {func(_ context.Context, v *vault) { v.faulty.Outage(fmt.Errorf("file: %w", seal.ErrExposed)) }, seal.ErrExposed, "file", seal.ErrStoreUnavailable},
		"record damaged":    {func(ctx context.Context, v *vault) { v.put(ctx, v.stored(ctx)[:500]) }, seal.ErrCorrupt, "restore it", nil},
		"record empty":      {func(ctx context.Context, v *vault) { v.put(ctx, []byte("{}\n")) }, seal.ErrCorrupt, "restore it", seal.ErrUninitialized},
		"newer format":      {func(ctx context.Context, v *vault) { v.put(ctx, newer(v.stored(ctx))) }, seal.ErrNewerFormat, "upgrade the program", seal.ErrCorrupt},
		"sealed part cut": {func(ctx context.Context, v *vault) {
			rec := string(v.stored(ctx))
			v.put(ctx, []byte(rec[:len(rec)-60]+rec[len(rec)-3-1:]))
		}, seal.ErrCorrupt, "restore", nil},
		"no wrapper":  {func(_ context.Context, v *vault) { v.wrappers = map[string]kms.Wrapper{} }, kms.ErrMisconfigured, `names a KMS "a"`, nil},
		"another key": {func(_ context.Context, v *vault) { v.wrappers = map[string]kms.Wrapper{"a": v.fake.Key("b")} }, kms.ErrWrongKey, "configure the key", nil},
	}
	for _, f := range kmstest.Failures() {
		if f.Kind() == nil {
			// The KMS says nothing is wrong: the Barrier must notice.
			cases["KMS "+string(f)] = struct {
				fault func(ctx context.Context, v *vault)
				want  error
				words string
				not   error
			}{func(_ context.Context, v *vault) { v.fake.Script(kmstest.Always(kmstest.Fault{Failure: f})) }, kms.ErrCorrupt, `KMS "a" answered`, nil}
			continue
		}
		cases["KMS "+string(f)] = struct {
			fault func(ctx context.Context, v *vault)
			want  error
			words string
			not   error
		}{func(_ context.Context, v *vault) { v.fake.Script(kmstest.Always(kmstest.Fault{Failure: f})) }, f.Kind(), `slot "auto"`, seal.ErrUninitialized}
	}
	wrong := 0
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx := t.Context()
				v, b := scenario{begin: begin}.prepare(ctx, t).from(ctx, t, seal.NewMemStore())
				b.Close()
				c.fault(ctx, v)
				b = v.boot()
				defer b.Close()
				err := b.Unseal(ctx)
				status := b.Status()
				v.fake.Script(nil)
				if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.words) || c.not != nil && errors.Is(err, c.not) {
					wrong++
					t.Error(err)
				}
				if !status.Sealed || !errors.Is(status.Reason, c.want) {
					wrong++
					t.Errorf("status says %v", status.Reason)
				}
			})
		})
	}
	proved(t, "GUARANTEE 24 truthful-errors: faults=%d wrong=%d", len(cases), wrong)
}

// TestUninitializedIsSaidOnlyOfAnEmptyStore.
func TestUninitialized(t *testing.T) {
	v := newVault(t, seal.NewMemStore())
	b := v.boot()
	defer b.Close()
	if err := b.Unseal(t.Context()); !errors.Is(err, seal.ErrUninitialized) {
		t.Error(err)
	}
	// A record that vanishes from under a process is missing, not "never was".
	must(t, v.initialize(t.Context(), b, shapes[1].slots))
	b.SwapStore(seal.NewMemStore())
	if err := b.Admin().Refresh(t.Context()); !errors.Is(err, seal.ErrMissing) {
		t.Error(err)
	}
	if _, err := b.Init(t.Context(), shapes[1].slots, seal.By{}); !errors.Is(err, seal.ErrMissing) {
		t.Error(err)
	}
	other := newVault(t, seal.NewMemStore())
	ob := other.boot()
	defer ob.Close()
	must(t, other.initialize(t.Context(), ob, shapes[1].slots))
	b.SwapStore(other.inner)
	if err := b.Admin().Refresh(t.Context()); !errors.Is(err, seal.ErrOtherStore) {
		t.Error(err)
	}
}

// TestTornRecordIsNoticed: a store that tears records is not believed.
func TestTornRecordIsNoticed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := t.Context()
		begin := scenario{begin: shapes[1].slots}.prepare(ctx, t)
		accepted, cuts := 0, 0
		for cut := 0; cut < len(begin.record); cut += testlevel.Most(97, 4*97) {
			v, b := begin.from(ctx, t, seal.NewMemStore())
			_, swaps := v.faulty.Calls()
			v.faulty.OnSwap = map[int]storetest.Fault{swaps + 1: {Effect: storetest.CrashTorn, Bytes: cut}}
			_ = b.Rotate(ctx, seal.By{})
			b.Close()
			v.faulty.Reboot()
			v.faulty.OnSwap = nil
			b = v.boot()
			cuts++
			if err := b.Unseal(ctx); !errors.Is(err, seal.ErrCorrupt) {
				accepted++
				t.Errorf("torn at byte %d: %v", cut, err)
			}
			b.Close()
		}
		testlevel.Counted(t, "GUARANTEE 4 torn-record-noticed: cuts=%d accepted=%d", cuts, accepted)
	})
}

// TestConfig refuses what can never work.
func TestConfig(t *testing.T) {
	key := (&kmstest.Fake{}).Key("a")
	for name, c := range map[string]struct {
		cfg   seal.Config
		words string
	}{
		"no store":     {seal.Config{}, "Store is required"},
		"nil wrapper":  {seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"a": nil}}, "is nil"},
		"wrapper name": {seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"a b": key}}, "letters, digits"},
		"pin":          {seal.Config{Store: seal.NewMemStore(), Pins: []string{"xyz"}}, "24 hex digits"},
		"pin and not":  {seal.Config{Store: seal.NewMemStore(), Pins: []string{strings.Repeat("0", 24)}, TrustUnpinned: true}, "exclude each other"},
		"replica":      {seal.Config{Store: seal.NewMemStore(), Replica: "a\nb"}, "printable"},
		"negative":     {seal.Config{Store: seal.NewMemStore(), Propagation: -1}, "negative"},
		"long replica": {seal.Config{Store: seal.NewMemStore(), Replica: strings.Repeat("r", 65)}, "at most 64"},
	} {
		if _, err := seal.Open(c.cfg); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"a": key}})
	must(t, err)
	defer b.Close()
	for name, c := range map[string]struct {
		spec  seal.Spec
		words string
	}{
		"nil":               {nil, "without a Spec"},
		"no name":           {seal.KMS{}, "without a name"},
		"unknown KMS":       {seal.KMS{Wrapper: "z"}, `no KMS named "z"`},
		"no shares":         {seal.Shamir{}, "1 to 255"},
		"too many shares":   {seal.Shamir{Shares: 256, Threshold: 2}, "1 to 255"},
		"threshold above":   {seal.Shamir{Shares: 2, Threshold: 3}, "1 to 2"},
		"threshold one":     {seal.Shamir{Shares: 2, Threshold: 1}, "whole key"},
		"any one of":        {seal.Threshold{K: 1, Of: []seal.Spec{seal.KMS{Wrapper: "a"}}}, "a slot each"},
		"nil child":         {seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, nil}}, "shares are 1 to 255"},
		"same key twice":    {seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "a"}}}, "same key"},
		"no children":       {seal.Threshold{K: 2}, "2 to 0"},
		"too deep":          {deep(5), "at most 4 levels"},
		"unknown KMS below": {seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "z"}}}, `no KMS named "z"`},
	} {
		_, err := b.Init(t.Context(), map[string]seal.Spec{"slot": c.spec}, seal.By{})
		if err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.Init(t.Context(), nil, seal.By{}); !errors.Is(err, seal.ErrConfig) {
		t.Error(err)
	}
	if _, err := b.Init(t.Context(), shapes[1].slots, seal.By{Operation: "a\x00"}); !errors.Is(err, seal.ErrConfig) {
		t.Error(err)
	}
	must(t, b.Close())
	for name, err := range map[string]error{
		"seal": b.Seal(seal.By{}), "wait": b.Wait(t.Context()), "rotate": b.Rotate(t.Context(), seal.By{}), "run": b.Run(t.Context()),
	} {
		if !errors.Is(err, seal.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
	must(t, b.Close())
}

func deep(n int) seal.Spec {
	if n == 1 {
		return seal.Shamir{Shares: 2, Threshold: 2}
	}
	return seal.Threshold{K: 2, Of: []seal.Spec{deep(n - 1), seal.KMS{Wrapper: "a"}}}
}

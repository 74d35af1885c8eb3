package sealotel_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/sealhttp"
	"github.com/sealwright/sealwright/seal/sealotel"
)

var _ migrate.KeeperMetrics = (*sealotel.Telemetry)(nil)

var labels = regexp.MustCompile(`[a-z_]+="(?:[^"\\]|\\.)*"`)

// scrape returns the samples of a page as collect does.
func scrape(t *testing.T, m *sealhttp.Metrics, b *seal.Barrier) (samples []string) {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler(b).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(rec.Body.String()) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		name, _, labelled := strings.Cut(line[:at], "{")
		if labelled {
			l := labels.FindAllString(line[:at], -1)
			slices.Sort(l)
			name += "{" + strings.Join(l, ",") + "}"
		}
		samples = append(samples, name+strings.TrimSuffix(line[at:], "\n"))
	}
	slices.Sort(samples)
	return samples
}

// TestAgreesWithScrape: whoever looks at both sees one server, in every state that
// the page of sealhttp tells apart.
func TestAgreesWithScrape(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		var m sealhttp.Metrics
		s := newBench(t, func(_ *bench, c *seal.Config) { c.OnEvent = seal.JoinEvents(c.OnEvent, m.Event) })
		names := map[string]bool{}
		agree := func(when string) {
			t.Helper()
			var got []string
			for _, line := range with(s.collect(t), "sealwright_") {
				if !strings.HasPrefix(line, "sealwright_telemetry_dropped") {
					got = append(got, line)
				}
			}
			want := scrape(t, &m, s.Barrier)
			for _, line := range want {
				name, _, _ := strings.Cut(line, "{")
				name, _, _ = strings.Cut(name, " ")
				names[name] = true
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-sealhttp +sealotel):\n%s", when, diff)
			}
		}
		agree("at its start")
		s.Unseal(ctx)
		agree("not initialized")
		d, err := s.Init(ctx, slots, seal.By{})
		must(t, err)
		agree("unsealed")
		s.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Denied}))
		if err := s.Admin().Drill(ctx); err == nil {
			t.Error("a drill without permission succeeded")
		}
		agree("a drill failed")
		must(t, s.Seal(seal.By{}))
		s.Unseal(ctx)
		agree("denied")
		s.Submit(ctx, d.Sets[0].Shares[0], seal.By{})
		agree("a share given")
		s.fake.Script(nil)
		_, err = s.Submit(ctx, d.Sets[0].Shares[1], seal.By{})
		must(t, err)
		agree("unsealed by people")
		_, err = s.Admin().Rekey(ctx, "people", seal.Shamir{Shares: 2, Threshold: 2}, seal.By{})
		must(t, err)
		_, _, err = s.Admin().Prove(ctx, "people", seal.By{})
		must(t, err)
		agree("a rekey in progress")
		lease, err := s.Admin().TakeLease(ctx, time.Minute, nil, seal.By{})
		must(t, err)
		defer lease.End(ctx, "", nil)
		for _, to := range []migrate.KeeperMetrics{&m, s.tel} {
			to.Keeper("rewrapping", time.Now(), time.Time{}, errors.New("an item"))
			to.Items("tokens", map[string]int64{"1": 500, "legacy": 1})
			count := to.Rewrap("tokens")
			count(map[string]int64{"rewrapped": 100, "failed": 0})
			count(map[string]int64{"rewrapped": 250, "failed": 1})
		}
		agree("a keeper at work")
		for _, to := range []migrate.KeeperMetrics{&m, s.tel} {
			to.Keeper("idle", time.Now(), time.Now(), nil)
			to.Items("tokens", map[string]int64{"2": 501})
		}
		agree("a keeper at rest")
		for _, why := range []error{nil, errors.New("why")} {
			for _, to := range []interface{ Journal(func() journal.Status) }{&m, s.tel} {
				to.Journal(func() journal.Status {
					return journal.Status{Head: journal.Head{Seq: 7}, Waiting: 2, Lost: 1, Err: why, Missing: why, Rotation: why, Heads: why}
				})
			}
			agree("a journal")
		}
		if len(names) < 28 {
			t.Errorf("only %d names were compared: %v", len(names), names)
		}
		t.Logf("%d names of sealhttp, in 12 states", len(names))
	})
}

// TestVaultNames: what dashboards for Vault ask for, and what they are told.
func TestVaultNames(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		s := newBench(t)
		const by = `{seal_wrapper_name="cloud"} `
		check := func(when string, want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, with(s.collect(t), "vault_")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		_, err := s.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{})
		must(t, err)
		calls := map[string]int{}
		for _, c := range s.fake.Calls() {
			calls[c.Op]++
		}
		n := func(op string, more int) string { return fmt.Sprint(calls[op] + more) }
		check("unsealed", "vault_core_unsealed 1",
			"vault_seal_decrypt_error_total"+by+"0", "vault_seal_decrypt_time_count"+by+n("unwrap", 0), "vault_seal_decrypt_total"+by+n("unwrap", 0),
			"vault_seal_encrypt_error_total"+by+"0", "vault_seal_encrypt_time_count"+by+n("wrap", 0), "vault_seal_encrypt_total"+by+n("wrap", 0),
			"vault_seal_unreachable_time"+by+"0")

		must(t, s.Seal(seal.By{}))
		time.Sleep(time.Hour)
		s.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Denied}))
		if err := s.Unseal(ctx); err == nil {
			t.Fatal("unsealed without permission")
		}
		time.Sleep(time.Second)
		check("denied", "vault_core_unsealed 0",
			"vault_seal_decrypt_error_total"+by+"1", "vault_seal_decrypt_time_count"+by+n("unwrap", 1), "vault_seal_decrypt_total"+by+n("unwrap", 1),
			"vault_seal_encrypt_error_total"+by+"0", "vault_seal_encrypt_time_count"+by+n("wrap", 0), "vault_seal_encrypt_total"+by+n("wrap", 0),
			"vault_seal_unreachable_time"+by+"3601000")

		// Who gives up says nothing of the KMS.
		s.fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Hang}))
		gone, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Second, cancel)
		if err := s.Unseal(gone); err == nil {
			t.Fatal("unsealed by a KMS that hangs")
		}
		if got := with(s.collect(t), "vault_seal_decrypt_error"); !slices.Equal(got, []string{"vault_seal_decrypt_error_total" + by + "1"}) {
			t.Errorf("after a cancelled unseal: %q", got)
		}
		s.fake.Script(nil)
		must(t, s.Unseal(ctx))
		if got := with(s.collect(t), "vault_seal_unreachable"); !slices.Equal(got, []string{"vault_seal_unreachable_time" + by + "0"}) {
			t.Errorf("answered again: %q", got)
		}
	})
}

// TestCardinality: whoever makes up kinds of events does not fill the memory, nor
// what stores the metrics.
func TestCardinality(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s := newBench(t)
		for i := range 10_000 {
			s.tel.Event(seal.Event{Kind: seal.EventKind(fmt.Sprint("kind ", i))})
		}
		got := with(s.collect(t), "sealwright_events_total")
		if len(got) != 65 || !slices.Contains(got, `sealwright_events_total{kind="other",result="ok"} 9936`) {
			t.Errorf("%d kinds: %q", len(got), got[:3])
		}
	})
}

// TestNobodyIsTold: without providers everything works, and Observe too.
func TestNobodyIsTold(t *testing.T) {
	tel, err := sealotel.New(sealotel.Config{})
	must(t, err)
	b, err := seal.Open(seal.Config{Store: tel.Store(seal.NewMemStore()), OnEvent: tel.Event})
	must(t, err)
	defer b.Close()
	stop, err := tel.Observe(b)
	must(t, err)
	must(t, stop())
	if tel.Store(nil) != nil || tel.Wrapper("cloud", nil) != nil {
		t.Error("nothing became something, which Open would take")
	}
}

package sealhttp_test

import (
	"context"
	"crypto/fips140"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

const monitoring = "../../docs/monitoring/"

// promtool runs it in dir, and returns what it prints.
func promtool(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("no promtool here (Debian's package prometheus has it): the rules are not tried")
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// virtual runs f in virtual time.
func virtual(t *testing.T, f func(*testing.T)) {
	t.Helper()
	needVirtual(t)
	synctest.Test(t, f)
}

func needVirtual(t *testing.T) {
	t.Helper()
	if fips140.Enabled() {
		t.Skip("needs virtual time, in which crypto/rand finds no entropy in FIPS mode before Go 1.27")
	}
}

// A site is a server that Prometheus scrapes, in virtual time.
type site struct {
	*seal.Barrier
	t       *testing.T
	fake    *kmstest.Fake
	metrics sealhttp.Metrics
	cfg     seal.Config
	shares  []seal.Share
	began   time.Time
	series  map[string][]string // by name and labels: the value at each scrape, "_" for none
	scrapes int
	page    string // the last that was scraped
	edit    func(string) string
}

// open opens the site's barrier on its store, and unseals it once there is a record.
func newSite(t *testing.T, change func(*site)) *site {
	s := &site{t: t, fake: &kmstest.Fake{}, began: time.Now(), series: map[string][]string{}}
	s.cfg = seal.Config{Store: seal.NewMemStore(), OnEvent: s.metrics.Event, Retry: kms.Policy{Attempts: 1}, Poll: time.Hour,
		KMS: map[string]kms.Wrapper{"a": s.fake.Key("a"), "b": s.fake.Key("b")}}
	if change != nil {
		change(s)
	}
	var err error
	if s.Barrier, err = seal.Open(s.cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// must is for what has to succeed.
func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// init makes slots of those names, and has each prove itself.
func (s *site) init(names ...string) {
	s.t.Helper()
	specs := map[string]seal.Spec{}
	for _, name := range names {
		specs[name] = seal.KMS{Wrapper: name}
	}
	if slices.Contains(names, "people") {
		specs["people"] = seal.Shamir{Shares: 3, Threshold: 2}
	}
	d, err := s.Init(s.t.Context(), specs, seal.By{})
	s.must(err)
	if len(d.Sets) > 0 {
		s.shares = d.Sets[0].Shares
		s.must(s.Seal(seal.By{}))
		for _, share := range s.shares[:2] {
			_, err := s.Submit(s.t.Context(), share, seal.By{})
			s.must(err)
		}
	}
	for _, name := range names {
		if name != "people" {
			_, _, err := s.Admin().Prove(s.t.Context(), name, seal.By{})
			s.must(err)
		}
	}
}

// fails makes the KMS refuse one key.
func (s *site) fails(key string) {
	s.fake.Script(func(c kmstest.Call) kmstest.Fault {
		if c.Key == key {
			return kmstest.Fault{Failure: kmstest.Denied}
		}
		return kmstest.Fault{}
	})
}

var line = regexp.MustCompile(`(?m)^(sealwright_[a-z_]+)(?:\{(.*)\})? (\S+)$`)

// scrape takes what Prometheus would. Times are since the site began, as those of
// promtool's tests begin with 0. Whether memory is locked is the machine's affair.
func (s *site) scrape() {
	rec := httptest.NewRecorder()
	s.metrics.Handler(s.Barrier).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	s.page = strings.ReplaceAll(rec.Body.String(), "\nsealwright_memory_locked 0", "\nsealwright_memory_locked 1")
	if s.edit != nil {
		s.page = s.edit(s.page)
	}
	for _, m := range line.FindAllStringSubmatch(s.page, -1) {
		name, labels, value := m[1], m[2], m[3]
		if strings.HasSuffix(name, "_timestamp_seconds") {
			var at int64
			fmt.Sscan(value, &at)
			value = fmt.Sprint(at - s.began.Unix())
		}
		key := name + `{job="host",instance="one:8200",` + labels + `}`
		for len(s.series[key]) < s.scrapes {
			s.series[key] = append(s.series[key], "_")
		}
		s.series[key] = append(s.series[key], value)
	}
	s.scrapes++
}

// pass lets time pass, with a scrape each interval; Run is at work meanwhile, unless
// it is idle.
func (s *site) pass(idle bool, times int, every time.Duration) {
	ctx, stop := context.WithCancel(s.t.Context())
	defer synctest.Wait()
	defer stop()
	if !idle {
		go s.Run(ctx)
	}
	for range times {
		s.scrape()
		time.Sleep(every)
	}
}

// journal opens one for the site, and begins it.
func (s *site) journal(path string) (event func(seal.Event)) {
	j, err := journal.Open(journal.Config{Place: journal.File{Path: path}})
	s.must(err)
	s.t.Cleanup(func() { j.Close() })
	s.metrics.Journal(j.Status)
	j.Event(seal.Event{Kind: seal.EventUnseal})
	return j.Event
}

// A rollback is a store that goes back to a record of before.
type rollback struct {
	seal.Store
	old []byte
}

func (r *rollback) Load(ctx context.Context) ([]byte, string, error) {
	if r.old != nil {
		return slices.Clone(r.old), "old", nil
	}
	return r.Store.Load(ctx)
}

// alarms are what happens to a site, and the alerts that fire at the end of it.
var alarms = map[string]struct {
	every time.Duration // between scrapes; 0: 10 minutes
	do    func(s *site)
	want  string
}{
	"nothing":       {every: 30 * time.Minute, do: func(s *site) { s.init("a", "b", "people"); s.pass(false, 120, 30*time.Minute) }},
	"a new server":  {do: func(s *site) { s.pass(false, 6, 10*time.Minute) }, want: "SealwrightSealed"},
	"a KMS refuses": {every: 30 * time.Minute, do: func(s *site) { s.init("a", "b", "people"); s.fails("a"); s.pass(false, 67, 30*time.Minute) }, want: "SealwrightDrillFailed SealwrightWarnings"},
	"one is left":   {do: func(s *site) { s.init("a", "people"); s.fails("a"); s.pass(false, 100, 10*time.Minute) }, want: "SealwrightDrillFailed SealwrightLastSlot"},
	"none is left": {do: func(s *site) {
		s.init("a", "b")
		s.fake.Disable("a")
		s.fake.Disable("b")
		s.pass(false, 100, 10*time.Minute)
	}, want: "SealwrightDrillFailed SealwrightNoSlot"},
	"sealed": {do: func(s *site) {
		s.init("a", "people")
		s.pass(false, 6, 10*time.Minute)
		s.must(s.Seal(seal.By{Actor: "ops"}))
		s.pass(false, 6, 10*time.Minute)
	}, want: "SealwrightSealed"},
	"Run has ended": {every: 30 * time.Minute, do: func(s *site) {
		s.init("a", "b")
		s.pass(false, 34, 30*time.Minute)
		s.pass(true, 60, 30*time.Minute)
	}, want: "SealwrightDrillOverdue"},
	"half a year": {every: 24 * time.Hour, do: func(s *site) { s.init("a", "b", "people"); s.pass(false, 184, 24*time.Hour) }, want: "SealwrightCustodyOverdue"},
	"behind": {do: func(s *site) {
		s.init("a")
		cfg := s.cfg
		cfg.OnEvent = nil
		other, err := seal.Open(cfg)
		s.must(err)
		defer other.Close()
		s.must(other.Unseal(s.t.Context()))
		s.pass(false, 6, 10*time.Minute)
		s.must(other.Admin().RotateRootStranding(s.t.Context(), seal.By{}))
		s.fails("a")
		s.pass(false, 12, 10*time.Minute)
	}, want: "SealwrightBehind SealwrightDrillFailed SealwrightNoSlot"},
	"a record of before": {do: func(s *site) {
		store := s.cfg.Store.(*rollback)
		s.init("a", "b")
		old, _, err := store.Load(s.t.Context())
		s.must(err)
		s.must(s.Admin().RotateRoot(s.t.Context(), seal.By{}))
		s.must(s.Seal(seal.By{}))
		store.old = old
		s.Unseal(s.t.Context())
		s.pass(true, 6, 10*time.Minute)
	}, want: "SealwrightRecordRefused SealwrightSealed"},
	"believed without a pin": {do: func(s *site) {
		s.init("a", "b")
		s.must(s.Close())
		var err error
		s.cfg.TrustUnpinned = true
		s.Barrier, err = seal.Open(s.cfg)
		s.must(err)
		s.must(s.Unseal(s.t.Context()))
		s.pass(false, 6, 10*time.Minute)
	}, want: "SealwrightBelievedWithoutPin"},
	"somebody guesses": {do: func(s *site) {
		s.init("a", "people")
		other := newSite(s.t, nil)
		other.init("people")
		s.must(s.Seal(seal.By{}))
		s.Submit(s.t.Context(), other.shares[0], seal.By{})
		for range 6 {
			s.pass(true, 1, 10*time.Minute)
			for range 3 {
				s.Submit(s.t.Context(), other.shares[0], seal.By{})
			}
		}
		s.pass(true, 1, 10*time.Minute)
	}, want: "SealwrightSealed SealwrightSharesRefused"},
	"a rekey that nobody ends": {every: 30 * time.Minute, do: func(s *site) {
		s.init("a", "b", "people")
		_, err := s.Admin().Rekey(s.t.Context(), "people", seal.Shamir{Shares: 3, Threshold: 2}, seal.By{})
		s.must(err)
		_, _, err = s.Admin().Prove(s.t.Context(), "people", seal.By{})
		s.must(err)
		s.pass(false, 100, 30*time.Minute)
	}, want: "SealwrightOperationStays"},
	"a host that holds on": {do: func(s *site) {
		s.init("a", "people")
		held, let := make(chan struct{}), make(chan struct{})
		go s.While(s.t.Context(), func(context.Context) error { close(held); <-let; return nil })
		<-held
		s.pass(false, 3, 10*time.Minute)
		s.must(s.Seal(seal.By{}))
		close(let)
		s.pass(false, 3, 10*time.Minute)
	}, want: "SealwrightOverrun SealwrightSealed"},
	"a term that is not rotated": {do: func(s *site) {
		s.init("a", "people")
		s.pass(false, 3, 10*time.Minute)
		s.metrics.Event(seal.Event{Kind: seal.EventBudget, Err: errors.New("the store is away")})
		s.pass(false, 3, 10*time.Minute)
	}, want: "SealwrightTermHalfUsed"},
	"a keeper that fails": {every: 30 * time.Minute, do: func(s *site) {
		s.init("a", "people")
		s.metrics.Keeper("idle", s.began.Add(-50*24*time.Hour), time.Now(), errors.New("an item"))
		s.pass(false, 54, 30*time.Minute)
	}, want: "SealwrightKeeperFailed SealwrightRotationOverdue"},
	"a journal on a disk that is away": {do: func(s *site) {
		s.init("a", "people")
		s.journal(filepath.Join(s.t.TempDir(), "unmounted", "journal"))
		s.pass(false, 6, 10*time.Minute)
	}, want: "SealwrightJournalFails"},
	"a journal that is cut": {do: func(s *site) {
		s.init("a", "people")
		path := filepath.Join(s.t.TempDir(), "journal")
		event := s.journal(path)
		s.pass(false, 6, 10*time.Minute)
		s.must(os.Truncate(path, 0))
		event(seal.Event{Kind: seal.EventDrill})
		s.pass(false, 6, 10*time.Minute)
	}, want: "SealwrightJournalCut"},
	"memory that is swapped": {do: func(s *site) {
		s.init("a", "people")
		s.edit = func(p string) string {
			return strings.ReplaceAll(p, "\nsealwright_memory_locked 1", "\nsealwright_memory_locked 0")
		}
		s.pass(false, 12, 10*time.Minute)
	}, want: "SealwrightMemoryUnlocked"},
}

// TestAlerts has each of docs/monitoring/alerts.yml fire, and no other, by what real
// servers show to whom something happens.
func TestAlerts(t *testing.T) {
	testlevel.NeedsWhole(t, "takes four seconds of a processor")
	needVirtual(t)
	rules, err := filepath.Abs(monitoring + "alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "", "check", "rules", rules); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	fired, scraped, dir := map[string]bool{}, map[string]bool{}, t.TempDir()
	var tests []string
	for name, a := range alarms {
		every := a.every
		if every == 0 {
			every = 10 * time.Minute
		}
		t.Run(name, func(t *testing.T) {
			var s *site
			virtual(t, func(t *testing.T) {
				s = newSite(t, func(s *site) {
					s.fake.Forgeable = name == "believed without a pin"
					s.cfg.Store = &rollback{Store: s.cfg.Store}
					if a.every > time.Hour {
						s.cfg.Poll, s.cfg.Drill = 24*time.Hour, 12*time.Hour
					}
				})
				a.do(s)
				s.Close()
			})
			if s.isNew(scraped) {
				if out, err := promtool(t, s.page, "check", "metrics"); err != nil || out != "" {
					t.Errorf("promtool check metrics: %v: %s", err, out)
				}
			}
			var want []map[string]any
			for _, alert := range strings.Fields(a.want) {
				fired[alert] = true
				want = append(want, map[string]any{"labels": fmt.Sprintf("{alertname=%q}", alert), "value": 1})
			}
			test := filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".json") // which is YAML as well
			if err := os.WriteFile(test, s.asTest(t, rules, every, want), 0o600); err != nil {
				t.Fatal(err)
			}
			tests = append(tests, test)
		})
	}
	// It names the file of what fails.
	if out, err := promtool(t, "", append([]string{"test", "rules"}, tests...)...); err != nil || strings.Count(out, "SUCCESS") != len(tests) {
		t.Errorf("%v: %s", err, out)
	}
	text, err := os.ReadFile(rules)
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile(`(?m)^ *- alert: (\w+)`).FindAllStringSubmatch(string(text), -1)
	for _, alert := range all {
		if !fired[alert[1]] {
			t.Errorf("%s never fires here: let it", alert[1])
		}
	}
	if len(all) == 0 || len(all) != len(fired) {
		t.Errorf("%d alerts, %d of them fired", len(all), len(fired))
	}
	t.Logf("%d alerts, %d stories", len(all), len(alarms))
}

var values = regexp.MustCompile(`"[^"]*"|[^ }]*$`)

// isNew notes the lines of a page, of whatever values, and reports whether one of
// them was on no page before.
func (s *site) isNew(seen map[string]bool) (is bool) {
	for line := range strings.SplitSeq(s.page, "\n") {
		if !strings.HasPrefix(line, "#") {
			line = values.ReplaceAllString(line, "")
		}
		is = is || !seen[line]
		seen[line] = true
	}
	return is
}

// asTest returns a test for promtool: at the last scrape these alerts fire.
func (s *site) asTest(t *testing.T, rules string, every time.Duration, want []map[string]any) []byte {
	t.Helper()
	var series []map[string]string
	for key, values := range s.series {
		for len(values) < s.scrapes {
			values = append(values, "_")
		}
		series = append(series, map[string]string{"series": strings.Replace(key, ",}", "}", 1), "values": strings.Join(values, " ")})
	}
	at := every * time.Duration(s.scrapes-1)
	test, err := json.Marshal(map[string]any{
		"rule_files": []string{rules}, "evaluation_interval": minutes(every),
		"tests": []any{map[string]any{"interval": minutes(every), "input_series": series, "promql_expr_test": []any{map[string]any{
			"expr": `max by (alertname) (ALERTS{alertstate="firing"})`, "eval_time": minutes(at), "exp_samples": want,
		}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return test
}

func minutes(d time.Duration) string { return fmt.Sprintf("%dm", int(d.Minutes())) }

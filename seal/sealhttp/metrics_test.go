package sealhttp_test

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

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

var (
	sampleLine = regexp.MustCompile(`^([a-z_]+)(\{([a-z]+="([^"\\]|\\["\\n])*",?)+\})? [0-9]+$`)
	varying    = regexp.MustCompile(`(fingerprint=")[0-9a-f]{24}"|(_timestamp_seconds\{.*) [0-9]{10}$`)
)

// scrape returns the samples of a page, after checking its form: each of a
// family that was announced just before, and none twice.
func scrape(t *testing.T, m *sealhttp.Metrics, b *seal.Barrier) (samples []string) {
	t.Helper()
	rec := httptest.NewRecorder()
	m.Handler(b).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	if got := rec.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	family, seen := "", map[string]bool{}
	for line := range strings.Lines(rec.Body.String()) {
		line, ended := strings.CutSuffix(line, "\n")
		parts := sampleLine.FindStringSubmatch(line)
		switch {
		case !ended:
			t.Errorf("%q does not end", line)
		case strings.HasPrefix(line, "# HELP "):
			family = strings.Fields(line)[2]
			if seen[family] {
				t.Errorf("%s comes twice", family)
			}
			seen[family] = true
		case strings.HasPrefix(line, "# TYPE "):
			if f := strings.Fields(line); f[2] != family || f[3] != "gauge" && f[3] != "counter" {
				t.Errorf("%q within %s", line, family)
			}
		case parts == nil || parts[1] != family:
			t.Errorf("%q within %s", line, family)
		default:
			key, _, _ := strings.Cut(line, "} ")
			if seen[key] {
				t.Errorf("%q comes twice", line)
			}
			seen[key] = true
			samples = append(samples, varying.ReplaceAllString(strings.TrimPrefix(line, "sealwright_"), "${1}${2} …"))
		}
	}
	return samples
}

var bit = map[bool]int{true: 1}

func TestMetrics(t *testing.T) {
	ctx := context.Background()
	var m sealhttp.Metrics
	fake := &kmstest.Fake{}
	b, err := seal.Open(seal.Config{
		Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": fake.Key("prod")}, OnEvent: m.Event, Retry: kms.Policy{Attempts: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	check := func(when string, want ...string) {
		t.Helper()
		memory := b.Status().Memory // as the machine has it
		for i, line := range want {
			if strings.HasPrefix(line, "events_total") {
				want = slices.Insert(want, i, fmt.Sprintf("memory_locked %d", bit[memory.Locked]), fmt.Sprintf("memory_undumpable %d", bit[memory.Undumpable]))
				break
			}
		}
		if diff := cmp.Diff(want, scrape(t, &m, b)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	b.Unseal(ctx)
	check("empty", `sealed 1`, `sealed_reason{reason="not initialized"} 1`, `generation 0`, `events_total{kind="unseal",result="waiting"} 1`)

	d, err := b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}, "people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Denied}))
	if err := b.Admin().Drill(ctx); err == nil {
		t.Error("a drill without permission succeeded")
	}
	check("unsealed", `sealed 0`, `generation 2`,
		`slot_info{slot="auto",state="active",fingerprint=" …} 1`, `slot_info{slot="people",state="initial",fingerprint=" …} 1`,
		`slot_proven_timestamp_seconds{slot="auto"} …`, `slot_drill_timestamp_seconds{slot="auto"} …`, `slot_drill_ok{slot="auto"} 0`,
		`active_term 1`, `behind 0`, `terms 1`, `warnings 2`,
		`events_total{kind="drill",result="failed"} 1`, `events_total{kind="init",result="ok"} 1`,
		`events_total{kind="prove",result="ok"} 1`, `events_total{kind="unseal",result="ok"} 1`, `events_total{kind="unseal",result="waiting"} 1`)

	if err := b.Seal(seal.By{}); err != nil {
		t.Fatal(err)
	}
	b.Submit(ctx, d.Sets[0].Shares[0], seal.By{})
	check("a share given", `sealed 1`, `sealed_reason{reason="sealed by an operator"} 1`, `generation 2`,
		`unseal_shares_given{slot="people",set="1"} 1`, `unseal_shares_needed{slot="people",set="1"} 2`,
		`events_total{kind="drill",result="failed"} 1`, `events_total{kind="init",result="ok"} 1`,
		`events_total{kind="prove",result="ok"} 1`, `events_total{kind="seal",result="ok"} 1`, `events_total{kind="share",result="ok"} 1`,
		`events_total{kind="unseal",result="ok"} 1`, `events_total{kind="unseal",result="waiting"} 1`)
}

// TestMetricsEscape: what an event brings is one label, whatever it holds.
func TestMetricsEscape(t *testing.T) {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var m sealhttp.Metrics
	m.Event(seal.Event{Kind: "a\\b\"} 1\nc", Err: errors.New("no")})
	if got, want := strings.Join(scrape(t, &m, b), "\n"), `events_total{kind="a\\b\"} 1\nc",result="failed"} 1`; !strings.Contains(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestMetricsRewrap: progress is of a run so far, and the counter of all runs.
func TestMetricsRewrap(t *testing.T) {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var m sealhttp.Metrics
	for range 2 {
		count := m.Rewrap("tokens")
		count(map[string]int64{"rewrapped": 100, "failed": 0})
		count(map[string]int64{"rewrapped": 250, "failed": 1})
	}
	m.Items("tokens", map[string]int64{"1": 500, "7": 1})
	m.Items("tokens", map[string]int64{"2": 499, "10": 1, "legacy": 0})
	m.Items("notes", map[string]int64{"2": 5})
	want := []string{
		`rewrap_items_total{source="tokens",outcome="failed"} 2`, `rewrap_items_total{source="tokens",outcome="rewrapped"} 500`,
		`items{source="notes",term="2"} 5`, `items{source="tokens",term="2"} 499`, `items{source="tokens",term="10"} 1`, `items{source="tokens",term="legacy"} 0`,
	}
	var got []string
	for _, line := range scrape(t, &m, b) {
		if strings.HasPrefix(line, "rewrap_items") || strings.HasPrefix(line, "items") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMetricsKeeper: what a keeper tells is there once it told something, and the
// last that it told.
func TestMetricsKeeper(t *testing.T) {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var m sealhttp.Metrics
	look := func() (got []string) {
		for _, line := range scrape(t, &m, b) {
			if strings.HasPrefix(line, "keeper") {
				got = append(got, line)
			}
		}
		return got
	}
	if got := look(); got != nil {
		t.Errorf("without a keeper: %q", got)
	}
	m.Keeper("rewrapping", time.Unix(1_000_000, 0), time.Time{}, errors.New("an item"))
	if diff := cmp.Diff([]string{`keeper_phase{phase="rewrapping"} 1`, `keeper_failed 1`, `keeper_rotated_timestamp_seconds 1000000`}, look()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m.Keeper("idle", time.Unix(1_000_000, 0), time.Unix(1_000_600, 0), nil)
	want := []string{`keeper_phase{phase="idle"} 1`, `keeper_failed 0`, `keeper_rotated_timestamp_seconds 1000000`, `keeper_round_timestamp_seconds 1000600`}
	if diff := cmp.Diff(want, look()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestMetricsJournal: a journal that is written, and one whose disk is away.
func TestMetricsJournal(t *testing.T) {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var m sealhttp.Metrics
	look := func(want ...string) {
		t.Helper()
		var got []string
		for _, line := range scrape(t, &m, b) {
			if strings.HasPrefix(line, "journal") {
				got = append(got, line)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	look()
	const heads, missing, rotate, write = `journal_failed{what="heads"} `, `journal_failed{what="missing"} `, `journal_failed{what="rotate"} `, `journal_failed{what="write"} `
	dir := t.TempDir()
	for path, want := range map[string][]string{
		dir + "/journal":      {"journal_line 4", "journal_waiting 0", "journal_lost_total 0", heads + "0", missing + "0", rotate + "0", write + "0"},
		dir + "/away/journal": {"journal_line 0", "journal_waiting 3", "journal_lost_total 1", heads + "0", missing + "0", rotate + "0", write + "1"},
	} {
		j, err := journal.Open(journal.Config{Place: journal.File{Path: path}, Keep: 2})
		if err != nil {
			t.Fatal(err)
		}
		m.Journal(j.Status)
		for range 3 {
			j.Event(seal.Event{Kind: seal.EventShare})
		}
		look(want...)
		j.Close()
	}
	why := errors.New("one")
	m.Journal(func() journal.Status { return journal.Status{Heads: why, Missing: why, Rotation: why, Lost: 1<<64 - 1} })
	look("journal_line 0", "journal_waiting 0", "journal_lost_total 18446744073709551615", heads+"1", missing+"1", rotate+"1", write+"0")
}

func ExampleMetrics() {
	var metrics sealhttp.Metrics
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), OnEvent: metrics.Event})
	if err != nil {
		panic(err)
	}
	defer b.Close()
	rec := httptest.NewRecorder()
	metrics.Handler(b).ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	text, _, _ := strings.Cut(rec.Body.String(), "# HELP sealwright_sealed_reason")
	fmt.Print(text)
	// Output:
	// # HELP sealwright_sealed Whether the server is sealed.
	// # TYPE sealwright_sealed gauge
	// sealwright_sealed 1
}

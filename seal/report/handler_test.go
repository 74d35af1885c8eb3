package report_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
	"github.com/sealwright/sealwright/seal/report"
)

// TestHandler: who may read a report reads it, in the form that is asked for, sealed
// and unsealed, and begins a custody drill by asking for it.
func TestHandler(t *testing.T) {
	h := newHouse(t)
	serve := func(cfg report.Config, method, target string) *http.Response {
		t.Helper()
		handler, err := report.Handler(cfg)
		must(t, err)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(method, target, nil))
		return w.Result()
	}
	cfg := report.Config{
		Barrier: h.b, Title: "payments", Authorize: func(*http.Request) error { return nil },
		Events: func(context.Context) iter.Seq2[seal.Event, error] { return h.memory.Events() },
		Unused: func(context.Context) ([]uint32, error) { return nil, nil },
	}
	if res := serve(cfg, "GET", "/report"); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("of no store: %s", res.Status)
	}
	d, err := h.b.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}, "people": named(2, "anna", "ben", "carla")}, seal.By{})
	must(t, err)
	_, err = h.b.Admin().CheckShare(t.Context(), d.Sets[0].Shares[1], seal.By{Actor: "page"})
	must(t, err)

	denied := cfg
	denied.Authorize = func(*http.Request) error { return errors.New("secret words") }
	failing := cfg
	failing.Unused = func(context.Context) ([]uint32, error) { return nil, errors.New("database is away") }
	for _, tt := range []struct {
		cfg            report.Config
		method, target string
		code           int
		mime, want     string
	}{
		{cfg, "GET", "/report", 200, "text/html", "<title>Seal report: payments"},
		{cfg, "GET", "/report?format=html", 200, "text/html", "anna"},
		{cfg, "GET", "/report?format=text", 200, "text/plain", "Seal report: payments"},
		{cfg, "GET", "/report?format=json", 200, "application/json", `"title": "payments"`},
		{cfg, "GET", "/report?format=text&drill=people&since=2020-01-01", 200, "text/plain", "1 of 3 confirmed; not enough"},
		{cfg, "GET", "/report?format=text&drill=people&since=2020-01-01T00:00:00Z&until=2020-02-01", 200, "text/plain", "0 of 3 confirmed"},
		{cfg, "GET", "/report?format=xml", 400, "text/plain", "html, text or json"},
		{cfg, "GET", "/report?drill=people", 400, "text/plain", "since=2026"},
		{cfg, "GET", "/report?drill=people&since=yesterday", 400, "text/plain", "2026-11-30T12"},
		{cfg, "GET", "/report?drill=auto&since=2020-01-01", 400, "text/plain", "held by people"},
		{cfg, "GET", "/report?drill=people&since=2999-01-01", 400, "text/plain", "after the report"},
		{cfg, "POST", "/report", 405, "text/plain", "by GET"},
		{denied, "GET", "/report", 403, "text/plain", "permission denied"},
		{failing, "GET", "/report", 503, "text/plain", "database is away"},
	} {
		res := serve(tt.cfg, tt.method, tt.target)
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != tt.code || !strings.HasPrefix(res.Header.Get("Content-Type"), tt.mime) || !strings.Contains(string(body), tt.want) || strings.Contains(string(body), "secret words") {
			t.Errorf("%s %s: %s %s\n%.300s", tt.method, tt.target, res.Status, res.Header.Get("Content-Type"), body)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'"} {
			if !strings.HasPrefix(res.Header.Get(name), want) {
				t.Errorf("%s: %s: %q", tt.target, name, res.Header.Get(name))
			}
		}
	}
	must(t, h.b.Seal(seal.By{}))
	res := serve(failing, "GET", "/report?format=json") // nothing is counted while sealed
	var r report.Report
	must(t, json.NewDecoder(res.Body).Decode(&r))
	if !r.Sealed || r.Vouched || len(r.Slots) != 2 {
		t.Errorf("sealed: %+v", r)
	}
	for _, cfg := range []report.Config{{}, {Barrier: h.b}} {
		if _, err := report.Handler(cfg); !errors.Is(err, seal.ErrConfig) {
			t.Errorf("%v", err)
		}
	}
}

// TestHandlerKeepsItsCampaigns: what the host does with its slice afterwards is its own
// affair.
func TestHandlerKeepsItsCampaigns(t *testing.T) {
	h := newHouse(t)
	_, err := h.b.Init(t.Context(), map[string]seal.Spec{"people": named(2, "anna", "ben")}, seal.By{})
	must(t, err)
	campaigns := []report.Campaign{{Slot: "people", Began: time.Now()}}
	handler, err := report.Handler(report.Config{Barrier: h.b, Authorize: func(*http.Request) error { return nil }, Campaigns: campaigns})
	must(t, err)
	campaigns[0].Slot = "another"
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/report?format=json", nil))
	var r report.Report
	must(t, json.NewDecoder(w.Result().Body).Decode(&r))
	if len(r.Drills) != 1 || r.Drills[0].Slot != "people" {
		t.Errorf("%d: %+v", w.Code, r.Drills)
	}
}

// TestFromAJournal: what a journal kept is as good as the events themselves, after a
// restart too.
func TestFromAJournal(t *testing.T) {
	place := journal.File{Path: filepath.Join(t.TempDir(), "journal")}
	j, err := journal.Open(journal.Config{Place: place, Name: "one"})
	must(t, err)
	in := eventful()
	for e := range in.Events {
		j.Event(e)
	}
	must(t, j.Close())
	kept := eventful()
	kept.Events = journal.Read(t.Context(), place)
	want, got := made(t, in), made(t, kept)
	want.Trail, got.Trail = report.Trail{}, report.Trail{}
	if a, b := written(t, want, "json"), written(t, got, "json"); a != b {
		t.Errorf("by the journal:\n%s\nby the events:\n%s", b, a)
	}
}

// stalled is a reader that takes nothing of its answer.
type stalled struct {
	*httptest.ResponseRecorder
	end chan struct{}
}

func (s stalled) Write(b []byte) (int, error)       { <-s.end; return len(b), nil }
func (s stalled) WriteString(b string) (int, error) { <-s.end; return len(b), nil }

// One reader that takes nothing of its answer keeps the report from nobody.
func TestAReaderThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
		must(t, err)
		defer b.Close()
		_, err = b.Init(t.Context(), map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}, seal.By{})
		must(t, err)
		h, err := report.Handler(report.Config{Barrier: b, Authorize: func(*http.Request) error { return nil }})
		must(t, err)
		s := stalled{httptest.NewRecorder(), make(chan struct{})}
		done := make(chan struct{})
		go func() { h.ServeHTTP(s, httptest.NewRequest("GET", "/report", nil)); close(done) }()
		time.Sleep(time.Hour)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/report", nil))
		if w.Code != http.StatusOK {
			t.Errorf("an hour later, for somebody else: %d %s", w.Code, w.Body)
		}
		close(s.end)
		<-done
	})
}

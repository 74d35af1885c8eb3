package kubestore_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/kubefake"
	"github.com/sealwright/sealwright/seal/kubestore"
)

// watched is a store that is watched until the test ends.
func watched(t *testing.T, f *fake, interval time.Duration) (s *kubestore.Store, changed <-chan struct{}) {
	t.Helper()
	s, err := kubestore.New(kubestore.Config{Name: "seal", Namespace: "ns", Server: f.URL, Client: f.Client(), PollInterval: interval})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	told, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- s.Watch(ctx, told) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != context.Canceled {
			t.Errorf("Watch ended with %v", err)
		}
	})
	return s, told
}

// TestWatchHearsAtOnce: who polls every hour is told of each change all the same.
func TestWatchHearsAtOnce(t *testing.T) {
	f := newFake(t)
	s, changed := watched(t, f, time.Hour)
	<-changed // it begins by sending once
	rev := ""
	for i := range 3 {
		var err error
		if rev, err = s.Swap(t.Context(), []byte{byte(i)}, rev); err != nil {
			t.Fatal(err)
		}
		<-changed
	}
	f.Restore() // all Secrets are gone
	<-changed
}

// TestWatchIsRefused: an account without the right asks for the record as before, and
// seldom whether it may watch by now.
func TestWatchIsRefused(t *testing.T) {
	f := newFake(t)
	var watches, reads atomic.Int64
	f.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Query().Get("watch") == "" {
			reads.Add(1)
			return false
		}
		watches.Add(1)
		kubefake.Say(w, http.StatusForbidden, "Forbidden", "secrets", "")
		return true
	}
	s, changed := watched(t, f, time.Millisecond)
	<-changed
	if _, err := s.Swap(t.Context(), []byte("record"), ""); err != nil {
		t.Fatal(err)
	}
	<-changed
	for reads.Load() < 40 {
		time.Sleep(time.Millisecond)
	}
	if w, r := watches.Load(), reads.Load(); w > r/4 {
		t.Errorf("it asked %d times whether it may watch, and %d times for the record", w, r)
	}
}

// TestWatchGoesOn: whatever a watch ends with, it is asked for again, and a change is
// told.
func TestWatchGoesOn(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter){
		"away":       func(w http.ResponseWriter) { kubefake.Say(w, 503, "ServiceUnavailable", "secrets", "") },
		"no account": func(w http.ResponseWriter) { kubefake.Say(w, 401, "Unauthorized", "secrets", "") },
		"gone": func(w http.ResponseWriter) {
			io.WriteString(w, `{"type": "ERROR", "object": {"kind": "Status", "code": 410}}`)
		},
		"no events":  func(w http.ResponseWriter) { io.WriteString(w, "<html>") },
		"nothing":    func(http.ResponseWriter) {},
		"other word": func(w http.ResponseWriter) { io.WriteString(w, `{"type": "BOOKMARK"}{"type": 1}`) },
		"an endless one": func(w http.ResponseWriter) {
			io.WriteString(w, `{"object": "`)
			for range 10 {
				io.WriteString(w, strings.Repeat("x", 1<<20))
			}
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			if name == "an endless one" && testing.Short() {
				t.Skip("-short: it is of 20 MiB")
			}
			f := newFake(t)
			var watches atomic.Int64
			f.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				q := r.URL.Query()
				if q.Get("watch") == "" {
					return false
				}
				if q.Get("fieldSelector") != "metadata.name=seal" || r.URL.Path != "/api/v1/namespaces/ns/secrets" {
					t.Errorf("it watches %s", r.URL)
				}
				if watches.Add(1) > 2 {
					return false
				}
				answer(w)
				return true
			}
			s, changed := watched(t, f, time.Millisecond)
			<-changed
			for watches.Load() < 3 {
				time.Sleep(time.Millisecond)
			}
			if _, err := s.Swap(t.Context(), []byte("record"), ""); err != nil {
				t.Fatal(err)
			}
			<-changed
		})
	}
}

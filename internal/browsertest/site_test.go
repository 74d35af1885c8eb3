package browsertest

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
)

// A site is a server with the page, on this machine.
type site struct {
	t    *testing.T
	b    *seal.Barrier
	url  string // ends before /ceremony/
	mu   sync.Mutex
	seen []string // requests: what an access log has
	said []string // events
	sent int      // forms with a share
}

const token = "let-me"

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t}
	ring := ceremony.NewRing(500)
	hear := func(e seal.Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		line := string(e.Kind) + " " + string(e.Operation) + " " + e.Detail
		if e.Err != nil {
			line += " " + e.Err.Error()
		}
		s.said = append(s.said, line)
	}
	events := seal.JoinEvents(ring.OnEvent, hear)
	var err error
	if s.b, err = seal.Open(seal.Config{Store: seal.NewMemStore(), Replica: "server-1", OnEvent: events}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.b.Close() })
	h, err := ceremony.New(ceremony.Config{
		Barrier: s.b, Title: "Payments, production", Events: ring.Newest, OnEvent: events,
		Authorize: func(_ *http.Request, _ ceremony.Action, got string) error {
			if got != token {
				return errors.New("permission denied")
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/ceremony/", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.URL.String()+" "+r.Referer())
		s.mu.Unlock()
		if r.Method == http.MethodPost {
			r.Body = &watched{r.Body.(readCloser), s, false}
		}
		h.ServeHTTP(w, r)
	})
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	s.url = web.URL
	return s
}

type readCloser interface {
	Read([]byte) (int, error)
	Close() error
}

// watched counts the bodies that bring a share.
type watched struct {
	readCloser
	s       *site
	counted bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.readCloser.Read(p)
	if strings.Contains(string(p[:n]), "share=") && !w.counted {
		w.counted = true
		w.s.mu.Lock()
		w.s.sent++
		w.s.mu.Unlock()
	}
	return n, err
}

func (s *site) shares() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// logs is what logs have: addresses and events.
func (s *site) logs() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.seen, "\n") + strings.Join(s.said, "\n")
}

// stored makes a store, and unseals it.
func (s *site) stored(shares, threshold int, custodians ...string) (texts []string) {
	s.t.Helper()
	spec := seal.Shamir{Shares: shares, Threshold: threshold}
	for _, name := range custodians {
		spec.Custodians = append(spec.Custodians, seal.Custodian{Name: name})
	}
	d, err := s.b.Init(s.t.Context(), map[string]seal.Spec{"shamir": spec}, seal.By{Operation: seal.OperationID(rand.Text())})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, share := range d.Sets[0].Shares {
		texts = append(texts, share.Reveal())
	}
	s.unseal(texts[:threshold]...)
	return texts
}

func (s *site) unseal(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		share, err := seal.ParseShare(text)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := s.b.Submit(s.t.Context(), share, seal.By{}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) seal() { s.b.Seal(seal.By{Actor: "operator"}) }

// mistype changes one character of a share for another of the alphabet.
func mistype(share string, at int) string {
	c := byte('q')
	if share[at] == c {
		c = 'p'
	}
	return share[:at] + string(c) + share[at+1:]
}

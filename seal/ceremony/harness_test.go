package ceremony_test

import (
	"crypto/tls"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
)

// A site is a host with the page, over TLS.
type site struct {
	t      testing.TB
	b      *seal.Barrier
	h      http.Handler
	store  seal.Store
	ring   *ceremony.Ring
	cfg    ceremony.Config
	mu     sync.Mutex
	events []seal.Event
}

func newSite(t testing.TB, change ...func(*seal.Config, *ceremony.Config)) *site {
	t.Helper()
	s := &site{t: t, store: seal.NewMemStore(), ring: ceremony.NewRing(1000)}
	keep := func(e seal.Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
	}
	sc := seal.Config{Store: s.store, Replica: "one", OnEvent: seal.JoinEvents(s.ring.OnEvent, keep)}
	s.cfg = ceremony.Config{
		Title: "payments & more", Events: s.ring.Newest, OnEvent: sc.OnEvent,
		Authorize: func(_ *http.Request, _ ceremony.Action, token string) error {
			if token != "let-me" {
				return errors.New("the token is not let-me")
			}
			return nil
		},
	}
	for _, f := range change {
		f(&sc, &s.cfg)
	}
	var err error
	if s.b, err = seal.Open(sc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.b.Close() })
	s.cfg.Barrier = s.b
	if s.h, err = ceremony.New(s.cfg); err != nil {
		t.Fatal(err)
	}
	return s
}

// said is everything that events say.
func (s *site) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		b.WriteString(string(e.Kind) + " " + e.Actor + " " + string(e.Operation) + " " + e.Slot + " " + e.Detail + " ")
		if e.Err != nil {
			b.WriteString(e.Err.Error())
		}
		b.WriteString("\n")
	}
	return b.String()
}

// An answer is a page as it came, at the end of what redirects there were.
type answer struct {
	*httptest.ResponseRecorder
	body string
	at   string // the address it has
}

var marks = regexp.MustCompile(`(?s)<head>.*?</head>|<[^>]*>`)

// text is the page without its marks.
func (a answer) text() string {
	text := marks.ReplaceAllString(a.body, " ")
	return strings.Join(strings.Fields(html.UnescapeString(text)), " ")
}

// hidden is the value of a hidden field.
func (a answer) hidden(t testing.TB, name string) string {
	t.Helper()
	m := regexp.MustCompile(`<input type="hidden" name="` + name + `" value="([^"]*)">`).FindStringSubmatch(a.body)
	if m == nil {
		t.Fatalf("no field %s in:\n%s", name, a.body)
	}
	return m[1]
}

func request(method, path string, form url.Values, change ...func(*http.Request)) *http.Request {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, "https://seal.example"+path, body)
	r.RemoteAddr = "203.0.113.7:40000"
	r.TLS = &tls.ConnectionState{}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func (s *site) do(r *http.Request) answer {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	at := r.URL.Path
	if w.Code == http.StatusSeeOther {
		at = w.Header().Get("Location")
		next := request("GET", at, nil, func(n *http.Request) {
			n.Host, n.TLS, n.RemoteAddr = r.Host, r.TLS, r.RemoteAddr
			n.Header.Set("Accept-Language", r.Header.Get("Accept-Language"))
		})
		w = httptest.NewRecorder()
		s.h.ServeHTTP(w, next)
	}
	return answer{w, w.Body.String(), at}
}

func (s *site) get(path string) answer { s.t.Helper(); return s.do(request("GET", path, nil)) }

func (s *site) post(path string, fields ...string) answer {
	s.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return s.do(request("POST", path, form))
}

// want fails where a page lacks words, or its code is another.
func (s *site) want(a answer, code int, words ...string) answer {
	s.t.Helper()
	text := a.text()
	if a.Code != code {
		s.t.Fatalf("%d, want %d: %s", a.Code, code, text)
	}
	if strings.Contains(text, "%!") || strings.Contains(text, "%d") {
		s.t.Errorf("words without what they name: %s", text)
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			s.t.Fatalf("the page lacks %q: %s", w, text)
		}
	}
	return a
}

// shareIn is the share that a page shows.
func shareIn(a answer) string {
	m := regexp.MustCompile(`(?s)<p class="groups"[^>]*>(.*?)</p>`).FindStringSubmatch(a.body)
	if m == nil {
		return ""
	}
	return strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(m[1], " ")), "")
}

// stored is a store that was made and unsealed by its shares.
func (s *site) stored(shares, threshold int) (texts []string) {
	s.t.Helper()
	d, err := s.b.Init(s.t.Context(), map[string]seal.Spec{"shamir": seal.Shamir{Shares: shares, Threshold: threshold}}, seal.By{})
	if err != nil {
		s.t.Fatal(err)
	}
	for i, share := range d.Sets[0].Shares {
		texts = append(texts, share.Reveal())
		if i < threshold {
			if _, err := s.b.Submit(s.t.Context(), share, seal.By{}); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return texts
}

func (s *site) seal() { s.b.Seal(seal.By{Actor: "test"}) }

// A table is the pages of a ceremony: of who began it, and of those who take places.
type table struct {
	s                  *site
	leader, invitation string
	tickets, shares    []string
}

// begins begins a ceremony and seats these people.
func (s *site) begins(action string, threshold string, names ...string) *table {
	s.t.Helper()
	n := string(rune('0' + len(names)))
	p := s.want(s.post("/ceremony/begin/"+action, "shares", n, "threshold", threshold, "token", "let-me"), 200, "Send this link", "Places that are free: "+n)
	t := &table{s: s, leader: p.hidden(s.t, "code"), invitation: p.hidden(s.t, "invitation")}
	for _, name := range names {
		s.want(s.get("/ceremony/join/"+t.invitation), 200, "You are to hold one of "+n+" shares")
		p := s.want(s.post("/ceremony/join/"+t.invitation, "name", name), 200, "Read this number", name)
		t.tickets = append(t.tickets, p.hidden(s.t, "code"))
	}
	return t
}

func (t *table) lead(do string) answer {
	return t.s.post("/ceremony/lead", "code", t.leader, "invitation", t.invitation, "do", do)
}

func (t *table) place(i int, do string, more ...string) answer {
	return t.s.post("/ceremony/place", append([]string{"code", t.tickets[i], "do", do}, more...)...)
}

// show has every place show its share.
func (t *table) show() {
	t.s.t.Helper()
	t.shares = nil
	for i := range t.tickets {
		p := t.s.want(t.place(i, "show"), 200, "Write it down")
		share := shareIn(p)
		if _, err := seal.ParseShare(share); err != nil {
			t.s.t.Fatalf("place %d shows no share: %v", i+1, err)
		}
		t.shares = append(t.shares, share)
	}
}

package ceremony_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
)

// TestRebindingBehindAHeader: a page of a stranger whose name was made to lead to this
// machine is of one origin with this one, and can add what a proxy adds. A header let it
// read the page and the events.
func TestRebindingBehindAHeader(t *testing.T) {
	open := func(_ *seal.Config, c *ceremony.Config) {
		c.Authorize = func(*http.Request, ceremony.Action, string) error { return nil } // one machine, one person
	}
	at := func(s *site, method, path, host string, change ...func(*http.Request)) answer {
		var form url.Values
		if method == "POST" {
			form = url.Values{}
		}
		plain := func(r *http.Request) { r.TLS, r.RemoteAddr, r.Host = nil, "127.0.0.1:4000", host }
		return s.do(request(method, path, form, append([]func(*http.Request){plain}, change...)...))
	}
	s := newSite(t, open)
	s.stored(3, 2)
	for _, header := range []string{"", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"} {
		for _, to := range [][2]string{{"GET", "/ceremony/"}, {"GET", "/ceremony/events"}, {"POST", "/ceremony/events"}, {"GET", "/ceremony/begin/rekey"}} {
			p := at(s, to[0], to[1], "evil.example:8080", func(r *http.Request) {
				if header != "" {
					r.Header.Set(header, "https")
				}
			})
			if p.Code != http.StatusMisdirectedRequest {
				t.Errorf("%s %s with %q: %d %.200s", to[0], to[1], header, p.Code, p.text())
			}
		}
	}
	s.want(at(s, "GET", "/ceremony/", "localhost:8080"), 200)
	s.want(at(s, "POST", "/ceremony/place", "localhost:8080"), 404, "no such ceremony")
	// A proxy that calls this machine by its own name tells for whom it asks, and nobody how they asked.
	s.want(at(s, "POST", "/ceremony/place", "localhost:8080", func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.9") }), 403, "not encrypted")
	// A proxy on this machine passes the name on, and the host knows it by what only it says.
	s = newSite(t, open, func(_ *seal.Config, c *ceremony.Config) {
		c.Secure = func(r *http.Request) bool { return r.Header.Get("X-Behind") == "the proxy" }
	})
	via := func(r *http.Request) { r.Header.Set("X-Behind", "the proxy") }
	s.want(at(s, "GET", "/ceremony/", "seal.example", via), 200)
	s.want(at(s, "POST", "/ceremony/place", "seal.example", via), 404, "no such ceremony")
	s.want(at(s, "GET", "/ceremony/", "seal.example"), 421)
}

// TestNothingIsAllowedInClear: where a request came over a connection that others read,
// its sender may nothing, whatever the host says of the address that it comes from: a
// stranger's page, whose name leads to this server, comes from there too.
func TestNothingIsAllowedInClear(t *testing.T) {
	var asked []ceremony.Action
	s := newSite(t, func(_ *seal.Config, c *ceremony.Config) {
		c.Authorize = func(_ *http.Request, a ceremony.Action, _ string) error {
			asked = append(asked, a)
			return nil // whoever is in this network
		}
	})
	s.stored(3, 2)
	get := func(path string, change ...func(*http.Request)) answer {
		return s.do(request("GET", path, nil, append([]func(*http.Request){func(r *http.Request) { r.RemoteAddr = "192.0.2.7:4000" }}, change...)...))
	}
	clear := func(r *http.Request) { r.TLS, r.Host = nil, "evil.example:8080" }
	if p := get("/ceremony/events"); !strings.Contains(p.body, "<time") {
		t.Fatalf("no events are shown: %s", p.text())
	}
	asked = nil
	for _, path := range []string{"/ceremony/", "/ceremony/events", "/ceremony/check", "/ceremony/begin/rekey"} {
		if p := get(path, clear); strings.Contains(p.body, "<time") || p.Code != http.StatusOK {
			t.Errorf("%s: %d %.300s", path, p.Code, p.text())
		}
	}
	if len(asked) != 0 {
		t.Errorf("the host was asked about %v", asked)
	}
}

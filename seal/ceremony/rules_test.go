package ceremony_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
)

// TestWords: every language has every text, with the same things to name in it, and
// every text that the template and the code ask for is there, and no other.
func TestWords(t *testing.T) {
	verbs := func(text string) []string {
		out := regexp.MustCompile(`%(\[\d+\])?[a-z]`).FindAllString(text, -1)
		for i, v := range out {
			if !strings.Contains(v, "[") {
				out[i] = fmt.Sprintf("%%[%d]%s", i+1, v[1:])
			}
		}
		slices.Sort(out)
		return out
	}
	for lang, texts := range ceremony.Words {
		for key, text := range ceremony.Words["en"] {
			if got := texts[key]; got == "" || !slices.Equal(verbs(text), verbs(got)) {
				t.Errorf("%s %s: %q, want what is in %q", lang, key, got, text)
			}
		}
		if len(texts) != len(ceremony.Words["en"]) {
			t.Errorf("%s has %d texts, English %d", lang, len(texts), len(ceremony.Words["en"]))
		}
		for key, text := range texts {
			if lang == "ja" && !regexp.MustCompile(`[\p{Hiragana}\p{Katakana}\p{Han}、：]`).MatchString(text) {
				t.Errorf("%s is not Japanese: %q", key, text)
			}
		}
	}
	source := ceremony.PageText()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if n := f.Name(); strings.HasSuffix(n, ".go") && !strings.HasSuffix(n, "_test.go") && !strings.HasPrefix(n, "words") {
			b, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			source += string(b)
		}
	}
	built := regexp.MustCompile(`^(title|op|begin|move|made|lead\.make)\.`) // of parts
	for key := range ceremony.Words["en"] {
		if !strings.Contains(source, `"`+key+`"`) && !built.MatchString(key) {
			t.Errorf("nothing asks for %s", key)
		}
	}
	for _, m := range regexp.MustCompile(`T "([a-z.]+)"|Key: *"([a-z.]+)"|\{"(err\.[a-z]+)"|"(why\.[a-z]+)"\}`).FindAllStringSubmatch(source, -1) {
		key := m[1] + m[2] + m[3] + m[4]
		if !strings.HasSuffix(key, ".") && ceremony.Words["en"][key] == "" {
			t.Errorf("there is no text %s", key)
		}
	}
}

// TestLanguage: the browser's wish decides, and the page says which language it has.
func TestLanguage(t *testing.T) {
	for accept, want := range map[string]string{
		"": "en", "ja": "ja", "ja-JP,ja;q=0.9,en;q=0.8": "ja", "en-US,en;q=0.9,ja;q=0.8": "en", "fr,ja;q=0.5": "ja", "ja;q=0.2, en;q=0.7": "en",
		"de": "en", "ja;q=0": "en", "ja;q=nonsense": "en", "ja;q=9": "en", strings.Repeat("x,", 1000) + "ja": "en", "*": "en",
	} {
		if got := ceremony.Language(accept); got != want {
			t.Errorf("%.40q: %s, want %s", accept, got, want)
		}
	}
	s := newSite(t)
	shares := s.stored(3, 2)
	s.seal()
	in := func(r *http.Request) { r.Header.Set("Accept-Language", "ja") }
	p := s.want(s.do(request("GET", "/ceremony/", nil, in)), 200, "サーバーは封印されています。", "2 個必要なうち 0 個")
	if p.Header().Get("Content-Language") != "ja" || !strings.Contains(p.body, `<html lang="ja">`) || p.Header().Get("Vary") != "Accept-Language" {
		t.Error(p.Header())
	}
	s.want(s.do(request("POST", "/ceremony/unseal", url.Values{"share": {shares[0][:50]}}, in)), 200, "89 文字中 50 文字")
	s.want(s.do(request("POST", "/ceremony/check", url.Values{"share": {shares[0]}}, in)), 200, "セット 1 の 1 番、スロット「shamir」")
}

// TestHeaders: every answer, also a refusal and a redirect, says what a browser may do
// with it.
func TestHeaders(t *testing.T) {
	s := newSite(t)
	s.stored(2, 2)
	s.seal()
	for _, r := range []*http.Request{
		request("GET", "/ceremony/", nil), request("GET", "/ceremony/script.js", nil), request("GET", "/ceremony/style.css", nil), request("GET", "/ceremony/nothing", nil),
		request("POST", "/ceremony/unseal", url.Values{"share": {"x"}}), request("POST", "/ceremony/unseal", url.Values{}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }),
	} {
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"Cache-Control":           "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Cross-Origin-Opener-Policy": "same-origin", "Permissions-Policy": "camera=(self), microphone=(), geolocation=(), clipboard-read=()",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %s: %s is %q", r.Method, r.URL.Path, name, got)
			}
		}
		if len(w.Header().Values("Set-Cookie")) > 0 {
			t.Error("sets a cookie")
		}
	}
	for _, bad := range []string{"style=", "<style", "onclick", "onload", "javascript:"} {
		if strings.Contains(ceremony.PageText(), bad) {
			t.Errorf("the template has %q", bad)
		}
	}
	if m := regexp.MustCompile(`<script[^>]*>[^<]`).FindString(ceremony.PageText()); m != "" {
		t.Error("an inline script")
	}
}

// TestRefused: what is not of this page, or not over a connection for secrets, does
// nothing, and the share that it had is not used.
func TestRefused(t *testing.T) {
	s := newSite(t)
	shares := s.stored(1, 1)
	s.seal()
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	plain := func(remote, host string) func(*http.Request) {
		return func(r *http.Request) { r.TLS, r.RemoteAddr, r.Host = nil, remote, host }
	}
	all := func(fs ...func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) {
			for _, f := range fs {
				f(r)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*http.Request)
		code   int
		says   string
	}{
		"cross-site":             {header("Sec-Fetch-Site", "cross-site"), 403, "another site"},
		"same-site":              {header("Sec-Fetch-Site", "same-site"), 403, "another site"},
		"origin":                 {all(func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }, header("Origin", "https://evil.example")), 403, "another site"},
		"null origin":            {all(func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") }, header("Origin", "null")), 403, "does not say where from"},
		"plain":                  {plain("203.0.113.7:1", "seal.example"), 403, "not encrypted"},
		"plain, forwarded proto": {all(plain("203.0.113.7:1", "seal.example"), header("X-Forwarded-Proto", "https")), 403, "not encrypted"},
		"proxy on this machine":  {all(plain("127.0.0.1:1", "seal.example"), header("X-Forwarded-For", "203.0.113.7")), 421, "Behind a proxy"},
		"rebound name":           {plain("127.0.0.1:1", "evil.example:8200"), 421, "own name"},
		"rebound, no host":       {plain("127.0.0.1:1", ""), 421, "own name"},
		"no name of ours":        {plain("[::1]:1", "localhost.evil.example"), 421, "own name"},
		"unix socket":            {plain("@", "localhost"), 403, "not encrypted"},
		"json":                   {header("Content-Type", "application/json"), 400, "not sent from a page"},
		"text":                   {header("Content-Type", "text/plain"), 400, "not sent from a page"},
		"multipart":              {header("Content-Type", "multipart/form-data; boundary=x"), 400, "not sent from a page"},
		"query":                  {func(r *http.Request) { r.URL.RawQuery = "share=" + shares[0] }, 400, "not sent from a page"},
		"put":                    {func(r *http.Request) { r.Method = "PUT" }, 404, "no such page"},
		"unclean path":           {func(r *http.Request) { r.URL.Path = "/ceremony//evil.example/unseal" }, 404, "no such page"},
		"dots":                   {func(r *http.Request) { r.URL.Path = "/ceremony/x/../unseal" }, 404, "no such page"},
	} {
		p := s.do(request("POST", "/ceremony/unseal", url.Values{"share": {shares[0]}}, c.change))
		if p.Code != c.code || !strings.Contains(p.text(), c.says) {
			t.Errorf("%s: %d %s", name, p.Code, p.text())
		}
		if s.b.Sealed() == nil {
			t.Fatalf("%s: unsealed", name)
		}
		if strings.Contains(p.body, shares[0][:20]) || p.Header().Get("Location") != "" {
			t.Errorf("%s: the share is in the answer", name)
		}
	}
	if strings.Contains(s.said(), shares[0][:20]) || !strings.Contains(s.said(), "another site") {
		t.Errorf("events: %s", s.said())
	}
	// A link to the page from elsewhere is no attack; plain pages show no field.
	s.want(s.do(request("GET", "/ceremony/", nil, header("Sec-Fetch-Site", "cross-site"))), 200, "Give your share")
	p := s.want(s.do(request("GET", "/ceremony/", nil, plain("203.0.113.7:1", "seal.example"))), 200, "not encrypted")
	if strings.Contains(p.body, "<textarea") {
		t.Error("asks for a share in clear")
	}
	for _, here := range []string{"127.0.0.1:8200", "localhost:8200", "[::1]:8200", "seal.localhost"} {
		s.want(s.do(request("GET", "/ceremony/", nil, plain("127.0.0.1:1", here))), 200, "Give your share")
	}
	s.want(s.do(request("POST", "/ceremony/unseal", url.Values{"share": {shares[0]}}, plain("127.0.0.1:1", "127.0.0.1:8200"))), 200, "unsealed")
}

// TestSecureIsTheHosts: who takes TLS off says which requests had it.
func TestSecureIsTheHosts(t *testing.T) {
	s := newSite(t, func(_ *seal.Config, c *ceremony.Config) {
		c.Secure = func(r *http.Request) bool { return r.Header.Get("X-Behind") == "the proxy" }
	})
	shares := s.stored(1, 1)
	s.seal()
	via := func(r *http.Request) { r.TLS, r.RemoteAddr = nil, "10.0.0.1:1" }
	s.want(s.do(request("POST", "/ceremony/unseal", url.Values{"share": {shares[0]}}, via)), 403)
	s.want(s.do(request("POST", "/ceremony/unseal", url.Values{"share": {shares[0]}}, via, func(r *http.Request) { r.Header.Set("X-Behind", "the proxy") })), 200, "unsealed")
}

// TestBounds: a body is read as far as it may be, and no further.
func TestBounds(t *testing.T) {
	s := newSite(t)
	for path, size := range map[string]int{"/ceremony/unseal": 1 << 20, "/ceremony/check": 5 << 10, "/ceremony/begin/init": 5 << 10, "/ceremony/lead": 1 << 20, "/ceremony/join/x": ceremony.MostBody + 10} {
		body := &counted{left: size}
		r := request("POST", path, url.Values{})
		r.Body, r.ContentLength = body, -1
		if p := s.do(r); p.Code != 413 {
			t.Errorf("%s: %d %s", path, p.Code, p.text())
		}
		if body.read > ceremony.MostBody+(64<<10) || size == 1<<20 && body.read > 64<<10 {
			t.Errorf("%s: read %d", path, body.read)
		}
	}
}

type counted struct{ left, read int }

func (c *counted) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, errors.New("EOF")
	}
	n := min(len(p), c.left)
	for i := range n {
		p[i] = 'a'
	}
	c.left, c.read = c.left-n, c.read+n
	return n, nil
}

func (c *counted) Close() error { return nil }

// TestAuthorize: who begins, sees events and sees details is the host's word.
func TestAuthorize(t *testing.T) {
	s := newSite(t)
	for _, token := range []string{"", "guessed"} {
		s.want(s.post("/ceremony/begin/init", "shares", "2", "threshold", "2", "token", token), 403, "You may not do that")
		if p := s.post("/ceremony/events", "token", token); p.Code != 403 {
			t.Errorf("events: %d", p.Code)
		}
	}
	s.want(s.get("/ceremony/events"), 200, "Events are shown to whom")
	s.want(s.post("/ceremony/events", "token", "let-me"), 200, "ceremony", "Failed:")
	for _, c := range [][2]string{{"0", "0"}, {"2", "1"}, {"2", "3"}, {"256", "2"}, {"1", "2"}, {"x", "1"}, {"-1", "-1"}} {
		s.want(s.post("/ceremony/begin/init", "shares", c[0], "threshold", c[1], "token", "let-me"), 400, "not possible")
	}
	s.want(s.get("/ceremony/begin/rekey"), 503, "sealed")
	tb := s.begins("init", "2", "Ada", "Ben")
	s.want(s.post("/ceremony/begin/init", "shares", "2", "threshold", "2", "token", "let-me"), 400, "Another ceremony is in progress")
	s.want(s.post("/ceremony/lead", "code", tb.invitation, "do", "make"), 404)
	s.want(s.post("/ceremony/lead", "code", tb.tickets[0], "do", "make"), 404)
	s.want(s.post("/ceremony/place", "code", tb.leader, "do", "show"), 404)
	s.want(s.post("/ceremony/join/"+tb.invitation, "name", "Eve"), 400, "All places are taken")
	s.want(s.get("/ceremony/join/"+tb.leader), 404)
	s.want(s.get("/ceremony/join/wrong"), 404)
	if strings.Contains(s.get("/ceremony/").body, tb.invitation) {
		t.Error("the state gives the invitation away")
	}
	if strings.Contains(s.said(), tb.invitation) || strings.Contains(s.said(), tb.leader) || strings.Contains(s.said(), tb.tickets[0]) {
		t.Error("a code stands in an event")
	}
}

// TestNames: a name is printable text, and nobody takes a second place.
func TestNames(t *testing.T) {
	s := newSite(t)
	p := s.post("/ceremony/begin/init", "shares", "3", "threshold", "2", "token", "let-me")
	join := "/ceremony/join/" + p.hidden(t, "invitation")
	for _, name := range []string{"", "  ", strings.Repeat("x", 41), "a\x00b", "\u202eevil", "\xff"} {
		s.want(s.post(join, "name", name), 400, "1 to 40 characters")
	}
	s.want(s.post(join, "name", " Ada   Lovelace "), 200, "Ada Lovelace")
	s.want(s.post(join, "name", "ada lovelace"), 400, "has a place already")
	s.want(s.post("/ceremony/lead", "code", p.hidden(t, "code"), "do", "make"), 400, "Not all places are taken")
}

// TestXSS: names of people, slots, KMS keys, actors and errors are text in the page.
func TestXSS(t *testing.T) {
	const evil = `<img src=x onerror=alert(1)>'"&{{.}}`
	s := newSite(t, func(_ *seal.Config, c *ceremony.Config) {
		c.Title, c.People = evil, "shamir"
		c.Actor = func(*http.Request) string { return evil }
		c.Authorize = func(*http.Request, ceremony.Action, string) error { return nil }
		c.ParseRecipient = func(string) (seal.Recipient, string, error) { return nil, "", errors.New(evil) }
	})
	s.ring.OnEvent(seal.Event{Time: time.Now(), Kind: seal.EventKind(evil), Actor: evil, Slot: evil, Detail: evil, Err: errors.New(evil)})
	pages := []answer{s.get("/ceremony/"), s.get("/ceremony/operation/" + url.PathEscape(evil)), s.get("/ceremony/" + url.PathEscape(evil))}
	tb := s.begins("init", "2", evil, "Ben")
	pages = append(pages, tb.lead("look"), tb.place(0, "look"), tb.lead("make"), s.post("/ceremony/place", "code", evil), s.get("/ceremony/answer/"+url.PathEscape(evil)))
	tb.show()
	tb.place(0, "back", "share", tb.shares[0])
	tb.place(1, "back", "share", tb.shares[1])
	if _, _, err := s.b.Admin().Prove(t.Context(), "shamir", seal.By{Actor: evil, Operation: "<b>'&\"/x"}); err != nil {
		t.Fatal(err)
	}
	op := s.get("/ceremony/operation/" + url.PathEscape("<b>'&\"/x"))
	s.want(op, 200, "<b>'&\"/x")
	pages = append(pages, s.get("/ceremony/"), op, s.get("/ceremony/events"), s.post("/ceremony/unseal", "share", evil))
	shown := 0
	for i, p := range pages {
		if strings.Contains(p.body, "<img") || strings.Contains(p.body, "<b>") {
			t.Errorf("page %d: %s", i, p.body)
		}
		shown += strings.Count(html.UnescapeString(p.body), evil)
	}
	if shown < 10 {
		t.Errorf("it was shown %d times: what was tried?", shown)
	}
}

// TestReasons: each reason for which a server can be sealed, and each error that a step
// can meet, has words of its own.
func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, err := range []error{
		seal.ErrSealed, seal.ErrSealedByOperator, seal.ErrClosed, seal.ErrAnchor, seal.ErrUninitialized, seal.ErrUnproven, seal.ErrStoreUnavailable, seal.ErrMissing,
		seal.ErrCorrupt, seal.ErrNewerFormat, seal.ErrRolledBack, seal.ErrForked, seal.ErrForged, seal.ErrOtherStore, seal.ErrUnpinned, seal.ErrRootMoved,
		kms.ErrThrottled, kms.ErrUnavailable, kms.ErrUnauthenticated, kms.ErrClockSkew, kms.ErrDenied, kms.ErrKeyDisabled, kms.ErrKeyGone, kms.ErrWrongKey, kms.ErrCorrupt, kms.ErrMisconfigured,
	} {
		key := ceremony.Why(fmt.Errorf("seal: unseal: %w", err))
		if err == seal.ErrSealed {
			key = ceremony.Why(err)
		}
		if seen[key] || ceremony.Words["en"][key] == "" {
			t.Errorf("%v: %q", err, key)
		}
		seen[key] = true
	}
}

// TestDetails: what names keys and files is for whom the host says.
func TestDetails(t *testing.T) {
	hidden := errors.New("dial tcp secret-host.internal: connection refused")
	allow := false
	s := newSite(t, func(sc *seal.Config, c *ceremony.Config) {
		sc.Store = brokenStore{hidden}
		c.Authorize = func(_ *http.Request, a ceremony.Action, _ string) error {
			if allow && a == ceremony.Detail {
				return nil
			}
			return hidden
		}
	})
	share := newSite(t).stored(1, 1)[0]
	for _, allow = range []bool{false, true} {
		for _, p := range []answer{s.want(s.get("/ceremony/"), 200, "The store cannot be reached"), s.want(s.post("/ceremony/check", "share", share), 200, "The store cannot be reached")} {
			if strings.Contains(p.body, "secret-host") != allow {
				t.Errorf("allowed %v: %s", allow, p.text())
			}
		}
	}
}

type brokenStore struct{ err error }

func (s brokenStore) Load(context.Context) ([]byte, string, error) { return nil, "", s.err }
func (s brokenStore) Swap(context.Context, []byte, string) (string, error) {
	return "", s.err
}

// TestFaults: each text that is no share is named for what it is, and the texts of
// shares.json as ParseShare does.
func TestFaults(t *testing.T) {
	b, err := os.ReadFile("../testdata/shares.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Valid, Invalid []struct{ Name, Text, Error string }
	}
	if err := json.Unmarshal(b, &vectors); err != nil || len(vectors.Invalid) < 10 || len(vectors.Valid) < 4 {
		t.Fatalf("%d, %v", len(vectors.Invalid), err)
	}
	s := newSite(t)
	s.stored(2, 2)
	checksum := html.EscapeString(ceremony.Words["en"]["fault.checksum"])
	for _, v := range vectors.Invalid {
		p := s.post("/ceremony/check", "share", v.Text)
		if got := strings.Contains(p.body, `role="alert" tabindex="-1" autofocus><p>`+checksum); got != (v.Error == "checksum") || !strings.Contains(p.body, `role="alert"`) {
			t.Errorf("%s (%s): %d %s", v.Name, v.Error, p.Code, p.text())
		}
	}
	for _, v := range vectors.Valid {
		s.want(s.post("/ceremony/check", "share", v.Text), 200, "of another store")
	}
}

// TestRing: the newest events are kept, newest first.
func TestRing(t *testing.T) {
	r := ceremony.NewRing(3)
	if n := len(slices.Collect(r.Newest())); n != 0 {
		t.Errorf("%d events of none", n)
	}
	for i := range 8 {
		r.OnEvent(seal.Event{Detail: fmt.Sprint(i) + strings.Repeat("x", i*200)})
		var got string
		for e := range r.Newest() {
			got += e.Detail[:1]
			if len(e.Detail) > 510 {
				t.Error("not cut")
			}
		}
		want := ""
		for j := i; j >= max(0, i-2); j-- {
			want += fmt.Sprint(j)
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for range r.Newest() {
		break
	}
}

// TestConfig: what can never work is refused.
func TestConfig(t *testing.T) {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	allow := func(*http.Request, ceremony.Action, string) error { return nil }
	for says, c := range map[string]ceremony.Config{
		"Config.Barrier is nil":   {Authorize: allow},
		"Config.Authorize is nil": {Barrier: b},
		"Config.Path":             {Barrier: b, Authorize: allow, Path: "seal"},
		"begins and ends":         {Barrier: b, Authorize: allow, Path: "/seal"},
		"Config.Title":            {Barrier: b, Authorize: allow, Title: strings.Repeat("x", 201)},
		"Config.Keep":             {Barrier: b, Authorize: allow, Keep: -1},

		// Shares that nobody would be given.
		`"board", which people hold`: {Barrier: b, Authorize: allow, Slots: map[string]seal.Spec{"board": seal.Shamir{Shares: 3, Threshold: 2}}},
		`"both", which people hold`: {Barrier: b, Authorize: allow, Slots: map[string]seal.Spec{"both": seal.Threshold{K: 2, Of: []seal.Spec{
			seal.KMS{Wrapper: "cloud"}, seal.Threshold{K: 1, Of: []seal.Spec{seal.Shamir{Shares: 1, Threshold: 1}, seal.KMS{Wrapper: "other"}}},
		}}}},
		`which is the people slot`: {Barrier: b, Authorize: allow, People: "board", Slots: map[string]seal.Spec{"board": seal.KMS{Wrapper: "cloud"}}},
	} {
		if _, err := ceremony.New(c); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

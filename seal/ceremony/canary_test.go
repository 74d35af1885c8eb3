package ceremony_test

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/secret/secrettest"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
)

// A heard is a request, and everything that was answered.
type heard struct {
	path   string
	form   url.Values
	answer string
}

// listens records what a site answers.
func (s *site) listens() *[]heard {
	var all []heard
	inner := s.h
	s.h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		form, _ := url.ParseQuery(string(body))
		rec := httptest.NewRecorder()
		inner.ServeHTTP(rec, r)
		var b strings.Builder
		rec.Result().Header.Write(&b)
		all = append(all, heard{r.URL.Path, form, b.String() + rec.Body.String()})
		for name, values := range rec.Result().Header {
			w.Header()[name] = values
		}
		w.WriteHeader(rec.Code)
		w.Write(rec.Body.Bytes())
	})
	return &all
}

// A life of a store on the page, with mistakes: no answer shows a share but to the
// place that it is for, when it asks, and a code but to who has it; no event shows
// either, nor a token.
func TestNoSecretIsShown(t *testing.T) {
	const token = "s.canary-token-5c1d77aa"
	s := newSite(t, func(_ *seal.Config, c *ceremony.Config) {
		asks := c.Authorize
		c.Authorize = func(r *http.Request, a ceremony.Action, given string) error {
			if given == token {
				return nil
			}
			return asks(r, a, given)
		}
	})
	answers := s.listens()
	first := s.begins("init", "2", "Ada", "Ben", "Carla")
	first.lead("make")
	first.show()
	mistakes := func(share string) {
		texts := []string{share[:80], share[:40] + swap(share[40]) + share[41:], share + share, strings.ToUpper(share[:40]) + share[40:], "x" + share, "a<b>" + share, token}
		if testing.Short() {
			texts = []string{texts[1], token}
		}
		for _, text := range texts {
			for _, path := range []string{"unseal", "check", "operation/none", "migration"} {
				s.post("/ceremony/"+path, "share", text)
			}
			first.place(0, "back", "share", text)
			s.post("/ceremony/join/"+first.invitation, "name", text, "key", text)
			s.post("/ceremony/place", "code", text, "do", text)
			s.post("/ceremony/begin/rekey", "shares", text, "threshold", text, "token", text)
		}
	}
	mistakes(first.shares[0])
	for i, share := range first.shares {
		first.place((i+1)%3, "back", "share", share)
		first.place(i, "back", "share", share)
	}
	s.post("/ceremony/check", "share", first.shares[2])
	s.post("/ceremony/events", "token", token)
	s.post("/ceremony/events", "token", token+"x")
	s.seal()
	s.post("/ceremony/unseal", "share", first.shares[1])
	mistakes(first.shares[1])
	s.post("/ceremony/unseal", "share", first.shares[2])
	s.want(s.get("/ceremony/"), 200, "The server is unsealed.")
	next := s.begins("rekey", "2", "Dora", "Emil", "Fay")
	next.lead("make")
	link := "/ceremony/operation/" + string(s.b.Status().Operation.ID)
	s.post(link, "share", first.shares[0])
	s.post(link, "share", first.shares[1])
	next.show()
	for i, share := range next.shares {
		next.place(i, "back", "share", share)
		s.post("/ceremony/check", "share", first.shares[i])
	}
	s.want(s.post("/ceremony/check", "share", next.shares[0]), 200, "Your share is right")
	mistakes(next.shares[2])
	s.post("/ceremony/events", "token", token)

	secrets := map[string][]byte{"token": []byte(token)}
	for of, tb := range map[string]*table{"first": first, "next": next} {
		secrets[of+" leader's code"] = []byte(tb.leader)
		for i := range tb.tickets {
			secrets[fmt.Sprintf("%s code %d", of, i)] = []byte(tb.tickets[i])
			parsed, err := seal.ParseShare(tb.shares[i])
			if err != nil {
				t.Fatal(err)
			}
			secrets[fmt.Sprintf("%s share %d, bytes", of, i)] = parsed.RevealRaw()[:32]
			secrets[fmt.Sprintf("%s share %d", of, i)] = []byte(tb.shares[i][39:83])
		}
	}
	var others, own strings.Builder
	for _, a := range *answers {
		// To a place goes its share, when it asks; to whom a code is, the code.
		if i := slices.Index(slices.Concat(first.tickets, next.tickets), a.form.Get("code")); i >= 0 && a.form.Get("do") == "show" {
			share := slices.Concat(first.shares, next.shares)[i]
			a.answer = groups.ReplaceAllStringFunc(a.answer, func(text string) string {
				if text = tag.ReplaceAllString(text, ""); strings.Join(strings.Fields(text), "") == share {
					own.WriteString(share + "\n")
					return ""
				}
				return text
			})
		}
		if m := hiddenCode.FindStringSubmatch(a.answer); m != nil && (m[1] == a.form.Get("code") || strings.Contains(a.path, "/begin/") || strings.Contains(a.path, "/join/")) {
			own.WriteString(m[1] + "\n")
			a.answer = strings.ReplaceAll(a.answer, m[1], "")
		}
		others.WriteString(a.answer + "\n")
	}
	for i, e := range s.events {
		if testing.Short() && i%4 != 0 {
			continue // said has all of them
		}
		for _, sink := range secrettest.Sinks(e) {
			others.WriteString(sink + "\n")
		}
	}
	others.WriteString(s.said())
	find := func(text string) map[string]string {
		lower := strings.ToLower(html.UnescapeString(text))
		bare := strings.Join(strings.Fields(tag.ReplaceAllString(lower, "")), "")
		return secrettest.FindAny(text+"\n"+lower+"\n"+bare, secrets)
	}
	leaks := find(others.String())
	for name, form := range leaks {
		t.Errorf("the %s is shown: %s", name, form)
	}
	// What was shown where it belongs is what the search must find: every share, and every code.
	if found := find(own.String()); len(found) != len(secrets)-7 {
		t.Errorf("the search finds %d of %d secrets where they belong", len(found), len(secrets)-7)
	}
	if testing.Short() {
		return // a part, of which there is no figure
	}
	t.Logf("GUARANTEE 20 page: secrets=%d answers=%d events=%d leaks=%d found_where_they_belong=%d", len(secrets), len(*answers), len(s.events), len(leaks), len(find(own.String())))
}

var (
	groups     = regexp.MustCompile(`(?s)<p class="groups"[^>]*>.*?</p>`)
	tag        = regexp.MustCompile(`<[^>]*>`)
	hiddenCode = regexp.MustCompile(`name="code" value="([^"]+)"`)
)

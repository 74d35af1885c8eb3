package main

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestPage: custodians make the store on the page, unseal it there after a restart, and
// begin a rekey and read the events by the root token.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	p := run(t, dir, "")
	page := func(code int, method, path string, fields ...string) string {
		t.Helper()
		form := url.Values{}
		for i := 0; i < len(fields); i += 2 {
			form.Set(fields[i], fields[i+1])
		}
		r, err := http.NewRequest(method, p.url+"/ceremony/"+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		if method == "POST" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != code {
			t.Fatalf("%s %s: %d %v\n%s", method, path, answer.StatusCode, err, body)
		}
		return string(body)
	}
	field := func(body, name string) string {
		t.Helper()
		m := regexp.MustCompile(`name="` + name + `" value="([^"]+)"`).FindStringSubmatch(body)
		if m == nil {
			t.Fatalf("no %s in %s", name, body)
		}
		return m[1]
	}
	lead := page(200, "POST", "begin/init", "shares", "2", "threshold", "2")
	var codes, shares []string
	for _, name := range []string{"Ada", "Ben"} {
		codes = append(codes, field(page(200, "POST", "join/"+field(lead, "invitation"), "name", name), "code"))
	}
	page(200, "POST", "lead", "code", field(lead, "code"), "do", "make")
	for _, code := range codes {
		body := page(200, "POST", "place", "code", code, "do", "show")
		groups := regexp.MustCompile(`<span>([a-z0-9]+)</span>`).FindAllStringSubmatch(body, -1)
		share := ""
		for _, g := range groups {
			share += g[1]
		}
		shares = append(shares, share)
		page(200, "POST", "place", "code", code, "do", "back", "share", share)
	}
	if body := page(200, "GET", ""); !strings.Contains(body, "The server is unsealed.") {
		t.Fatal(body)
	}
	p.stop()

	tokenFile := filepath.Join(t.TempDir(), "token")
	p = run(t, dir, "", func(c *config) { c.tokenFile = tokenFile })
	page(200, "POST", "unseal", "share", shares[0])
	if body := page(200, "POST", "unseal", "share", shares[1]); !strings.Contains(body, "The server is unsealed.") {
		t.Fatal(body)
	}
	token := ""
	for range 500 {
		b, _ := os.ReadFile(tokenFile)
		if token = strings.TrimSpace(string(b)); token != "" {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	page(403, "POST", "begin/rekey", "shares", "2", "threshold", "2", "token", "s.guessed")
	page(403, "POST", "events", "token", "")
	if body := page(200, "POST", "events", "token", token); !strings.Contains(body, "by people") {
		t.Error(body)
	}
	page(200, "POST", "begin/rekey", "shares", "2", "threshold", "2", "token", token)
	if log := p.log.String(); strings.Contains(log, shares[0][:20]) || strings.Contains(log, token) || !strings.Contains(log, "seal ceremony") {
		t.Errorf("the log has a secret, or nothing of the ceremony:\n%s", log)
	}
}

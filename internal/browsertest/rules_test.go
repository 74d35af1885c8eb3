package browsertest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// TestJapanese: a browser that wants Japanese gets all of it, also of the script.
func TestJapanese(t *testing.T) {
	s := newSite(t)
	tb := s.open(t, inJapanese)
	shares := s.stored(3, 2)
	s.seal()
	tb.goTo("/ceremony/")
	tb.sees("サーバーは封印されています。")
	if lang := eval[string](tb, "document.documentElement.lang"); lang != "ja" {
		t.Errorf("lang is %q", lang)
	}
	tb.axe("sealed, in Japanese")
	tb.types("#share", mistype(shares[0], 50))
	tb.sees("チェックサムが合いません。")
	tb.axe("mistyped, in Japanese")
	tb.types("#share", "ｓｗ１")
	tb.sees("半角の英数字ではありません。")
	tb.paste("#share", shares[0])
	tb.clicks("form button:not([type=button])")
	tb.sees("ありがとうございます。")
	tb.sees("2 個必要なうち 1 個")
	tb.axe("one share in, in Japanese")
	tb.goTo("/ceremony/check")
	tb.paste("#share", shares[1])
	tb.clicks("form button:not([type=button])")
	tb.sees("セット 1 の 2 番")
	for _, path := range []string{"/ceremony/nothing", "/ceremony/events", "/ceremony/join/x"} {
		tb.goTo(path)
		tb.axe(path + ", in Japanese")
	}
	tb.quiet("network: .*404")
}

// TestWithoutScript: the whole of an unseal, and an init, by plain forms.
func TestWithoutScript(t *testing.T) {
	s := newSite(t)
	lead := s.open(t, withoutScript)
	lead.goTo("/ceremony/begin/init")
	lead.types("#shares", "2")
	lead.types("#threshold", "2")
	lead.types("#token", token)
	lead.clicks("form button:not([type=button])")
	lead.sees("Send this link")
	path := eval[string](lead, "document.querySelector('.link a').getAttribute('href')")
	var people []*tab
	for _, name := range []string{"Ada", "Ben"} {
		p := s.open(t, withoutScript)
		p.goTo(path)
		p.types("#name", name)
		p.clicks("form button:not([type=button])")
		p.sees("Read this number")
		people = append(people, p)
	}
	lead.clicks("button[value=look]")
	lead.sees("All places are taken.")
	lead.clicks("button[value=make]")
	lead.sees("The shares are made.")
	var all secrets
	for _, p := range people {
		p.clicks("button[value=look]")
		p.sees("Have pen and paper ready")
		p.clicks("button[value=show]")
		share := p.shown()
		all = append(all, share)
		p.types("#share", mistype(share, 20))
		p.clicks("button[value=back]")
		p.sees("The checksum does not fit")
		p.types("#share", share)
		p.clicks("button[value=back]")
		p.sees("Thank you.")
	}
	s.seal()
	night := s.open(t, withoutScript)
	night.goTo("/ceremony/")
	if eval[bool](night, "[...document.querySelectorAll('[data-camera]')].some((c) => c.offsetHeight > 0)") {
		t.Error("offers the camera, which takes a script")
	}
	for _, share := range all {
		night.types("#share", share)
		night.clicks("form button:not([type=button])")
		night.waits("#answer.good")
		if at := eval[string](night, "location.pathname"); !strings.HasPrefix(at, "/ceremony/answer/") {
			t.Errorf("a reload would send the share again: %s", at)
		}
	}
	night.sees("The server is unsealed.")
	night.narrow("without a script") // axe-core is a script
	night.run(chromedp.NavigateBack())
	night.waits("main")
	if value := eval[string](night, "[...document.querySelectorAll('textarea')].map((a) => a.value).join()"); value != "" {
		t.Error("the field is filled again")
	}
	night.keepsNothing(all)
	night.quiet()
}

// TestKeyboard: an unseal without a pointer, by Tab, keys and Enter.
func TestKeyboard(t *testing.T) {
	s := newSite(t)
	shares := s.stored(2, 2)
	s.seal()
	tb := s.open(t)
	tb.goTo("/ceremony/")
	tb.presses(kb.Tab)
	if eval[string](tb, "document.activeElement.className") != "skip" || eval[float64](tb, "document.activeElement.getBoundingClientRect().left") < 0 {
		t.Error("the first Tab leads not to the skip link, or it is not seen")
	}
	for i, share := range shares {
		reached := false
		for range 20 {
			tb.presses(kb.Tab)
			if eval[string](tb, "document.activeElement.id") == "share" {
				reached = true
				break
			}
			if eval[bool](tb, "(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle === 'none' || s.outlineWidth === '0px'; })()") {
				t.Errorf("nothing shows the focus on %s", eval[string](tb, "document.activeElement.outerHTML.slice(0, 80)"))
			}
		}
		if !reached {
			t.Fatal("Tab does not lead to the field")
		}
		tb.presses(share)
		tb.presses(kb.Tab) // the camera is not there
		if eval[string](tb, "document.activeElement.tagName") != "BUTTON" {
			t.Errorf("after the field: %s", eval[string](tb, "document.activeElement.outerHTML.slice(0, 80)"))
		}
		tb.presses(kb.Enter)
		tb.sees([]string{"Your share is right, and counts.", "The server is unsealed."}[i])
		if got := eval[string](tb, "document.activeElement.id + ' ' + document.activeElement.getAttribute('role')"); got != "answer status" {
			t.Errorf("share %d: the focus is on %q", i+1, got)
		}
	}
	tb.sees("The server is unsealed.")
	tb.quiet()
}

// TestCamera: where the browser reads codes, the page does by the camera; elsewhere
// nothing of it is seen.
func TestCamera(t *testing.T) {
	s := newSite(t)
	shares := s.stored(2, 2)
	s.seal()
	tb := s.open(t)
	tb.goTo("/ceremony/")
	if eval[bool](tb, "!('BarcodeDetector' in window)") && eval[bool](tb, "document.querySelector('[data-camera]').offsetHeight > 0") {
		t.Error("offers a camera that reads no codes")
	}
	codes, _ := json.Marshal([]string{"https://evil.example/", mistype(shares[0], 30), strings.ToUpper(shares[0])})
	tb = s.open(t, before(`window.BarcodeDetector = class {
		static getSupportedFormats() { return Promise.resolve(['qr_code']); }
		constructor() { this.at = 0; }
		detect(video) { if (!video.videoWidth) return Promise.resolve([]); const c = `+string(codes)+`; return Promise.resolve([{ rawValue: c[Math.min(this.at++, c.length - 1)] }]); }
	};`))
	tb.goTo("/ceremony/")
	tb.sees("Read the QR code with the camera")
	tb.axe("with a camera")
	tb.clicks("[data-scan]")
	tb.sees("The code was read.")
	tb.sees("its checksum is right")
	if eval[bool](tb, "document.querySelector('video').srcObject !== null || camera !== null") {
		t.Error("the camera goes on")
	}
	if s.shares() != 0 {
		t.Error("a code that was read is sent by itself")
	}
	tb.clicks("form button:not([type=button])")
	tb.sees("Your share is right, and counts.")
	tb.quiet()
}

// TestFaultsAgree: the script takes for a share what the server does, and has the same
// words for what is wrong.
func TestFaultsAgree(t *testing.T) {
	b, err := os.ReadFile("../../seal/testdata/shares.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct{ Valid, Invalid []struct{ Name, Text string } }
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	s.stored(2, 2)
	tb := s.open(t)
	tb.goTo("/ceremony/check")
	compare := func(name, text string, good bool) {
		t.Helper()
		quoted, _ := json.Marshal(text)
		said := eval[string](tb, fmt.Sprintf("(() => { const f = document.querySelector('[data-share]'); f.querySelector('textarea').value = %s; const ok = judge(f, true); return ok + '|' + f.querySelector('.fault').textContent; })()", quoted))
		var page string
		tb.run(chromedp.Evaluate(fmt.Sprintf("fetch('/ceremony/check', {method: 'POST', body: new URLSearchParams({share: %s})}).then((r) => r.text()).then((t) => new DOMParser().parseFromString(t, 'text/html').querySelector('#answer').innerText.trim())", quoted), &page, awaited))
		ok, words, _ := strings.Cut(said, "|")
		newer := strings.HasPrefix(page, "This is no share that this server can read")
		switch {
		case good != (ok == "true") && !newer:
			t.Errorf("%s: the script says %s", name, said)
		case !good && !newer && !strings.HasPrefix(page, "The share is too") && page != words:
			t.Errorf("%s: the script says %q, the server %q", name, words, page)
		}
	}
	for _, v := range vectors.Valid {
		compare(v.Name, v.Text, true)
	}
	for _, v := range vectors.Invalid {
		compare(v.Name, v.Text, false)
	}
	share := vectors.Valid[0].Text
	for at := 3; at < len(share); at += 5 {
		compare(fmt.Sprint("mistyped at ", at), mistype(share, at), false)
	}
	for name, text := range map[string]string{
		"no-break spaces": share[:20] + "\u00a0\u3000\u2028 " + share[20:], "hyphens": share[:20] + "-" + share[20:], "wide": "ｓｗ１" + share[3:],
		"kelvin sign": strings.Replace(share, "k", "\u212a", 1), "zero width": share[:20] + "\u200b" + share[20:], "byte order mark": "\ufeff" + share, "next line": share[:20] + "\u0085" + share[20:], "emoji": "😀" + share[1:],
	} {
		compare(name, text, name == "no-break spaces" || name == "next line")
	}
	tb.quiet()
}

// TestFramedAndForged: another site can neither frame the page nor send its forms.
func TestFramedAndForged(t *testing.T) {
	s := newSite(t)
	shares := s.stored(1, 1)
	s.seal()
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<main>evil</main><iframe src="%[1]s/ceremony/"></iframe><form method="post" action="%[1]s/ceremony/unseal"><input name="share" value="%[2]s"><button>x</button></form>`, s.url, shares[0])
	}))
	defer evil.Close()
	elsewhere := strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)
	tb := s.open(t)
	tb.run(chromedp.Navigate(elsewhere))
	framed := false
	for range 100 {
		tb.mu.Lock()
		framed = strings.Contains(strings.Join(tb.problems, "\n"), "frame-ancestors")
		tb.mu.Unlock()
		if framed {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !framed {
		t.Errorf("the page is framed: %v", tb.problems)
	}
	tb.clicks("button")
	tb.sees("another site")
	if s.b.Sealed() == nil {
		t.Error("another site's form unsealed it")
	}
	var said string
	tb.run(chromedp.Navigate(elsewhere), chromedp.Evaluate(fmt.Sprintf("fetch('%s/ceremony/unseal', {method: 'POST', mode: 'no-cors', body: new URLSearchParams({share: %q})}).then(() => 'sent', (e) => 'failed')", s.url, shares[0]), &said, awaited))
	if s.b.Sealed() == nil {
		t.Error("another site's script unsealed it")
	}
	// A name of a stranger's that leads here is refused, although it is of one origin.
	port := s.url[strings.LastIndex(s.url, ":"):]
	r, err := http.NewRequest("POST", s.url+"/ceremony/unseal", strings.NewReader("share="+shares[0]))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example" + port
	r.Header.Set("Origin", "http://evil.example"+port)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMisdirectedRequest || s.b.Sealed() == nil {
		t.Errorf("a rebound name: %d", answer.StatusCode)
	}
}

// TestProfile: after a share was typed, sent and shown, nothing of it is on the disk of
// a browser with an ordinary profile. What it shows of addresses is found, so that the
// search is one.
func TestProfile(t *testing.T) {
	s := newSite(t)
	shares := secrets(s.stored(2, 2))
	s.seal()
	tb := s.window(t, false)
	tb.goTo("/ceremony/")
	for _, share := range shares {
		tb.types("#share", share)
		tb.clicks("form button:not([type=button])")
		tb.sees("Thank you.")
	}
	tb.goTo("/ceremony/check")
	tb.types("#share", shares[0]) // typed, and left
	tb.goTo("/ceremony/events")
	tb.run(chromedp.NavigateBack())
	tb.waits("#share")
	if value := eval[string](tb, "document.querySelector('#share').value"); value != "" {
		t.Error("the field is filled again")
	}
	tb.keepsNothing(shares)
	time.Sleep(2 * time.Second) // the browser writes its history with a delay
	found, control := "", false
	err := filepath.WalkDir(browser.profile, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil // a lock
		}
		narrow := strings.ReplaceAll(string(b), "\x00", "") // UTF-16 as well
		if shares.in(string(b)) || shares.in(narrow) {
			found = path
		}
		control = control || strings.Contains(string(b), strings.TrimPrefix(s.url, "http://")+"/ceremony/")
		return nil
	})
	if err != nil || found != "" {
		t.Errorf("a share is on the disk, in %s: %v", found, err)
	}
	if !control {
		t.Error("not even the page's address was found: what was searched?")
	}
	tb.quiet()
}

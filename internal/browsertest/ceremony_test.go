package browsertest

import (
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/sealwright/sealwright/seal"
)

// secrets are the shares that a test has met: they stand in no address, log, storage.
type secrets []string

// parts are pieces of a share that nothing else has.
func (all secrets) in(text string) bool {
	text = strings.ToLower(text)
	for _, s := range all {
		if strings.Contains(text, s[40:60]) || strings.Contains(text, s[60:80]) {
			return true
		}
	}
	return false
}

// shown is the share that a place's page shows.
func (tb *tab) shown() string {
	tb.t.Helper()
	tb.waits(".groups")
	return regexp.MustCompile(`\s`).ReplaceAllString(eval[string](tb, "document.querySelector('.groups').innerText"), "")
}

// checks that nothing of a secret is kept where a browser keeps things, nor in an address.
func (tb *tab) keepsNothing(all secrets) {
	tb.t.Helper()
	kept := eval[string](tb, "JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, location.href, history.state])")
	if kept != `["",{},{},`+kept[len(`["",{},{},`):] || all.in(kept) {
		tb.t.Errorf("the browser keeps %s", kept)
	}
	var caches int
	tb.run(chromedp.Evaluate("caches.keys().then((k) => k.length)", &caches, awaited))
	if caches != 0 {
		tb.t.Errorf("%d caches", caches)
	}
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, u := range tb.urls {
		if all.in(u) {
			tb.t.Errorf("a share in an address or header: %s", u[:60])
		}
	}
}

// TestCeremony goes through the life of a store with people: three custodians' pages at
// init, a share mistyped, an unseal, a rekey that the old holders join by its link.
func TestCeremony(t *testing.T) {
	s := newSite(t)
	lead := s.open(t)
	lead.goTo("/ceremony/")
	lead.sees("There is no store yet.")
	lead.axe("no store")
	lead.clicks(`a[href$="begin/init"]`)
	lead.sees("How many shares")
	lead.axe("begin")
	lead.types("#shares", "3")
	lead.types("#threshold", "2")
	lead.types("#token", "guessed")
	lead.clicks("form button:not([type=button])")
	lead.sees("You may not do that")
	lead.axe("refused")
	lead.goTo("/ceremony/begin/init")
	lead.types("#shares", "3")
	lead.types("#threshold", "2")
	lead.types("#token", token)
	lead.clicks("form button:not([type=button])")
	lead.sees("Send this link")
	lead.axe("waiting for people")
	invitation := eval[string](lead, "document.querySelector('.link a').innerText")
	if !strings.HasPrefix(invitation, s.url+"/ceremony/join/") {
		t.Fatalf("the link is %q", invitation)
	}

	var people []*tab
	for _, name := range []string{"Ada Lovelace", "Ben", "Carla"} {
		p := s.open(t)
		p.goTo(strings.TrimPrefix(invitation, s.url))
		if name == "Ben" {
			p.axe("join")
		}
		p.types("#name", name)
		p.presses(kb.Enter)
		p.sees("Read this number")
		people = append(people, p)
	}
	people[0].axe("place, waiting")
	number := eval[string](people[1], "document.querySelector('.check').innerText")
	lead.sees("The numbers fit: make the shares") // by itself, as the last one came
	lead.sees(number)
	lead.axe("everybody is here")
	lead.clicks("button[value=make]")
	lead.sees("The shares are made.")

	var all secrets
	for i, p := range people {
		p.sees("Have pen and paper ready") // by itself
		if i == 1 {
			p.axe("place, share made")
		}
		p.clicks("button[value=show]")
		share := p.shown()
		if _, err := seal.ParseShare(share); err != nil {
			t.Fatal(err)
		}
		all = append(all, share)
	}
	people[0].axe("place, share shown")
	if all.in(eval[string](lead, "document.documentElement.outerHTML")) {
		t.Error("who began sees a share")
	}

	// A mistyped share is named while it is typed, and not sent.
	p, sent := people[0], s.shares()
	p.types("#share", mistype(all[0], 33))
	p.sees("The checksum does not fit")
	p.axe("mistyped")
	p.clicks("button[value=back]")
	p.types("#share", all[0][:20]+"b"+all[0][21:])
	p.sees("No share has the character at position 21.")
	p.types("#share", all[0][:30])
	p.sees("30 of 89 characters")
	p.clicks("button[value=back]")
	p.types("#share", all[0]+"q")
	p.sees("90 characters, and a share has 89")
	p.presses(kb.Enter)
	if s.shares() != sent {
		t.Error("what the checksum refuses was sent")
	}
	p.types("#share", strings.ToUpper(all[0][:45])+"\n"+strings.ToUpper(all[0][45:]))
	p.sees("its checksum is right")
	if strings.Contains(p.text(), "role") {
		t.Error("marks in the text")
	}
	p.clicks("button[value=back]")
	p.sees("the server has forgotten it")
	p.axe("given back")
	if all.in(eval[string](p, "document.documentElement.outerHTML + [...document.querySelectorAll('textarea')].map((a) => a.value)")) {
		t.Error("the share is still in the page")
	}
	if s.b.Sealed() == nil {
		t.Fatal("unsealed by one share of two")
	}
	people[1].paste("#share", all[1])
	people[1].clicks("button[value=back]")
	people[1].sees("the new shares count")
	if err := s.b.Sealed(); err != nil {
		t.Fatal(err)
	}
	people[2].paste("#share", all[2])
	people[2].clicks("button[value=back]")
	people[2].sees("the shares count")
	lead.sees("The new shares count.")

	// The night: sealed, two of them are called.
	s.seal()
	night := s.open(t, phone)
	night.goTo("/ceremony/")
	night.sees("An operator sealed it")
	night.axe("sealed")
	night.paste("#share", all[2])
	night.clicks("form button:not([type=button])")
	night.sees("Your share is right, and counts.")
	night.sees("1 of 2 needed shares are in")
	night.axe("one share in")
	if focus := eval[string](night, "document.activeElement.id"); focus != "answer" {
		t.Errorf("the focus is on %q, not on what came of it", focus)
	}
	night.paste("#share", newSite(t).stored(1, 1)[0])
	night.clicks("form button:not([type=button])")
	night.sees("of another store")
	night.axe("of another store")
	night.paste("#share", all[0])
	night.clicks("form button:not([type=button])")
	night.sees("The server is unsealed.")
	night.axe("unsealed")

	// A rekey: Carla goes, Dora comes.
	lead.goTo("/ceremony/begin/rekey")
	lead.types("#shares", "2")
	lead.types("#threshold", "2")
	lead.types("#token", token)
	lead.clicks("form button:not([type=button])")
	lead.sees("Send this link")
	invitation = eval[string](lead, "document.querySelector('.link a').innerText")
	var next []*tab
	for _, name := range []string{"Ada Lovelace", "Dora"} {
		p := s.open(t)
		p.goTo(strings.TrimPrefix(invitation, s.url))
		p.types("#name", name)
		p.clicks("form button:not([type=button])")
		p.sees("Read this number")
		next = append(next, p)
	}
	lead.sees("ask the holders of the old shares")
	lead.clicks("button[value=make]")
	lead.sees("Agree to the new shares")
	link := eval[string](lead, "document.querySelector('a[href*=operation]').getAttribute('href')")
	next[0].sees("asked whether they agree")
	for i, p := range people[:2] {
		p.goTo(link)
		p.sees("Ada Lovelace, Dora")
		if i == 0 {
			p.axe("a rekey's page")
		}
		p.paste("#share", all[i])
		p.clicks("form button:not([type=button])")
		p.sees("Thank you.")
	}
	people[1].sees("Enough have agreed: the new shares are made")
	var fresh secrets
	for i, p := range next {
		p.sees("Have pen and paper ready")
		p.clicks("button[value=show]")
		fresh = append(fresh, p.shown())
		p.paste("#share", fresh[i])
		p.clicks("button[value=back]")
		p.sees("Thank you.")
	}
	next[1].sees("the new shares count")

	// Is my share still right?
	s.seal()
	for _, c := range [][2]string{{all[1], "set 1, which was replaced; set 2 counts now"}, {fresh[0], "Your share is right: number 1 of set 2"}} {
		night.goTo("/ceremony/check")
		night.paste("#share", c[0])
		night.clicks("form button:not([type=button])")
		night.sees(c[1])
		night.axe("checked")
	}
	if s.b.Sealed() == nil {
		t.Error("a check has unsealed")
	}
	s.unseal(fresh...)
	night.goTo("/ceremony/events")
	night.types("#token", token)
	night.clicks("form button:not([type=button])")
	night.sees("the shares were made")
	night.axe("events")

	all = append(all, fresh...)
	for _, tb := range append(append([]*tab{lead, night}, people...), next...) {
		tb.keepsNothing(all)
		tb.quiet(`network: .*(400|403|404)`)
	}
	if all.in(s.logs()) {
		t.Error("a share in a log")
	}
	t.Logf("axe-core: %d looks, 0 violations wanted", axeRuns)
}

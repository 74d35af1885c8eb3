package browsertest

import (
	"testing"
)

// TestPictures takes the pictures of docs/ceremony, of a store that is thrown away.
func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("skipped: -pictures says no directory to write to")
	}
	for _, lang := range []string{"en", "ja"} {
		var options []tabOption
		people := []string{"Ada Lovelace", "Ben Carter", "Carla Diaz"}
		if lang == "ja" {
			options, people = []tabOption{inJapanese}, []string{"林 花子", "佐藤 健", "鈴木 葵"}
		}
		s := newSite(t)
		lead := s.open(t, options...)
		lead.goTo("/ceremony/begin/init")
		lead.types("#shares", "3")
		lead.types("#threshold", "2")
		lead.types("#token", token)
		lead.clicks("form button:not([type=button])")
		lead.waits(".link a")
		path := eval[string](lead, "document.querySelector('.link a').getAttribute('href')")
		var places []*tab
		for _, name := range people {
			p := s.open(t, options...)
			p.goTo(path)
			p.paste("#name", name)
			p.clicks("form button:not([type=button])")
			p.waits(".check")
			places = append(places, p)
		}
		lead.waits("button[value=make]")
		lead.picture("begun", "desktop")
		places[1].picture("place", "phone")
		lead.clicks("button[value=make]")
		var all secrets
		for _, p := range places {
			p.waits("button[value=show]")
			p.clicks("button[value=show]")
			all = append(all, p.shown())
		}
		places[0].picture("share", "phone")
		s.unseal(all[:2]...)
		s.seal()
		tb := s.open(t, options...)
		tb.goTo("/ceremony/")
		tb.paste("#share", all[2])
		tb.clicks("form button:not([type=button])")
		tb.waits("#answer.good")
		tb.paste("#share", mistype(all[0], 40))
		tb.waits(".fault.bad")
		tb.picture("mistyped", "phone")
		tb.goTo("/ceremony/check")
		tb.paste("#share", all[1])
		tb.clicks("form button:not([type=button])")
		tb.waits("#answer.good")
		tb.dark(true)
		tb.picture("check-dark", "desktop")
		tb.dark(false)
		tb.goTo("/ceremony/")
		tb.paste("#share", all[0])
		tb.clicks("form button:not([type=button])")
		tb.waits("#state .open")
		tb.picture("unsealed", "phone")
		pictureRekey(t, people, options)
	}
}

// pictureRekey has shares made for other people, to which one old holder has agreed.
func pictureRekey(t *testing.T, people []string, options []tabOption) {
	s := newSite(t)
	share := s.stored(3, 2)[0]
	lead := s.open(t, options...)
	lead.goTo("/ceremony/begin/rekey")
	lead.types("#shares", "2")
	lead.types("#threshold", "2")
	lead.types("#token", token)
	lead.clicks("form button:not([type=button])")
	lead.waits(".link a")
	path := eval[string](lead, "document.querySelector('.link a').getAttribute('href')")
	for _, name := range people[:2] {
		p := s.open(t, options...)
		p.goTo(path)
		p.paste("#name", name)
		p.clicks("form button:not([type=button])")
		p.waits(".check")
	}
	lead.clicks("button[value=make]")
	lead.waits("a[href*=operation]")
	tb := s.open(t, options...)
	tb.goTo(eval[string](lead, "document.querySelector('a[href*=operation]').getAttribute('href')"))
	tb.paste("#share", share)
	tb.clicks("form button:not([type=button])")
	tb.waits("#answer.good")
	tb.picture("rekey", "phone")
}

package main

import (
	"os"
	"regexp"
	"slices"
)

// monitored checks that the rules and the dashboard of docs/monitoring ask for what
// this server shows. It needs a census, which comes with the first round of the
// keeper, to show two more.
func (h *host) monitored() {
	h.t.Helper()
	var shown []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(h.must("GET", "/metrics", "", nil), -1) {
		shown = append(shown, m[1])
	}
	for _, file := range []string{"alerts.yml", "dashboard.json"} {
		text, err := os.ReadFile("../../docs/monitoring/" + file)
		if err != nil {
			h.t.Fatal(err)
		}
		asked := regexp.MustCompile(`\bsealwright_[a-z_]+`).FindAllString(string(text), -1)
		if len(asked) < 10 {
			h.t.Errorf("%s asks for %q alone", file, asked)
		}
		slices.Sort(asked)
		for _, name := range slices.Compact(asked) {
			if !slices.Contains(shown, name) && !slices.Contains(later, name) {
				h.t.Errorf("%s asks for %s, which the server does not show", file, name)
			}
		}
	}
}

// later is what the first round of the keeper shows, and what only a host with a
// journal does.
var later = []string{
	"sealwright_items", "sealwright_rewrap_items_total", "sealwright_keeper_round_timestamp_seconds",
	"sealwright_journal_failed", "sealwright_journal_line", "sealwright_journal_lost_total", "sealwright_journal_waiting",
}

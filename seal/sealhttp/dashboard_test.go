package sealhttp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/sealwright/sealwright/seal/journal"
)

// expressions returns those of the dashboard, with the variables that they use
// among those that it has.
func expressions(t *testing.T) (exprs []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Name, Definition string }
		}
	}
	text, err := os.ReadFile(monitoring + "dashboard.json")
	if err == nil {
		err = json.Unmarshal(text, &dashboard)
	}
	if err != nil {
		t.Fatal(err)
	}
	taken := map[[2]int]string{}
	for i, p := range dashboard.Panels {
		if p.ID != i+1 || len(p.Targets) == 0 {
			t.Errorf("panel %q has the id %d and %d targets", p.Title, p.ID, len(p.Targets))
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if taken[at] != "" || at[0] > 23 {
					t.Fatalf("panel %q lies on %q, or outside", p.Title, taken[at])
				}
				taken[at] = p.Title
			}
		}
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	known := strings.Builder{}
	for _, v := range dashboard.Templating.List {
		known.WriteString("$" + v.Name + " ")
		if m := regexp.MustCompile(`^label_values\((.*), [a-z]+\)$`).FindStringSubmatch(v.Definition); m != nil {
			exprs = append(exprs, m[1])
		}
	}
	for _, e := range exprs {
		for _, v := range regexp.MustCompile(`\$\w+`).FindAllString(e, -1) {
			if !strings.Contains(known.String(), v+" ") {
				t.Errorf("%s has an unknown variable", e)
			}
		}
	}
	return exprs
}

var metricName = regexp.MustCompile(`\b(sealwright|vault)_[a-z_]+`)

// TestDashboard: every expression of the dashboard is one, and names what a server
// shows that has all that there is to show; and every metric that there is stands in
// the dashboard or in a rule.
func TestDashboard(t *testing.T) {
	exprs := expressions(t)
	rules, err := os.ReadFile(monitoring + "alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	virtual(t, func(t *testing.T) {
		s := newSite(t, nil)
		s.init("a", "people")
		s.metrics.Keeper("idle", time.Now(), time.Now(), errors.New("an item"))
		s.metrics.Journal(func() journal.Status { return journal.Status{} })
		s.metrics.Items("tokens", map[string]int64{"1": 1})
		s.metrics.Rewrap("tokens")(map[string]int64{"rewrapped": 1})
		s.scrape()
		for _, m := range regexp.MustCompile(`(?m)^# TYPE (\S+)`).FindAllStringSubmatch(s.page, -1) {
			shown[m[1]] = true
		}
		s.Close()
	})
	used := map[string]bool{}
	for _, text := range append(exprs, string(rules)) {
		for _, name := range metricName.FindAllString(text, -1) {
			if used[name] = true; !shown[name] {
				t.Errorf("%s is no metric: %.200s", name, text)
			}
		}
	}
	for name := range shown {
		if !used[name] && name != "sealwright_memory_undumpable" { // as memory_locked
			t.Errorf("%s is in no panel and no rule", name)
		}
	}
	if testing.Short() {
		return // before a process is started
	}
	recorded := make([]map[string]string, len(exprs))
	for i, e := range exprs {
		recorded[i] = map[string]string{"record": fmt.Sprintf("panel:%d", i), "expr": e}
	}
	file, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": recorded}}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "rules.json")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "", "check", "rules", name); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestRunbooks: every alert leads to a section that is there.
func TestRunbooks(t *testing.T) {
	rules, err := os.ReadFile(monitoring + "alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	runbooks, err := os.ReadFile("../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^##+ (.*?)\r?$`).FindAllStringSubmatch(string(runbooks), -1) {
		anchors[strings.Map(func(r rune) rune { // as GitHub makes them
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])] = true
	}
	alerts := strings.Count(string(rules), "- alert: ")
	links := regexp.MustCompile(`runbook_url: https://github.com/sealwright/sealwright/blob/main/docs/OPERATIONS\.md#(\S+)`).FindAllStringSubmatch(string(rules), -1)
	if len(links) != alerts || alerts == 0 {
		t.Errorf("%d alerts with %d links", alerts, len(links))
	}
	for _, l := range links {
		if !anchors[l[1]] {
			t.Errorf("no section #%s", l[1])
		}
	}
}

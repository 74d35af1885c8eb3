package report_test

import (
	"context"
	"crypto/fips140"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/report"
)

// TestCampaign: what a custody drill shows of five custodians, three of whom open,
// and of a slot of several parts.
func TestCampaign(t *testing.T) {
	right := func(days, n int) seal.Event { return share(ago(days), 2, n, "", seal.ShareRight) }
	all := []seal.Event{right(9, 1), right(8, 2), right(7, 3), right(6, 4), right(5, 5)}
	tree := func(p *seal.SlotStatus) {
		p.Spec = seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "azure"}, seal.Shamir{Shares: 3, Threshold: 2}, seal.Shamir{Shares: 2, Threshold: 2}}}
		p.Leaves = []seal.Leaf{{Path: "1", KMS: "azure"}, {Path: "2", Set: 2, Threshold: 2, Shares: 3}, {Path: "3", Set: 3, Threshold: 2, Shares: 2}}
	}
	keys := func(p *seal.SlotStatus) {
		tree(p)
		p.Spec = seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "azure"}, seal.KMS{Wrapper: "aws"}, seal.Shamir{Shares: 3, Threshold: 2}}}
		p.Leaves = []seal.Leaf{{Path: "1", KMS: "azure"}, {Path: "2", KMS: "aws"}, {Path: "3", Set: 2, Threshold: 2, Shares: 3}}
	}
	for name, tt := range map[string]struct {
		change   func(*seal.SlotStatus)
		events   []seal.Event
		campaign report.Campaign
		want     string
		wrong    int
	}{
		"nobody yet":            {nil, nil, report.Campaign{Began: ago(10)}, "running 0/5 met=false", 0},
		"four of five":          {nil, all[:4], report.Campaign{Began: ago(10)}, "running 4/5 met=true", 0},
		"all":                   {nil, all, report.Campaign{Began: ago(10)}, "complete 5/5 met=true", 0},
		"all, and over":         {nil, all, report.Campaign{Began: ago(10), Until: ago(1)}, "complete 5/5 met=true", 0},
		"before it began":       {nil, all, report.Campaign{Began: ago(7)}, "running 3/5 met=true", 0},
		"over":                  {nil, all[:2], report.Campaign{Began: ago(10), Until: ago(1)}, "over 2/5 met=false", 0},
		"after its end":         {nil, all, report.Campaign{Began: ago(10), Until: ago(7)}, "over 3/5 met=true", 0},
		"and again the next":    {nil, append(all[:5:5], right(3, 1), right(3, 2)), report.Campaign{Began: ago(10), Until: ago(4)}, "complete 5/5 met=true", 0},
		"twice the same":        {nil, []seal.Event{right(9, 1), right(8, 1), right(7, 1)}, report.Campaign{Began: ago(10)}, "running 1/5 met=false", 0},
		"shares of the old set": {nil, []seal.Event{share(ago(9), 1, 1, "", seal.ShareRight), share(ago(9), 1, 2, "", seal.ShareStale)}, report.Campaign{Began: ago(10)}, "running 0/5 met=false", 1},
		"one that is altered":   {nil, append(all[:4:4], share(ago(4), 2, 5, "emil", seal.ShareAltered)), report.Campaign{Began: ago(10)}, "running 4/5 met=true", 1},
		"altered, and not his":  {nil, append(all[:5:5], share(ago(4), 2, 5, "emil", seal.ShareAltered)), report.Campaign{Began: ago(10)}, "complete 5/5 met=true", 1},
		"given, and refused":    {nil, []seal.Event{failed(right(9, 1))}, report.Campaign{Began: ago(10)}, "running 1/5 met=false", 0},
		"nobody could look":     {nil, []seal.Event{failed(share(ago(9), 0, 0, "", ""))}, report.Campaign{Began: ago(10)}, "running 0/5 met=false", 0},
		"a tree and its key":    {tree, all[:2], report.Campaign{Began: ago(10)}, "running 2/5 met=true", 0},
		"a tree, too few":       {tree, all[:1], report.Campaign{Began: ago(10)}, "running 1/5 met=false", 0},
		"keys that suffice":     {keys, nil, report.Campaign{Began: ago(10)}, "running 0/3 met=false", 0},
	} {
		p := people()
		if tt.change != nil {
			tt.change(&p)
		}
		tt.campaign.Slot = "people"
		d := made(t, report.Input{Status: status(cloud(), p), Events: past(nil, tt.events...), Campaigns: []report.Campaign{tt.campaign}}).Drills[0]
		if got := fmt.Sprintf("%s %d/%d met=%v", d.State, d.Confirmed, d.Asked, d.Met); got != tt.want || len(d.Attempts) != tt.wrong {
			t.Errorf("%s: %s, %d wrong, want %s, %d", name, got, len(d.Attempts), tt.want, tt.wrong)
		}
	}
}

// TestPrinted: a browser prints a store that is well on one sheet, and nothing is cut
// at its edges.
func TestPrinted(t *testing.T) {
	testlevel.NeedsWhole(t, "starts a browser")
	if fips140.Enabled() {
		t.Skip("starts a browser, for a page that is the same in FIPS mode")
	}
	for _, tool := range []string{"chromium", "pdftotext", "pdfinfo"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not here: apt-get install chromium poppler-utils", tool)
		}
	}
	s := status(cloud(), people())
	s.Slots[0].Leaves[0].KeyID = "projects/p/locations/europe-west1/keyRings/" + strings.Repeat("ring", 40) + "/cryptoKeys/END-OF-THE-KEY"
	dir := t.TempDir()
	page, pdf := filepath.Join(dir, "page.html"), filepath.Join(dir, "page.pdf")
	must(t, os.WriteFile(page, []byte(written(t, made(t, report.Input{Status: s, Events: past(nil, quarter()...)}), "html")), 0o600))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := func(name string, args ...string) string {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.WaitDelay = time.Second
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return strings.Join(strings.Fields(string(out)), " ")
	}
	run("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", "--user-data-dir="+filepath.Join(dir, "profile"), "--print-to-pdf="+pdf, "file://"+page)
	if info := run("pdfinfo", pdf); !strings.Contains(info, "(A4)") || !strings.Contains(info, "Pages: 1 ") {
		t.Errorf("not one sheet of A4: %s", info)
	}
	text := run("pdftotext", "-layout", pdf, "-")
	for _, word := range []string{"Nothing is overdue", "emil", "END-OF-THE-KEY", "Read by"} {
		if !strings.Contains(text, word) {
			t.Errorf("%q is not to be read", word)
		}
	}
}

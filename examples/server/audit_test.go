package main

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	audit "github.com/sealwright/sealwright/seal/journal"
)

// What people do to a server is in its journal, of two processes in one chain, and
// in its log the head by which a change of it is noticed.
func TestJournal(t *testing.T) {
	dir := t.TempDir()
	place := audit.File{Path: filepath.Join(dir, "journal")}
	withJournal := func(c *config) { c.audit = place.Path }
	p := run(t, dir, "", withJournal)
	code, init := p.do("PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1})
	if code != 200 {
		t.Fatal(code, init)
	}
	share := init["keys"].([]any)[0].(string)
	p.token = init["root_token"].(string)
	p.unseal(false, share)
	p.want(200, "PUT", "sys/unseal/check", object{"key": share})
	p.stop()
	p = run(t, dir, "", withJournal)
	p.do("PUT", "sys/unseal", object{"key": strings.Repeat("A", len(share))})
	if code, body := p.do("PUT", "sys/unseal", object{"key": share}); code != 200 || body["sealed"] != false {
		t.Fatal(code, body)
	}
	p.token = init["root_token"].(string)
	// The report knows what was before the restart.
	if code, page := p.send("GET", "v1/sys/seal-report?format=text&drill=shamir&since=2020-01-01", ""); code != 200 || !strings.Contains(page, "1 of 1 confirmed") {
		t.Errorf("%d: %s", code, page)
	}
	p.stop()

	found := regexp.MustCompile(`msg="journal closed" head="([^"]+)"`).FindStringSubmatch(p.log.String())
	if found == nil {
		t.Fatalf("no head in the log:\n%s", p.log)
	}
	head, err := audit.ParseHead(found[1])
	if err != nil {
		t.Fatal(err)
	}
	var kinds []seal.EventKind
	failed := 0
	for e, err := range audit.Read(t.Context(), place, head) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, e.Kind)
		if e.Err != nil && strings.Contains(e.Detail+e.Err.Error(), "unseal") {
			failed++
		}
		if strings.Contains(e.Detail, share) {
			t.Error("the journal has a share")
		}
	}
	for _, want := range []seal.EventKind{audit.KindOpen, seal.EventInit, seal.EventUnseal, seal.EventSeal, audit.KindClose} {
		if !slices.Contains(kinds, want) {
			t.Errorf("no %s in the journal: %v", want, kinds)
		}
	}
	if failed == 0 {
		t.Errorf("the mistyped share is not in the journal: %v", kinds)
	}
	if result, err := audit.Verify(t.Context(), place, head); err != nil || result.Opened != 2 || result.Closed != 2 {
		t.Errorf("%+v, %v", result, err)
	}
}

// A journal that can't be written keeps nobody from the secrets, and is told of.
func TestJournalUnmounted(t *testing.T) {
	dir := t.TempDir()
	p := run(t, dir, "", func(c *config) { c.audit = filepath.Join(dir, "unmounted", "journal") })
	if code, init := p.do("PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1}); code != 200 {
		t.Fatal(code, init)
	}
	p.stop()
	if log := p.log.String(); !strings.Contains(log, "the journal does not have all that happened") || !strings.Contains(log, "not ended in order") {
		t.Errorf("nothing in the log:\n%s", log)
	}
}

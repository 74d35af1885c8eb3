package main

import (
	"net/http"
	"strings"
	"testing"
)

// TestReport: a custody drill is looked at by whoever may read the report, and by
// nobody else.
func TestReport(t *testing.T) {
	p := run(t, t.TempDir(), "")
	initial := p.want(200, "PUT", "sys/init", object{"secret_shares": 3, "secret_threshold": 2})
	keys := initial["keys"].([]any)
	p.unseal(false, keys[0], keys[1])
	if code, _ := p.send("GET", "v1/sys/seal-report", ""); code != http.StatusForbidden {
		t.Errorf("without a token: %d", code)
	}
	p.token = initial["root_token"].(string)
	p.want(http.StatusOK, "PUT", "sys/unseal/check", object{"key": keys[2]})
	code, page := p.send("GET", "v1/sys/seal-report?format=text&drill=shamir&since=2020-01-01", "")
	if code != http.StatusOK || !strings.Contains(page, "3 of 3 confirmed; enough to open the slot") {
		t.Errorf("%d: %s", code, page)
	}
}

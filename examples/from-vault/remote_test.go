package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/examples/internal/flags/flagstest"
	"github.com/sealwright/sealwright/migrate/vaultstore"
)

// TestNamesThatAreOtherPaths: a secret of the name ../../seal was sent to sys/seal,
// and one of ../../../auth/token/revoke-self to there, with the root token: a copy
// or an export that somebody else made had the new server do what they wanted.
func TestNamesThatAreOtherPaths(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	mux := http.NewServeMux() // which sends others to the cleaned path
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.URL.Path)
		if strings.HasSuffix(r.URL.Path, "/elsewhere") {
			http.Redirect(w, r, "/v1/sys/seal", http.StatusTemporaryRedirect)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	var in bytes.Buffer
	lines := json.NewEncoder(&in)
	names := []string{"../../seal", "../../../auth/token/revoke-self", "a/./b", "a//b", ".."}
	for _, name := range names {
		for _, r := range []vaultstore.Record{
			{Kind: vaultstore.RecordSecret, Mount: "secret/", Secret: &vaultstore.Secret{Path: name}},
			{Kind: vaultstore.RecordPolicy, Policy: &vaultstore.PolicyText{Kind: "acl", Name: name, Text: `path "x" {}`}},
		} {
			if err := lines.Encode(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := lines.Encode(vaultstore.Record{Kind: vaultstore.RecordEnd, Counts: &vaultstore.Counts{}}); err != nil {
		t.Fatal(err)
	}
	o := options{importInto: server.URL, tokenFile: file(t, "s.token"), policies: true}
	err := o.bring(t.Context(), io.Discard, &in)
	mu.Lock()
	if len(asked) > 0 {
		t.Errorf("the server was asked for %q", asked)
	}
	asked = nil
	mu.Unlock()
	if err == nil || strings.Count(err.Error(), "dots alone") != 2*len(names) {
		t.Error(err)
	}
	to, err := o.remote()
	if err != nil {
		t.Fatal(err)
	}
	err = to.call(t.Context(), http.MethodPut, "sys/import/secret/elsewhere", nil, nil)
	mu.Lock()
	defer mu.Unlock()
	if err == nil || len(asked) != 1 {
		t.Errorf("%v, after %q", err, asked)
	}
}

// TestNamesOnTheTerminal: names in a store reach a terminal escaped.
func TestNamesOnTheTerminal(t *testing.T) {
	var out bytes.Buffer
	b := &bringer{out: &out}
	b.note("%s could not be read", "a\x1b[2J\n12 \"secrets\" were brought")
	if got := out.String(); got != `a\x1b[2J\n12 "secrets" were brought could not be read`+"\n" {
		t.Errorf("%q", got)
	}
}

func TestForgottenDash(t *testing.T) { flagstest.Dashless(t, main) }

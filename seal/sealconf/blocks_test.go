package sealconf_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/seal/sealconf"
)

// A host reads its own blocks by the parser of the stanzas: with another one
// beside it, a configuration that works in Vault stopped the start all the same.
func TestBlocks(t *testing.T) {
	for name, text := range map[string]string{
		"HCL":             "listener \"tcp\" {\n address = \"[::]:8200\",\n tls_disable = 1\n telemetry {\n  x = 1\n }\n tags = [\"a\", \"b\"]\n}\nListener \"unix\"\n{\n address = \"canary7b1f0d\" }",
		"JSON":            `{"listener": {"tcp": {"address": "[::]:8200", "tls_disable": 1, "telemetry": {"x": 1}, "tags": ["a", "b"]}, "unix": {"address": "canary7b1f0d"}}}`,
		"JSON, lists":     `{"listener": [{"tcp": {"address": "[::]:8200", "tls_disable": 1}}, {"unix": [{"address": "canary7b1f0d"}]}]}`,
		"beside a stanza": "seal \"shamir\" {}\nlistener \"tcp\" { address = \"[::]:8200\" tls_disable = 1 }\nlistener \"unix\" { address = \"canary7b1f0d\" }",
	} {
		blocks, err := sealconf.Blocks([]byte(text), "server.hcl", "listener")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got [][]string
		for _, b := range blocks {
			got = append(got, []string{b.Label, strings.Join(b.Fields(), " "), b.Text("address"), b.Text("tls_disable"), b.Text("tags"), strings.Join(b.List("tags"), " ")})
		}
		fields, tags := "address tls_disable", ""
		if strings.Contains(text, "tags") {
			fields, tags = "address tags telemetry tls_disable", "a b"
		}
		want := [][]string{{"tcp", fields, "[::]:8200", "1", "", tags}, {"unix", "address", "canary7b1f0d", "", "", ""}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if shown := fmt.Sprintf("%v %+v %#v %s", blocks, blocks, blocks, blocks); strings.Contains(shown, "canary7") {
			t.Errorf("%s: a value is shown: %s", name, shown)
		}
	}
	for text, words := range map[string]string{
		"listener = 1":                             "server.hcl:1: listener is a block",
		"listener \"a\" \"b\" {}":                  "one label",
		"listener \"tcp\" {\n a = 1\n a = 2\n}":    "a stands twice",
		"listener { a = [1] }":                     "its members are blocks",
		"listener \"tcp\" {":                       "closing brace",
		"\n\nlistener \"tcp\" {\n address = \"x\n": "server.hcl:4: a text goes on in the next line",
	} {
		_, err := sealconf.Blocks([]byte(text), "server.hcl", "listener")
		failed(t, err, words)
	}
	if blocks, err := sealconf.Blocks(nil, "server.hcl", "listener"); blocks != nil || err != nil {
		t.Error(blocks, err)
	}
}

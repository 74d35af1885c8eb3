package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRecordedSecrets sends what bao kv and vault kv sent, in their order, and
// compares codes and the types of all fields with what the real servers
// answered. The recordings are those of package operator.
func TestRecordedSecrets(t *testing.T) {
	exchanges, fields := 0, 0
	for _, name := range []string{"bao.json", "vault.json"} {
		b, err := os.ReadFile(filepath.Join("..", "..", "seal", "operator", "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		var recorded []struct {
			Section, Method, Path string
			Request, Response     object
			Status                int
		}
		if err := json.Unmarshal(b, &recorded); err != nil {
			t.Fatal(err)
		}
		stores := map[bool]*process{} // bao's sections 4 and 6 had a store of their own
		for _, second := range []bool{false, true} {
			p := run(t, t.TempDir(), "")
			made := p.want(200, "PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1})
			p.unseal(false, made["keys"].([]any)...)
			p.token = made["root_token"].(string)
			stores[second] = p
		}
		for _, e := range recorded {
			path := strings.TrimPrefix(e.Path, "/v1/")
			if strings.HasPrefix(e.Section, "3.") || !strings.HasPrefix(path, "secret/data/") && !strings.HasPrefix(path, "sys/internal/") {
				continue // section 3 has version 1 of the engine
			}
			p := stores[e.Section[0] == '4' || e.Section[0] == '6']
			out := p.want(e.Status, e.Method, path, e.Request)
			exchanges++
			fields += sameTypes(t, e.Method+" "+path, e.Response, out)
			if e.Method == "GET" && strings.HasPrefix(path, "secret/") {
				want, got := e.Response["data"].(object)["data"], out["data"].(object)["data"]
				if fmt.Sprint(want) != fmt.Sprint(got) {
					t.Errorf("%s: %v, recorded %v", path, got, want)
				}
			}
		}
	}
	if exchanges < 20 {
		t.Errorf("only %d exchanges", exchanges)
	}
	t.Logf("recorded kv: exchanges=%d fields=%d", exchanges, fields)
}

// sameTypes reports recorded fields that are missing or of another type. What
// was null may be anything.
func sameTypes(t *testing.T, at string, recorded, ours object) (n int) {
	for k, v := range recorded {
		n++
		have, ok := ours[k]
		inner, isObject := v.(object)
		switch {
		case !ok:
			t.Errorf("%s: %s is missing", at, k)
		case v != nil && fmt.Sprintf("%T", v) != fmt.Sprintf("%T", have):
			t.Errorf("%s: %s is %T, recorded %T", at, k, have, v)
		case isObject:
			n += sameTypes(t, at+": "+k, inner, have.(object))
		}
	}
	return n
}

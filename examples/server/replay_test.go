package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
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

// TestRecordedTransit sends all that was recorded of the transit engine, with the
// mount and the token before and after it. Package transitengine compares values
// too, of all but ChaCha20-Poly1305. The RSA keys whose making takes a second are left
// to it where a part is enough.
func TestRecordedTransit(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "keyring", "named", "testdata", "transit.json"))
	if err != nil {
		t.Fatal(err)
	}
	var recorded []struct {
		Note, Method, Path string
		Request, Response  object
		Status             int
	}
	if err := json.Unmarshal(b, &recorded); err != nil {
		t.Fatal(err)
	}
	p := unsealed(t, t.TempDir())
	ours, fields, left := map[string]string{}, 0, 0
	large := func(v any) bool {
		text := fmt.Sprint(v)
		return !testlevel.Whole() && (strings.Contains(text, "rsa-3072") || strings.Contains(text, "rsa-4096") || text == "transit/wrapping_key")
	}
	var signed any
	for i, e := range recorded {
		if large(e.Path) {
			left++
			continue
		}
		body := object{}
		for k, v := range e.Request {
			body[k] = inOurWords(ours, v)
		}
		switch {
		case e.Note == "verify":
			body["input"] = inOurWords(ours, signed)
		case strings.HasPrefix(e.Path, "transit/sign/"):
			signed = e.Request["input"]
		}
		code, out := p.do(e.Method, e.Path, body)
		at := fmt.Sprintf("%d %s %s", i, e.Method, e.Path)
		if code != e.Status {
			t.Errorf("%s %v: %d %v, recorded %d %v", at, body, code, out, e.Status, e.Response)
			continue
		}
		if e.Response != nil {
			fields += sameTypes(t, at, e.Response, out)
		}
		learn(ours, e.Response, out)
		if e.Note == "list" {
			data := e.Response["data"].(object)
			data["keys"] = slices.DeleteFunc(data["keys"].([]any), large)
		}
		if e.Note == "list" && fmt.Sprint(out["data"]) != fmt.Sprint(e.Response["data"]) {
			t.Errorf("%s: %v, recorded %v", at, out, e.Response)
		}
	}
	if len(recorded) != 208 || fields < 1300 && left == 0 || fields < 1100 {
		t.Errorf("only %d exchanges with %d fields", len(recorded), fields)
	}
	t.Logf("recorded transit: exchanges=%d fields=%d", len(recorded)-left, fields)
}

// learn notes what we answered in place of recorded texts that differ.
func learn(ours map[string]string, recorded, got any) {
	switch r := recorded.(type) {
	case object:
		o, _ := got.(object)
		for k, v := range r {
			learn(ours, v, o[k])
		}
	case []any:
		o, _ := got.([]any)
		for i := range min(len(r), len(o)) {
			learn(ours, r[i], o[i])
		}
	case string:
		if o, ok := got.(string); ok && len(r) > 15 {
			ours[r] = o
		}
	}
}

func inOurWords(ours map[string]string, v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for k, e := range v {
			out[k] = inOurWords(ours, e)
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, inOurWords(ours, e))
		}
		return out
	case string:
		if o, ok := ours[v]; ok {
			return o
		}
	}
	return v
}

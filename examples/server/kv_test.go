package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// unsealed returns a server that is ready, with its root token.
func unsealed(t *testing.T, dir string) *process {
	t.Helper()
	p := run(t, dir, "")
	made := p.want(200, "PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1})
	p.unseal(false, made["keys"].([]any)...)
	p.token = made["root_token"].(string)
	return p
}

// send is a request with a body, and headers, as they are.
func (p *process) send(method, path, body string, headers ...string) (int, string) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.url+"/"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", p.token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func version1(out object, n string) object {
	return out["data"].(object)["versions"].(object)[n].(object)
}

// TestVersions: what is deleted can be undeleted, what is destroyed cannot.
func TestVersions(t *testing.T) {
	p := unsealed(t, t.TempDir())
	for _, greeting := range []string{"one", "two", "three"} {
		p.want(200, "PUT", "secret/data/a", object{"data": object{"greeting": greeting}})
	}
	p.want(204, "DELETE", "secret/data/a", nil)
	gone := p.want(404, "GET", "secret/data/a", nil)["data"].(object)
	if gone["data"] != nil || gone["metadata"].(object)["deletion_time"] == "" || gone["metadata"].(object)["destroyed"] != false {
		t.Fatal(gone)
	}
	p.want(204, "PUT", "secret/undelete/a", object{"versions": []string{"3"}})
	p.reads("a", "three")
	p.want(204, "POST", "secret/delete/a", object{"versions": []int{1, 3}})
	p.want(404, "GET", "secret/data/a", nil)
	p.want(404, "GET", "secret/data/a?version=1", nil)
	p.reads("a?version=2", "two")
	p.want(204, "PUT", "secret/undelete/a", object{"versions": []int{1}})
	p.reads("a?version=1", "one")
	p.want(204, "PUT", "secret/destroy/a", object{"versions": []int{1}})
	p.want(204, "PUT", "secret/undelete/a", object{"versions": []int{1, 3}})
	if gone := p.want(404, "GET", "secret/data/a?version=1", nil)["data"].(object); gone["metadata"].(object)["destroyed"] != true {
		t.Error(gone)
	}
	p.reads("a", "three")
	meta := p.want(200, "GET", "secret/metadata/a", nil)
	if version1(meta, "1")["destroyed"] != true || version1(meta, "3")["deletion_time"] != "" {
		t.Error(meta)
	}
	for _, body := range []any{object{}, object{"versions": []int{}}, object{"versions": []string{"x"}}, object{"versions": []int{0}}} {
		p.want(400, "PUT", "secret/undelete/a", body)
	}
	for _, path := range []string{"delete", "undelete", "destroy"} { // as Vault: nothing to do
		p.want(204, "PUT", "secret/"+path+"/nothing", object{"versions": []int{1}})
		p.want(405, "GET", "secret/"+path+"/a", nil)
	}
	p.want(404, "GET", "secret/metadata/nothing", nil)
	p.want(204, "DELETE", "secret/metadata/a", nil)
	p.want(404, "GET", "secret/metadata/a", nil)
	p.want(404, "GET", "secret/data/a?version=2", nil)
}

func TestMetadata(t *testing.T) {
	p := unsealed(t, t.TempDir())
	p.want(204, "PUT", "secret/metadata/a", object{"max_versions": 2, "cas_required": true, "custom_metadata": object{"owner": "ops", "team": "x"}})
	p.want(404, "GET", "secret/data/a", nil)
	p.want(400, "PUT", "secret/data/a", object{"data": object{}})
	for cas := range 3 {
		p.want(400, "PUT", "secret/data/a", object{"data": object{}, "options": object{"cas": cas + 1}})
		p.want(200, "PUT", "secret/data/a", object{"data": object{"n": cas}, "options": object{"cas": cas}})
	}
	p.want(404, "GET", "secret/data/a?version=1", nil)
	if code, text := p.send("PATCH", "v1/secret/metadata/a", `{"custom_metadata":{"team":null,"more":"1"}}`, "Content-Type", "application/merge-patch+json"); code != 204 {
		t.Error(code, text)
	}
	out := p.want(200, "GET", "secret/metadata/a", nil)["data"].(object)
	for field, want := range map[string]string{
		"cas_required": "true", "current_version": "3", "oldest_version": "2", "max_versions": "2", "delete_version_after": "0s", "custom_metadata": "map[more:1 owner:ops]",
	} {
		if got := fmt.Sprint(out[field]); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
	if meta := p.want(200, "GET", "secret/data/a", nil)["data"].(object)["metadata"].(object); fmt.Sprint(meta["custom_metadata"]) != "map[more:1 owner:ops]" {
		t.Error(meta)
	}
	if code, text := p.send("PATCH", "v1/secret/metadata/nothing", `{}`, "Content-Type", "application/merge-patch+json"); code != 404 {
		t.Error(code, text)
	}
	p.want(415, "PATCH", "secret/metadata/a", object{})
	p.want(400, "PUT", "secret/metadata/a", object{"max_versions": -1})
	p.want(400, "PUT", "secret/metadata/a", object{"delete_version_after": "soon"})

	// A version that ends by itself: by its own setting, or by that of all.
	p.want(204, "PUT", "secret/metadata/b", object{"delete_version_after": "1ns"})
	p.want(200, "PUT", "secret/data/b", object{"data": object{"greeting": "short"}})
	p.want(404, "GET", "secret/data/b", nil)
	p.want(204, "PUT", "secret/metadata/b", object{"delete_version_after": "1h"})
	p.want(204, "PUT", "secret/undelete/b", object{"versions": []int{1}})
	p.reads("b", "short") // for an hour again
	if ends := version1(p.want(200, "GET", "secret/metadata/b", nil), "1")["deletion_time"]; ends == "" {
		t.Error("an undeleted version does not end any more")
	}
	p.want(204, "PUT", "secret/config", object{"delete_version_after": 3600, "cas_required": true})
	if out := p.want(200, "GET", "secret/config", nil)["data"].(object); out["delete_version_after"] != "1h0m0s" || out["cas_required"] != true {
		t.Error(out)
	}
	p.want(400, "PUT", "secret/data/c", object{"data": object{"greeting": "c"}})
	out = p.want(200, "PUT", "secret/data/c", object{"data": object{"greeting": "c"}, "options": object{"cas": 0}})["data"].(object)
	if out["deletion_time"] == "" {
		t.Error(out)
	}
	p.reads("c", "c") // for an hour
	p.want(404, "GET", "secret/config/x", nil)
	p.want(405, "DELETE", "secret/config", nil)
}

// TestNumbersStay: a number above 2^53 is read as it was written, also after a
// patch beside it.
func TestNumbersStay(t *testing.T) {
	p := unsealed(t, t.TempDir())
	const body = `{"id":9007199254740993,"price":1.10,"deep":{"n":[18446744073709551617,1e3]},"text":"9007199254740993"}`
	if code, text := p.send("PUT", "v1/secret/data/n", `{"data":`+body+`}`); code != 200 {
		t.Fatal(code, text)
	}
	reads := func(want string) {
		t.Helper()
		_, text := p.send("GET", "v1/secret/data/n", "")
		var out struct {
			Data struct{ Data json.RawMessage }
		}
		if err := json.Unmarshal([]byte(text), &out); err != nil {
			t.Fatal(err)
		}
		var got, expected map[string]json.RawMessage
		json.Unmarshal(out.Data.Data, &got)
		json.Unmarshal([]byte(want), &expected)
		if fmt.Sprintf("%s", got) != fmt.Sprintf("%s", expected) {
			t.Errorf("%s, want %s", out.Data.Data, want)
		}
	}
	reads(body)
	patch := func(code int, body, kind string) {
		t.Helper()
		if got, text := p.send("PATCH", "v1/secret/data/n", body, "Content-Type", kind); got != code {
			t.Errorf("%s: %d %s", body, got, text)
		}
	}
	const merge = "application/merge-patch+json"
	patch(200, `{"data":{"price":null,"deep":{"m":9007199254740995}},"options":{"cas":1}}`, merge)
	reads(`{"id":9007199254740993,"deep":{"m":9007199254740995,"n":[18446744073709551617,1e3]},"text":"9007199254740993"}`)
	patch(400, `{"data":{"id":1},"options":{"cas":1}}`, merge)
	patch(400, `{}`, merge)
	patch(415, `{"data":{}}`, "application/json")
	p.want(204, "DELETE", "secret/data/n", nil)
	patch(404, `{"data":{"id":1}}`, merge)
}

// TestAnswersOfVault: what is not served, too large, or meant for a namespace is
// answered as Vault answers: with JSON, and a reason.
func TestAnswersOfVault(t *testing.T) {
	p := unsealed(t, t.TempDir())
	for _, path := range []string{"transit/nothing/unseal", "pki/issue/x", "auth/approle/login", "sys/nothing", "secret", "x"} {
		code, out := p.do("POST", path, object{})
		if code != 404 || out["errors"] == nil {
			t.Errorf("%s: %d %v", path, code, out)
		}
	}
	code, text := p.send("PUT", "v1/secret/data/large", `{"data":{"x":"`+strings.Repeat("A", 1<<20)+`"}}`)
	if code != 413 || !strings.Contains(text, "too large") {
		t.Errorf("a large body: %d %s", code, text)
	}
	for path, body := range map[string]string{"v1/secret/data/a": `{"data":{}}`, "v1/sys/seal": "", "v1/auth/token/lookup": `{"token":"x"}`} {
		if code, text := p.send("PUT", path, body, "X-Vault-Namespace", "team"); code != 400 || !strings.Contains(text, `"errors":["namespaces`) {
			t.Errorf("%s in a namespace: %d %s", path, code, text)
		}
	}
	p.want(404, "GET", "secret/data/a", nil)
	self := p.want(200, "GET", "auth/token/lookup-self", nil)["data"].(object)
	if self["id"] != p.token || fmt.Sprint(self["policies"]) != "[root]" || self["ttl"] != 0.0 {
		t.Error(self)
	}
	if other := p.want(200, "POST", "auth/token/lookup", object{"token": p.token})["data"].(object); other["id"] != p.token {
		t.Error(other)
	}
	p.want(403, "POST", "auth/token/lookup", object{"token": "s.another"})
	p.token = "s.another"
	p.want(403, "GET", "auth/token/lookup-self", nil)
	p.want(403, "GET", "transit/keys/x", nil)
	if code, text := p.send("GET", "livez", ""); code != 200 {
		t.Error(code, text)
	}
}

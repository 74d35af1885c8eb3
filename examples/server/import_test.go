package main

import (
	"strings"
	"testing"
)

// TestImport: a secret of another server keeps the numbers and times of its
// versions; the same again changes nothing, and another one is refused.
func TestImport(t *testing.T) {
	p := unsealed(t, t.TempDir())
	theirs := object{
		"path": "a/b", "engine": 2, "created": "2020-01-02T03:04:05.6Z", "updated": "2021-01-02T03:04:05Z", "current_version": 7,
		"max_versions": 5, "delete_version_after": 3600_000_000_000, "custom_metadata": object{"owner": "team"},
		"versions": []object{
			{"version": 4, "created": "2020-02-01T00:00:00Z", "data": object{"n": 12345678901234567}},
			{"version": 5, "created": "2020-03-01T00:00:00Z", "destroyed": true},
			{"version": 6, "created": "2020-04-01T00:00:00Z", "deleted": "2020-05-01T00:00:00Z", "data": object{"a": "<old>"}},
			{"version": 7, "created": "2021-01-02T03:04:05Z", "data": object{"a": "new"}},
		},
	}
	p.want(204, "PUT", "sys/import/secret/a/b", theirs)
	if got := p.want(200, "PUT", "sys/import/secret/a/b", theirs)["data"].(object); got["already"] != true {
		t.Error(got)
	}
	if _, text := p.send("GET", "v1/secret/data/a/b?version=4", ""); !contains(text, `"n":12345678901234567`, `"created_time":"2020-02-01T00:00:00Z"`) {
		t.Error(text)
	}
	p.want(404, "GET", "secret/data/a/b?version=5", nil)
	p.want(404, "GET", "secret/data/a/b?version=6", nil)
	p.want(204, "PUT", "secret/undelete/a/b", object{"versions": []int{6}})
	if _, text := p.send("GET", "v1/secret/data/a/b?version=6", ""); !contains(text, "old") {
		t.Error(text)
	}
	meta := p.want(200, "GET", "secret/metadata/a/b", nil)["data"].(object)
	if meta["created_time"] != "2020-01-02T03:04:05.6Z" || meta["current_version"] != 7.0 || meta["max_versions"] != 5.0 || meta["delete_version_after"] != "1h0m0s" ||
		meta["custom_metadata"].(object)["owner"] != "team" {
		t.Error(meta)
	}
	p.want(409, "PUT", "sys/import/secret/a/b", theirs) // one was undeleted meanwhile
	p.want(200, "PUT", "secret/data/a/b", object{"data": object{"a": "newer"}})
	if meta := p.want(200, "GET", "secret/metadata/a/b", nil)["data"].(object); meta["current_version"] != 8.0 {
		t.Error(meta)
	}
	for _, bad := range []object{
		{}, {"versions": []object{{"version": 0, "data": object{}}}}, {"versions": []object{{"version": 2, "data": object{}}, {"version": 2, "data": object{}}}},
		{"versions": []object{{"version": 1, "data": "text"}}}, {"created": "2020-01-02T03:04:05Z", "max_versions": -1},
	} {
		p.want(400, "PUT", "sys/import/secret/bad", bad)
	}
	p.want(400, "PUT", "sys/import/secret/", theirs)
	p.want(405, "GET", "sys/import/secret/a/b", nil)
	p.want(404, "GET", "secret/metadata/bad", nil)
	p.token = "nobody"
	p.want(403, "PUT", "sys/import/secret/c", theirs)
}

// TestImportNeedsSudo: who may write secrets may not bring in their past.
func TestImportNeedsSudo(t *testing.T) {
	p := unsealed(t, t.TempDir())
	p.want(204, "PUT", "sys/policies/acl/writer", object{"policy": `path "secret/*" { capabilities = ["create", "update", "read"] }
path "sys/import/secret/*" { capabilities = ["update"] }`})
	made := p.want(200, "PUT", "auth/token/create", object{"policies": []string{"writer"}})
	p.token = made["auth"].(object)["client_token"].(string)
	p.want(403, "PUT", "sys/import/secret/a", object{"created": "2020-01-02T03:04:05Z"})
}

func contains(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

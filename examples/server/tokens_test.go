package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// create makes a token, and returns it with what was answered.
func (p *process) create(body object) (string, object) {
	p.t.Helper()
	auth := p.want(200, "POST", "auth/token/create", body)["auth"].(object)
	return auth["client_token"].(string), auth
}

// as is the same server, spoken to with another token.
func (p *process) as(token string) *process {
	other := *p
	other.token = token
	return &other
}

// TestTokenMayDoNoMore: a token does what its policies say, at their paths, and
// nothing else.
func TestTokenMayDoNoMore(t *testing.T) {
	p := unsealed(t, t.TempDir())
	p.want(200, "PUT", "secret/data/team/a", object{"data": object{"greeting": "a"}})
	p.want(200, "PUT", "secret/data/other", object{"data": object{"greeting": "other"}})
	p.want(204, "PUT", "sys/policies/acl/reader", object{"policy": `path "secret/data/team/*" { capabilities = ["read"] }`})
	p.want(204, "PUT", "sys/policies/acl/writer", object{"policy": `path "secret/data/new/*" { capabilities = ["create"] }
path "secret/data/team/*" { capabilities = ["update"] }
path "secret/metadata/team" { capabilities = ["list"] }`})
	if code, text := p.send("POST", "v1/auth/token/create", `{"policies":["reader"]}`, "X-Vault-Wrap-TTL", "60"); code != 400 || strings.Contains(text, "s.") && strings.Contains(text, "client_token") {
		t.Error("what was to be wrapped left in clear", code)
	}
	token, auth := p.create(object{"policies": []string{"reader"}, "meta": object{"for": "tests"}, "display_name": "team a"})
	if fmt.Sprint(auth["policies"]) != "[default reader]" || auth["lease_duration"] != 0.0 || auth["renewable"] != false || auth["orphan"] != false {
		t.Error(auth)
	}
	reader := p.as(token)
	reader.reads("team/a", "a")
	for _, refused := range [][2]string{
		{"GET", "secret/data/other"}, {"PUT", "secret/data/team/a"}, {"DELETE", "secret/data/team/a"}, {"PATCH", "secret/data/team/a"},
		{"GET", "secret/metadata/team/a"}, {"LIST", "secret/metadata/team"}, {"PUT", "secret/destroy/team/a"}, {"GET", "secret/config"},
		{"PUT", "sys/seal"}, {"PUT", "sys/rotate"}, {"GET", "sys/key-status"}, {"PUT", "sys/rekey/init"}, {"PUT", "sys/policies/acl/reader"},
		{"PUT", "auth/token/create"}, {"PUT", "auth/token/lookup"}, {"LIST", "auth/token/accessors"}, {"GET", "sys/mounts"}, {"GET", "nothing"},
	} {
		reader.want(403, refused[0], refused[1], object{"data": object{}})
	}
	self := reader.want(200, "GET", "auth/token/lookup-self", nil)["data"].(object)
	if self["id"] != token || self["display_name"] != "token-team a" || self["meta"].(object)["for"] != "tests" || self["ttl"] != 0.0 || self["expire_time"] != nil {
		t.Error(self)
	}
	if has := reader.want(200, "POST", "sys/capabilities-self", object{"paths": []string{"secret/data/team/a"}})["data"].(object); fmt.Sprint(has["capabilities"]) != "[read]" {
		t.Error(has)
	}
	reader.want(400, "PUT", "auth/token/renew-self", object{"increment": 0})

	// To create and to update are two things.
	token, _ = p.create(object{"policies": "writer"})
	writer := p.as(token)
	writer.want(200, "PUT", "secret/data/new/x", object{"data": object{"greeting": "new"}})
	writer.want(403, "PUT", "secret/data/new/x", object{"data": object{"greeting": "again"}})
	writer.want(200, "PUT", "secret/data/team/a", object{"data": object{"greeting": "again"}})
	writer.want(403, "PUT", "secret/data/team/b", object{"data": object{"greeting": "b"}})
	writer.want(200, "LIST", "secret/metadata/team/", nil)
	writer.want(403, "LIST", "secret/metadata/", nil)

	// A policy that is rewritten counts at once, and one that is gone lets nothing happen.
	p.want(204, "DELETE", "sys/policies/acl/reader", nil)
	reader.want(403, "GET", "secret/data/team/a", nil)
}

// TestTokenOtherSpellings: what is denied at a path is denied however the path is
// written. A slash behind it, or capitals in a policy's name, were another path to
// the policies, and the same to what answered.
func TestTokenOtherSpellings(t *testing.T) {
	p := unsealed(t, t.TempDir())
	const strong, weak = `path "*" { capabilities = ["read", "update", "sudo"] }`, `path "x" { capabilities = ["read"] }`
	p.want(200, "POST", "transit/keys/root", object{"exportable": true})
	p.want(204, "PUT", "sys/policies/acl/admin", object{"policy": weak})
	p.want(200, "PUT", "secret/data/team/private/a", object{"data": object{"greeting": "a"}})
	p.want(204, "PUT", "sys/policies/acl/most", object{"policy": `path "*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "transit/keys/root"                 { capabilities = ["deny"] }
path "transit/export/encryption-key/root" { capabilities = ["deny"] }
path "transit/sign/root"                 { capabilities = ["deny"] }
path "sys/policies/acl/admin"            { capabilities = ["deny"] }
path "sys/policy/admin"                  { capabilities = ["deny"] }
path "auth/token/lookup"                 { capabilities = ["deny"] }
path "secret/metadata/team/private"      { capabilities = ["deny"] }`})
	token, _ := p.create(object{"policies": "most"})
	most := p.as(token)
	for _, refused := range [][2]string{
		{"GET", "transit/keys/root"}, {"GET", "transit/keys/root/"}, {"DELETE", "transit/keys/root/"}, {"GET", "transit/keys/root%2F"},
		{"GET", "transit/export/encryption-key/root"}, {"GET", "transit/export/encryption-key/root/"}, {"PUT", "transit/sign/root/"},
		{"PUT", "sys/policies/acl/admin"}, {"PUT", "sys/policies/acl/admin/"}, {"PUT", "sys/policies/acl/admin%2F%2F"}, {"PUT", "sys/policy/admin/"},
		{"PUT", "auth/token/lookup/"}, {"LIST", "secret/metadata/team/private"}, {"LIST", "secret/metadata/team/private/"},
		{"GET", "secret/metadata/team/private/?list=true"}, {"GET", "secret/metadata/team/private?list=true"},
	} {
		most.want(403, refused[0], refused[1], object{"policy": strong})
	}
	for _, path := range []string{"sys/policies/acl/ADMIN", "sys/policies/acl/%2Fadmin", "sys/policy/Admin"} {
		most.want(400, "PUT", path, object{"policy": strong})
	}
	if got := p.want(200, "GET", "sys/policies/acl/admin", nil)["data"].(object); got["policy"] != weak {
		t.Error(got)
	}
	most.want(200, "LIST", "secret/metadata/team", nil)
	most.want(200, "LIST", "sys/policies/acl/", nil)
	most.want(200, "GET", "auth/token/lookup-self/", nil)
}

// TestTokenOfAToken: what a token creates may do a part of what it may do
// itself, and ends with it.
func TestTokenOfAToken(t *testing.T) {
	p := unsealed(t, t.TempDir())
	p.want(204, "PUT", "sys/policies/acl/maker", object{"policy": `path "auth/token/*" { capabilities = ["update", "sudo"] }`})
	p.want(204, "PUT", "sys/policies/acl/reader", object{"policy": `path "secret/data/*" { capabilities = ["read"] }`})
	p.want(200, "PUT", "secret/data/a", object{"data": object{"greeting": "a"}})
	token, _ := p.create(object{"policies": []string{"maker", "reader"}})
	maker := p.as(token)
	p.want(204, "PUT", "sys/policies/acl/more", object{"policy": `path "*" { capabilities = ["read", "update"] }`})
	for name, body := range map[string]object{
		"more":      {"policies": []string{"more"}},
		"root":      {"policies": []string{"root"}},
		"orphan":    {"no_parent": true},
		"periodic":  {"period": "1h"},
		"unknown":   {"policies": []string{"nobody-wrote-it"}},
		"id":        {"id": "s.chosen-by-somebody"},
		"negative":  {"ttl": "-1s"},
		"very long": {"ttl": "9999999h"},
		"batch":     {"type": "batch"},
	} {
		if code, out := maker.do("POST", "auth/token/create", body); code != 400 {
			t.Errorf("%s: %d %v", name, code, out)
		}
	}
	maker.want(400, "POST", "auth/token/create-orphan", object{})
	p.want(400, "POST", "auth/token/create", object{"policies": []string{"root"}})
	p.want(400, "POST", "auth/token/create", object{}) // no second root token by mistake
	child, _ := maker.create(object{"policies": []string{"reader"}})
	p.as(child).reads("a", "a")
	p.as(child).want(403, "POST", "auth/token/create", object{})
	all, auth := maker.create(object{}) // what its maker has
	if fmt.Sprint(auth["policies"]) != "[default maker reader]" {
		t.Error(auth)
	}
	// A chain of them ends somewhere.
	last := p.as(all)
	for depth := 2; ; depth++ {
		code, out := last.do("POST", "auth/token/create", object{})
		if code != 200 {
			if depth != maxDescent || code != 400 {
				t.Errorf("at depth %d: %d %v", depth, code, out)
			}
			break
		}
		last = p.as(out["auth"].(object)["client_token"].(string))
	}
	last.reads("a", "a")
	orphan := p.want(200, "POST", "auth/token/create-orphan", object{"policies": []string{"reader"}})["auth"].(object)
	if orphan["orphan"] != true {
		t.Error(orphan)
	}
	maker.want(204, "POST", "auth/token/revoke-self", nil)
	for _, gone := range []*process{maker, p.as(child), last} {
		gone.want(403, "GET", "auth/token/lookup-self", nil)
		gone.want(403, "GET", "secret/data/a", nil)
	}
	p.as(orphan["client_token"].(string)).reads("a", "a")
}

// TestTokenEnds: by its time, by its renewal's limit, by being revoked.
func TestTokenEnds(t *testing.T) {
	p := unsealed(t, t.TempDir())
	brief, auth := p.create(object{"policies": "default", "ttl": "1h", "explicit_max_ttl": "90m"})
	if auth["lease_duration"] != 3600.0 || auth["renewable"] != true {
		t.Error(auth)
	}
	out := p.as(brief).want(200, "PUT", "auth/token/renew-self", object{"increment": "10h"})["auth"].(object)
	if left := out["lease_duration"].(float64); left > 5400 || left < 5300 {
		t.Error(out)
	}
	fixed, _ := p.create(object{"policies": "default", "ttl": 3600, "renewable": false})
	p.as(fixed).want(400, "PUT", "auth/token/renew-self", object{})
	periodic, auth := p.create(object{"policies": "default", "period": "24h", "ttl": "0s", "explicit_max_ttl": "0s", "num_uses": 0})
	if auth["lease_duration"] != 86400.0 {
		t.Error(auth)
	}
	if self := p.as(periodic).want(200, "GET", "auth/token/lookup-self", nil)["data"].(object); self["period"] != 86400.0 || self["renewable"] != true {
		t.Error(self)
	}
	gone, _ := p.create(object{"policies": "default", "ttl": "1ns"})
	p.as(gone).want(403, "GET", "auth/token/lookup-self", nil)
	p.as(gone).want(403, "PUT", "auth/token/renew-self", object{})

	accessor := p.want(200, "POST", "auth/token/lookup", object{"token": periodic})["data"].(object)["accessor"]
	if by := p.want(200, "POST", "auth/token/lookup-accessor", object{"accessor": accessor})["data"].(object); by["id"] != "" || by["accessor"] != accessor {
		t.Error(by)
	}
	p.want(200, "POST", "auth/token/renew-accessor", object{"accessor": accessor})
	if names := p.want(200, "LIST", "auth/token/accessors", nil)["data"].(object)["keys"].([]any); len(names) < 3 {
		t.Error(names)
	}
	p.want(204, "POST", "auth/token/revoke-accessor", object{"accessor": accessor})
	p.want(403, "POST", "auth/token/lookup-accessor", object{"accessor": accessor})
	p.as(periodic).want(403, "GET", "auth/token/lookup-self", nil)
	p.want(204, "POST", "auth/token/revoke", object{"token": brief})
	p.want(403, "POST", "auth/token/lookup", object{"token": brief})
	p.want(404, "POST", "auth/token/nothing", object{})
	p.want(405, "DELETE", "auth/token/lookup-self", nil)

	// The root token can go: shares make another one.
	p.want(204, "POST", "auth/token/revoke-self", nil)
	p.want(403, "GET", "auth/token/lookup-self", nil)
}

// TestTokensInTheFile: the file does not hold a token, and what somebody writes
// there makes none, and widens no policy.
func TestTokensInTheFile(t *testing.T) {
	dir := t.TempDir()
	p := run(t, dir, "")
	made := p.want(200, "PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1})
	share := made["keys"].([]any)[0]
	p.unseal(false, share)
	p.token = made["root_token"].(string)
	p.want(204, "PUT", "sys/policies/acl/narrow", object{"policy": `path "secret/data/canary-path" { capabilities = ["read"] }`})
	p.want(204, "PUT", "sys/policies/acl/wide", object{"policy": `path "*" { capabilities = ["read"] }`})
	narrow, auth := p.create(object{"policies": "narrow"})
	_, other := p.create(object{"policies": "wide"})
	p.stop()
	path := filepath.Join(dir, "sealwright.db")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{narrow, strings.TrimPrefix(narrow, "s."), "canary-path"} {
		if bytes.Contains(content, []byte(secret)) {
			t.Errorf("%q stands in the file", secret)
		}
	}
	if !bytes.Contains(content, []byte(auth["accessor"].(string))) {
		t.Error("the scan does not find the accessor, which is in clear")
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		tokens, policies := tx.Bucket(tokensBucket), tx.Bucket(policiesBucket)
		return errors.Join(
			tokens.Put([]byte(auth["accessor"].(string)), bytes.Clone(tokens.Get([]byte(other["accessor"].(string))))),
			policies.Put([]byte("narrow"), bytes.Clone(policies.Get([]byte("wide")))),
		)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	p = run(t, dir, "")
	p.unseal(false, share)
	p.token = narrow
	if code, out := p.do("GET", "secret/data/other", nil); code < 400 || strings.Contains(fmt.Sprint(out), "wide") {
		t.Errorf("a copied token is answered %d %v", code, out)
	}
	p.token = made["root_token"].(string)
	if code, out := p.do("GET", "sys/policies/acl/narrow", nil); code != 500 {
		t.Errorf("a copied policy is answered %d %v", code, out)
	}
	for _, secret := range []string{narrow, p.token} {
		if strings.Contains(p.log.String(), secret) {
			t.Error("a token stands in the log")
		}
	}
}

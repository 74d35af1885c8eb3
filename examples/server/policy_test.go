package main

import (
	"fmt"
	"strings"
	"testing"
)

func policies(t *testing.T, all ...string) (out []*policy) {
	t.Helper()
	for i, text := range all {
		p, err := parsePolicy(fmt.Sprintf("p%d", i), text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

// TestPolicyPaths: of the paths that fit, the one that says most counts, in the
// order in which Vault decides it.
func TestPolicyPaths(t *testing.T) {
	have := policies(t, `
path "secret/data/*"            { capabilities = ["read"] }
path "secret/data/private/*"    { capabilities = ["deny"] }
path "secret/data/private/mine" { capabilities = ["read", "update"] }
path "secret/+/team/*"          { capabilities = ["list"] }
path "secret/+/+/exact"         { capabilities = ["delete"] }
path "transit/encrypt/a"        { capabilities = ["update"] }
path "none/*"                   { capabilities = [] }
`, `
path "transit/encrypt/a" { capabilities = ["create"] }
path "both"              { capabilities = ["read"] }
`, `path "both" { capabilities = ["deny"] }`, `{"path": {"json/*": {"capabilities": ["list"]}}}`)
	for path, want := range map[string]string{
		"secret/data/x":               "[read]",
		"secret/data/private/x":       "[deny]",
		"secret/data/private/mine":    "[read update]",
		"secret/data/private/mine/x":  "[deny]",
		"secret/metadata/team/x":      "[list]",
		"secret/metadata/team/x/y":    "[list]",
		"secret/metadata/team":        "[]",
		"secret/data/team/x":          "[read]", // longer before the first wildcard
		"secret/metadata/other/exact": "[delete]",
		"secret//other/exact":         "[]",
		"transit/encrypt/a":           "[create update]",
		"transit/encrypt/ab":          "[]",
		"transit/encrypt/a/":          "[]",
		"transit/decrypt/a":           "[]",
		"both":                        "[deny]",
		"none/x":                      "[deny]",
		"json/x":                      "[list]",
		"":                            "[]",
	} {
		if got := fmt.Sprint(allowed(have, path)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	if may(have, "transit/encrypt/a", mayUpdate, maySudo) || !may(have, "transit/encrypt/a", mayUpdate) || may(have, "both", mayRead) {
		t.Error("what is needed is not what is had")
	}
	if !may(have, "secret/metadata/team/", mayList) || may(have, "secret/metadata/", mayList) {
		t.Error("a list of a folder")
	}
	root := []*policy{{Name: rootPolicy}}
	if !may(root, "anything", maySudo, mayDelete) || may(nil, "anything") {
		t.Error("the root token, and one without policies")
	}
}

// TestPolicyRefused: what would be a limit in Vault and is not known here is
// refused, not left out.
func TestPolicyRefused(t *testing.T) {
	for text, words := range map[string]string{
		`path "a" { capabilities = ["read"] allowed_parameters = { "x" = [] } }`: "allowed_parameters",
		`path "a" { capabilities = ["read"] min_wrapping_ttl = "1s" }`:           "min_wrapping_ttl",
		`path "a" { policy = "write" }`:                                          "capabilities",
		`path "a" { capabilities = ["reed"] }`:                                   `no capability "reed"`,
		`path "a*b" { capabilities = ["read"] }`:                                 "a star stands at the end",
		`path "" { capabilities = ["read"] }`:                                    "a path is missing",
		`pth "a" { capabilities = ["read"] }`:                                    "it has no block",
		`path "a" {`:                                                             "failed to parse",
		strings.Repeat("#", 64<<10+1):                                            "at most 65536 bytes",
	} {
		if _, err := parsePolicy("p", text); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%.60s: %v", text, err)
		}
	}
	for _, name := range []string{"", "A", "a/b", "a b", strings.Repeat("a", 129)} {
		if _, err := parsePolicy(name, ""); err == nil {
			t.Errorf("%q is a name", name)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add(defaultText, "auth/token/lookup-self")
	f.Add(`path "a/+/b*" { capabilities = ["read"] }`, "a/x/by/z")
	f.Fuzz(func(t *testing.T, text, path string) {
		p, err := parsePolicy("p", text)
		if err != nil {
			return
		}
		if has := allowed([]*policy{p}, path); len(has) > 0 && len(p.rules) == 0 {
			t.Error(has)
		}
	})
}

// TestPolicyRoutes is bao policy write, read, list and delete.
func TestPolicyRoutes(t *testing.T) {
	p := unsealed(t, t.TempDir())
	const text = `path "secret/data/x" { capabilities = ["read"] }`
	p.want(204, "PUT", "sys/policies/acl/reader", object{"policy": text})
	p.want(204, "PUT", "sys/policy/older", object{"rules": text})
	if got := p.want(200, "GET", "sys/policies/acl/reader", nil)["data"].(object); got["policy"] != text || got["name"] != "reader" {
		t.Error(got)
	}
	if got := fmt.Sprint(p.want(200, "GET", "sys/policies/acl?list=true", nil)["data"].(object)["keys"]); got != "[default older reader root]" {
		t.Error(got)
	}
	if got := p.want(200, "GET", "sys/policy/older", nil)["data"].(object); got["rules"] != text {
		t.Error(got)
	}
	p.want(200, "GET", "sys/policy", nil)
	p.want(200, "GET", "sys/policies/acl/default", nil)
	for _, name := range []string{"root", "default"} {
		p.want(400, "PUT", "sys/policies/acl/"+name, object{"policy": text})
		p.want(400, "DELETE", "sys/policies/acl/"+name, nil)
	}
	p.want(400, "PUT", "sys/policies/acl/bad", object{"policy": "path"})
	p.want(400, "PUT", "sys/policies/acl/bad", object{})
	p.want(405, "PUT", "sys/policies/acl", object{})
	p.want(204, "DELETE", "sys/policies/acl/reader", nil)
	p.want(404, "GET", "sys/policies/acl/reader", nil)

	p.want(204, "PUT", "sys/mounts/secret", object{"type": "kv", "options": object{"version": "2"}})
	p.want(400, "PUT", "sys/mounts/secret", object{"type": "kv"})
	p.want(400, "PUT", "sys/mounts/pki", object{"type": "pki"})
	if all := p.want(200, "GET", "sys/mounts", nil)["data"].(object); all["secret/"].(object)["type"] != "kv" {
		t.Error(all)
	}
}

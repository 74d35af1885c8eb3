package main

import (
	"slices"
	"strings"

	"github.com/sealwright/sealwright/seal/sealconf"
)

// A policy says what a token may do, as Vault's policies do:
//
//	path "transit/encrypt/unseal-a" { capabilities = ["update"] }
//	path "secret/data/team/*"       { capabilities = ["create", "read", "update"] }
//
// A path ends with a star, which stands for any rest, or has "+" for one part of
// it. Of the paths that fit a request the one that says most about it counts,
// and deny is stronger than anything else that is said of that path.
type policy struct {
	Name  string `json:"name"`
	Text  string `json:"text"`
	rules []rule
}

type rule struct {
	path         string
	capabilities []string
}

// What a request needs.
const (
	mayCreate = "create"
	mayRead   = "read"
	mayUpdate = "update"
	mayPatch  = "patch"
	mayDelete = "delete"
	mayList   = "list"
	maySudo   = "sudo" // beside another one, for what concerns the whole server
	denied    = "deny"
)

var capabilities = []string{mayCreate, mayRead, mayUpdate, mayPatch, mayDelete, mayList, maySudo, denied, "scan"}

// rootPolicy may do everything, and defaultPolicy is what every token may do.
const (
	rootPolicy    = "root"
	defaultPolicy = "default"
)

const defaultText = `path "auth/token/lookup-self" { capabilities = ["read", "update"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/internal/ui/mounts/*" { capabilities = ["read"] }
`

// maxPolicy bounds a policy's text.
const maxPolicy = 64 << 10

// parsePolicy reads a policy. What would narrow it in Vault and is not known
// here is an error: nothing that was meant as a limit is left out silently.
func parsePolicy(name, text string) (*policy, error) {
	if !isPolicyName(name) {
		return nil, errPolicyName
	}
	if len(text) > maxPolicy {
		return nil, badRequest("a policy has at most %d bytes", maxPolicy)
	}
	blocks, err := sealconf.Blocks([]byte(text), "policy", "path")
	if err != nil {
		return nil, badRequest("failed to parse policy: %v", err)
	}
	p := &policy{Name: name, Text: text}
	for _, b := range blocks {
		r := rule{strings.TrimPrefix(b.Label, "/"), b.List("capabilities")}
		star := strings.IndexByte(r.path, '*')
		switch {
		case r.path == "":
			return nil, badRequest("%s: a path is missing", b.Where)
		case star >= 0 && star != len(r.path)-1:
			return nil, badRequest("%s: a star stands at the end of a path alone", b.Where)
		case !slices.Equal(b.Fields(), []string{"capabilities"}):
			return nil, badRequest("%s: capabilities, a list, is what a path has here; it has %s", b.Where, strings.Join(b.Fields(), ", "))
		}
		for _, c := range r.capabilities {
			if !slices.Contains(capabilities, c) {
				return nil, badRequest("%s: no capability %q: there are %s", b.Where, c, strings.Join(capabilities, ", "))
			}
		}
		p.rules = append(p.rules, r)
	}
	if len(p.rules) == 0 && strings.TrimSpace(text) != "" {
		return nil, badRequest(`failed to parse policy: it has no block path "…" { capabilities = […] }`)
	}
	return p, nil
}

var errPolicyName = badRequest("a policy's name is 1 to 128 lower case letters, digits, dots, hyphens and underscores")

func isPolicyName(name string) bool {
	return name != "" && len(name) <= 128 && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", c)
	})
}

// matches reports whether a rule's path is that of a request.
func (r *rule) matches(path string) bool {
	pattern, open := strings.CutSuffix(r.path, "*")
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(got) < len(want) || !open && len(got) > len(want) {
		return false
	}
	for i, part := range want {
		switch {
		case part == "+":
			if got[i] == "" {
				return false
			}
		case open && i == len(want)-1:
			return strings.HasPrefix(got[i], part)
		case part != got[i]:
			return false
		}
	}
	return true
}

// saysMore reports whether a rule's path says more about a request than another
// one's, in Vault's order: what has no wildcard, what is longer before the first
// one, what does not end with a star, what has fewer "+", what is longer.
func (r *rule) saysMore(than *rule) bool {
	for _, of := range []func(string) int{
		func(p string) int {
			if i := strings.IndexAny(p, "+*"); i >= 0 {
				return i
			}
			return len(p) + 1<<20
		},
		func(p string) int {
			if strings.HasSuffix(p, "*") {
				return 0
			}
			return 1
		},
		func(p string) int { return -strings.Count(p, "+") },
		func(p string) int { return len(p) },
	} {
		if a, b := of(r.path), of(than.path); a != b {
			return a > b
		}
	}
	return r.path > than.path
}

// allowed returns what the policies of a token let it do at a path, which may be
// written in several ways: nil where they say nothing of it.
func allowed(policies []*policy, paths ...string) []string {
	var best *rule
	var may []string
	for _, p := range policies {
		if p.Name == rootPolicy {
			return []string{rootPolicy}
		}
		for i := range p.rules {
			r := &p.rules[i]
			if !slices.ContainsFunc(paths, r.matches) {
				continue
			}
			switch {
			case best != nil && r.path == best.path:
				may = append(may, r.capabilities...)
			case best == nil || r.saysMore(best):
				best, may = r, slices.Clone(r.capabilities)
			}
		}
	}
	if best == nil {
		return nil
	}
	slices.Sort(may)
	if may = slices.Compact(may); len(may) == 0 || slices.Contains(may, denied) {
		return []string{denied}
	}
	return may
}

// may reports whether a token with these policies may do all of that at a path.
// A slash at its end makes no other path of it: what answers takes both for one.
// A list is of a folder, of which rules speak with a slash or without.
func may(policies []*policy, path string, needs ...string) bool {
	path = strings.TrimRight(path, "/")
	has := allowed(policies, path)
	if slices.Contains(needs, mayList) {
		has = allowed(policies, path, path+"/")
	}
	if len(has) == 1 && has[0] == rootPolicy {
		return true
	}
	return has != nil && !slices.ContainsFunc(needs, func(c string) bool { return !slices.Contains(has, c) })
}

package main

import (
	"encoding/base64"
	"net/http"
	"strings"

	"go.etcd.io/bbolt"
)

// policies serves sys/policies/acl, and the older sys/policy: bao policy write,
// read, list and delete.
func (s *server) policies(w http.ResponseWriter, r *http.Request) {
	path := pathOf(r)
	name, isNew := strings.CutPrefix(path, "sys/policies/acl")
	if !isNew {
		name = strings.TrimPrefix(path, "sys/policy")
	}
	name = strings.TrimRight(strings.TrimPrefix(name, "/"), "/")
	switch method := methodOf(r); {
	case name != "" && !isPolicyName(name): // another spelling would be judged as another path
		respond(w, nil, errPolicyName)
	case name == "" && (method == "LIST" || !isNew && method == http.MethodGet):
		names, err := s.policyNames()
		out := map[string]any{"keys": names}
		if !isNew {
			out["policies"] = names
		}
		respond(w, out, err)
	case name == "":
		fail(w, http.StatusMethodNotAllowed)
	case method == http.MethodGet:
		s.readPolicy(w, name, isNew)
	case method == http.MethodPut:
		s.writePolicy(w, r, name)
	case method == http.MethodDelete:
		respond(w, nil, s.putPolicy(name, nil))
	default:
		fail(w, http.StatusMethodNotAllowed)
	}
}

func (s *server) readPolicy(w http.ResponseWriter, name string, isNew bool) {
	var p *policy
	err := s.db.View(func(tx *bbolt.Tx) (err error) {
		p, err = s.policy(tx, name)
		return err
	})
	if err != nil || p == nil {
		if err == nil {
			err = errNotThere
		}
		respond(w, nil, err)
		return
	}
	out := map[string]any{"name": p.Name, "policy": p.Text, "version": 0, "cas_required": false}
	if !isNew {
		out["rules"] = p.Text
	}
	answer(w, http.StatusOK, out)
}

func (s *server) writePolicy(w http.ResponseWriter, r *http.Request, name string) {
	var in struct {
		Policy, Rules string
	}
	if !decode(w, r, &in) {
		return
	}
	text := in.Policy
	if text == "" {
		text = in.Rules
	}
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		text = string(b) // as Vault takes it
	}
	_, err := parsePolicy(name, text)
	if err == nil && text == "" {
		err = badRequest(`"policy" parameter not supplied or empty`)
	}
	if err == nil {
		err = s.putPolicy(name, &text)
	}
	respond(w, nil, err)
}

// capabilitiesSelf says what the sender may do at some paths: bao token
// capabilities asks for it.
func (s *server) capabilitiesSelf(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Path  string
		Paths texts
	}
	if !decode(w, r, &in) {
		return
	}
	if in.Path != "" {
		in.Paths = append(in.Paths, in.Path)
	}
	out := map[string]any{}
	for _, path := range in.Paths {
		has := allowed(bearerIn(r).policies, strings.TrimPrefix(path, "/"))
		if has == nil {
			has = []string{denied}
		}
		out[path] = has
		if len(in.Paths) == 1 {
			out["capabilities"] = has
		}
	}
	if len(out) == 0 {
		respond(w, nil, badRequest("path must be set"))
		return
	}
	answer(w, http.StatusOK, out)
}

// mounts tells what is mounted where, which does not change; to mount what is
// there already is no error, so that set-up scripts of Vault's run.
func (s *server) mounts(w http.ResponseWriter, r *http.Request) {
	const at = "sys/mounts"
	path := strings.Trim(strings.TrimPrefix(pathOf(r), at), "/")
	all := map[string]any{}
	for path, kind := range map[string]string{"secret/": "kv", "transit/": "transit", "sys/": "system"} {
		all[path] = mountOf(kind)
	}
	switch method := methodOf(r); {
	case method == http.MethodGet && path == "":
		answer(w, http.StatusOK, all)
	case method == http.MethodGet && all[path+"/"] != nil:
		answer(w, http.StatusOK, all[path+"/"])
	case method == http.MethodPut && path != "":
		var in struct {
			Type    string
			Options map[string]string
		}
		if !decode(w, r, &in) {
			return
		}
		version := in.Options["version"]
		if path == "transit" && in.Type == "transit" || path == "secret" && (in.Type == "kv-v2" || in.Type == "kv" && version == "2") {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		respond(w, nil, badRequest("here transit is mounted at transit/, version 2 of kv at secret/, and nothing else"))
	default:
		fail(w, http.StatusNotFound)
	}
}

func mountOf(kind string) map[string]any {
	out := map[string]any{
		"type": kind, "description": "", "accessor": kind + "_fixed", "uuid": "", "local": false, "seal_wrap": false,
		"external_entropy_access": false, "options": nil, "deprecation_status": "supported", "plugin_version": "",
		"running_plugin_version": "", "running_sha256": "",
		"config": map[string]any{"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": false},
	}
	if kind == "kv" {
		out["options"] = map[string]any{"version": "2"}
	}
	return out
}

// mount tells the command lines, before they read or write a path, that
// secret/ is version 2 of the key-value engine.
func mount(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(pathOf(r), "sys/internal/ui/mounts/")
	for at, kind := range map[string]string{"secret": "kv", "transit": "transit"} {
		if path == at || strings.HasPrefix(path, at+"/") {
			out := mountOf(kind)
			out["path"] = at + "/"
			answer(w, http.StatusOK, out)
			return
		}
	}
	fail(w, http.StatusForbidden, "preflight capability check returned 403, please ensure client's policies grant access to path \""+path+"\"")
}

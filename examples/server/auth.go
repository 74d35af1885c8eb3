package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// tokens serves auth/token: what bao login, bao token, agents and the transit
// seals of other servers call.
func (s *server) tokens(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(pathOf(r), "auth/token/")
	handlers := map[string]map[string]http.HandlerFunc{
		"lookup-self":     {"GET": s.lookupSelf, "PUT": s.lookupSelf},
		"lookup":          {"PUT": s.onToken(s.describe), "GET": s.lookupSelf},
		"lookup-accessor": {"PUT": s.onAccessor(s.describe)},
		"create":          {"PUT": s.create},
		"create-orphan":   {"PUT": s.create},
		"renew-self":      {"PUT": s.renewSelf},
		"renew":           {"PUT": s.onToken(s.renewOther)},
		"renew-accessor":  {"PUT": s.onAccessor(s.renewOther)},
		"revoke-self":     {"PUT": s.revokeSelf},
		"revoke":          {"PUT": s.onToken(s.revokeOther)},
		"revoke-accessor": {"PUT": s.onAccessor(s.revokeOther)},
		"accessors":       {"LIST": s.accessors},
	}[strings.TrimSuffix(name, "/")]
	switch handle := handlers[methodOf(r)]; {
	case handlers == nil:
		unserved(w, r)
	case handle == nil:
		fail(w, http.StatusMethodNotAllowed)
	default:
		handle(w, r)
	}
}

// A tokenRequest is what is asked of a token: a new one, or one that is named.
type tokenRequest struct {
	Token, Accessor string
	Increment       seconds

	ID             string
	Policies       *texts
	Meta           map[string]string
	DisplayName    string   `json:"display_name"`
	NoParent       bool     `json:"no_parent"`
	NoDefault      bool     `json:"no_default_policy"`
	Renewable      *bool    `json:"renewable"`
	NumUses        int      `json:"num_uses"`
	Type           string   `json:"type"`
	TTL            seconds  `json:"ttl"`
	Lease          seconds  `json:"lease"` // the older name of ttl
	Period         seconds  `json:"period"`
	ExplicitMaxTTL seconds  `json:"explicit_max_ttl"`
	EntityAlias    string   `json:"entity_alias"`
	BoundCIDRs     []string `json:"bound_cidrs"`
}

// create makes a token that may do a part of what its maker may. It does not end
// by itself unless it is told to: a server that needs it to unseal would not
// start any more.
func (s *server) create(w http.ResponseWriter, r *http.Request) {
	var in tokenRequest
	if !decode(w, r, &in) {
		return
	}
	who := bearerIn(r)
	orphan := in.NoParent || strings.Contains(pathOf(r), "create-orphan")
	g, err := in.grant(who, orphan)
	if err == nil {
		err = s.known(g.Policies)
	}
	var token string
	if err == nil {
		token, err = s.issue(g)
	}
	if err != nil {
		respond(w, nil, err)
		return
	}
	answerAuth(w, token, g)
}

// grant is the one that a request asks for.
func (in *tokenRequest) grant(who *bearer, orphan bool) (*grant, error) {
	now := time.Now().UTC()
	g := &grant{Name: "token", Meta: in.Meta, Created: now, Orphan: orphan, Period: in.Period.duration(), Most: in.ExplicitMaxTTL.duration()}
	if in.DisplayName != "" {
		g.Name += "-" + in.DisplayName
	}
	g.TTL = max(in.TTL.duration(), in.Lease.duration())
	if g.Period > 0 {
		g.TTL = g.Period
	}
	if g.Most > 0 && (g.TTL == 0 || g.TTL > g.Most) {
		g.TTL = g.Most
	}
	if g.TTL > 0 {
		g.Expires = now.Add(g.TTL)
	}
	g.Fixed = in.Renewable != nil && !*in.Renewable
	switch {
	case in.ID != "" || in.NumUses != 0 || in.EntityAlias != "" || len(in.BoundCIDRs) > 0 || in.Type != "" && in.Type != "service" && in.Type != "default":
		return nil, badRequest("id, num_uses, type, entity_alias and bound_cidrs are not supported here")
	case in.TTL < 0 || in.Lease < 0 || in.Period < 0 || in.ExplicitMaxTTL < 0:
		return nil, badRequest("a duration is negative")
	case len(g.Name) > 128 || len(g.Meta) > 32:
		return nil, badRequest("display_name has at most 120 bytes, meta at most 32 fields")
	}
	isRoot := who.grant == nil
	switch {
	case isRoot && in.Policies == nil:
		return nil, badRequest("name the token's policies: there is one root token, which bao operator generate-root replaces")
	case !isRoot && (orphan || g.Period > 0):
		return nil, badRequest("root or sudo privileges required to create orphan or periodic token")
	case !isRoot:
		g.Parent, g.Policies = who.grant.Accessor, slices.Clone(who.grant.Policies)
	}
	if in.Policies != nil && len(*in.Policies) > 0 {
		g.Policies = slices.Clone(*in.Policies)
	}
	if !in.NoDefault {
		g.Policies = append(g.Policies, defaultPolicy)
	}
	slices.Sort(g.Policies)
	g.Policies = slices.Compact(g.Policies)
	for _, name := range g.Policies {
		if name == rootPolicy {
			return nil, badRequest("there is one root token, which bao operator generate-root replaces: no other one has its policy")
		}
		if !isRoot && name != defaultPolicy && !slices.Contains(who.grant.Policies, name) {
			return nil, badRequest("child policies must be subset of parent")
		}
	}
	return g, nil
}

// known refuses policies that nobody has written: what is written later would
// count for this token.
func (s *server) known(names []string) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		for _, name := range names {
			p, err := s.policy(tx, name)
			if err != nil {
				return err
			}
			if p == nil {
				return badRequest("there is no policy %q: bao policy write it first", name)
			}
		}
		return nil
	})
}

// answerAuth hands a token out.
func answerAuth(w http.ResponseWriter, token string, g *grant) {
	reply(w, http.StatusOK, envelope("", nil, nil, map[string]any{
		"client_token": token, "accessor": g.Accessor, "policies": g.Policies, "token_policies": g.Policies, "identity_policies": nil,
		"metadata": g.Meta, "lease_duration": g.left(), "renewable": g.renewable(), "entity_id": "", "token_type": "service", "orphan": g.Orphan,
		"mfa_requirement": nil, "num_uses": 0,
	}))
}

// onToken has the token in the body dealt with.
func (s *server) onToken(f func(http.ResponseWriter, *bearer, *tokenRequest)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in tokenRequest
		if !decode(w, r, &in) {
			return
		}
		who, err := s.bearerOf(r.Context(), in.Token)
		switch {
		case errors.Is(err, errNoToken):
			fail(w, http.StatusForbidden, "bad token")
		case err != nil:
			failed(w, "the token cannot be checked", err)
		default:
			f(w, who, &in)
		}
	}
}

// onAccessor has the token of the accessor in the body dealt with.
func (s *server) onAccessor(f func(http.ResponseWriter, *bearer, *tokenRequest)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in tokenRequest
		if !decode(w, r, &in) {
			return
		}
		var g *grant
		err := s.db.View(func(tx *bbolt.Tx) (err error) {
			g, err = s.live(tx, in.Accessor, time.Now())
			return err
		})
		if err == nil && g == nil {
			err = &kvError{code: http.StatusForbidden, text: "invalid accessor"}
		}
		if err != nil {
			respond(w, nil, err)
			return
		}
		f(w, &bearer{grant: g}, &in)
	}
}

// lookupSelf tells of the token that a request came with: bao login asks for it.
func (s *server) lookupSelf(w http.ResponseWriter, r *http.Request) {
	s.describe(w, bearerIn(r), nil)
}

// describe tells of a token what Vault tells of its own.
func (s *server) describe(w http.ResponseWriter, who *bearer, _ *tokenRequest) {
	out := map[string]any{
		"accessor": "", "creation_time": 0, "creation_ttl": 0, "display_name": "root", "entity_id": "", "expire_time": nil,
		"explicit_max_ttl": 0, "id": who.token, "issue_time": time.Time{}, "meta": nil, "num_uses": 0, "orphan": true,
		"path": "auth/token/root", "policies": []string{rootPolicy}, "renewable": false, "ttl": 0, "type": "service",
	}
	if g := who.grant; g != nil {
		out["accessor"], out["creation_time"], out["creation_ttl"] = g.Accessor, g.Created.Unix(), int(g.TTL.Seconds())
		out["display_name"], out["explicit_max_ttl"], out["issue_time"] = g.Name, int(g.Most.Seconds()), g.Created
		out["meta"], out["orphan"], out["path"], out["policies"] = g.Meta, g.Orphan, "auth/token/create", g.Policies
		if !g.Expires.IsZero() {
			out["expire_time"], out["ttl"], out["renewable"] = g.Expires, g.left(), g.renewable()
		}
		if g.Period > 0 {
			out["period"] = int(g.Period.Seconds())
		}
		if !g.Renewed.IsZero() {
			out["last_renewal"], out["last_renewal_time"] = g.Renewed, g.Renewed.Unix()
		}
	}
	answer(w, http.StatusOK, out)
}

func (s *server) renewSelf(w http.ResponseWriter, r *http.Request) {
	var in tokenRequest
	if !decode(w, r, &in) {
		return
	}
	s.renewOther(w, bearerIn(r), &in)
}

// renewOther answers for a token that does not end as Vault does, which the
// transit seals of other servers take for good.
func (s *server) renewOther(w http.ResponseWriter, who *bearer, in *tokenRequest) {
	if who.grant == nil {
		respond(w, nil, badRequest("lease is not renewable"))
		return
	}
	g, err := s.renew(who.grant.Accessor, in.Increment.duration())
	if err != nil {
		respond(w, nil, err)
		return
	}
	answerAuth(w, who.token, g)
}

func (s *server) revokeSelf(w http.ResponseWriter, r *http.Request) {
	s.revokeOther(w, bearerIn(r), nil)
}

func (s *server) revokeOther(w http.ResponseWriter, who *bearer, _ *tokenRequest) {
	if who.grant == nil {
		respond(w, nil, s.revokeRoot())
		return
	}
	respond(w, nil, s.revoke(who.grant.Accessor))
}

// accessors lists the accessors of all tokens but the root token, which has none.
func (s *server) accessors(w http.ResponseWriter, r *http.Request) {
	names := []string{}
	err := s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(tokensBucket)
		if b == nil {
			return nil
		}
		return b.ForEach(func(k, _ []byte) error { names = append(names, string(k)); return nil })
	})
	if err == nil && len(names) == 0 {
		err = errNotThere
	}
	respond(w, map[string]any{"keys": names}, err)
}

// texts are a list of texts, or one text with commas.
type texts []string

func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		for part := range strings.SplitSeq(one, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*t = append(*t, part)
			}
		}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// seconds are a duration as [duration] reads it, of at most a hundred years.
type seconds duration

func (s *seconds) UnmarshalJSON(b []byte) error {
	if string(b) == `""` || string(b) == "null" {
		return nil
	}
	if err := (*duration)(s).UnmarshalJSON(b); err != nil {
		return err
	}
	if s.duration() > 100*365*24*time.Hour {
		return fmt.Errorf("more than a hundred years")
	}
	return nil
}

func (s seconds) duration() time.Duration { return time.Duration(s) }

// maxNested bounds how deep a body's objects and arrays lie in each other: a secret
// is read anew for each level of what is asked or changed in it.
const maxNested = 64

// isDeep reports whether JSON has more levels than that.
func isDeep(text []byte) bool {
	depth, inText := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case inText:
		case c == '{' || c == '[':
			if depth++; depth > maxNested {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// decode reads the body's JSON object, or answers why not. Numbers stay as they
// were written.
func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(r.Body)
	defer clear(body)
	if err == nil && isDeep(body) {
		fail(w, http.StatusBadRequest, fmt.Sprintf("the body's objects and arrays lie in each other more than %d deep", maxNested))
		return false
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err == nil {
		err = d.Decode(into)
	}
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		fail(w, http.StatusRequestEntityTooLarge, "http: request body too large: at most 1 MiB")
	case errors.Is(err, io.EOF):
		return true // no body is an object without fields, as Vault takes it
	case err != nil:
		fail(w, http.StatusBadRequest, "no data provided: the body is not the JSON object that is expected here")
	default:
		return true
	}
	return false
}

package operator_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// An exchange is one request of a real bao or vault and what the real server
// answered, as they were recorded.
type exchange struct {
	Section  string         `json:"section"`
	Command  string         `json:"command"`
	Method   string         `json:"method"`
	Path     string         `json:"path"`
	Token    string         `json:"token"`
	Request  map[string]any `json:"request"`
	Status   int            `json:"status"`
	Response map[string]any `json:"response"`
}

func recordings(t *testing.T, name string) []exchange {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var out []exchange
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// deliberate says where another code is expected, by what was recorded; the
// reasons stand in DIFFERENCES.md.
func deliberate(e *exchange) (code int, why string) {
	text := fmt.Sprint(e.Response["errors"])
	key, _ := e.Request["key"].(string)
	switch {
	case e.Path == "/v1/sys/rotate/config" && e.Method == "PUT":
		return 400, "rotation is not configured over HTTP"
	case e.Path == "/v1/sys/rotate/config" && nested(e.Response, "data", "interval") == "1440h0m0s":
		return 200, "nor shown as configured"
	case strings.Contains(text, "migrate option not provided"):
		return 200, "an unseal without -migrate unseals"
	case strings.HasPrefix(key, "We/uAY"):
		return 400, "a wrong share is named at once"
	case strings.Contains(text, "duplicate part detected"):
		return 200, "this share is right: the wrong one was refused before"
	case e.Path == "/v1/sys/seal-backend-status" && e.Status == 404:
		return 200, "served as Vault does"
	case e.Path == "/v1/sys/seal-backend-status" && e.Token == "":
		return 403, "needs a token"
	}
	return e.Status, ""
}

func nested(o map[string]any, name, field string) any {
	inner, _ := o[name].(map[string]any)
	return inner[field]
}

// absent is what is not answered, with its reason in DIFFERENCES.md.
var absent = map[string]bool{"encryptions": true}

// operators reports whether the path is the handler's.
func operators(path string) bool {
	for _, other := range []string{"/v1/secret/", "/v1/sys/mounts/", "/v1/sys/internal/", "/v1/sys/ha-status"} {
		if strings.HasPrefix(path, other) {
			return false
		}
	}
	return true
}

// A replay is the state of one replayed session: what was recorded is
// translated to what this server answered in its place.
type replay struct {
	*server
	ours     map[string]string // by the recorded share, nonce, password or token
	pending  []string          // new shares that are to be verified
	vnonce   string
	verify   string
	token    string
	counts   struct{ exchanges, same, deliberate, fields, types int }
	verified int
}

// learn pairs the strings of a recorded answer with those of ours.
func (p *replay) learn(recorded, ours any) {
	switch r := recorded.(type) {
	case map[string]any:
		o, _ := ours.(map[string]any)
		for k, v := range r {
			p.learn(v, o[k])
		}
	case []any:
		o, _ := ours.([]any)
		for i := range min(len(r), len(o)) {
			p.learn(r[i], o[i])
		}
	case string:
		if o, ok := ours.(string); ok && len(r) > 15 {
			p.ours[r] = o
			// The same share in its other notation.
			if b, err := hex.DecodeString(r); err == nil {
				p.ours[base64.StdEncoding.EncodeToString(b)] = o
			}
		}
	}
}

func (p *replay) translate(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			out[k] = p.translate(e)
		}
		return out
	case string:
		if o, ok := p.ours[v]; ok {
			return o
		}
	}
	return v
}

// sameTypes reports the recorded fields that our answer lacks, or has with
// another JSON type. What was null may be anything.
func (p *replay) sameTypes(at string, recorded, ours any) (faults []string) {
	switch r := recorded.(type) {
	case nil:
		return nil
	case map[string]any:
		o, ok := ours.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T", at, ours)}
		}
		for k, v := range r {
			if absent[k] {
				continue
			}
			p.counts.fields++
			have, ok := o[k]
			if !ok {
				faults = append(faults, at+"."+k+" is missing")
				continue
			}
			faults = append(faults, p.sameTypes(at+"."+k, v, have)...)
		}
	default:
		if fmt.Sprintf("%T", r) != fmt.Sprintf("%T", ours) {
			return []string{fmt.Sprintf("%s is %T, recorded %T", at, ours, r)}
		}
	}
	return faults
}

// send replays one exchange.
func (p *replay) send(e *exchange) {
	p.t.Helper()
	wasSealed, known := e.Response["sealed"].(bool)
	if known && wasSealed && !p.b.Status().Sealed && e.Response["initialized"] == true && !strings.HasPrefix(e.Command, "bao operator seal") && e.Response["migration"] != true {
		p.restart() // as the recorder restarted the real one
	}
	token := e.Token
	if token == "recorded-root-token" {
		token = p.token
	}
	var body any
	if e.Request != nil {
		body = p.translate(e.Request)
	}
	code, out := p.do(e.Method, e.Path, token, body)
	p.counts.exchanges++
	want, why := deliberate(e)
	if code != want {
		p.t.Errorf("%s: %s %s: %d %v, recorded %d", e.Command, e.Method, e.Path, code, out, e.Status)
	}
	if why != "" {
		p.counts.deliberate++
		return
	}
	if code == e.Status {
		p.counts.same++
	}
	if e.Status == 200 && e.Method != "HEAD" {
		for _, f := range p.sameTypes("answer", e.Response, out) {
			p.t.Errorf("%s: %s %s: %s", e.Command, e.Method, e.Path, f)
			p.counts.types++
		}
	}
	p.learn(e.Response, out)
	if t, ok := out["root_token"].(string); ok {
		p.token = t
	}
	data := out
	if d, ok := out["data"].(map[string]any); ok {
		data = d
	}
	if data["complete"] == true && data["verification_required"] == true {
		p.pending, p.vnonce = stringsOf(data["keys"]), data["verification_nonce"].(string)
		p.verify = strings.TrimSuffix(e.Path, "update") + "verify"
		if e.Response["verification_required"] != true { // else the recorded session does it
			p.finishVerification()
		}
	}
}

// finishVerification gives the new shares back, as an operator of this server
// does after every rekey.
func (p *replay) finishVerification() {
	for _, share := range p.pending {
		out := p.must("PUT", p.verify, "", object{"key": share, "nonce": p.vnonce})
		if d, ok := out["data"].(map[string]any); ok {
			out = d
		}
		if out["complete"] == true {
			p.verified++
			break
		}
	}
	p.pending = nil
}

// TestReplay sends what the real tools sent, in their order, to this handler.
func TestReplay(t *testing.T) {
	static := func(key string) migrate.Plan {
		return migrate.Plan{Slots: map[string]seal.Spec{key: seal.KMS{Wrapper: key}}}
	}
	// Where a section began in the recording: on the store that another one
	// left, with the configuration of its title.
	type start struct {
		after string // the section whose store it goes on with; empty: a new one
		keys  []string
		plan  migrate.Plan
		auto  bool // unsealed by its KMS at the start
	}
	other := static("other")
	other.Drop = []string{"static"}
	starts := map[string]map[string]start{
		"bao.json": {
			"1": {}, "2": {after: "1"}, "3": {},
			"4": {keys: []string{"static"}, plan: static("static")},
			"5": {after: "1", keys: []string{"static"}, plan: static("static")},
			"6": {after: "4a", keys: []string{"static"}, plan: migrate.Plan{Drop: []string{"static"}}},
			"7": {after: "4a", keys: []string{"static", "other"}, plan: other},
			"8": {after: "7", keys: []string{"other"}, plan: static("other"), auto: true},
		},
		"vault.json": {"1": {}, "2": {after: "1a", keys: []string{"transit"}, plan: static("transit")}},
	}
	var total replay
	for _, file := range []string{"bao.json", "vault.json"} {
		stores := map[string]seal.Store{}
		tokens := map[string]string{}
		var p *replay
		ours := map[string]string{}
		fake := newServer(t).kms
		section := ""
		end := func() {
			if p == nil {
				return
			}
			stores[section], tokens[section] = copyOf(t, p.store), p.token
			total.counts.exchanges += p.counts.exchanges
			total.counts.same += p.counts.same
			total.counts.deliberate += p.counts.deliberate
			total.counts.fields += p.counts.fields
			total.counts.types += p.counts.types
			total.verified += p.verified
		}
		for _, e := range recordings(t, file) {
			if name := e.Section[:1]; name != section {
				end()
				section = name
				s, ok := starts[file][name]
				if !ok {
					t.Fatalf("%s: section %q is not described here", file, e.Section)
				}
				p = &replay{server: newServer(t), ours: ours}
				p.kms, p.keys, p.plan = fake, s.keys, s.plan
				if s.after != "" {
					p.store, p.token = copyOf(t, stores[s.after]), tokens[s.after]
				}
				p.tokens[p.token] = p.token != ""
				p.restart()
				if s.auto {
					if err := p.b.Unseal(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				if name == "2" && file == "bao.json" {
					p.unseal(ours["58efee0184837ebaad070f7dce339f7987a070bb10813cf9be51251d09b247d67d"],
						ours["a2110c7c27129a612035009d5bafe11d51ccf3d49f55deb94a8fa7db4151c4b3b5"],
						ours["a5157d21ad2bbca4af86bb1d8bbcce687a5c2e49e3f94ef0a339c965f744fe23d4"])
				}
			}
			if !operators(e.Path) {
				continue
			}
			p.send(&e)
			if name := section + "a"; stores[name] == nil && strings.HasSuffix(e.Path, "/init") && e.Method == "PUT" && e.Status == 200 {
				stores[name], tokens[name] = copyOf(t, p.store), p.token
			}
		}
		end()
	}
	c := total.counts
	if c.exchanges < 200 {
		t.Errorf("only %d exchanges were replayed", c.exchanges)
	}
	t.Logf("operator-replay: exchanges=%d same_status=%d deliberate=%d fields=%d wrong_fields=%d rekeys_verified=%d", c.exchanges, c.same, c.deliberate, c.fields, c.types, total.verified)
}

// copyOf is a backup of a store, restored elsewhere.
func copyOf(t *testing.T, s seal.Store) seal.Store {
	t.Helper()
	rec, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := seal.NewMemStore()
	if _, err := out.Swap(t.Context(), rec, ""); err != nil {
		t.Fatal(err)
	}
	return out
}

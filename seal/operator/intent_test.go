package operator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// An intent is an operation that custodians are asked to give their shares to.
type intent struct {
	name, begin, update, cancel string
	body                        object
}

func intents() []intent {
	var out []intent
	for _, path := range []string{"rekey", "rotate/root"} {
		for _, shape := range [][2]int{{5, 3}, {1, 1}} {
			out = append(out, intent{
				name: fmt.Sprintf("%s %d of %d", path, shape[1], shape[0]), begin: path + "/init", update: path + "/update", cancel: path + "/init",
				body: object{"secret_shares": shape[0], "secret_threshold": shape[1]},
			})
		}
	}
	for _, path := range []string{"generate-root", "generate-root-token"} {
		out = append(out, intent{name: path, begin: path + "/attempt", update: path + "/update", cancel: path + "/attempt", body: object{}})
	}
	for _, key := range []string{"anna", "ben"} {
		out = append(out, intent{
			name: "rekey to " + key, begin: "rekey/init", update: "rekey/update", cancel: "rekey/init",
			body: object{"secret_shares": 1, "secret_threshold": 1, "pgp_keys": []string{key}},
		}, intent{
			name: "generate-root to " + key, begin: "generate-root/attempt", update: "generate-root/update", cancel: "generate-root/attempt",
			body: object{"pgp_key": key},
		})
	}
	return out
}

// TestIntentIsBound has custodians give all shares but one to an operation, puts
// another operation in its place, and lets the last one give a share for the
// first: whatever it is sent to, nobody's share serves what its giver was not
// shown.
func TestIntentIsBound(t *testing.T) {
	pairs, tried, served := 0, 0, 0
	for i, shown := range intents() {
		for j, hidden := range intents() {
			if testing.Short() && (3*i+j)%10 != 0 { // each once on either side
				continue
			}
			s := newServer(t)
			s.parse = people
			s.restart()
			shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
			s.unseal(shares[:2]...)
			data := func(o object) object {
				if d, ok := o["data"].(object); ok {
					return d
				}
				return o
			}
			nonce := data(s.must("PUT", "/v1/sys/"+shown.begin, token, shown.body))["nonce"].(string)
			s.must("PUT", "/v1/sys/"+shown.update, "", object{"key": shares[0], "nonce": nonce})
			s.must("DELETE", "/v1/sys/"+shown.cancel, token, nil)
			begun := data(s.must("PUT", "/v1/sys/"+hidden.begin, token, hidden.body))
			sets := fmt.Sprint(s.b.Status().Slots[0].Sets, s.b.Status().Generation)
			mints := s.mints
			for _, path := range []string{shown.update, hidden.update} {
				code, out := s.do("PUT", "/v1/sys/"+path, "", object{"key": shares[1], "nonce": nonce})
				tried++
				if code < 400 {
					served++
					t.Errorf("%s, then %s: %s answers %d %v", shown.name, hidden.name, path, code, out)
				}
			}
			// The share that was given to the first does not count for the second.
			out := data(s.must("PUT", "/v1/sys/"+hidden.update, "", object{"key": shares[2], "nonce": begun["nonce"]}))
			tried++
			if out["complete"] == true || fmt.Sprint(out["progress"]) != "1" {
				served++
				t.Errorf("%s, then %s: one share completed it: %v", shown.name, hidden.name, out)
			}
			if now := fmt.Sprint(s.b.Status().Slots[0].Sets, s.b.Status().Generation); now != sets || s.mints != mints {
				t.Errorf("%s, then %s: something was done", shown.name, hidden.name)
			}
			if n := begun["nonce"].(string); strings.HasPrefix(hidden.begin, "r") && !strings.Contains(n, fmt.Sprintf("%v.%v", hidden.body["secret_shares"], hidden.body["secret_threshold"])) {
				t.Errorf("the nonce %s does not say what it is for", n)
			}
			pairs++
		}
	}
	testlevel.Counted(t, "GUARANTEE 22 operator: pairs=%d submissions=%d served_another_intent=%d", pairs, tried, served)
}

// Shares that were given for one plan never serve another.
func TestMigrateBaitAndSwitch(t *testing.T) {
	s := newServer(t)
	shares, _ := s.init(object{"secret_shares": 5, "secret_threshold": 3})
	s.unseal(shares[:3]...)
	s.keys = []string{"shown", "hidden"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"shown": seal.KMS{Wrapper: "shown"}}}
	s.restart()
	s.migrate("", shares[:2]...)
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"hidden": seal.KMS{Wrapper: "hidden"}}}
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[2], "migrate": true}, 400, "nothing was moved")
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[2], "migrate": true, "nonce": "migrate.other"}, 400, "incorrect nonce")
	// The two earlier shares unseal, and do not agree to this plan.
	out := s.migrate("", shares[2])
	expect(t, out, object{"sealed": false, "migration": true})
	if n := len(s.b.Status().Slots); n != 1 {
		t.Fatalf("%d slots, operation %v: shares for one plan moved the store to another", n, s.b.Status().Operation)
	}
	if op := s.b.Status().Operation; op == nil || len(op.Progress) != 1 || op.Progress[0].Given != 1 {
		t.Fatalf("one share was given for this plan, and the operation is %+v", op)
	}
	if err := s.b.Admin().Cancel(t.Context(), seal.By{Operation: s.b.Status().Operation.ID}); err != nil {
		t.Fatal(err)
	}
	// Nor do shares that came without -migrate.
	s.restart()
	s.unseal(shares[:2]...)
	expect(t, s.migrate("", shares[2]), object{"sealed": false, "migration": true})
	if n := len(s.b.Status().Slots); n != 1 {
		t.Fatal("shares given to unseal moved the store")
	}
	// A quorum's agreement ends with the migration it was given to.
	s.kms.Disable("hidden")
	s.restart()
	s.migrate("", shares[:2]...)
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[2], "migrate": true}, 500)
	if _, err := migrate.Cancel(t.Context(), s.b, seal.By{}); err != nil {
		t.Fatal(err)
	}
	s.kms.Enable("hidden")
	token, err := s.mint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expect(t, s.migrate(token, shares[0]), object{"migration": true, "progress": 1})
	expect(t, s.migrate("", shares[1]), object{"migration": true, "progress": 2})
	expect(t, s.migrate("", shares[4]), object{"migration": false})
}

// An operation of another kind is neither joined nor spoiled by -migrate.
func TestMigrateBesideAnother(t *testing.T) {
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.keys = []string{"cloud"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
	s.restart()
	s.unseal(shares[:2]...)
	nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2})["nonce"]
	s.must("PUT", "/v1/sys/rekey/update", "", object{"key": shares[0], "nonce": nonce})
	s.fails("PUT", "/v1/sys/unseal", token, object{"key": shares[1], "migrate": true}, 400, "another operation is in progress")
	expect(t, s.must("GET", "/v1/sys/rekey/init", "", nil), object{"nonce": nonce, "progress": 1})
}

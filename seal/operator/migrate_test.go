package operator_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// toCloud lets the configuration want a KMS slot, as a stanza does.
func (s *server) toCloud(key string) {
	s.keys = append(s.keys, key)
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{key: seal.KMS{Wrapper: key}}}
}

// strangers are what those send with -migrate who hold no share of this store
// that opens it, with words of the answer.
func strangers(t *testing.T, s *server, shares []string, stale string) map[string]string {
	t.Helper()
	other := newServer(t)
	foreign, _ := other.init(object{"secret_shares": 5, "secret_threshold": 3})
	r := rand.New(rand.NewPCG(4, 2))
	raw := make([]byte, 33)
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	raw[32] = 2
	mistyped := []byte(shares[0])
	mistyped[40] ^= 1
	return map[string]string{
		hex.EncodeToString(raw):                "another store",
		base64.StdEncoding.EncodeToString(raw): "another store",
		foreign[0]:                             "another store",
		stale:                                  "another set",
		string(mistyped):                       "share",
		shares[0][:88]:                         "share",
		"":                                     "'key' must be specified",
		"root":                                 "share",
	}
}

// TestMigrateUnsealedByStrangers: with a share, and no token, a migration is
// begun and joined on a server that is unsealed. Without one nothing is begun,
// joined or spoiled.
func TestMigrateUnsealedByStrangers(t *testing.T) {
	s := newServer(t)
	old, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(old[:2]...)
	nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 5, "secret_threshold": 3})["nonce"]
	s.must("PUT", "/v1/sys/rekey/update", "", object{"key": old[0], "nonce": nonce})
	out := s.must("PUT", "/v1/sys/rekey/update", "", object{"key": old[1], "nonce": nonce})
	shares, vnonce := stringsOf(out["keys"]), out["verification_nonce"]
	for _, share := range shares[:3] {
		s.must("PUT", "/v1/sys/rekey/verify", "", object{"key": share, "nonce": vnonce})
	}
	s.toCloud("cloud")
	s.restart()
	s.unseal(shares[:3]...)

	tried, begun, spoiled := 0, 0, 0
	attack := func(stage string, progress int) {
		t.Helper()
		generation := s.b.Status().Generation
		for key, words := range strangers(t, s, shares, old[0]) {
			tried++
			s.fails("PUT", "/v1/sys/unseal", "", object{"key": key, "migrate": true}, 400, words)
		}
		s.must("PUT", "/v1/sys/unseal", "", object{"reset": true, "migrate": true})
		s.fails("DELETE", "/v1/sys/unseal", "", nil, 403)
		s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[4], "migrate": true, "nonce": "migrate.other"}, 400, "incorrect nonce")
		s.do("PUT", "/v1/sys/unseal", "", object{"key": old[0]})
		tried += 4
		now := s.b.Status()
		if now.Generation != generation {
			begun++
			t.Errorf("%s: a stranger changed the record", stage)
		}
		if got := s.must("GET", "/v1/sys/seal-status", "", nil)["operation"]; progress == 0 && got != nil || progress > 0 && fmt.Sprint(got.(object)["progress"]) != fmt.Sprintf("map[shamir:%d]", progress) {
			spoiled++
			t.Errorf("%s: the operation is %v", stage, got)
		}
	}
	attack("before", 0)
	expect(t, s.migrate("", shares[0]), object{"sealed": false, "migration": true, "progress": 1})
	attack("begun", 1)
	expect(t, s.migrate("", shares[3]), object{"progress": 2})
	attack("on its way", 2)
	expect(t, s.migrate("", shares[4]), object{"migration": false, "type": "cloud"})
	s.must("PUT", "/v1/sys/unseal", "", object{"key": old[0], "migrate": true}) // it is done, for whoever asks
	if op := s.b.Status().Operation; op != nil {
		t.Errorf("left in progress: %v", op)
	}
	t.Logf("GUARANTEE 23 migrate-unsealed: strangers=%d begun=%d spoiled=%d", tried, begun, spoiled)
}

// A share that was delivered, and not verified, begins no migration either.
func TestMigrateUnsealedByUnverified(t *testing.T) {
	s := newServer(t)
	shares, _ := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.toCloud("cloud")
	s.restart()
	s.unseal(shares[:2]...)
	d, err := s.b.Admin().Rekey(t.Context(), "shamir", seal.Shamir{Shares: 1, Threshold: 1}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	pending := d.Sets[0].Shares[0].Reveal()
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": pending, "migrate": true}, 400, "opens nothing yet")
	if op := s.b.Status().Operation; op != nil {
		t.Errorf("it began %v", op)
	}
}

// The plan is the one that was configured when the first share came, also on an
// unsealed server, across a restart, and whoever changed the configuration.
func TestMigrateUnsealedBaitAndSwitch(t *testing.T) {
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 5, "secret_threshold": 3})
	s.toCloud("shown")
	s.toCloud("hidden")
	hidden := s.plan
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"shown": seal.KMS{Wrapper: "shown"}}}
	s.restart()
	s.unseal(shares[:3]...)
	tried, served := 0, 0
	s.migrate("", shares[:2]...)
	s.plan = hidden
	refused := func() {
		t.Helper()
		tried++
		s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[2], "migrate": true}, 400, "another operation is in progress")
		if n := len(s.b.Status().Slots); n != 1 {
			served++
			t.Errorf("%d slots: shares for one plan moved the store to another", n)
		}
	}
	refused()
	s.restart()
	s.unseal(shares[:3]...)
	refused()

	// The way out, for who may: it is ended, and all shares are given again.
	s.fails("DELETE", "/v1/sys/unseal", "", nil, 403)
	s.must("DELETE", "/v1/sys/unseal", token, nil)
	s.must("DELETE", "/v1/sys/unseal", token, nil)
	expect(t, s.migrate("", shares[2]), object{"migration": true, "progress": 1})
	expect(t, s.migrate("", shares[3:]...), object{"migration": false})
	tried++
	if slots := s.b.Status().Slots; len(slots) != 2 || slots[0].Name == "shown" || slots[1].Name == "shown" {
		served++
		t.Errorf("the slots are %v", slots)
	}
	t.Logf("GUARANTEE 22 migrate-unsealed: tried=%d served_another_plan=%d", tried, served)
}

// Who learns that the plan is another one than at the first share is somebody
// with a share: a stranger who asked first would hide it from the custodians.
func TestMigrateNoticeIsForCustodians(t *testing.T) {
	s := newServer(t)
	shares, _ := s.init(object{"secret_shares": 5, "secret_threshold": 3})
	s.unseal(shares[:3]...)
	s.toCloud("shown")
	s.toCloud("hidden")
	hidden := s.plan
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"shown": seal.KMS{Wrapper: "shown"}}}
	s.restart()
	s.migrate("", shares[0])
	s.plan = hidden
	for key := range strangers(t, s, shares, shares[0][:80]) {
		s.fails("PUT", "/v1/sys/unseal", "", object{"key": key, "migrate": true}, 400)
	}
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[1], "migrate": true}, 400, "nothing was moved")
	// It was told; from here on shares are for the plan of now.
	expect(t, s.migrate("", shares[1]), object{"sealed": true, "progress": 2})
}

// What a migration proved before it was cancelled stays, and the answer says so.
func TestMigrateCancelled(t *testing.T) {
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.toCloud("first")
	s.toCloud("second")
	s.plan.Slots["first"] = seal.KMS{Wrapper: "first"}
	s.kms.Key("second")
	s.kms.Disable("second")
	s.restart()
	s.unseal(shares[:2]...)
	s.migrate("", shares[0])
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[1], "migrate": true}, 500)
	if _, _, err := s.b.Admin().Prove(t.Context(), "first", seal.By{Operation: s.b.Status().Operation.ID}); err != nil {
		t.Fatal(err)
	}
	out := s.must("DELETE", "/v1/sys/unseal", token, nil)
	if fmt.Sprint(out["notes"]) != "[these slots were proven already and open the store: first. The host drops them]" {
		t.Errorf("%v", out["notes"])
	}
	if st := s.b.Status(); st.Operation != nil || len(st.Slots) != 2 {
		t.Errorf("%v", st)
	}
	s.fails("DELETE", "/v1/sys/unseal", "", nil, 403)
	s.must("PUT", "/v1/sys/seal", token, nil)
	s.fails("DELETE", "/v1/sys/unseal", token, nil, 503, "Vault is sealed")
}

// A migration that another replica gathers shares for is not taken from it, and
// is not lost with it either.
func TestMigrateElsewhere(t *testing.T) {
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.toCloud("cloud")
	s.restart()
	s.unseal(shares[:2]...)
	s.migrate("", shares[0])
	s.name = "replica-2"
	s.restart()
	s.unseal(shares[:2]...)
	s.fails("PUT", "/v1/sys/unseal", token, object{"key": shares[0], "migrate": true}, 400, "replica-1", "DELETE of sys/unseal")
	s.must("DELETE", "/v1/sys/unseal", token, nil)
	expect(t, s.migrate("", shares[:2]...), object{"migration": false, "type": "cloud"})
}

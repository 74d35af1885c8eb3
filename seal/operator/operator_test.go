package operator_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

func TestShamir(t *testing.T) {
	s := newServer(t)
	expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"type": "shamir", "initialized": false, "sealed": true, "t": 0, "n": 0, "recovery_seal": false})
	expect(t, s.must("GET", "/v1/sys/init", "", nil), object{"initialized": false})
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": strings.Repeat("ab", 33)}, 400, "Vault is not initialized")
	s.fails("PUT", "/v1/sys/init", "", object{"secret_shares": 5, "secret_threshold": 6}, 400, "threshold cannot be larger than shares")
	s.fails("PUT", "/v1/sys/init", "", object{"secret_shares": 5, "secret_threshold": 3, "pgp_keys": []string{"x"}}, 400, "PGP")
	shares, token := s.init(object{"secret_shares": 5, "secret_threshold": 3, "stored_shares": 0, "future_field": []int{1}})
	if len(shares) != 5 || !strings.HasPrefix(shares[0], "sw1") {
		t.Fatalf("init returned %d shares", len(shares))
	}
	s.fails("PUT", "/v1/sys/init", "", object{"secret_shares": 5, "secret_threshold": 3}, 400, "Vault is already initialized")

	expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"initialized": true, "t": 3, "n": 5, "progress": 0})
	expect(t, s.unseal(shares[0]), object{"progress": 1, "replica": "replica-1", "sealed": true})
	wrong := []byte(shares[1])
	wrong[30] ^= 1
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": string(wrong)}, 400, "mistyped share")
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": "notakey"}, 400, "malformed share")
	s.fails("PUT", "/v1/sys/unseal", "", object{}, 400, "'key' must be specified")
	s.fails("PUT", "/v1/sys/unseal", "", "{", 400, "failed to decode JSON input")
	expect(t, s.unseal(shares[0]), object{"progress": 1})
	out := s.must("PUT", "/v1/sys/unseal", "", object{"reset": true})
	expect(t, out, object{"progress": 1})
	if out["notes"] == nil {
		t.Error("a reset that does nothing does not say so")
	}
	s.fails("GET", "/v1/sys/key-status", token, nil, 503, "Vault is sealed")
	// Names in any case, and POST for PUT.
	s.must("POST", "/v1/sys/unseal", "", object{"KEY": strings.ToUpper(shares[1])})
	expect(t, s.unseal(shares[2]), object{"sealed": false, "progress": 0, "type": "shamir"})
	expect(t, s.unseal(shares[4]), object{"sealed": false})

	s.fails("GET", "/v1/sys/key-status", "", nil, 403, "permission denied")
	s.fails("PUT", "/v1/sys/seal", "wrong", nil, 403, "permission denied")
	s.must("PUT", "/v1/sys/rotate", token, nil)
	s.must("POST", "/v1/sys/rotate/keyring", token, nil)
	s.must("PUT", "/v1/sys/rotate/root", token, "null")
	status := s.must("GET", "/v1/sys/key-status", token, nil)
	expect(t, status, object{"term": 3})
	expect(t, status["data"].(object), object{"term": 3})
	s.fails("PUT", "/v1/sys/rotate/config", token, object{"enabled": false}, 400, "not configured here")

	s.must("PUT", "/v1/sys/seal", token, nil)
	s.must("PUT", "/v1/sys/seal", "", nil)
	expect(t, s.unseal(shares[2:]...), object{"sealed": false})
}

func TestInitAgain(t *testing.T) {
	s := newServer(t)
	first := s.must("PUT", "/v1/sys/init", "", object{"secret_shares": 3, "secret_threshold": 2})
	op := first["operation"].(string)
	s.fails("PUT", "/v1/sys/init", "", object{"secret_shares": 3, "secret_threshold": 2, "operation": "a-stranger's"}, 400, "already initialized", "replica-1")
	// The answer was lost: who has the operation's id gets shares that open.
	shares, _ := s.init(object{"secret_shares": 3, "secret_threshold": 2, "operation": op})
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": stringsOf(first["keys"])[0]}, 400, "share of another set")
	expect(t, s.unseal(shares[:2]...), object{"sealed": false})
	s.fails("PUT", "/v1/sys/init", "", object{"secret_shares": 3, "secret_threshold": 2, "operation": op}, 400, "already initialized")
}

func TestRekey(t *testing.T) {
	for _, test := range []struct {
		name, path string
		data       func(object) object
	}{
		{"rekey", "/v1/sys/rekey/", func(o object) object { return o }},
		{"rotate-keys", "/v1/sys/rotate/root/", func(o object) object { return o["data"].(object) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t)
			old, token := s.init(object{"secret_shares": 5, "secret_threshold": 3})
			s.fails("GET", test.path+"init", token, nil, 503, "Vault is sealed")
			s.unseal(old[:3]...)
			data := s.encrypt("before the rekey")
			expect(t, test.data(s.must("GET", test.path+"init", "", nil)), object{"started": false, "required": 3})
			s.fails("PUT", test.path+"init", "", object{"secret_shares": 4, "secret_threshold": 2}, 403)
			s.fails("PUT", test.path+"init", token, object{"secret_shares": 4, "secret_threshold": 1}, 400, "greater than one")
			s.fails("PUT", test.path+"update", "", object{"key": old[0], "nonce": "x"}, 400, "no barrier rekey in progress")
			begun := test.data(s.must("PUT", test.path+"init", token, object{"secret_shares": 4, "secret_threshold": 2}))
			expect(t, begun, object{"started": true, "n": 4, "t": 2, "required": 3, "verification_required": true})
			nonce := begun["nonce"].(string)
			s.fails("PUT", test.path+"init", token, object{"secret_shares": 9, "secret_threshold": 9}, 400, "rekey already in progress")
			s.fails("PUT", test.path+"update", "", object{"key": old[0], "nonce": "x"}, 400, "incorrect nonce")

			give := func(share string) object {
				t.Helper()
				return test.data(s.must("PUT", test.path+"update", "", object{"key": share, "nonce": nonce}))
			}
			expect(t, give(old[0]), object{"progress": 1})
			s.fails("PUT", test.path+"update", "", object{"key": old[0], "nonce": nonce}, 400, "already been provided")
			give(old[3])
			out := give(old[4])
			expect(t, out, object{"complete": true, "verification_required": true})
			fresh := stringsOf(out["keys"])
			if len(fresh) != 4 {
				t.Fatalf("%d new shares", len(fresh))
			}

			// Until the new ones are proven the old ones open the store.
			s.b.Seal(seal.By{})
			s.unseal(old[:3]...)
			vnonce := out["verification_nonce"].(string)
			expect(t, test.data(s.must("GET", test.path+"init", "", nil)), object{"verification_nonce": vnonce, "progress": 3})
			s.fails("PUT", test.path+"verify", "", object{"key": old[0], "nonce": vnonce}, 400, "not of the new set")
			s.fails("PUT", test.path+"verify", "", object{"key": fresh[0], "nonce": nonce}, 400, "incorrect nonce")
			again := test.data(s.must("DELETE", test.path+"verify", token, nil))["nonce"].(string)
			if again == vnonce {
				t.Error("a restarted verification has the old nonce")
			}
			expect(t, test.data(s.must("PUT", test.path+"verify", "", object{"key": fresh[3], "nonce": again})), object{"progress": 1, "t": 2, "n": 4})
			expect(t, test.data(s.must("PUT", test.path+"verify", "", object{"key": fresh[1], "nonce": again})), object{"complete": true})

			s.restart()
			s.fails("PUT", "/v1/sys/unseal", "", object{"key": old[0]}, 400, "another set")
			expect(t, s.unseal(fresh[:2]...), object{"sealed": false, "t": 2, "n": 4})
			s.decrypts(data, "before the rekey")
		})
	}
}

func TestRekeyCancel(t *testing.T) {
	s := newServer(t)
	old, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(old[:2]...)
	begin := func() string {
		return s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2})["nonce"].(string)
	}
	begin()
	s.fails("DELETE", "/v1/sys/rekey/init", "", nil, 403)
	s.must("DELETE", "/v1/sys/rekey/init", token, nil)
	s.must("DELETE", "/v1/sys/rekey/init", token, nil)
	nonce := begin()
	s.must("PUT", "/v1/sys/rekey/update", "", object{"key": old[0], "nonce": nonce})
	out := s.must("PUT", "/v1/sys/rekey/update", "", object{"key": old[1], "nonce": nonce})
	s.must("DELETE", "/v1/sys/rekey/init", token, nil) // of a rekey that waits for its verification
	s.fails("GET", "/v1/sys/rekey/verify", "", nil, 400, "no rekey verification in progress")
	s.fails("DELETE", "/v1/sys/rekey/verify", token, nil, 400, "no rekey verification in progress")
	s.restart()
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": stringsOf(out["keys"])[0]}, 400, "share")
	expect(t, s.unseal(old[1:]...), object{"sealed": false})
	s.fails("PUT", "/v1/sys/rekey-recovery-key/init", token, object{"secret_shares": 3, "secret_threshold": 2}, 400, "recovery rekeying not supported")
}

// A server that died between the two phases of a rekey begins it anew.
func TestRekeyAfterCrash(t *testing.T) {
	s := newServer(t)
	old, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(old[:2]...)
	if _, err := s.b.Admin().Rekey(t.Context(), "shamir", seal.Shamir{Shares: 7, Threshold: 7}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	s.restart()
	s.unseal(old[:2]...)
	nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 1, "secret_threshold": 1})["nonce"].(string)
	s.restart()
	s.unseal(old[:2]...)
	s.must("PUT", "/v1/sys/rekey/update", "", object{"key": old[0], "nonce": nonce})
	out := s.must("PUT", "/v1/sys/rekey/update", "", object{"key": old[2], "nonce": nonce})
	s.must("PUT", "/v1/sys/rekey/verify", "", object{"key": stringsOf(out["keys"])[0], "nonce": out["verification_nonce"]})
	s.restart()
	expect(t, s.unseal(stringsOf(out["keys"])...), object{"sealed": false, "t": 1, "n": 1})
}

func TestGenerateRoot(t *testing.T) {
	for _, path := range []string{"/v1/sys/generate-root/", "/v1/sys/generate-root-token/"} {
		t.Run(path, func(t *testing.T) {
			s := newServer(t)
			data := func(o object) object {
				if d, ok := o["data"].(object); ok {
					return d
				}
				return o
			}
			shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
			s.unseal(shares[:2]...)
			expect(t, data(s.must("GET", path+"attempt", "", nil)), object{"started": false, "otp_length": 26, "required": 2})
			s.fails("PUT", path+"attempt", "", object{}, 403)
			s.fails("PUT", path+"attempt", token, object{"otp": "short"}, 400, "wrong length")
			s.fails("PUT", path+"attempt", token, object{"pgp_key": "x"}, 400, "PGP")
			s.fails("PUT", path+"update", "", object{"key": shares[0], "nonce": "x"}, 400, "no root generation in progress")
			begun := data(s.must("PUT", path+"attempt", token, object{"otp": "", "pgp_key": ""}))
			otp, nonce := begun["otp"].(string), begun["nonce"]
			if len(otp) != 26 {
				t.Fatalf("otp of %d", len(otp))
			}
			if shown := data(s.must("GET", path+"attempt", "", nil))["otp"]; shown != "" {
				t.Error("the one-time password is shown to everybody")
			}
			s.fails("PUT", path+"attempt", token, object{}, 400, "already in progress")
			// A rekey that asked for the same shares would be a bait.
			s.fails("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2}, 400, "in progress")
			expect(t, data(s.must("PUT", path+"update", "", object{"key": shares[0], "nonce": nonce})), object{"progress": 1, "complete": false})
			out := data(s.must("PUT", path+"update", "", object{"key": shares[2], "nonce": nonce}))
			expect(t, out, object{"complete": true, "progress": 2})
			hidden, err := base64.RawStdEncoding.DecodeString(out["encoded_token"].(string))
			if err != nil {
				t.Fatal(err)
			}
			for i := range hidden {
				hidden[i] ^= otp[i]
			}
			s.must("GET", "/v1/sys/key-status", string(hidden), nil)

			begun = data(s.must("PUT", path+"attempt", token, object{"otp": otp}))
			s.restart()
			s.unseal(shares[:2]...)
			s.fails("PUT", path+"update", "", object{"key": shares[0], "nonce": begun["nonce"]}, 400, "one-time password")
			s.must("DELETE", path+"attempt", token, nil)
			expect(t, data(s.must("GET", path+"attempt", "", nil)), object{"started": false})
		})
	}
}

// The story of an operator: people, then a KMS, then people again.
func TestMigrateThereAndBack(t *testing.T) {
	s := newServer(t)
	shares, _ := s.init(object{"secret_shares": 5, "secret_threshold": 3})
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[0], "migrate": true}, 500, "no migration seal found")
	s.unseal(shares[:3]...)
	data := s.encrypt("from the first day")

	// Restarted with a seal stanza.
	s.keys = []string{"cloud"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
	s.restart()
	expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"type": "cloud", "migration": true, "t": 3, "n": 5, "recovery_seal": true})
	expect(t, s.migrate("", shares[0]), object{"sealed": true, "progress": 1, "migration": true})
	expect(t, s.migrate("", shares[0]), object{"progress": 1})
	expect(t, s.migrate("", shares[1]), object{"progress": 2})
	expect(t, s.migrate("", shares[2]), object{"sealed": false, "migration": false, "type": "cloud", "recovery_seal": true, "t": 3, "n": 5})
	if op := s.b.Status().Operation; op != nil {
		t.Fatalf("left in progress: %+v", op)
	}
	expect(t, s.migrate("", shares[3]), object{"sealed": false, "migration": false})

	// It comes up by itself.
	s.restart()
	if err := s.b.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.decrypts(data, "from the first day")

	// The KMS is gone for good: the people's shares open the store.
	s.kms.Disable("cloud")
	s.restart()
	if err := s.b.Unseal(t.Context()); err == nil {
		t.Fatal("unsealed by a disabled key")
	}
	expect(t, s.unseal(shares[2:]...), object{"sealed": false})
	s.decrypts(data, "from the first day")
	s.kms.Enable("cloud")

	// And back: the stanza is disabled. The server comes up by its KMS, and the
	// shares move it, without a token.
	s.plan = migrate.Plan{Drop: []string{"cloud"}}
	s.restart()
	if err := s.b.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, s.migrate("", shares[0]), object{"sealed": false, "migration": true, "progress": 1})
	expect(t, s.migrate("", shares[0]), object{"sealed": false, "migration": true, "progress": 1})
	expect(t, s.migrate("", shares[1:3]...), object{"migration": false, "type": "shamir", "recovery_seal": false})
	s.keys = nil
	s.plan = migrate.Plan{}
	s.restart()
	if err := s.b.Unseal(t.Context()); err == nil {
		t.Fatal("the dropped key opens the store")
	}
	expect(t, s.unseal(shares[1:4]...), object{"sealed": false})
	s.decrypts(data, "from the first day")
}

// A migration that meets a dead KMS stands still, and goes on when it is back.
func TestMigrateInterrupted(t *testing.T) {
	s := newServer(t)
	shares, _ := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(shares[:2]...)
	s.keys = []string{"cloud"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
	s.kms.Key("cloud")
	s.kms.Disable("cloud")
	s.restart()
	s.migrate("", shares[0])
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[1], "migrate": true}, 500)
	expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"sealed": false, "migration": true})
	s.kms.Enable("cloud")
	expect(t, s.migrate("", shares[1]), object{"migration": false})

	// And where the process died in between.
	s = newServer(t)
	shares, _ = s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(shares[:2]...)
	s.keys = []string{"cloud"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
	s.kms.Key("cloud")
	s.kms.Disable("cloud")
	s.restart()
	s.migrate("", shares[0])
	s.do("PUT", "/v1/sys/unseal", "", object{"key": shares[1], "migrate": true})
	s.kms.Enable("cloud")
	s.restart()
	expect(t, s.migrate("", shares[1:]...), object{"sealed": false, "migration": false})
}

func TestMigrateNeedsDelivery(t *testing.T) {
	s := newServer(t)
	shares, _ := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(shares[:2]...)
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"board": seal.Shamir{Shares: 3, Threshold: 2}}}
	s.restart()
	s.migrate("", shares[0])
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[1], "migrate": true}, 400, "board", "rekey")
}

func TestAutoSeal(t *testing.T) {
	s := newServer(t)
	s.keys = []string{"static"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"static": seal.KMS{Wrapper: "static"}}}
	s.restart()
	expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"type": "static", "initialized": false, "recovery_seal": true})
	s.fails("PUT", "/v1/sys/init", "", object{"secret_shares": 5, "secret_threshold": 3}, 400, "not applicable to seal type static")
	shares, token := s.init(object{"recovery_shares": 5, "recovery_threshold": 3})
	expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"sealed": false, "t": 3, "n": 5})
	data := s.encrypt("x")

	// New recovery shares, verified.
	nonce := s.must("PUT", "/v1/sys/rekey-recovery-key/init", token, object{"secret_shares": 3, "secret_threshold": 2})["nonce"]
	var out object
	for _, share := range shares[:3] {
		out = s.must("PUT", "/v1/sys/rekey-recovery-key/update", "", object{"key": share, "nonce": nonce})
	}
	fresh := stringsOf(out["keys"])
	for _, share := range fresh[:2] {
		out = s.must("PUT", "/v1/sys/rekey-recovery-key/verify", "", object{"key": share, "nonce": out["verification_nonce"]})
		if out["complete"] == nil {
			out["verification_nonce"] = out["nonce"]
		}
	}
	expect(t, out, object{"complete": true})

	// A new seed for the KMS slot, agreed to by them.
	before := s.kms.Count("wrap")
	begun := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 5, "secret_threshold": 3})
	expect(t, begun, object{"t": 0, "n": 0, "required": 2, "verification_required": false})
	s.must("PUT", "/v1/sys/rekey/update", "", object{"key": fresh[0], "nonce": begun["nonce"]})
	expect(t, s.must("PUT", "/v1/sys/rekey/update", "", object{"key": fresh[2], "nonce": begun["nonce"]}), object{"complete": true, "keys": []any{}})
	if s.kms.Count("wrap") == before {
		t.Error("the KMS slot has its old seed")
	}
	s.must("GET", "/v1/sys/seal-backend-status", token, nil)

	// The recovery shares recover.
	s.kms.Destroy("static", "")
	s.restart()
	if err := s.b.Unseal(t.Context()); err == nil {
		t.Fatal("unsealed by a destroyed key")
	}
	expect(t, s.unseal(fresh[1:]...), object{"sealed": false})
	s.decrypts(data, "x")
}

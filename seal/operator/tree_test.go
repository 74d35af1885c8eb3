package operator_test

import (
	"testing"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// withTree returns an unsealed server whose only slot is a tree.
func withTree(t *testing.T, tree seal.Spec) (s *server, shares []string, token string) {
	t.Helper()
	s = newServer(t)
	s.keys = []string{"a", "b"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"both": tree}}
	s.restart()
	shares, token = s.init(object{})
	s.b.Unseal(t.Context()) // where people are needed, by them
	return s, shares, token
}

// A KMS and people open a store together: the people are rekeyed by the tools,
// and the KMS stays what it was.
func TestTreeIsRekeyed(t *testing.T) {
	for name, test := range map[string]struct {
		tree, after seal.Spec
	}{
		"a KMS and 2 of 3": {
			seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 3, Threshold: 2}}},
			seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 4, Threshold: 3}}},
		},
		"deeper": {
			seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "b"}, seal.Threshold{K: 2, Of: []seal.Spec{seal.Shamir{Shares: 3, Threshold: 2}, seal.KMS{Wrapper: "a"}}}}},
			seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "b"}, seal.Threshold{K: 2, Of: []seal.Spec{seal.Shamir{Shares: 4, Threshold: 3}, seal.KMS{Wrapper: "a"}}}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, old, token := withTree(t, test.tree)
			if len(old) != 3 {
				t.Fatalf("%d shares", len(old))
			}
			expect(t, s.unseal(old[0]), object{"sealed": true, "progress": 1, "t": 2, "n": 3})
			expect(t, s.unseal(old[2]), object{"sealed": false})
			data := s.encrypt("before the rekey")

			begun := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 4, "secret_threshold": 3})
			expect(t, begun, object{"n": 4, "t": 3, "required": 2, "slot": "both"})
			give := func(share string) object {
				t.Helper()
				return s.must("PUT", "/v1/sys/rekey/update", "", object{"key": share, "nonce": begun["nonce"]})
			}
			give(old[0])
			// The slot is the KMS's too: while it is away nothing is agreed to.
			s.kms.Disable("a")
			s.fails("PUT", "/v1/sys/rekey/update", "", object{"key": old[1], "nonce": begun["nonce"]}, 500)
			s.kms.Enable("a")
			out := give(old[1])
			fresh := stringsOf(out["keys"])
			expect(t, out, object{"complete": true, "verification_required": true})
			if len(fresh) != 4 {
				t.Fatalf("%d new shares", len(fresh))
			}
			for _, share := range fresh[:3] {
				out = s.must("PUT", "/v1/sys/rekey/verify", "", object{"key": share, "nonce": out["verification_nonce"]})
				if out["complete"] == nil {
					expect(t, out, object{"t": 3, "n": 4})
					out["verification_nonce"] = out["nonce"]
				}
			}
			expect(t, out, object{"complete": true})
			if slots := s.b.Status().Slots; len(slots) != 1 || slots[0].Spec.String() != test.after.String() {
				t.Fatalf("the slots are %v", slots)
			}

			s.restart()
			s.fails("PUT", "/v1/sys/unseal", "", object{"key": old[0]}, 400, "another set")
			expect(t, s.unseal(fresh[1:3]...), object{"sealed": true})
			expect(t, s.unseal(fresh[0]), object{"sealed": false})
			s.decrypts(data, "before the rekey")
		})
	}
}

// A ceremony of a tree's people makes a token too.
func TestTreeMakesAToken(t *testing.T) {
	s, shares, token := withTree(t, seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 3, Threshold: 2}}})
	s.unseal(shares[:2]...)
	nonce := s.must("PUT", "/v1/sys/generate-root/attempt", token, object{})["nonce"]
	s.must("PUT", "/v1/sys/generate-root/update", "", object{"key": shares[1], "nonce": nonce})
	expect(t, s.must("PUT", "/v1/sys/generate-root/update", "", object{"key": shares[2], "nonce": nonce}), object{"complete": true, "progress": 2})
}

// Where it is not clear whose shares are meant, or people are not what opens the
// slot, the answer says so and names the host's way.
func TestTreesThatTheHostRekeys(t *testing.T) {
	a, b := seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}
	people := seal.Shamir{Shares: 3, Threshold: 2}
	for words, tree := range map[string]seal.Spec{
		"several sets of shares":         seal.Threshold{K: 2, Of: []seal.Spec{people, people}},
		"opens without its people":       seal.Threshold{K: 2, Of: []seal.Spec{a, b, people}},
		"several sets of shares, of whi": seal.Threshold{K: 2, Of: []seal.Spec{a, seal.Threshold{K: 2, Of: []seal.Spec{people, people}}}},
	} {
		t.Run(tree.String(), func(t *testing.T) {
			s, shares, token := withTree(t, tree)
			if s.b.Status().Sealed {
				s.unseal(shares...)
			}
			for _, path := range []string{"rekey", "rotate/root"} {
				s.fails("PUT", "/v1/sys/"+path+"/init", token, object{"secret_shares": 3, "secret_threshold": 2}, 400, words, "Admin.Rekey")
				s.fails("GET", "/v1/sys/"+path+"/init", token, nil, 400, words)
			}
			if op := s.b.Status().Operation; op != nil {
				t.Errorf("left in progress: %+v", op)
			}
		})
	}
}

// A store that only a KMS opens gets its first people, by the host's word.
func TestFirstRecoveryShares(t *testing.T) {
	s := newServer(t)
	s.keys = []string{"cloud"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
	s.restart()
	_, token := s.init(object{"recovery_shares": 0, "recovery_threshold": 0})
	data := s.encrypt("of a store without people")
	const path = "/v1/sys/rotate/recovery/"
	get := func(method, name string, body any) object {
		t.Helper()
		out, _ := s.must(method, path+name, token, body)["data"].(object)
		return out
	}
	shape := object{"secret_shares": 3, "secret_threshold": 2}
	expect(t, get("GET", "init", nil), object{"started": false, "required": 0})
	// Only with a token, and only for tools that print what init answers.
	s.fails("PUT", path+"init", "", shape, 403)
	s.fails("PUT", path+"init", token, object{"secret_shares": 3, "secret_threshold": 1}, 400, "greater than one")
	s.fails("PUT", "/v1/sys/rekey-recovery-key/init", token, shape, 400, "rotate/recovery/init")
	s.fails("PUT", "/v1/sys/rekey/init", token, shape, 400, "rotate/recovery/init")
	s.fails("PUT", path+"update", "", object{"key": "00", "nonce": "x"}, 400, "no barrier rekey in progress")

	lost := get("PUT", "init", shape)
	expect(t, lost, object{"complete": true, "started": true, "n": 3, "t": 2, "verification_required": true, "nonce": lost["verification_nonce"]})
	s.fails("PUT", path+"init", token, shape, 400, "rekey already in progress")
	// The answer was lost: given up, and made anew. What was handed out opens
	// nothing then.
	get("DELETE", "init", nil)
	out := get("PUT", "init", shape)
	shares := stringsOf(out["keys"])
	if len(shares) != 3 || len(stringsOf(out["keys_base64"])) != 3 {
		t.Fatal(out)
	}
	nonce := out["verification_nonce"]
	expect(t, get("GET", "init", nil), object{"started": true, "verification_nonce": nonce, "t": 2, "n": 3})
	expect(t, get("GET", "verify", nil), object{"nonce": nonce, "t": 2, "n": 3, "progress": 0})

	// Before a quorum has shown them the shares open nothing; a sealed server
	// would take a quorum for the verification that is asked for.
	s.b.Seal(seal.By{})
	if out := s.unseal(shares[:1]...); out["sealed"] != true {
		t.Fatal("a share that nobody verified opens the store")
	}
	if err := s.b.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.fails("PUT", path+"verify", "", object{"key": stringsOf(lost["keys"])[0], "nonce": nonce}, 400)
	nonce = get("DELETE", "verify", nil)["nonce"]
	s.must("PUT", path+"verify", "", object{"key": shares[0], "nonce": nonce})
	if out := s.must("PUT", path+"verify", "", object{"key": shares[2], "nonce": nonce})["data"].(object); out["complete"] != true {
		t.Fatal(out)
	}
	expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"type": "cloud", "recovery_seal": true, "t": 2, "n": 3})

	// From now on a quorum decides.
	expect(t, get("PUT", "init", shape), object{"started": true, "required": 2})
	get("DELETE", "init", nil)

	s.kms.Destroy("cloud", "")
	s.restart()
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": stringsOf(lost["keys"])[0]}, 400)
	expect(t, s.unseal(shares[1:]...), object{"sealed": false})
	s.decrypts(data, "of a store without people")
}

// TestRestartBeforeTheVerification: a script rekeys, shreds the old shares, and
// restarts the server. The new ones unseal it, and are the verification.
func TestRestartBeforeTheVerification(t *testing.T) {
	s := newServer(t)
	s.keys = []string{"cloud"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
	s.restart()
	_, token := s.init(object{"recovery_shares": 0, "recovery_threshold": 0})
	data := s.encrypt("of a store without people")
	const path = "/v1/sys/rotate/recovery/"
	out, _ := s.must("PUT", path+"init", token, object{"secret_shares": 3, "secret_threshold": 2})["data"].(object)
	shares := stringsOf(out["keys"])
	s.kms.Destroy("cloud", "")
	s.restart()
	expect(t, s.unseal(shares[0]), object{"sealed": true})
	expect(t, s.unseal(shares[2]), object{"sealed": false})
	s.decrypts(data, "of a store without people")
	s.fails("GET", path+"verify", token, nil, 400, "no rekey verification in progress")
}

// First shares, and those of a tree, are encrypted to keys that come with the
// request, as others are.
func TestFirstAndTreeSharesAreEncrypted(t *testing.T) {
	names := []string{"anna", "berta", "carl"}
	s := newServer(t)
	s.parse = people
	s.keys = []string{"cloud"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
	s.restart()
	_, token := s.init(object{"recovery_shares": 0, "recovery_threshold": 0})
	const path = "/v1/sys/rotate/recovery/"
	s.fails("PUT", path+"init", token, object{"secret_shares": 3, "secret_threshold": 2, "pgp_keys": names[:2]}, 400, "count mismatch")
	s.fails("PUT", path+"init", token, object{"secret_shares": 3, "secret_threshold": 2, "pgp_keys": []string{"anna", "berta", "broken"}}, 500)
	if slots := s.b.Status().Slots; len(slots) != 1 {
		t.Fatalf("shares that nobody got are stored: %v", slots)
	}
	out := s.must("PUT", path+"init", token, object{"secret_shares": 3, "secret_threshold": 2, "pgp_keys": names})["data"].(object)
	shares := opened(t, out, "keys", names...)
	status := s.must("GET", path+"init", token, nil)["data"].(object)
	if got := stringsOf(status["pgp_fingerprints"]); len(got) != 3 || got[0] != "fp-anna" {
		t.Errorf("the fingerprints are %v", got)
	}
	for _, share := range shares[1:] {
		s.must("PUT", path+"verify", "", object{"key": share, "nonce": out["verification_nonce"]})
	}
	s.keys, s.plan = nil, migrate.Plan{}
	s.restart()
	expect(t, s.unseal(shares[:2]...), object{"sealed": false})

	tree := seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.Shamir{Shares: 2, Threshold: 2}}}
	s, old, token := withTree(t, tree)
	s.parse = people
	s.restart()
	s.unseal(old...)
	nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2, "pgp_keys": names})["nonce"]
	s.must("PUT", "/v1/sys/rekey/update", "", object{"key": old[0], "nonce": nonce})
	out = s.must("PUT", "/v1/sys/rekey/update", "", object{"key": old[1], "nonce": nonce})
	fresh := opened(t, out, "keys", names...)
	for _, share := range fresh[:2] {
		s.must("PUT", "/v1/sys/rekey/verify", "", object{"key": share, "nonce": out["verification_nonce"]})
	}
	s.restart()
	expect(t, s.unseal(fresh[1:]...), object{"sealed": false})
}

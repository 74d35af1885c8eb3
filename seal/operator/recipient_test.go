package operator_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A person stands for a holder with a public key, which is their name. What is
// encrypted to them begins with it, and every bit after that is turned.
type person string

func (p person) Encrypt(_ context.Context, text string) ([]byte, error) {
	if p == "broken" {
		return nil, errors.New("this key breaks")
	}
	return append([]byte(p+":"), turned(text)...), nil
}

func turned(text string) []byte {
	b := []byte(text)
	for i := range b {
		b[i] ^= 0xff
	}
	return b
}

func people(key string) (seal.Recipient, string, error) {
	switch key {
	case "expired":
		return nil, "", errors.New("the key is not in force")
	case "nobody":
		return nil, "", nil
	}
	return person(key), "fp-" + key, nil
}

// opened decrypts what a list of an answer has for its holders, and checks
// that the other list has the same.
func opened(t *testing.T, out object, kind string, want ...string) []string {
	t.Helper()
	hexed, encoded := stringsOf(out[kind]), stringsOf(out[kind+"_base64"])
	if len(hexed) != len(want) || len(encoded) != len(want) {
		t.Fatalf("%d and %d shares, want %d", len(hexed), len(encoded), len(want))
	}
	var shares []string
	for i, name := range want {
		b, err := base64.StdEncoding.DecodeString(encoded[i])
		again, err2 := hex.DecodeString(hexed[i])
		if err != nil || err2 != nil || string(b) != string(again) {
			t.Fatalf("share %d: %v, %v, or two different ones", i+1, err, err2)
		}
		body, mine := strings.CutPrefix(string(b), name+":")
		if !mine {
			t.Fatalf("share %d is not encrypted to %s", i+1, name)
		}
		shares = append(shares, string(turned(body)))
	}
	if got := strings.Join(stringsOf(out["pgp_fingerprints"]), " "); got != "fp-"+strings.Join(want, " fp-") {
		t.Errorf("fingerprints %q", got)
	}
	return shares
}

// silent checks that an answer shows none of the secrets, nor any share.
func silent(t *testing.T, out object, secrets ...string) {
	t.Helper()
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(secrets, "sw1q", "s.0000") {
		if strings.Contains(string(b), s) {
			t.Errorf("the answer shows %.4s…: %s", s, b)
		}
	}
}

func TestInitWithKeys(t *testing.T) {
	s := newServer(t)
	s.parse = people
	s.restart()
	for name, c := range map[string]struct {
		body  object
		words []string
	}{
		"too few":       {object{"secret_shares": 3, "secret_threshold": 2, "pgp_keys": []string{"anna", "ben"}}, []string{"count mismatch between number of provided PGP keys and number of shares", "pgp_keys has 2, and there are 3 shares"}},
		"too many":      {object{"secret_shares": 1, "secret_threshold": 1, "pgp_keys": []string{"anna", "ben"}}, []string{"count mismatch"}},
		"one for two":   {object{"secret_shares": 3, "secret_threshold": 2, "pgp_keys": []string{"carla", "anna", "anna"}}, []string{"shares 2 and 3 of one set are for the same key, fp-anna"}},
		"a bad one":     {object{"secret_shares": 3, "secret_threshold": 2, "pgp_keys": []string{"anna", "ben", "expired"}}, []string{"pgp_keys: key 3 of 3: the key is not in force"}},
		"recovery":      {object{"secret_shares": 1, "secret_threshold": 1, "recovery_pgp_keys": []string{"anna"}}, []string{"use pgp_keys"}},
		"token":         {object{"secret_shares": 1, "secret_threshold": 1, "root_token_pgp_key": "expired"}, []string{"root_token_pgp_key: key 1 of 1: the key is not in force"}},
		"another shape": {object{"secret_shares": 1, "secret_threshold": 2, "pgp_keys": []string{"anna"}}, []string{"threshold cannot be larger"}},
	} {
		t.Run(name, func(t *testing.T) { s.t = t; s.fails("PUT", "/v1/sys/init", "", c.body, 400, c.words...) })
	}
	s.t = t
	s.fails("PUT", "/v1/sys/init", "", object{"secret_shares": 1, "secret_threshold": 1, "pgp_keys": []string{"nobody"}}, 500)
	s.fails("PUT", "/v1/sys/init", "", object{"secret_shares": 2, "secret_threshold": 2, "pgp_keys": []string{"anna", "broken"}}, 500)
	expect(t, s.must("GET", "/v1/sys/init", "", nil), object{"initialized": false})

	out := s.must("PUT", "/v1/sys/init", "", object{
		"secret_shares": 3, "secret_threshold": 2, "pgp_keys": []string{"carla", "anna", "dora"}, "root_token_pgp_key": "ben",
	})
	silent(t, out)
	shares := opened(t, out, "keys", "carla", "anna", "dora")
	b, err := base64.StdEncoding.DecodeString(out["root_token"].(string))
	if err != nil || !strings.HasPrefix(string(b), "ben:") {
		t.Fatalf("root token %q, %v", b, err)
	}
	token := string(turned(string(b[4:])))
	expect(t, s.unseal(shares[0], shares[2]), object{"sealed": false})
	s.must("GET", "/v1/sys/key-status", token, nil)
	if got := s.b.Status().Slots[0].Custodians; !slices.Equal(got, []string{"fp-carla", "fp-anna", "fp-dora"}) {
		t.Errorf("custodians %v", got)
	}
	// What a configuration without OpenPGP, or a restart, makes of it.
	s.parse = nil
	s.restart()
	expect(t, s.unseal(shares[1:]...), object{"sealed": false})
}

// TestInitDoesNotReadKeysInVain: over a store that is there, the keys of
// strangers cost nothing, and every attempt is an event.
func TestInitDoesNotReadKeysInVain(t *testing.T) {
	s := newServer(t)
	var read, events atomic.Int64
	s.parse = func(key string) (seal.Recipient, string, error) { read.Add(1); return people(key) }
	s.events = func(e seal.Event) {
		if e.Kind == seal.EventInit && e.Err != nil {
			events.Add(1)
		}
	}
	s.restart()
	body := object{"secret_shares": 1, "secret_threshold": 1, "pgp_keys": []string{"anna"}, "root_token_pgp_key": "anna"}
	shares := opened(t, s.must("PUT", "/v1/sys/init", "", body), "keys", "anna")
	s.fails("PUT", "/v1/sys/init", "", body, 400, "Vault is already initialized")
	s.unseal(shares...)
	read.Store(0)
	s.fails("PUT", "/v1/sys/init", "", body, 400, "Vault is already initialized")
	if read.Load() != 0 || events.Load() != 2 {
		t.Errorf("%d keys read, %d events", read.Load(), events.Load())
	}
}

func TestRecoveryKeysEncrypted(t *testing.T) {
	s := newServer(t)
	s.parse = people
	s.keys = []string{"cloud"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
	s.restart()
	init := "/v1/sys/init"
	s.fails("PUT", init, "", object{"recovery_shares": 2, "recovery_threshold": 2, "pgp_keys": []string{"anna", "ben"}}, 400, "use recovery_pgp_keys")
	s.fails("PUT", init, "", object{"recovery_pgp_keys": []string{"anna"}}, 400, "recovery_pgp_keys has 1, and there are 0 shares")
	out := s.must("PUT", init, "", object{"recovery_shares": 2, "recovery_threshold": 2, "recovery_pgp_keys": []string{"anna", "ben"}, "root_token_pgp_key": "ben"})
	silent(t, out)
	shares := opened(t, out, "recovery_keys", "anna", "ben")
	b, _ := base64.StdEncoding.DecodeString(out["root_token"].(string))
	token := string(turned(strings.TrimPrefix(string(b), "ben:")))

	// The barrier's rekey makes no shares; that of the recovery keys does.
	s.fails("PUT", "/v1/sys/rekey/init", token, object{"pgp_keys": []string{"anna"}}, 400, "makes no shares")
	begun := s.must("PUT", "/v1/sys/rekey-recovery-key/init", token, object{"secret_shares": 1, "secret_threshold": 1, "pgp_keys": []string{"carla"}})
	for _, share := range shares {
		out = s.must("PUT", "/v1/sys/rekey-recovery-key/update", "", object{"key": share, "nonce": begun["nonce"]})
	}
	silent(t, out)
	next := opened(t, out, "keys", "carla")
	expect(t, s.must("PUT", "/v1/sys/rekey-recovery-key/verify", "", object{"key": next[0], "nonce": out["verification_nonce"]}), object{"complete": true})
	s.keys = nil
	s.restart()
	expect(t, s.unseal(next...), object{"sealed": false})
}

func TestRekeyWithKeys(t *testing.T) {
	s := newServer(t)
	s.parse = people
	s.restart()
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(shares[:2]...)
	const init, update, verify = "/v1/sys/rekey/init", "/v1/sys/rekey/update", "/v1/sys/rekey/verify"
	keys := object{"secret_shares": 3, "secret_threshold": 2, "pgp_keys": []string{"carla", "ben", "anna"}}
	fingerprints := "[fp-carla fp-ben fp-anna]"

	s.fails("PUT", init, token, object{"secret_shares": 2, "secret_threshold": 2, "pgp_keys": []string{"anna"}}, 400, "count mismatch")
	s.fails("PUT", init, token, object{"secret_shares": 1, "secret_threshold": 1, "pgp_keys": []string{"expired"}}, 400, "key 1 of 1", "not in force")
	s.fails("PUT", init, token, object{"secret_shares": 1, "secret_threshold": 1, "backup": true, "pgp_keys": []string{"anna"}}, 400, "never has shares")
	s.fails("PUT", init, "", keys, 403)
	expect(t, s.must("GET", init, "", nil), object{"started": false})

	// Begun, and the process dies: the keys are lost, so no share is taken.
	begun := s.must("PUT", init, token, keys)
	expect(t, begun, object{"pgp_fingerprints": fingerprints})
	s.restart()
	s.unseal(shares[:2]...)
	expect(t, s.must("GET", init, "", nil), object{"started": true, "pgp_fingerprints": nil, "n": 3, "t": 2})
	s.fails("PUT", update, "", object{"key": shares[0], "nonce": begun["nonce"]}, 400, "cancel it and begin again")
	expect(t, s.must("GET", init, "", nil), object{"progress": 0})
	s.must("DELETE", init, token, nil)

	// A key that breaks at last: nothing is made, and the old shares are valid.
	begun = s.must("PUT", init, token, object{"secret_shares": 2, "secret_threshold": 2, "pgp_keys": []string{"anna", "broken"}})
	s.must("PUT", update, "", object{"key": shares[0], "nonce": begun["nonce"]})
	s.fails("PUT", update, "", object{"key": shares[1], "nonce": begun["nonce"]}, 500)
	expect(t, s.must("GET", init, "", nil), object{"started": false})

	begun = s.must("PUT", init, token, keys)
	if id := fmt.Sprint(begun["nonce"]); !strings.HasPrefix(id, "rekey.3.2.pgp-") || len(id) > 64 {
		t.Errorf("nonce %s", id)
	}
	out := s.must("PUT", update, "", object{"key": shares[2], "nonce": begun["nonce"]})
	expect(t, out, object{"pgp_fingerprints": fingerprints, "progress": 1})
	out = s.must("PUT", update, "", object{"key": shares[0], "nonce": begun["nonce"]})
	silent(t, out, shares...)
	expect(t, out, object{"complete": true, "verification_required": true})
	next := opened(t, out, "keys", "carla", "ben", "anna")

	// The holders decrypt, and give their shares back; a restart does not matter.
	s.restart()
	s.unseal(shares[1:]...)
	expect(t, s.must("GET", init, "", nil), object{"pgp_fingerprints": fingerprints, "verification_nonce": out["verification_nonce"]})
	expect(t, s.must("PUT", verify, "", object{"key": next[2], "nonce": out["verification_nonce"]}), object{"progress": 1})
	expect(t, s.must("PUT", verify, "", object{"key": next[0], "nonce": out["verification_nonce"]}), object{"complete": true})
	expect(t, s.must("GET", init, "", nil), object{"started": false, "pgp_fingerprints": nil})
	s.restart()
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[0]}, 400)
	expect(t, s.unseal(next[:2]...), object{"sealed": false})

	// A rekey without keys afterwards is one without keys.
	begun = s.must("PUT", init, token, object{"secret_shares": 1, "secret_threshold": 1})
	expect(t, begun, object{"pgp_fingerprints": nil})
	s.must("PUT", update, "", object{"key": next[0], "nonce": begun["nonce"]})
	out = s.must("PUT", update, "", object{"key": next[1], "nonce": begun["nonce"]})
	if plain := stringsOf(out["keys"]); len(plain) != 1 || !strings.HasPrefix(plain[0], "sw1") || out["pgp_fingerprints"] != nil {
		t.Errorf("a rekey without keys: %v", out)
	}
}

func TestGenerateRootWithKey(t *testing.T) {
	for _, path := range []string{"/v1/sys/generate-root/", "/v1/sys/generate-root-token/"} {
		t.Run(path, func(t *testing.T) {
			s := newServer(t)
			s.parse = people
			s.restart()
			data := func(o object) object {
				if d, ok := o["data"].(object); ok {
					return d
				}
				return o
			}
			shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
			s.unseal(shares[:2]...)
			s.fails("PUT", path+"attempt", token, object{"pgp_key": "expired"}, 400, "pgp_key: key 1 of 1", "not in force")
			s.fails("PUT", path+"attempt", token, object{"pgp_key": "anna", "otp": strings.Repeat("x", 26)}, 400, "only one of")
			begun := data(s.must("PUT", path+"attempt", token, object{"pgp_key": "anna", "otp": ""}))
			expect(t, begun, object{"pgp_fingerprint": "fp-anna", "otp": "", "started": true})
			s.restart()
			s.unseal(shares[:2]...)
			s.fails("PUT", path+"update", "", object{"key": shares[0], "nonce": begun["nonce"]}, 400, "cancel it and begin again")
			s.must("DELETE", path+"attempt", token, nil)

			begun = data(s.must("PUT", path+"attempt", token, object{"pgp_key": "anna"}))
			s.must("PUT", path+"update", "", object{"key": shares[0], "nonce": begun["nonce"]})
			out := data(s.must("PUT", path+"update", "", object{"key": shares[1], "nonce": begun["nonce"]}))
			silent(t, out)
			expect(t, out, object{"complete": true, "pgp_fingerprint": "fp-anna"})
			b, err := base64.StdEncoding.DecodeString(out["encoded_token"].(string))
			if err != nil || !strings.HasPrefix(string(b), "anna:") {
				t.Fatalf("token %q, %v", b, err)
			}
			s.must("GET", "/v1/sys/key-status", string(turned(string(b[5:]))), nil)
		})
	}
}

// TestKeysOfATree: where the plan has people in a tree too, each share of the
// store has its key, or there are none.
func TestKeysOfATree(t *testing.T) {
	s := newServer(t)
	s.parse = people
	s.keys = []string{"cloud"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"both": seal.Threshold{K: 2, Of: []seal.Spec{
		seal.KMS{Wrapper: "cloud"}, seal.Shamir{Shares: 2, Threshold: 2},
	}}}}
	s.restart()
	body := object{"secret_shares": 2, "secret_threshold": 2, "pgp_keys": []string{"anna", "ben"}, "root_token_pgp_key": "ben"}
	s.fails("PUT", "/v1/sys/init", "", body, 400, "there are 4 shares")
	body["pgp_keys"] = []string{"anna", "ben", "carla", "dora"}
	out := s.must("PUT", "/v1/sys/init", "", body)
	silent(t, out)
	shares := opened(t, out, "keys", "anna", "ben", "carla", "dora")
	expect(t, s.unseal(shares[2:]...), object{"sealed": false})
}

// TestInitReadsOneRequestAtATime: strangers whose keys are slow to read keep
// one core busy at most.
func TestInitReadsOneRequestAtATime(t *testing.T) {
	s := newServer(t)
	var now, most atomic.Int64
	s.parse = func(key string) (seal.Recipient, string, error) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		runtime.Gosched()
		return nil, "", errors.New("no key")
	}
	s.restart()
	body := object{"secret_shares": 1, "secret_threshold": 1, "pgp_keys": []string{"x"}}
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			if code, out := s.do("PUT", "/v1/sys/init", "", body); code != 400 {
				t.Errorf("%d %v", code, out)
			}
		})
	}
	all.Wait()
	if most.Load() != 1 {
		t.Errorf("%d keys were read at once", most.Load())
	}
}

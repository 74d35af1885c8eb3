package operator_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// ofCloud returns a server whose configuration wants a KMS slot.
func ofCloud(t *testing.T) *server {
	t.Helper()
	s := newServer(t)
	s.toCloud("cloud")
	s.restart()
	return s
}

// TestLostInitAnswer: the answer of an init was lost, and the KMS has opened the
// store since. Who asked for it asks again, and gets shares that open it.
func TestLostInitAnswer(t *testing.T) {
	s := ofCloud(t)
	s.parse = people
	s.restart()
	body := object{"recovery_shares": 3, "recovery_threshold": 2, "operation": "mine"}
	lost, lostToken := s.init(body)
	data := s.encrypt("of the first day")
	if s.b.Status().Sealed {
		t.Fatal("the KMS has not opened it")
	}
	s.fails("PUT", "/v1/sys/init", "", object{"recovery_shares": 3, "recovery_threshold": 2}, 400, "Vault is already initialized")
	s.fails("PUT", "/v1/sys/init", "", object{"recovery_shares": 3, "recovery_threshold": 2, "operation": "a-stranger's"}, 400, "Vault is already initialized")
	s.fails("PUT", "/v1/sys/init", "", object{"recovery_shares": 3, "recovery_threshold": 2, "operation": "mi ne"}, 400, "an id of at most 64")

	// Sealed, nobody knows whose init it was; nothing is lost by it.
	s.restart()
	s.fails("PUT", "/v1/sys/init", "", body, 503)
	if err := s.b.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	shares, token := s.init(body)
	if token == lostToken || shares[0] == lost[0] {
		t.Fatal("the repeated init answers with what was lost")
	}
	// Also encrypted to people.
	keys := object{"recovery_shares": 3, "recovery_threshold": 2, "operation": "mine", "recovery_pgp_keys": []string{"anna", "ben", "carla"}}
	shares = opened(t, s.must("PUT", "/v1/sys/init", "", keys), "recovery_keys", "anna", "ben", "carla")
	s.must("GET", "/v1/sys/key-status", token, nil)

	s.kms.Disable("cloud")
	s.restart()
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": lost[0]}, 400, "another set")
	expect(t, s.unseal(shares[:2]...), object{"sealed": false})
	s.decrypts(data, "of the first day")
	// They have shown them: from here on the id is worth nothing.
	s.kms.Enable("cloud")
	s.fails("PUT", "/v1/sys/init", "", body, 400, "Vault is already initialized")
}

// TestLostRecoveryShares: nobody has ever shown the recovery shares. The host's
// word makes them anew, and asks for no share.
func TestLostRecoveryShares(t *testing.T) {
	s := ofCloud(t)
	lost, token := s.init(object{"recovery_shares": 3, "recovery_threshold": 2})
	const path = "/v1/sys/rotate/recovery/"
	shape := object{"secret_shares": 5, "secret_threshold": 3}
	s.fails("PUT", path+"init", "", shape, 403)
	for range 2 { // the first answer is lost as well
		out := s.must("PUT", path+"init", token, shape)["data"].(object)
		expect(t, out, object{"complete": true, "n": 5, "t": 3, "verification_required": true})
		s.must("DELETE", path+"init", token, nil)
	}
	out := s.must("PUT", path+"init", token, shape)["data"].(object)
	shares, nonce := stringsOf(out["keys"]), out["verification_nonce"]
	s.fails("PUT", path+"verify", "", object{"key": lost[0], "nonce": nonce}, 400, "not of the new set")
	nonce = s.must("DELETE", path+"verify", token, nil)["data"].(object)["nonce"]
	for i, share := range shares[:3] {
		out = s.must("PUT", path+"verify", "", object{"key": share, "nonce": nonce})["data"].(object)
		if i < 2 {
			expect(t, out, object{"progress": i + 1, "t": 3, "n": 5})
		}
	}
	expect(t, out, object{"complete": true})
	// From now on a quorum decides.
	expect(t, s.must("PUT", path+"init", token, shape)["data"].(object), object{"started": true, "required": 3, "complete": nil})
	s.must("DELETE", path+"init", token, nil)
	s.keys, s.plan = nil, migrate.Plan{}
	s.restart()
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": lost[0]}, 400)
	expect(t, s.unseal(shares[2:]...), object{"sealed": false})
}

// TestClientGoneDuringInit: a client leaves at each moment of an init over a slow
// KMS. Either the store is as it was, or the init can be repeated by its id.
func TestClientGoneDuringInit(t *testing.T) {
	points, made := 0, 0
	every := 100 * time.Millisecond
	if testing.Short() {
		every *= 4
	}
	for at := 50 * time.Millisecond; at < 1200*time.Millisecond; at += every {
		synctest.Test(t, func(t *testing.T) {
			s := ofCloud(t)
			s.kms.Script(kmstest.Always(kmstest.Fault{Delay: 200 * time.Millisecond}))
			code, text := s.leaving("PUT", "/v1/sys/init", "", `{"recovery_shares":3,"recovery_threshold":2,"operation":"mine"}`, func(leave func()) {
				time.AfterFunc(at, leave)
			})
			s.kms.Script(nil)
			points++
			_, out := s.do("GET", "/v1/sys/init", "", nil)
			if out["initialized"] != true {
				if code == 200 {
					t.Errorf("left after %v: answered %d, and nothing is there", at, code)
				}
				return
			}
			made++
			// Whatever became of it, the KMS opens it, as Run sees to.
			if err := s.b.Unseal(t.Context()); err != nil {
				t.Errorf("left after %v: %v; the answer was %d %s", at, err, code, text)
			}
			shares, _ := s.init(object{"recovery_shares": 3, "recovery_threshold": 2, "operation": "mine"})
			s.kms.Disable("cloud")
			s.restart()
			expect(t, s.unseal(shares[1:]...), object{"sealed": false})
			s.b.Close()
		})
	}
	t.Logf("client gone during init: points=%d made=%d", points, made)
	if made == 0 || made == points {
		t.Errorf("the points do not part what is made: %d of %d", made, points)
	}
}

// TestClientGoneBeforeItsShares: the client that gives the last share leaves
// before there is anything to answer with: no shares are made that nobody has,
// and no token.
func TestClientGoneBeforeItsShares(t *testing.T) {
	for i, test := range intents() {
		if testing.Short() && i%3 != 0 {
			continue
		}
		s := newServer(t)
		s.parse = people
		var leave func()
		s.events = func(e seal.Event) {
			if e.Kind == seal.EventProve && leave != nil {
				leave()
			}
		}
		s.restart()
		shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
		s.unseal(shares[:2]...)
		begun := s.must("PUT", "/v1/sys/"+test.begin, token, test.body)
		if d, ok := begun["data"].(object); ok {
			begun = d
		}
		s.must("PUT", "/v1/sys/"+test.update, "", object{"key": shares[0], "nonce": begun["nonce"]})
		mints := s.mints
		code, text := s.leaving("PUT", "/v1/sys/"+test.update, "", fmt.Sprintf(`{"key":%q,"nonce":%q}`, shares[1], begun["nonce"]), func(f func()) { leave = f })
		leave = nil
		if code != 503 || s.mints != mints || len(s.b.Status().Slots) != 1 {
			t.Errorf("%s: %d %s; %d tokens made, slots %v", test.name, code, text, s.mints-mints, s.b.Status().Slots)
		}
		// It is begun again.
		s.must("PUT", "/v1/sys/"+test.begin, token, test.body)
	}
}

// TestClientGoneDuringAMove: a migration goes on without the client that gave
// the last share; it has nothing to answer with.
func TestClientGoneDuringAMove(t *testing.T) {
	s := newServer(t)
	shares, _ := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.toCloud("cloud")
	var leave func()
	s.events = func(e seal.Event) {
		if e.Kind == seal.EventAdd && leave != nil {
			leave()
		}
	}
	s.restart()
	s.unseal(shares[:2]...)
	s.migrate("", shares[0])
	code, text := s.leaving("PUT", "/v1/sys/unseal", "", fmt.Sprintf(`{"key":%q,"migrate":true}`, shares[1]), func(f func()) { leave = f })
	if out := s.must("GET", "/v1/sys/seal-status", "", nil); out["migration"] != false || out["type"] != "cloud" {
		t.Errorf("%d %s: %v", code, text, out)
	}
}

// TestLostDelivery: the host could not deliver the shares that a migration made.
// Nobody has them, and the next attempt makes others.
func TestLostDelivery(t *testing.T) {
	s := newServer(t)
	shares, _ := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"board": seal.Shamir{Shares: 3, Threshold: 2}}}
	var board []string
	tries := 0
	s.deliver = func(d seal.Delivery) error {
		if tries++; tries < 3 {
			return fmt.Errorf("the printer is out of paper")
		}
		for _, share := range d.Sets[0].Shares {
			board = append(board, share.Reveal())
		}
		return nil
	}
	s.restart()
	s.unseal(shares[:2]...)
	s.migrate("", shares[0])
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[1], "migrate": true}, 500)
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[2], "migrate": true}, 500)
	s.migrate("", shares[0])
	if len(board) != 3 {
		t.Fatalf("%d shares were delivered after %d tries", len(board), tries)
	}
	expect(t, s.migrate("", board[1:]...), object{"migration": false})
	if tries != 3 {
		t.Errorf("%d deliveries: what was delivered is good", tries)
	}
}

// TestSealForgetsShares: shares given so far are forgotten by who may seal the
// server, also when it is sealed, and by nobody else.
func TestSealForgetsShares(t *testing.T) {
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.toCloud("cloud")
	s.restart()
	for _, migrating := range []bool{false, true} {
		s.must("PUT", "/v1/sys/unseal", "", object{"key": shares[0], "migrate": migrating})
		s.must("PUT", "/v1/sys/seal", "", nil)
		expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"progress": 1})
		s.must("PUT", "/v1/sys/seal", token, nil)
		expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"progress": 0})
	}
	expect(t, s.migrate("", shares[1:]...), object{"sealed": false, "migration": false})
}

// TestInitOfAStoreThatIsAway: nobody's keys are read while the store cannot be
// reached, and for one request no longer than twenty seconds.
func TestInitOfAStoreThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		v := &volume{s.store}
		s.store = v
		read := 0
		s.parse = func(key string) (seal.Recipient, string, error) {
			read++
			time.Sleep(time.Second)
			return people(key)
		}
		s.restart()
		var keys []string
		for i := range 255 {
			keys = append(keys, fmt.Sprintf("stranger-%d", i))
		}
		body := object{"secret_shares": 255, "secret_threshold": 2, "pgp_keys": keys}
		inner := v.Store
		v.Store = awayStore{inner}
		s.fails("PUT", "/v1/sys/init", "", body, 503, "the store cannot be reached")
		if read != 0 {
			t.Errorf("%d keys were read", read)
		}
		v.Store = inner
		began := time.Now()
		s.fails("PUT", "/v1/sys/init", "", body, 400, "could not be read in time")
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("the keys were read for %v", took)
		}
		s.b.Close()
	})
}

// An awayStore cannot be reached.
type awayStore struct{ seal.Store }

func (awayStore) Load(context.Context) ([]byte, string, error) {
	return nil, "", fmt.Errorf("no route to %s", strings.Repeat("10.", 3))
}

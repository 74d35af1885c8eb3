package operator_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// TestAttackSealWhileSharesAreGiven: a server that is sealed while a share is
// taken knows of no operation any more. That is no quorum.
func TestAttackSealWhileSharesAreGiven(t *testing.T) {
	for i, intent := range intents() {
		if testing.Short() && i%3 != 0 {
			continue
		}
		s := newServer(t)
		s.parse = people
		var token string
		armed := false
		s.events = func(e seal.Event) {
			if armed && e.Kind == seal.EventShare {
				armed = false
				sealed := make(chan struct{})
				go func() { // the hook is slow, and somebody else has the time
					defer close(sealed)
					s.must("PUT", "/v1/sys/seal", token, nil)
				}()
				<-sealed
			}
		}
		s.restart()
		shares, root := s.init(object{"secret_shares": 3, "secret_threshold": 2})
		token = root
		s.unseal(shares[:2]...)
		begun := s.must("PUT", "/v1/sys/"+intent.begin, token, intent.body)
		if d, ok := begun["data"].(object); ok {
			begun = d
		}
		mints := s.mints
		armed = true
		code, out := s.do("PUT", "/v1/sys/"+intent.update, "", object{"key": shares[0], "nonce": begun["nonce"]})
		if armed || !s.b.Status().Sealed {
			t.Fatal("nobody sealed the server")
		}
		if s.mints != mints || code < 400 {
			t.Errorf("%s: one of two shares, and a seal: %d tokens made, the answer is %d %v", intent.name, s.mints-mints, code, out)
		}
	}
}

// replicaOf returns another server over the store, unsealed by its KMS, that
// takes in what others change only when it has to.
func replicaOf(t *testing.T, s *server) *server {
	t.Helper()
	other := newServer(t)
	other.store, other.kms, other.keys, other.plan, other.tokens, other.name = s.store, s.kms, s.keys, s.plan, s.tokens, "replica-2"
	other.restart()
	if err := other.b.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	return other
}

// held returns the state of the people's slot, of the older one where there are
// two.
func held(s *server) seal.SlotState {
	for _, slot := range s.b.Status().Slots {
		if slot.Name == "shamir" {
			return slot.State
		}
	}
	return "gone"
}

// TestAttackLateReplicaDropsRecoveryShares: a replica that has not yet heard
// that new recovery shares were verified is told to give them up, or to begin
// anew. Those who hold them keep what they hold.
func TestAttackLateReplicaDropsRecoveryShares(t *testing.T) {
	for _, first := range []bool{true, false} {
		for method, body := range map[string]object{"DELETE": nil, "PUT": {"secret_shares": 3, "secret_threshold": 2}} {
			s := newServer(t)
			s.keys = []string{"cloud"}
			s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
			s.restart()
			recovery := object{"recovery_shares": 1, "recovery_threshold": 1}
			if first {
				recovery = object{}
			}
			old, token := s.init(recovery)
			if !first {
				s.proves("shamir", old...)
			}
			out := s.must("PUT", "/v1/sys/rotate/recovery/init", token, object{"secret_shares": 1, "secret_threshold": 1})["data"].(object)
			if !first {
				out = s.must("PUT", "/v1/sys/rotate/recovery/update", "", object{"key": old[0], "nonce": out["nonce"]})["data"].(object)
			}
			// As it is where the process ended before it had asked for the proof.
			if err := s.b.Admin().Cancel(t.Context(), seal.By{Operation: seal.OperationID(out["verification_nonce"].(string))}); err != nil {
				t.Fatal(err)
			}
			late := replicaOf(t, s)
			nonce := s.must("DELETE", "/v1/sys/rotate/recovery/verify", token, nil)["data"].(object)["nonce"]
			s.must("PUT", "/v1/sys/rotate/recovery/verify", "", object{"key": stringsOf(out["keys"])[0], "nonce": nonce})
			before := held(s)
			late.do(method, "/v1/sys/rotate/recovery/init", token, body)
			if err := s.b.Admin().Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if now := held(s); before != "active" || now != "active" {
				t.Errorf("first %v, %s at the late replica: the slot of those who hold them was %q, and is %q", first, method, before, now)
			}
		}
	}
}

// TestAttackUnverifiedShares: a rekey ended before its new shares were verified,
// and another replica, that has not heard of them, begins the next ceremony. It
// asks those whose shares count, or says what is in the way.
func TestAttackUnverifiedShares(t *testing.T) {
	s := newServer(t)
	s.restart()
	old, token := s.init(object{"secret_shares": 1, "secret_threshold": 1})
	s.unseal(old...)
	late := newServer(t)
	late.store, late.kms, late.tokens, late.name = s.store, s.kms, s.tokens, "replica-2"
	late.restart()
	late.unseal(old...)
	out := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 1, "secret_threshold": 1})
	out = s.must("PUT", "/v1/sys/rekey/update", "", object{"key": old[0], "nonce": out["nonce"]})
	if err := s.b.Admin().Cancel(t.Context(), seal.By{Operation: seal.OperationID(out["verification_nonce"].(string))}); err != nil {
		t.Fatal(err)
	}
	code, answer := late.do("PUT", "/v1/sys/generate-root/attempt", token, object{})
	if text := fmt.Sprint(answer); code != 400 || !strings.Contains(text, "verif") || !strings.Contains(text, "cancel") {
		t.Errorf("generate-root: %d %v", code, answer)
	}
	begun := late.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 1, "secret_threshold": 1})
	code, answer = late.do("PUT", "/v1/sys/rekey/update", "", object{"key": old[0], "nonce": begun["nonce"]})
	if code != 200 || answer["complete"] != true {
		t.Errorf("rekey: the share that counts: %d %v", code, answer)
	}
}

// TestAttackTokenWithoutPeople: where a slot opens without its people too, nobody
// can be asked for a token, and the ceremony says so instead of asking the KMS
// and answering that it was not begun.
func TestAttackTokenWithoutPeople(t *testing.T) {
	s, _, token := withTree(t, seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}, seal.Shamir{Shares: 1, Threshold: 1}}})
	generation := s.b.Status().Generation
	s.fails("PUT", "/v1/sys/generate-root/attempt", token, object{}, 400, "opens without its people too")
	if now := s.b.Status().Generation; now != generation {
		t.Errorf("the record went from generation %d to %d", generation, now)
	}
}

// TestAttackOneShareBesideKeys: a slot opens by two keys, or by one and two of
// three people. One of them is no quorum, though the keys answer.
func TestAttackOneShareBesideKeys(t *testing.T) {
	tree := seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Wrapper: "a"}, seal.KMS{Wrapper: "b"}, seal.Shamir{Shares: 3, Threshold: 2}}}
	s, shares, _ := withTree(t, tree)
	s.keys = append(s.keys, "new")
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"both": tree, "new": seal.KMS{Wrapper: "new"}}}
	s.restart()
	if err := s.b.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	moved := func() bool { return len(s.b.Status().Slots) > 1 }
	s.migrate("", shares[0])
	if moved() {
		t.Errorf("one of three shares moved the store: %v", s.b.Status().Slots)
	}
	s.migrate("", shares[2])
	if !moved() {
		t.Errorf("two of three shares did not move the store: %v", s.b.Status())
	}
}

// TestAttackEndedAgreementServesAgain: a quorum agreed to a migration that
// stood still, and it was ended through another replica. What they said here
// does not let one of them begin it anew.
func TestAttackEndedAgreementServesAgain(t *testing.T) {
	s := newServer(t)
	s.keys = []string{"cloud", "new"}
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
	s.restart()
	shares, token := s.init(object{"recovery_shares": 3, "recovery_threshold": 2})
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}, "new": seal.KMS{Wrapper: "new"}}}
	s.kms.Disable("new")
	s.migrate("", shares[0])
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[1], "migrate": true}, 500)
	other := replicaOf(t, s)
	other.must("DELETE", "/v1/sys/unseal", token, nil)
	s.kms.Enable("new")
	s.migrate("", shares[2])
	for _, slot := range s.b.Status().Slots {
		if slot.Name == "new" {
			t.Errorf("one of two shares moved the store: %v", s.b.Status().Slots)
		}
	}
}

// TestAttackStrangerAtTheUnseal: others unseal the server while somebody without
// a share sends -migrate: nobody has looked at that share, and it begins nothing.
func TestAttackStrangerAtTheUnseal(t *testing.T) {
	for _, share := range []string{strings.Repeat("07", 33), strings.Repeat("01", 33)} {
		s := newServer(t)
		shares, _ := s.init(object{"secret_shares": 1, "secret_threshold": 1})
		s.toCloud("cloud")
		s.restart()
		unseal := sync.OnceFunc(func() { // while the handler looks at the configuration
			held, err := seal.ParseShare(shares[0])
			if err != nil {
				t.Fatal(err)
			}
			if done, err := s.b.Submit(t.Context(), held, seal.By{}); err != nil || !done {
				t.Fatal(done, err)
			}
		})
		var err error
		s.h, err = operator.New(operator.Config{
			Barrier: s.b, Authorize: s.authorize,
			Plan: func(context.Context) (migrate.Plan, error) { unseal(); return s.plan, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		code, out := s.do("PUT", "/v1/sys/unseal", "", object{"key": share, "migrate": true})
		if op := s.b.Status().Operation; op != nil || code < 400 {
			t.Errorf("a stranger began %v: %d %v", op, code, out)
		}
	}
}

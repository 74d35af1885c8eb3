package operator_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
)

// TestTheShareThatCompletedIsAnswered, also where the slot is proven to another
// operation before the request is answered: it was said to count for nothing.
func TestTheShareThatCompletedIsAnswered(t *testing.T) {
	s := newServer(t)
	var meanwhile func()
	s.events = func(e seal.Event) {
		if do := meanwhile; do != nil && e.Kind == seal.EventShare {
			meanwhile = nil
			do()
		}
	}
	s.restart()
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(shares[:2]...)
	nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2})["nonce"].(string)
	s.must("PUT", "/v1/sys/rekey/update", "", object{"key": shares[0], "nonce": nonce})
	meanwhile = func() {
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		if op := s.b.Status().Operation; op != nil {
			check(s.b.Admin().Cancel(t.Context(), seal.By{Operation: op.ID}))
		}
		id, _, err := s.b.Admin().Prove(t.Context(), "shamir", seal.By{})
		check(err)
		for _, text := range shares[:2] {
			share, err := seal.ParseShare(text)
			check(err)
			_, err = s.b.Submit(t.Context(), share, seal.By{Operation: id})
			check(err)
		}
	}
	out := s.must("PUT", "/v1/sys/rekey/update", "", object{"key": shares[1], "nonce": nonce})
	expect(t, out, object{"complete": true})
}

// TestTheShareBeforeTheLastOne is taken, and the last one comes before its request is
// answered: that tells of the quorum, of which its own share was a part.
func TestTheShareBeforeTheLastOne(t *testing.T) {
	s := newServer(t)
	var last func()
	s.events = func(e seal.Event) {
		if do := last; do != nil && e.Kind == seal.EventShare {
			last = nil
			do()
		}
	}
	s.restart()
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(shares[:2]...)
	nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2})["nonce"]
	var out object
	last = func() { out = s.must("PUT", "/v1/sys/rekey/update", "", object{"key": shares[1], "nonce": nonce}) }
	s.fails("PUT", "/v1/sys/rekey/update", "", object{"key": shares[0], "nonce": nonce}, 400, "is in the answer to the share before this one")
	expect(t, out, object{"complete": true})

	next, nonce := stringsOf(out["keys"]), out["verification_nonce"]
	last = func() { out = s.must("PUT", "/v1/sys/rekey/verify", "", object{"key": next[1], "nonce": nonce}) }
	expect(t, s.must("PUT", "/v1/sys/rekey/verify", "", object{"key": next[0], "nonce": nonce}), object{"complete": true})
	expect(t, out, object{"complete": true})
}

// TestMigrateChecksNoShareThatUnsealed: Submit looked at it, and a second look was an
// event that told of nothing.
func TestMigrateChecksNoShareThatUnsealed(t *testing.T) {
	s := newServer(t)
	checked := 0
	s.events = func(e seal.Event) {
		if strings.Contains(e.Detail, "only checked") {
			checked++
		}
	}
	shares, _ := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.toCloud("cloud")
	s.restart()
	expect(t, s.migrate("", shares[:2]...), object{"sealed": false, "migration": false})
	if checked != 0 {
		t.Errorf("%d shares were checked that had unsealed", checked)
	}
}

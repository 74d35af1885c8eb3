package operator_test

import (
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// TestSlots: a host that names its slots has them made by init, beside people's
// recovery shares.
func TestSlots(t *testing.T) {
	s := newServer(t)
	s.keys = []string{"cloud"}
	s.restart()
	slots := map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}
	var err error
	s.h, err = operator.New(operator.Config{Barrier: s.b, Authorize: s.authorize, Slots: slots})
	if err != nil {
		t.Fatal(err)
	}
	delete(slots, "auto") // the handler has its own
	s.fails("PUT", "/v1/sys/init", "", object{"secret_shares": 3, "secret_threshold": 2}, 400, "use recovery_shares")
	made := s.must("PUT", "/v1/sys/init", "", object{"recovery_shares": 3, "recovery_threshold": 2})
	if keys, _ := made["recovery_keys"].([]any); len(keys) != 3 {
		t.Errorf("init made %v", made)
	}
	var names []string
	for _, slot := range s.b.Status().Slots {
		names = append(names, slot.Name)
	}
	if got := strings.Join(names, " "); got != "auto shamir" {
		t.Errorf("the slots are %q", got)
	}
}

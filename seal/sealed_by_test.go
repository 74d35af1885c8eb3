package seal_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// TestSealedByOperatorSaysSo: after Seal the reason is not that of a server that
// was only started, and says that it does not come back by itself.
func TestSealedByOperatorSaysSo(t *testing.T) {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("prod")}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if why := b.Sealed(); errors.Is(why, seal.ErrSealedByOperator) {
		t.Errorf("new: %v", why)
	}
	if _, err := b.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	if err := b.Seal(seal.By{Actor: "alice"}); err != nil {
		t.Fatal(err)
	}
	for _, why := range []error{b.Sealed(), b.Status().Reason} {
		if !errors.Is(why, seal.ErrSealedByOperator) || !errors.Is(why, seal.ErrSealed) || !strings.Contains(why.Error(), "by an operator: it stays so") {
			t.Errorf("sealed: %v", why)
		}
	}
	if err := b.Unseal(t.Context()); err != nil || b.Sealed() != nil {
		t.Errorf("unsealed: %v, %v", err, b.Sealed())
	}
	b.Close()
	if why := b.Sealed(); !errors.Is(why, seal.ErrClosed) {
		t.Errorf("closed: %v", why)
	}
}

package sealconf_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal/sealconf"
)

func build(t *testing.T, text string, o sealconf.Options) *sealconf.Setup {
	t.Helper()
	setup, err := try(text, o)
	if err != nil {
		t.Fatal(err)
	}
	return setup
}

func try(text string, o sealconf.Options) (*sealconf.Setup, error) {
	stanzas, err := sealconf.Parse([]byte(text), "seal.hcl")
	if err != nil {
		return nil, err
	}
	return sealconf.Build(stanzas, o)
}

// failed checks that err is of this package, and says all that it should.
func failed(t *testing.T, err error, words ...string) {
	t.Helper()
	if !errors.Is(err, sealconf.ErrConfig) {
		t.Errorf("%v, not ErrConfig", err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

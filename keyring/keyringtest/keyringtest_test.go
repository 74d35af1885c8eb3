package keyringtest_test

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/keyringtest"
)

func TestRing(t *testing.T) {
	ring := keyringtest.New(t)
	first, err := ring.EncryptString("plaintext", nil)
	if err != nil {
		t.Fatal(err)
	}
	decrypts := func(want error) {
		t.Helper()
		got, err := ring.DecryptString(first, nil)
		if !errors.Is(err, want) || err == nil && got != "plaintext" {
			t.Errorf("DecryptString = %q, %v; want %v", got, err, want)
		}
	}
	decrypts(nil)
	if n := ring.Rotate(); n != 2 {
		t.Errorf("Rotate = %d", n)
	}
	if active, err := ring.Active(); err != nil || active.Number != 2 {
		t.Errorf("Active = %v, %v", active, err)
	}
	decrypts(nil)
	ring.Seal()
	decrypts(keyring.ErrSealed)
	ring.Unseal()
	decrypts(nil)
	ring.Retire(1)
	decrypts(keyring.ErrUnknownTerm)
	if n := ring.Rotate(); n != 3 {
		t.Errorf("Rotate = %d", n)
	}
}

func TestSealedAtTheEnd(t *testing.T) {
	var k *keyring.Keyring
	t.Run("test", func(t *testing.T) { k = keyringtest.New(t).Keyring })
	if _, err := k.Encrypt(nil, nil, nil); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("after the test: %v", err)
	}
}

// recorder is a test that fails.
type recorder struct {
	testing.TB
	message string
}

func (*recorder) Helper()        {}
func (*recorder) Cleanup(func()) {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestRetireRefuses(t *testing.T) {
	for name, number := range map[string]uint32{"the active term": 2, "a term not there": 7} {
		r := &recorder{}
		done := make(chan bool)
		go func() {
			defer close(done)
			ring := keyringtest.New(r)
			ring.Rotate()
			ring.Retire(number)
		}()
		<-done
		want := fmt.Sprintf("keyringtest: term %d cannot be retired: it is the active one, or not there", number)
		if r.message != want {
			t.Errorf("%s: %q, want %q", name, r.message, want)
		}
	}
}

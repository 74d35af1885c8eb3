package keyring_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sealwright/sealwright/keyring"
)

// What a host keeps beside the keyring goes with each Seal: the keyring is
// sealed already when it is told, and Seal has not returned.
func TestOnSeal(t *testing.T) {
	owner := keyring.New()
	keys, told := owner.Keyring(), 0
	keys.OnSeal(func() {
		if _, err := keys.Active(); !errors.Is(err, keyring.ErrSealed) {
			t.Errorf("told before the keyring was sealed: %v", err)
		}
		told++
	})
	keys.OnSeal(func() { told += 10 })
	for want := 11; want <= 22; want += 11 {
		if err := owner.Install("store", []keyring.Term{{Number: 1, Key: keyring.Key{1}, Active: true}}); err != nil {
			t.Fatal(err)
		}
		if told != want-11 {
			t.Fatalf("told %d before Seal", told)
		}
		if owner.Seal(); told != want {
			t.Errorf("told %d, want %d", told, want)
		}
	}
}

// TestOnSealPanics: a host's function that panics keeps neither the others from
// being called nor the keys from being wiped.
func TestOnSealPanics(t *testing.T) {
	owner := keyring.New()
	keys, told := owner.Keyring(), ""
	for _, f := range []func(){func() { told += "1" }, func() { panic("a bug") }, func() { told += "3" }} {
		keys.OnSeal(f)
	}
	if err := owner.Install("store", []keyring.Term{{Number: 1, Key: keyring.Key{1}, Active: true}}); err != nil {
		t.Fatal(err)
	}
	owner.Unwiped()
	leave := owner.EnterView() // an operation in flight, which ends a little later
	keys.OnSeal(func() { time.AfterFunc(10*time.Millisecond, leave) })
	func() {
		defer func() {
			if v := recover(); v != "a bug" {
				t.Errorf("recovered %v", v)
			}
		}()
		owner.Seal()
	}()
	if told != "13" {
		t.Errorf("called: %q", told)
	}
	if n := owner.Unwiped(); n != 0 {
		t.Errorf("%d keys were not wiped", n)
	}
}

package keyringtest_test

import (
	"fmt"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/keyringtest"
)

// Tokens is code under test: it keeps tokens encrypted.
type Tokens struct {
	Keys *keyring.Keyring
	rows map[string]string
}

func (s *Tokens) Put(user, token string) error {
	text, err := s.Keys.EncryptString(token, keyring.AAD("tokens", user))
	if err == nil {
		s.rows[user] = text
	}
	return err
}

func (s *Tokens) Token(user string) (string, error) {
	return s.Keys.DecryptString(s.rows[user], keyring.AAD("tokens", user))
}

// t is the *testing.T of the host's test.
var t testing.TB = exampleTB{}

type exampleTB struct{ testing.TB }

func (exampleTB) Helper()        {}
func (exampleTB) Cleanup(func()) {}

// A test of Tokens that rotates and seals under it.
func Example() {
	ring := keyringtest.New(t)
	tokens := &Tokens{Keys: ring.Keyring, rows: map[string]string{}}

	fmt.Println(tokens.Put("ada", "secret"))
	ring.Rotate()
	fmt.Println(tokens.Token("ada"))
	ring.Seal()
	fmt.Println(tokens.Put("bob", "secret"))
	// Output:
	// <nil>
	// secret <nil>
	// keyring: encrypt: sealed: unseal the server first
}

package keyring_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sealwright/sealwright/keyring"
)

// newKeyring stands for a server's Barrier, which owns its keyring.
func newKeyring() *keyring.Keyring {
	owner := keyring.New()
	terms := []keyring.Term{{Number: 1, Active: true}}
	rand.Read(terms[0].Key[:])
	if err := owner.Install("example", terms); err != nil {
		panic(err)
	}
	return owner.Keyring()
}

// A secret in a text column is bound to its row, so that nobody with access to
// the database can move it to another.
func Example() {
	keys := newKeyring()

	column, err := keys.EncryptString("hunter2", keyring.AAD("users", "password", "ada"))
	if err != nil {
		panic(err)
	}
	fmt.Println(column[:4], len(column))

	password, err := keys.DecryptString(column, keyring.AAD("users", "password", "ada"))
	fmt.Println(password, err)

	_, err = keys.DecryptString(column, keyring.AAD("users", "password", "bob"))
	fmt.Println(errors.Is(err, keyring.ErrCorrupt))
	// Output:
	// sw1. 106
	// hunter2 <nil>
	// true
}

// Alice's server rotates: old data stays readable, and is rewrapped at leisure
// before the old term goes.
func ExampleKeyring_Rewrap() {
	owner := keyring.New()
	var one, two keyring.Key
	rand.Read(one[:])
	rand.Read(two[:])
	install := func(terms ...keyring.Term) {
		if err := owner.Install("example", terms); err != nil {
			panic(err)
		}
	}
	keys := owner.Keyring()

	install(keyring.Term{Number: 1, Key: one, Active: true})
	place := keyring.AAD("users", "password", "ada")
	row, _ := keys.Encrypt(nil, []byte("a secret"), place)

	install(keyring.Term{Number: 1, Key: one}, keyring.Term{Number: 2, Key: two, Active: true})
	row, changed, err := keys.Rewrap(row[:0], row, place)
	term, _ := keyring.TermOf(row)
	fmt.Println(changed, term, err)

	install(keyring.Term{Number: 2, Key: two, Active: true})
	plaintext, err := keys.Decrypt(nil, row, place)
	fmt.Printf("%s %v\n", plaintext, err)
	// Output:
	// true 2 <nil>
	// a secret <nil>
}

// A backup is encrypted as it is written, in constant memory.
func ExampleKeyring_NewWriter() {
	keys := newKeyring()
	var file bytes.Buffer

	w, err := keys.NewWriter(&file, keyring.AAD("backup", "monday"))
	if err != nil {
		panic(err)
	}
	io.Copy(w, strings.NewReader(strings.Repeat("row\n", 100_000)))
	if err := w.Close(); err != nil { // without it the stream is cut, and says so
		panic(err)
	}

	r, err := keys.NewReader(&file, keyring.AAD("backup", "monday"))
	if err != nil {
		panic(err)
	}
	n, err := io.Copy(io.Discard, r)
	fmt.Println(n, err)
	// Output:
	// 400000 <nil>
}

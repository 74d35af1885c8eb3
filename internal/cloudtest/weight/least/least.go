// Package least is a server that does nothing but to unseal: what a program
// carries that imports the core.
package least

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

// A Cloud says where a fake cloud is.
type Cloud struct {
	Address string // host:port, or a URL
	CA      string // PEM
	Key     string // its name in the provider's words
	Secret  string // what the provider's credentials need; it protects nothing
}

// Directory is where the program's store is: its first argument.
func Directory() string { return os.Args[1] }

// There reads the Cloud of the directory.
func There() (c Cloud) {
	text, err := os.ReadFile(filepath.Join(Directory(), "cloud.json"))
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	if err != nil {
		fail(err)
	}
	return c
}

// Main opens the store by the wrapper, and says so. With a second argument it
// makes the store.
func Main(w kms.Wrapper, err error) {
	if err != nil {
		fail(err)
	}
	store, err := filestore.Open(filepath.Join(Directory(), "record.json"))
	if err != nil {
		fail(err)
	}
	b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"key": w}, TrustUnpinned: true})
	if err != nil {
		fail(err)
	}
	defer b.Close()
	if len(os.Args) > 2 {
		_, err = b.Init(context.Background(), map[string]seal.Spec{"key": seal.KMS{Wrapper: "key"}}, seal.By{})
	} else {
		err = b.Unseal(context.Background())
	}
	if err != nil {
		fail(err)
	}
	fmt.Println("unsealed")
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

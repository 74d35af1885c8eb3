package transitengine_test

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/transitengine"
)

// A host that serves named keys to others. The token may encrypt and decrypt
// under one key, and nothing else: what a Vault needs that unseals itself here.
func Example() {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	var sources []migrate.Source // for migrate, when a term of the keyring is to be retired
	keys, err := named.New(named.Config{
		Keyring: b.Keyring(), Store: named.NewMemStore(), Keep: func(s migrate.Source) { sources = append(sources, s) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	token := rand.Text() // a host has its own
	engine, err := transitengine.New(transitengine.Config{
		Keys:   keys,
		Sealed: b.Sealed,
		Authorize: func(r *http.Request, a transitengine.Action, key string) error {
			known := subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Vault-Token")), []byte(token)) == 1
			if known && key == "vault-a" && (a == transitengine.Encrypt || a == transitengine.Decrypt) {
				return nil
			}
			return errors.New("not yours")
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/transit/", engine)
	ask := func(method, path, body string) {
		r := httptest.NewRequest(method, "/v1/transit/"+path, strings.NewReader(body))
		r.Header.Set("X-Vault-Token", token)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		text, _ := io.ReadAll(w.Body)
		fmt.Println(path, w.Code, strings.Contains(string(text), "vault:v1:"))
	}

	ask("POST", "encrypt/vault-a", `{"plaintext":"YQ=="}`) // nobody has unsealed it
	d, err := b.Init(context.Background(), map[string]seal.Spec{"people": seal.Shamir{Shares: 5, Threshold: 3}}, seal.By{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, share := range d.Sets[0].Shares[:3] {
		if _, err := b.Submit(context.Background(), share, seal.By{}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if _, err := keys.Create(context.Background(), "vault-a", named.Spec{}); err != nil {
		fmt.Println(err)
		return
	}
	ask("POST", "encrypt/vault-a", `{"plaintext":"YQ=="}`)
	ask("POST", "encrypt/vault-b", `{"plaintext":"YQ=="}`)
	ask("GET", "keys/vault-a", "")
	// Output:
	// encrypt/vault-a 503 false
	// encrypt/vault-a 200 true
	// encrypt/vault-b 403 false
	// keys/vault-a 403 false
}

package pgp_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/operator/pgp"
)

// What bao operator init -key-shares=1 -key-threshold=1 -pgp-keys=ada.asc
// sends, and what Ada does with the answer.
func Example() {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	h, err := operator.New(operator.Config{
		Barrier:        b,
		Authorize:      func(*http.Request, operator.Action) error { return errors.New("no token") }, // a host looks at it
		ParseRecipient: pgp.Parse,
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// gpg --quick-gen-key ada; gpg --export ada | base64
	ada, err := openpgp.NewEntity("Ada", "", "ada@example.com", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		fmt.Println(err)
		return
	}
	var public bytes.Buffer
	ada.Serialize(&public)
	key := base64.StdEncoding.EncodeToString(public.Bytes())

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("PUT", "/v1/sys/init", strings.NewReader(
		`{"secret_shares": 1, "secret_threshold": 1, "pgp_keys": ["`+key+`"]}`)))
	var made struct {
		Keys         []string `json:"keys_base64"`
		Fingerprints []string `json:"pgp_fingerprints"`
	}
	json.Unmarshal(w.Body.Bytes(), &made)
	fmt.Println("for Ada:", made.Fingerprints[0] == fmt.Sprintf("%x", ada.PrimaryKey.Fingerprint))

	// base64 -d | gpg -d
	message, _ := base64.StdEncoding.DecodeString(made.Keys[0])
	opened, err := openpgp.ReadMessage(bytes.NewReader(message), openpgp.EntityList{ada}, nil, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	share, _ := io.ReadAll(opened.UnverifiedBody)

	// bao operator unseal
	w = httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("PUT", "/v1/sys/unseal", strings.NewReader(`{"key": "`+string(share)+`"}`)))
	var status struct{ Sealed bool }
	json.Unmarshal(w.Body.Bytes(), &status)
	fmt.Println("sealed:", status.Sealed)
	// Output:
	// for Ada: true
	// sealed: false
}

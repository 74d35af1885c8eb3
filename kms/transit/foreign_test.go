package transit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/transit"
	"github.com/sealwright/sealwright/kms/transit/transittest"
)

var _ kms.Foreign = (*transit.Wrapper)(nil)

// TestForeignCiphertext: what another program encrypted with the key, without
// associated data, opens.
func TestForeignCiphertext(t *testing.T) {
	s := new(transittest.Server)
	cfg := s.Config("autounseal")
	w := open(t, cfg)
	key := bytes.Repeat([]byte{7}, 48)
	body := `{"plaintext":"` + base64.StdEncoding.EncodeToString(key) + `"}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, transittest.Address+"/v1/transit/encrypt/autounseal", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Vault-Token", transittest.RootToken)
	resp, err := cfg.HTTPClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct{ Ciphertext string } `json:"data"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	s.Rotate("autounseal")
	got, err := w.UnwrapForeign(t.Context(), []byte(answer.Data.Ciphertext), "transit/v1")
	if err != nil || !bytes.Equal(got, key) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	_, err = open(t, s.Config("another")).UnwrapForeign(t.Context(), []byte(answer.Data.Ciphertext), "")
	fails(t, err, kms.ErrCorrupt, "")
	_, err = w.UnwrapForeign(t.Context(), []byte(`","batch":"`), "")
	fails(t, err, kms.ErrCorrupt, "no ciphertext of transit")
	_, err = w.UnwrapForeign(t.Context(), wrap(t, w).Ciphertext, "") // which is bound
	fails(t, err, kms.ErrCorrupt, "")
}

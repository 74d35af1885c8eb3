package pgp_test

import (
	"bytes"
	"context"
	"crypto/fips140"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/operator/pgp"
)

// A server is a host with the handler, over a store that outlives restarts.
type server struct {
	t     testing.TB
	store seal.Store
	http.Handler
	tokens  []string
	answers int
	clear   []string // every secret that a holder saw, none of which any answer may show
}

func newServer(t testing.TB) *server {
	s := &server{t: t, store: seal.NewMemStore()}
	s.restart()
	return s
}

func (s *server) restart() {
	s.t.Helper()
	b, err := seal.Open(seal.Config{Store: s.store})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { b.Close() })
	s.Handler, err = operator.New(operator.Config{
		Barrier: b, ParseRecipient: pgp.Parse, TokenLength: 26,
		Authorize: func(r *http.Request, _ operator.Action) error {
			if !slices.Contains(s.tokens, r.Header.Get("X-Vault-Token")) {
				return io.EOF
			}
			return nil
		},
		MintRootToken: func(context.Context) (string, error) {
			s.tokens = append(s.tokens, fmt.Sprintf("s.%024d", len(s.tokens)))
			return s.tokens[len(s.tokens)-1], nil
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// An answer has the fields of those that have keys.
type answer struct {
	Keys         []string `json:"keys"`
	Base64       []string `json:"keys_base64"`
	Fingerprints []string `json:"pgp_fingerprints"`
	RootToken    string   `json:"root_token"`
	Nonce        string   `json:"nonce"`
	Verification string   `json:"verification_nonce"`
	Complete     bool     `json:"complete"`
	Sealed       bool     `json:"sealed"`
	Token        string   `json:"encoded_token"`
	Errors       []string `json:"errors"`
}

func (s *server) do(code int, method, path string, body map[string]any) (out answer) {
	s.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	r := httptest.NewRequest(method, "/v1/sys/"+path, bytes.NewReader(b))
	if len(s.tokens) > 0 {
		r.Header.Set("X-Vault-Token", s.tokens[len(s.tokens)-1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != code {
		s.t.Fatalf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, code)
	}
	s.answers++
	for _, secret := range append(s.tokens, s.clear...) {
		if bytes.Contains(w.Body.Bytes(), []byte(secret)) || bytes.Contains(w.Body.Bytes(), []byte(hex.EncodeToString([]byte(secret)))) {
			s.t.Fatalf("%s %s shows a secret", method, path)
		}
	}
	if bytes.Contains(w.Body.Bytes(), []byte(`"sw1`)) {
		s.t.Fatalf("%s %s shows a share: %s", method, path, w.Body)
	}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			s.t.Fatal(err)
		}
	}
	return out
}

func (s *server) give(path, nonce string, shares ...string) (out answer) {
	s.t.Helper()
	for _, share := range shares {
		out = s.do(200, "PUT", path, map[string]any{"key": share, "nonce": nonce})
	}
	return out
}

// A holder has a key. opens is base64 -d | gpg -d.
type holder struct {
	key, fingerprint string
	opens            func(message []byte) (string, error)
}

// holders returns some with keys of every kind, in turn.
func holders(t testing.TB, n int) (out []holder) {
	t.Helper()
	if fips140.Enforced() {
		t.Skip("OpenPGP needs algorithms that GODEBUG=fips140=only refuses")
	}
	kinds := []packet.Config{{Algorithm: packet.PubKeyAlgoEdDSA}, {Algorithm: packet.PubKeyAlgoRSA}, {Algorithm: packet.PubKeyAlgoEd25519, V6Keys: true}}
	for i := range n {
		c := kinds[i%len(kinds)]
		made := pgp.RSAKey
		if c.Algorithm != packet.PubKeyAlgoRSA {
			made = func() (*openpgp.Entity, error) { return openpgp.NewEntity(fmt.Sprint("holder ", i), "", "", &c) }
		}
		e, err := made()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := e.Serialize(&b); err != nil {
			t.Fatal(err)
		}
		out = append(out, holder{base64.StdEncoding.EncodeToString(b.Bytes()), hex.EncodeToString(e.PrimaryKey.Fingerprint), func(message []byte) (string, error) {
			in := io.Reader(bytes.NewReader(message))
			if block, err := armor.Decode(bytes.NewReader(message)); err == nil {
				in = block.Body
			}
			m, err := openpgp.ReadMessage(in, openpgp.EntityList{e}, nil, nil)
			if err != nil {
				return "", err
			}
			text, err := io.ReadAll(m.UnverifiedBody)
			return string(text), err
		}})
	}
	return out
}

func keysOf(holders []holder) (keys []string) {
	for _, h := range holders {
		keys = append(keys, h.key)
	}
	return keys
}

// opened has each holder open their share, and checks the answer's lists.
func (s *server) opened(out answer, holders []holder) (shares []string) {
	s.t.Helper()
	if len(out.Keys) != len(holders) || len(out.Base64) != len(holders) || len(out.Fingerprints) != len(holders) {
		s.t.Fatalf("%d keys, %d in base64, %d fingerprints for %d holders", len(out.Keys), len(out.Base64), len(out.Fingerprints), len(holders))
	}
	for i, h := range holders {
		message, err := base64.StdEncoding.DecodeString(out.Base64[i])
		if err != nil || hex.EncodeToString(message) != out.Keys[i] || out.Fingerprints[i] != h.fingerprint {
			s.t.Fatalf("share %d: %v, or the lists differ", i+1, err)
		}
		share, err := h.opens(message)
		if err != nil || !strings.HasPrefix(share, "sw1") || len(share) != 89 {
			s.t.Fatalf("share %d: %q, %v", i+1, share, err)
		}
		if _, err := holders[(i+1)%len(holders)].opens(message); err == nil && len(holders) > 1 {
			s.t.Fatalf("share %d: the next holder can read it", i+1)
		}
		shares = append(shares, share)
	}
	s.clear = append(s.clear, shares...)
	return shares
}

// ceremony is a store's life with holders who have keys: init, unseal, rekey
// with the verification by the new holders, and a root token for one of them.
func ceremony(t *testing.T, first, second []holder) (shares, tokens, answers int) {
	s := newServer(t)
	out := s.do(200, "PUT", "init", map[string]any{
		"secret_shares": len(first), "secret_threshold": 2, "pgp_keys": keysOf(first), "root_token_pgp_key": first[0].key,
	})
	given := s.opened(out, first)
	message, err := base64.StdEncoding.DecodeString(out.RootToken)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := first[0].opens(message); err != nil || token != s.tokens[0] {
		t.Fatalf("root token: %q, %v", token, err)
	}
	if s.give("unseal", "", given[:2]...).Sealed {
		t.Fatal("sealed")
	}

	begun := s.do(200, "PUT", "rekey/init", map[string]any{"secret_shares": len(second), "secret_threshold": 2, "pgp_keys": keysOf(second)})
	for i, h := range second {
		if begun.Fingerprints[i] != h.fingerprint {
			t.Errorf("fingerprint %d: %s", i+1, begun.Fingerprints[i])
		}
	}
	out = s.give("rekey/update", begun.Nonce, given[:2]...)
	next := s.opened(out, second)
	if !s.give("rekey/verify", out.Verification, next[:2]...).Complete {
		t.Fatal("the rekey was not verified")
	}

	begun = s.do(200, "PUT", "generate-root/attempt", map[string]any{"pgp_key": second[0].key})
	out = s.give("generate-root/update", begun.Nonce, next[len(next)-2:]...)
	message, err = base64.StdEncoding.DecodeString(out.Token)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := second[0].opens(message); err != nil || token != s.tokens[1] {
		t.Fatalf("root token: %q, %v", token, err)
	}
	s.restart()
	s.do(400, "PUT", "unseal", map[string]any{"key": given[0]})
	if s.give("unseal", "", next[:2]...).Sealed {
		t.Fatal("sealed after the restart")
	}
	return len(s.clear), len(s.tokens), s.answers
}

func TestCeremony(t *testing.T) {
	shares, tokens, answers := ceremony(t, holders(t, 3), holders(t, 4))
	t.Logf("GUARANTEE 20 pgp: answers=%d shares=%d tokens=%d shown_in_clear=0", answers, shares, tokens)
}

// TestRefusedKeys: the answer says which key, and why, and nothing is made.
func TestRefusedKeys(t *testing.T) {
	good := holders(t, 2)
	old := packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, KeyLifetimeSecs: 60, Time: func() time.Time { return time.Now().Add(-time.Hour) }}
	e, err := openpgp.NewEntity("Old", "", "", &old)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	e.Serialize(&b)
	expired := base64.StdEncoding.EncodeToString(b.Bytes())

	s := newServer(t)
	for bad, says := range map[string]string{
		expired:                                "key 2 of 3: pgp: the key is not in force: it expired on",
		"!":                                    "key 2 of 3: pgp: not a public key: neither base64 nor armored",
		strings.Repeat("A", 1100<<10):          "key 2 of 3: pgp: the key is too large",
		base64.StdEncoding.EncodeToString(nil): "key 2 of 3: pgp: not a public key: it is empty",
	} {
		out := s.do(400, "PUT", "init", map[string]any{"secret_shares": 3, "secret_threshold": 2, "pgp_keys": []string{good[0].key, bad, good[1].key}})
		if !strings.Contains(out.Errors[0], says) {
			t.Errorf("%q does not say %q", out.Errors[0], says)
		}
	}
	s.opened(s.do(200, "PUT", "init", map[string]any{"secret_shares": 2, "secret_threshold": 2, "pgp_keys": keysOf(good), "root_token_pgp_key": good[0].key}), good)
}

// TestAsTheToolsSend reads key files as the bao and vault command lines do, and
// sends what they send: base64 of the key as go-crypto writes it.
func TestAsTheToolsSend(t *testing.T) {
	for _, h := range holders(t, 3) {
		b, err := base64.StdEncoding.DecodeString(h.key)
		if err != nil {
			t.Fatal(err)
		}
		list, err := v1.ReadKeyRing(bytes.NewReader(b))
		if err != nil || len(list) != 1 {
			t.Fatal(err)
		}
		var again bytes.Buffer
		if err := list[0].Serialize(&again); err != nil {
			t.Fatal(err)
		}
		_, fingerprint, err := pgp.Parse(base64.StdEncoding.EncodeToString(again.Bytes()))
		if err != nil || fingerprint != h.fingerprint {
			t.Errorf("%s, %v", fingerprint, err)
		}
	}
}

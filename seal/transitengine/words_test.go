package transitengine_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
)

// failing is a store whose documents cannot be read.
type failing struct {
	named.Store
	err error
}

func (s *failing) Load(context.Context, string) ([]byte, string, error) { return nil, "", s.err }

// kinds are the kinds of failure of package named, and how a request is answered
// that ends with one.
var kinds = map[string]struct {
	err  error
	code int
}{
	"ErrNotFound": {named.ErrNotFound, 404}, "ErrExists": {named.ErrExists, 400}, "ErrConflict": {named.ErrConflict, 503},
	"ErrVersion": {named.ErrVersion, 400}, "ErrType": {named.ErrType, 400}, "ErrPolicy": {named.ErrPolicy, 400},
	"ErrInput": {named.ErrInput, 400}, "ErrLimit": {named.ErrLimit, 400}, "ErrNotApproved": {named.ErrNotApproved, 400},
	"ErrExhausted": {named.ErrExhausted, 400}, "ErrConfig": {named.ErrConfig, 400},
	"ErrCorrupt": {named.ErrCorrupt, 500}, "ErrFormat": {named.ErrFormat, 500}, // what is stored: nothing that a client mends
	"ErrMinEncryption": {named.ErrMinEncryption, 400}, "ErrMinDecryption": {named.ErrMinDecryption, 400}, "ErrContext": {named.ErrContext, 400},
	"ErrText": {named.ErrText, 400}, "ErrShort": {named.ErrShort, 400}, "ErrDigest": {named.ErrDigest, 400},
}

// TestEveryKindIsAnswered: a kind of failure that package named has, or gets, has
// an answer of its own choice, and not the one of what nobody thought of.
func TestEveryKindIsAnswered(t *testing.T) {
	file, err := parser.ParseFile(gotoken.NewFileSet(), "../../keyring/named/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for _, name := range spec.Names {
			if !strings.HasPrefix(name.Name, "Err") {
				continue
			}
			found++
			if kinds[name.Name].err == nil {
				t.Errorf("named.%s: how is it answered?", name.Name)
			}
		}
		return false
	})
	if found != len(kinds) {
		t.Errorf("package named has %d kinds, of %d", found, len(kinds))
	}
	store := &failing{Store: named.NewMemStore()}
	s := (&server{t: t, store: store}).over(store)
	for name, kind := range kinds {
		store.err = kind.err
		if code, text := s.send("GET", "keys/k", nil); code != kind.code {
			t.Errorf("named.%s: %d %s, want %d", name, code, text, kind.code)
		}
	}
	store.err = errors.New("the file /var/secret")
	if code, text := s.send("GET", "keys/k", nil); code != 500 || strings.Contains(text, "secret") {
		t.Errorf("another failure: %d %s", code, text)
	}
}

// TestWordsByKind: Vault's words come of what failed, not of how package named
// words it.
func TestWordsByKind(t *testing.T) {
	s := newServer(t)
	s.want(200, "POST", "keys/k", object{})
	old := s.data("POST", "encrypt/k", object{"plaintext": b64("x")})["ciphertext"].(string)
	mac := s.data("POST", "hmac/k", object{"input": b64("x")})["hmac"].(string)
	s.want(200, "POST", "keys/k/rotate", nil)
	s.want(200, "POST", "keys/k/config", object{"min_decryption_version": 2, "min_encryption_version": 2})
	s.want(200, "POST", "keys/derived", object{"derived": true})
	s.want(200, "POST", "keys/rsa", object{"type": "rsa-2048"})
	sig := s.data("POST", "sign/rsa", object{"input": b64("x")})["signature"].(string)
	for _, r := range []struct {
		path  string
		body  object
		words string
	}{
		{"encrypt/k", object{"plaintext": b64("x"), "key_version": 1}, "requested version for encryption is less than the minimum encryption key version"},
		{"hmac/k", object{"input": b64("x"), "key_version": 1}, "less than the minimum encryption key version"},
		{"decrypt/k", object{"ciphertext": old}, "ciphertext or signature version is disallowed by policy (too old)"},
		{"rewrap/k", object{"ciphertext": old}, "ciphertext or signature version is disallowed by policy (too old)"},
		{"verify/k", object{"input": b64("x"), "hmac": mac}, "ciphertext or signature version is disallowed by policy (too old)"},
		{"encrypt/derived", object{"plaintext": b64("x")}, "missing 'context' for key derivation"},
		{"decrypt/derived", object{"ciphertext": old}, "missing 'context' for key derivation"},
		{"decrypt/k", object{"ciphertext": "vault:v2:%"}, "invalid ciphertext: could not decode base64"},
		{"decrypt/k", object{"ciphertext": "vault:vx:QUJD"}, "invalid ciphertext: could not decode base64"},
		{"decrypt/k", object{"ciphertext": "vault:v2:QUJD"}, "invalid ciphertext length"},
		{"sign/rsa", object{"input": b64("x"), "prehashed": true}, "prehashed input of 1 bytes"},
	} {
		s.refuses(400, r.words, "POST", r.path, r.body)
	}
	if out := s.data("POST", "verify/rsa", object{"input": b64("x"), "prehashed": true, "signature": sig}); out["valid"] != false {
		t.Errorf("what is no digest: %v", out)
	}
}

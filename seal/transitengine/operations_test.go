package transitengine_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/seal/transitengine"
)

// TestBatches: items fail alone, in the place in which they came, and the code
// says that some did, as the client wants it.
func TestBatches(t *testing.T) {
	s := newServer(t)
	s.want(200, "POST", "keys/k", object{})
	good := s.data("POST", "encrypt/k", object{"plaintext": b64("hello")})["ciphertext"].(string)
	half := object{"batch_input": []object{{"ciphertext": good, "reference": "a\"b\n"}, {"ciphertext": good[:len(good)-8] + "AAAAAAAA", "reference": "spoilt"}, {"ciphertext": ""}}}
	out := s.want(400, "POST", "decrypt/k", half)
	results := out["data"].(object)["batch_results"].([]any)
	for i, want := range []object{
		{"plaintext": b64("hello"), "reference": "a\"b\n"},
		{"plaintext": "", "error": "cipher: message authentication failed", "reference": "spoilt"},
		{"plaintext": "", "error": "missing ciphertext to decrypt", "reference": ""},
	} {
		if fmt.Sprint(results[i]) != fmt.Sprint(map[string]any(want)) {
			t.Errorf("%d: %v, want %v", i, results[i], want)
		}
	}
	for wish, want := range map[any]int{299: 299, "207": 207, 1: 400, 204: 400, 304: 400, 100: 400, 9999: 400, 0: 400} {
		half["partial_failure_response_code"] = wish
		code, text := s.send("POST", "decrypt/k", half)
		warned := strings.Contains(text, "invalid HTTP response code override")
		if code != want || warned != (want == 400) {
			t.Errorf("%v: %d %s", wish, code, text)
		}
	}
	for name, body := range map[string]object{
		"missing batch input":    {"batch_input": []object{}},
		"context should be set":  {"batch_input": []object{{"plaintext": "", "context": b64("x")}, {"plaintext": ""}}},
		"a batch has at most":    {"batch_input": make([]object, 10001)},
		"illegal base64 data":    {"plaintext": "YQ"},
		"key_version":            {"plaintext": "", "key_version": "x"},
		"higher than the latest": {"plaintext": "", "key_version": 7},
		"is negative":            {"plaintext": "", "key_version": -1},
	} {
		if list, ok := body["batch_input"].([]object); ok && len(list) == 10001 {
			for i := range list {
				list[i] = object{"plaintext": ""}
			}
		}
		s.refuses(400, name, "POST", "encrypt/k", body)
	}
	for name, batch := range map[string]any{
		"source data must be an array": "[]",
		"[0] expected a map":           []any{"x"},
		"'[0].plaintext' expected":     []object{{"plaintext": 1}},
		"'[1].context' expected":       []object{{"plaintext": ""}, {"plaintext": "", "context": true}},
		"'[0].key_version' expected":   []object{{"plaintext": "", "key_version": "x"}},
		"missing plaintext":            []object{{}},
	} {
		s.refuses(500, name, "POST", "encrypt/k", object{"batch_input": batch})
	}
	// The plaintext beside a batch is left alone, and many items keep their order.
	var many []object
	for i := range 500 {
		many = append(many, object{"plaintext": b64(fmt.Sprint(i)), "reference": fmt.Sprint(i)})
	}
	sealed := s.data("POST", "encrypt/k", object{"plaintext": "%", "batch_input": many})["batch_results"].([]any)
	for i := range sealed {
		if sealed[i].(object)["reference"] != fmt.Sprint(i) || sealed[i].(object)["key_version"] != 1.0 {
			t.Fatal(sealed[i])
		}
	}
	opened := s.data("POST", "decrypt/k", object{"batch_input": sealed})["batch_results"].([]any)
	for i := range opened {
		if opened[i].(object)["plaintext"] != b64(fmt.Sprint(i)) {
			t.Fatal(i, opened[i])
		}
	}
	s.want(200, "POST", "keys/k/rotate", nil)
	rewrapped := s.data("POST", "rewrap/k", object{"batch_input": []any{object{"ciphertext": sealed[7].(object)["ciphertext"]}, object{"ciphertext": "vault:v9:AAAA"}}})["batch_results"].([]any)
	if rewrapped[0].(object)["key_version"] != 2.0 || rewrapped[1].(object)["error"] != "invalid ciphertext: version is too new" {
		t.Error(rewrapped)
	}
	if got := s.data("POST", "decrypt/k", rewrapped[0])["plaintext"]; got != b64("7") {
		t.Error(got)
	}
}

// TestSignatures: the options of signing, and what is wrong with a signature.
func TestSignatures(t *testing.T) {
	s := newServer(t)
	s.want(200, "POST", "keys/e", object{"type": "ecdsa-p256"})
	if !testing.Short() { // RSA keys take long to make
		s.want(200, "POST", "keys/r", object{"type": "rsa-2048"})
	}
	s.want(200, "POST", "keys/s", object{})
	in := b64("input")
	for _, how := range []struct {
		key, path string
		body      object
	}{
		{"e", "", object{}}, {"e", "/sha2-384", object{}}, {"e", "", object{"algorithm": "sha2-512"}}, {"e", "", object{"marshaling_algorithm": "jws"}},
		{"r", "", object{"salt_length": "hash"}}, {"r", "", object{"salt_length": 20}}, {"r", "", object{"signature_algorithm": "pkcs1v15", "hash_algorithm": "sha3-256"}},
	} {
		if how.key == "r" && testing.Short() {
			continue
		}
		body := object{"input": in}
		for k, v := range how.body {
			body[k] = v
		}
		body["signature"] = s.data("POST", "sign/"+how.key+how.path, body)["signature"]
		if got := s.data("POST", "verify/"+how.key+how.path, body)["valid"]; got != true {
			t.Errorf("%v: %v", how, got)
		}
		body["input"] = b64("other")
		if got := s.data("POST", "verify/"+how.key+how.path, body)["valid"]; got != false {
			t.Errorf("%v: %v", how, got)
		}
	}
	signature := s.data("POST", "sign/e", object{"input": in})["signature"].(string)
	for words, body := range map[string]object{
		"neither a 'signature' nor an 'hmac'": {"input": in},
		"provide one of":                      {"input": in, "signature": signature, "hmac": "x"},
		"invalid signature: no prefix":        {"input": in, "signature": "x"},
		"invalid signature: wrong number":     {"input": in, "signature": "vault:v1"},
		"invalid signature: version is too":   {"input": in, "signature": "vault:v7:AAAA"},
		"invalid HMAC to verify: no prefix":   {"input": in, "hmac": "x"},
		"unable to decode input as base64":    {"input": "%", "signature": signature},
		"some elements":                       {"batch_input": []object{{"input": in, "signature": signature}, {"input": in}}},
		"must all provide":                    {"batch_input": []object{{"input": in, "signature": signature}, {"input": in, "hmac": "x"}}},
		"no batch_input elements":             {"batch_input": []object{{"input": in}}},
		"salt":                                {"input": in, "signature": signature, "salt_length": "long"},
		"hash algorithm":                      {"input": in, "signature": signature, "hash_algorithm": "md5"},
	} {
		key := "e"
		if words == "salt" {
			if testing.Short() {
				continue
			}
			key = "r"
		}
		s.refuses(400, words, "POST", "verify/"+key, body)
	}
	s.refuses(400, "does not support signing", "POST", "sign/s", object{"input": in})
	s.refuses(400, "does not support verification", "POST", "verify/s", object{"input": in, "signature": signature})
	s.refuses(400, "signing key not found", "POST", "sign/none", object{"input": in})
	s.refuses(400, "signature verification key not found", "POST", "verify/none", object{"input": in, "signature": signature})
	s.refuses(400, "missing input for HMAC", "POST", "hmac/s", object{})
	batch := s.data("POST", "verify/e", object{"batch_input": []object{{"input": in, "signature": signature}, {"input": b64("other"), "signature": signature}, {"input": in, "signature": "x", "reference": "c"}}})["batch_results"].([]any)
	if want := "[map[reference: valid:true] map[reference: valid:false] map[error:invalid signature: no prefix reference:c valid:false]]"; fmt.Sprint(batch) != want {
		t.Error(batch)
	}
	macs := s.data("POST", "hmac/s", object{"batch_input": []object{{"input": in}, {}}})["batch_results"].([]any)
	if macs[1].(object)["error"] != "missing input for HMAC" {
		t.Error(macs)
	}
	if got := s.data("POST", "verify/s", object{"batch_input": []object{{"input": in, "hmac": macs[0].(object)["hmac"]}}})["batch_results"].([]any); got[0].(object)["valid"] != true {
		t.Error(got)
	}
}

// TestSettings: what a key's settings may be, in Vault's words.
func TestSettings(t *testing.T) {
	s := newServer(t)
	s.want(200, "POST", "keys/k", object{"exportable": "true"}) // as bao write sends it
	for range 2 {
		s.want(200, "POST", "keys/k/rotate", object{})
	}
	for words, body := range map[string]object{
		"cannot be negative":                  {"min_decryption_version": -1},
		"min encryption version of 9, latest": {"min_encryption_version": 9},
		"must be greater than or equal":       {"min_encryption_version": 1, "min_decryption_version": 2},
		"0 to disable or at least an hour":    {"auto_rotate_period": "30s"},
		"not true or false":                   {"deletion_allowed": "perhaps"},
		"not a whole number":                  {"min_decryption_version": "one"},
		"not a number of seconds":             {"auto_rotate_period": "soon"},
	} {
		s.refuses(400, words, "POST", "keys/k/config", body)
	}
	s.refuses(400, "failed to parse JSON", "POST", "keys/k/config", `{"exportable":true,"exportable":false}`)
	got := s.data("POST", "keys/k/config", object{"exportable": false, "auto_rotate_period": "30d", "deletion_allowed": "1", "min_decryption_version": "2"})
	if got["exportable"] != true || got["auto_rotate_period"] != 2592000.0 || got["deletion_allowed"] != true || len(got["keys"].(object)) != 2 {
		t.Error(got)
	}
	if got := s.data("POST", "keys/k/config", object{"auto_rotate_period": 0}); got["auto_rotate_period"] != 0.0 || got["min_decryption_version"] != 2.0 {
		t.Error(got)
	}
	out := s.want(200, "POST", "keys/k/config", object{"min_decryption_version": 0})
	if text := fmt.Sprint(out["warnings"]); !strings.Contains(text, "forcing minimum to 1") {
		t.Error(out)
	}
	s.refuses(400, "no existing key named none", "POST", "keys/none/config", object{"min_decryption_version": 1})
	s.refuses(400, "no existing key named none", "POST", "keys/none/config", object{"deletion_allowed": true})
	s.refuses(400, "key not found", "POST", "keys/none/rotate", object{})
	s.refuses(400, "min_encryption_version", "POST", "keys/k/trim", object{"min_available_version": 2})
	s.refuses(400, "missing min_available_version", "POST", "keys/k/trim", object{})
	for words, body := range map[string]object{
		"unknown key type":         {"type": strings.Repeat("x", 9999)},
		"derivation to be enabled": {"convergent_encryption": true},
		"key_size is not valid":    {"key_size": 64},
		"key size":                 {"type": "hmac", "key_size": 7},
		"not a text":               {"type": object{}},
	} {
		s.refuses(400, words, "POST", "keys/new", body)
	}
	out = s.want(200, "POST", "keys/k", object{"type": "ed25519"})
	if text := fmt.Sprint(out["warnings"]); !strings.Contains(text, "key k already existed") || out["data"].(object)["type"] != "aes256-gcm96" {
		t.Error(out)
	}
	s.refuses(404, "", "GET", "keys/none", nil)
	s.refuses(400, "could not delete key; not found", "DELETE", "keys/none", nil)
	s.want(204, "DELETE", "keys/k", nil)
	s.refuses(404, "", "LIST", "keys", nil)
}

// TestUnknownFields: a misspelt option is told, not silently left out; nothing
// of its value is.
func TestUnknownFields(t *testing.T) {
	s := newServer(t)
	out := s.want(200, "POST", "keys/k", object{"exportible": "canary-value", "type": "aes128-gcm96"})
	if got := fmt.Sprint(out["warnings"]); got != "[Endpoint ignored these unrecognized parameters: [exportible]]" {
		t.Error(got)
	}
	for _, clean := range []object{{"plaintext": ""}, {"batch_input": []object{{"plaintext": ""}}}} {
		if out := s.want(200, "POST", "encrypt/k", clean); out["warnings"] != nil {
			t.Errorf("%v: %v", clean, out["warnings"])
		}
	}
}

// TestRestoreOfAnothersKey: a backup that names its key by itself was restored over
// any key, of which the host was never told.
func TestRestoreOfAnothersKey(t *testing.T) {
	s := newServer(t, func(c *transitengine.Config) {
		all := c.Authorize
		c.Authorize = func(r *http.Request, a transitengine.Action, key string) error {
			if r.Header.Get("Tenant") == "a" && key != "" && key != "a" {
				return errors.New("it is another tenant's")
			}
			return all(r, a, key)
		}
	})
	for _, name := range []string{"a", "b"} {
		s.want(200, "POST", "keys/"+name, object{"exportable": true, "allow_plaintext_backup": true})
	}
	text := s.data("POST", "encrypt/b", object{"plaintext": b64("of b")})["ciphertext"]
	own, others := s.data("GET", "backup/a", nil)["backup"].(string), s.data("GET", "backup/b", nil)["backup"].(string)
	plain, err := base64.StdEncoding.DecodeString(own)
	if err != nil {
		t.Fatal(err)
	}
	planted := b64(strings.ReplaceAll(string(plain), `"name":"a"`, `"name":"b"`)) // a's key as b's
	for _, backup := range []string{others, planted} {
		if code, words := s.send("POST", "restore", object{"backup": backup, "force": true}, "Tenant", "a"); code != 403 {
			t.Errorf("%d %s", code, words)
		}
	}
	if got := s.data("POST", "decrypt/b", object{"ciphertext": text}); got["plaintext"] != b64("of b") {
		t.Error(got)
	}
	if code, words := s.send("POST", "restore", object{"backup": own, "force": true}, "Tenant", "a"); code != 204 {
		t.Errorf("%d %s", code, words)
	}
	if last := s.asked[len(s.asked)-1]; last != "restore a" {
		t.Errorf("the host was asked for %q", last)
	}
	if e := s.events[len(s.events)-1]; e.Detail != "restore a" {
		t.Errorf("the event says %q", e.Detail)
	}
	nameless := b64(strings.ReplaceAll(string(plain), `"name":"a"`, `"name":".wrapping-key"`))
	s.refuses(400, "no name that a key can have", "POST", "restore", object{"backup": nameless, "force": true})
}

// TestLeavingAndComing: export, backup, restore and import.
func TestLeavingAndComing(t *testing.T) {
	s := newServer(t)
	s.want(200, "POST", "keys/k", object{})
	s.want(200, "POST", "keys/ed", object{"type": "ed25519"})
	sealed := s.data("POST", "encrypt/k", object{"plaintext": b64("hello")})["ciphertext"]
	s.refuses(400, "not exportable", "GET", "export/encryption-key/k", nil)
	s.refuses(400, "exportable", "GET", "backup/k", nil)
	s.refuses(404, "", "GET", "export/encryption-key/none", nil)
	s.refuses(404, "", "GET", "backup/none", nil)
	s.refuses(400, "invalid export type", "GET", "export/certificate-chain/k", nil)
	s.refuses(400, "invalid key name", "POST", "keys/none/trim", object{"min_available_version": 1})
	s.refuses(400, "format is not supported", "GET", "export/public-key/ed?format=der", nil)
	if got := s.data("GET", "export/public-key/ed/v1", nil)["keys"].(object); len(got) != 1 {
		t.Error(got)
	}
	s.refuses(400, "invalid key version", "GET", "export/encryption-key/k/x", nil)
	if got := s.data("GET", "export/public-key/ed", nil)["keys"].(object)["1"]; len(got.(string)) != 44 {
		t.Error(got)
	}
	s.want(200, "POST", "keys/k/config", object{"exportable": true, "allow_plaintext_backup": true, "deletion_allowed": true})
	s.want(200, "POST", "keys/k/rotate", nil)
	if got := s.data("GET", "export/encryption-key/k", nil)["keys"].(object); len(got) != 2 {
		t.Error(got)
	}
	if got := s.data("GET", "export/encryption-key/k/latest", nil)["keys"].(object); len(got) != 1 || got["2"] == nil {
		t.Error(got)
	}
	kept := s.data("GET", "backup/k", nil)["backup"]
	s.refuses(400, "already exists", "POST", "restore/k", object{"backup": kept})
	s.want(204, "POST", "restore/k", object{"backup": kept, "force": "true"})
	s.want(204, "DELETE", "keys/k", nil)
	s.want(204, "POST", "restore", object{"backup": kept})
	if got := s.data("POST", "decrypt/k", object{"ciphertext": sealed})["plaintext"]; got != b64("hello") {
		t.Error(got)
	}
	if got := s.data("GET", "keys/k", nil); got["restore_info"] == nil || got["backup_info"] == nil {
		t.Error(got)
	}
	s.refuses(400, "'backup' must be supplied", "POST", "restore", object{})
	s.refuses(400, "", "POST", "restore", object{"backup": "garbage"})

	s.refuses(400, "either ciphertext or public_key", "POST", "keys/other/import", object{})
	s.refuses(400, "failed to base64-decode", "POST", "keys/other/import", object{"ciphertext": "%"})
	if testing.Short() {
		return // before an RSA key of 4096 bits is made
	}
	public := s.data("GET", "wrapping_key", nil)["public_key"].(string)
	key := []byte("0123456789abcdef0123456789abcdef")
	wrapped, err := named.WrapKey(public, key)
	if err != nil {
		t.Fatal(err)
	}
	material := base64.StdEncoding.EncodeToString(wrapped)
	s.want(204, "POST", "keys/mine/import", object{"ciphertext": material, "type": "aes256-gcm96", "exportable": true})
	if got := s.data("GET", "export/encryption-key/mine", nil)["keys"].(object)["1"]; got != base64.StdEncoding.EncodeToString(key) {
		t.Error(got)
	}
	info := s.data("GET", "keys/mine", nil)
	if info["imported_key"] != true || info["imported_key_allow_rotation"] != false {
		t.Error(info)
	}
	s.want(400, "POST", "keys/mine/rotate", nil)
	s.want(204, "POST", "keys/mine/import_version", object{"ciphertext": material})
	s.want(400, "POST", "keys/other/import", object{"ciphertext": b64("garbage")})
	s.refuses(400, "no key found with name other", "POST", "keys/other/import_version", object{"ciphertext": material})
}

func TestRandomAndHash(t *testing.T) {
	s := newServer(t)
	for path, size := range map[string]int{"random": 32, "random/9": 9, "random/platform/9": 9, "random/all": 32} {
		text := s.data("POST", path, object{})["random_bytes"].(string)
		if b, err := base64.StdEncoding.DecodeString(text); err != nil || len(b) != size {
			t.Errorf("%s: %q", path, text)
		}
	}
	s.refuses(400, "cannot be less than 1", "POST", "random/-1", object{})
	s.refuses(400, "should be less than", "POST", "random", object{"bytes": 1 << 20})
	s.refuses(400, "it is a number", "POST", "random/x", object{})
	s.refuses(400, "unsupported encoding", "POST", "random", object{"format": "roman"})
	s.refuses(400, "missing input", "POST", "hash", object{})
	s.refuses(400, "hash algorithm", "POST", "hash/md5", object{"input": ""})
	s.refuses(400, "unable to decode", "POST", "hash", object{"input": "%"})
	if got := s.data("POST", "hash/sha2-512", object{"input": ""})["sum"].(string); !strings.HasPrefix(got, "cf83e1357eefb8bd") {
		t.Error(got)
	}
}

// TestPagesOfKeys: a long list is read in pages.
func TestPagesOfKeys(t *testing.T) {
	s := newServer(t)
	for _, name := range []string{"a", "b", "c", "d"} {
		s.want(200, "POST", "keys/"+name, nil)
	}
	for query, want := range map[string]string{"": "[a b c d]", "&limit=2": "[a b]", "&after=b": "[c d]", "&after=a&limit=2": "[b c]", "&limit=-1": "[a b c d]"} {
		if got := fmt.Sprint(s.data("GET", "keys?list=true"+query, nil)["keys"]); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	s.refuses(404, "", "GET", "keys?list=true&after=d", nil)
	s.refuses(400, "whole number", "GET", "keys?list=true&limit=x", nil)
}

// TestDerivedPublicKey: a derived key has another public key in each context.
func TestDerivedPublicKey(t *testing.T) {
	s := newServer(t)
	s.want(200, "POST", "keys/d", object{"type": "ed25519", "derived": true})
	of := func(query string) any {
		return s.data("GET", "keys/d"+query, nil)["keys"].(object)["1"].(object)["public_key"]
	}
	signed := s.data("POST", "sign/d", object{"input": "", "context": b64("tenant")})
	if got := of("?context=" + b64("tenant")); got != signed["public_key"] || got == "" {
		t.Error(got, signed)
	}
	if of("") != "" || of("?context="+b64("tenanu")) == signed["public_key"] {
		t.Error("the contexts do not matter")
	}
	s.refuses(400, "failed to base64-decode context", "GET", "keys/d?context=x", nil)
	s.refuses(400, "missing 'context'", "POST", "sign/d", object{"input": ""})
}

package main

import (
	"strings"
	"testing"
)

// TestTokenOfOneKey: a token may encrypt and decrypt under one key, and nothing
// else; to make a key by an encrypt is another right than to use one.
func TestTokenOfOneKey(t *testing.T) {
	p := unsealed(t, t.TempDir())
	p.want(200, "PUT", "transit/keys/a", nil)
	p.want(200, "PUT", "transit/keys/b", nil)
	p.want(204, "PUT", "sys/policies/acl/a", object{"policy": `path "transit/encrypt/a" { capabilities = ["update"] }
path "transit/decrypt/a" { capabilities = ["update"] }`})
	p.want(204, "PUT", "sys/policies/acl/maker", object{"policy": `path "transit/encrypt/*" { capabilities = ["create"] }`})
	p.want(204, "PUT", "sys/policies/acl/any", object{"policy": `path "transit/encrypt/*" { capabilities = ["create", "update"] }`})
	token, _ := p.create(object{"policies": "a", "display_name": "vault-a"})
	one := p.as(token)
	const canary = "Y2FuYXJ5LXBsYWludGV4dA=="
	sealed := one.want(200, "PUT", "transit/encrypt/a", object{"plaintext": canary})["data"].(object)["ciphertext"]
	if got := one.want(200, "PUT", "transit/decrypt/a", object{"ciphertext": sealed})["data"].(object)["plaintext"]; got != canary {
		t.Error(got)
	}
	one.want(400, "PUT", "auth/token/renew-self", object{"increment": 0})
	for _, refused := range [][2]string{
		{"PUT", "transit/encrypt/b"}, {"PUT", "transit/decrypt/b"}, {"PUT", "transit/encrypt/new"}, {"PUT", "transit/rewrap/a"}, {"PUT", "transit/keys/a/rotate"},
		{"GET", "transit/keys/a"}, {"LIST", "transit/keys"}, {"PUT", "transit/keys/a"}, {"DELETE", "transit/keys/a"}, {"GET", "transit/export/encryption-key/a"},
		{"GET", "transit/backup/a"}, {"PUT", "transit/restore/a"}, {"PUT", "transit/datakey/plaintext/a"}, {"PUT", "transit/random"}, {"GET", "transit/wrapping_key"},
	} {
		one.want(403, refused[0], refused[1], object{"plaintext": canary})
	}
	token, _ = p.create(object{"policies": "maker"})
	maker := p.as(token)
	maker.want(403, "PUT", "transit/encrypt/a", object{"plaintext": ""})
	maker.want(200, "PUT", "transit/encrypt/made", object{"plaintext": ""})
	maker.want(403, "PUT", "transit/encrypt/made", object{"plaintext": ""})
	token, _ = p.create(object{"policies": "any"})
	p.as(token).want(200, "PUT", "transit/encrypt/made", object{"plaintext": ""})
	p.as(token).want(200, "PUT", "transit/encrypt/more", object{"plaintext": ""})
	p.as("s.guessed").want(403, "PUT", "transit/encrypt/a", object{"plaintext": ""})

	p.want(204, "PUT", "sys/seal", nil)
	one.want(503, "PUT", "transit/decrypt/a", object{"ciphertext": sealed})
	if log := p.log.String(); strings.Contains(log, "canary") || strings.Contains(log, canary) || strings.Contains(log, p.token) || !strings.Contains(log, "create made") {
		t.Errorf("the log shows a secret, or not what happened:\n%s", log)
	}
}

// TestKeysOutliveARestart: named keys are in the file, also after the data key was
// rotated.
func TestKeysOutliveARestart(t *testing.T) {
	dir := t.TempDir()
	p := run(t, dir, "")
	made := p.want(200, "PUT", "sys/init", object{"secret_shares": 1, "secret_threshold": 1})
	p.unseal(false, made["keys"].([]any)...)
	p.token = made["root_token"].(string)
	p.want(200, "PUT", "transit/keys/k", nil)
	sealed := p.want(200, "PUT", "transit/encrypt/k", object{"plaintext": "YQ=="})["data"].(object)["ciphertext"]
	p.want(204, "PUT", "sys/rotate", nil) // another data key does not take the keys along
	p.stop()
	token := p.token
	p = run(t, dir, "")
	p.token = token
	p.unseal(false, made["keys"].([]any)...)
	if got := p.want(200, "PUT", "transit/decrypt/k", object{"ciphertext": sealed})["data"].(object)["plaintext"]; got != "YQ==" {
		t.Error(got)
	}
}

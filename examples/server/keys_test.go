package main

import (
	"crypto/fips140"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// TestKeysOfAgeAndSSH: what -pgp-keys names may be keys of age and SSH, sent as files
// in base64 or as they are; what is none is told apart.
func TestKeysOfAgeAndSSH(t *testing.T) {
	if fips140.Enforced() {
		t.Skip("age needs algorithms that GODEBUG=fips140=only refuses")
	}
	const (
		age = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
		ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBoeHCgtsO85NqSQAp2KLRJj1HMHkwdSdQ/3uzqdZh8V ada"
	)
	p := run(t, t.TempDir(), "")
	init := object{"secret_shares": 2, "secret_threshold": 2, "pgp_keys": []string{age, age[:30]}}
	if text := fmt.Sprint(p.want(400, "PUT", "sys/init", init)["errors"]); !strings.Contains(text, "key 2 of 2") || !strings.Contains(text, "cut or mistyped") {
		t.Error(text)
	}
	init["pgp_keys"] = []string{age, base64.StdEncoding.EncodeToString([]byte(ssh + "\n"))}
	init["root_token_pgp_key"] = age
	made := p.want(200, "PUT", "sys/init", init)
	for _, k := range append(made["keys_base64"].([]any), made["root_token"]) {
		if b, err := base64.StdEncoding.DecodeString(k.(string)); err != nil || !strings.HasPrefix(string(b), "-----BEGIN AGE ENCRYPTED FILE-----\n") {
			t.Errorf("%q, %v", b, err)
		}
	}
}

package interop_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	wrapping "github.com/hashicorp/go-kms-wrapping/v2"
	transitwrapper "github.com/hashicorp/go-kms-wrapping/wrappers/transit/v2"
	"github.com/hashicorp/vault/api"
)

// unsealed starts examples/server, and makes it ready.
func unsealed(t *testing.T) *server {
	t.Helper()
	s := newServer(t)
	s.start("")
	made := must(s.Sys().Init(&api.InitRequest{SecretShares: 1, SecretThreshold: 1}))(t)
	must(s.Sys().Unseal(made.Keys[0]))(t)
	s.SetToken(made.RootToken)
	return s
}

// limited is the same server, spoken to with a token that may encrypt and decrypt
// under one key: made as an administrator makes it, with bao policy write and
// bao token create.
func limited(t *testing.T, s *server, key string) *api.Client {
	t.Helper()
	rules := fmt.Sprintf("path \"transit/encrypt/%s\" { capabilities = [\"update\"] }\npath \"transit/decrypt/%s\" { capabilities = [\"update\"] }\n", key, key)
	done(t, s.Sys().PutPolicy(key, rules))
	equal(t, "policy", must(s.Sys().GetPolicy(key))(t), rules)
	made := must(s.Auth().Token().CreateOrphan(&api.TokenCreateRequest{Policies: []string{key}, DisplayName: key}))(t)
	client := must(s.Clone())(t)
	client.SetToken(made.Auth.ClientToken)
	return client
}

// TestVaultSealsItselfHere: the wrapper that the seal "transit" of Vault and
// OpenBao is, with the token such a server is given: at its start it renews the
// token, which is refused and taken for good, and encrypts; it unseals by a
// decrypt, also after a rotation; and it can do nothing else.
func TestVaultSealsItselfHere(t *testing.T) {
	s := unsealed(t)
	must(s.Logical().Write("transit/keys/vault-a", nil))(t)
	must(s.Logical().Write("transit/keys/vault-b", nil))(t)
	vault := limited(t, s, "vault-a")
	start := func() *transitwrapper.Wrapper {
		t.Helper()
		w := transitwrapper.NewWrapper()
		config := must(w.SetConfig(t.Context(), wrapping.WithConfigMap(map[string]string{
			"address": s.Address(), "token": vault.Token(), "mount_path": "transit/", "key_name": "vault-a",
		})))(t)
		equal(t, "key", config.Metadata["key_name"], "vault-a")
		return w
	}
	first := start()
	rootKey := []byte(`["the root key of a Vault, as it is wrapped"]`)
	blob := must(first.Encrypt(t.Context(), rootKey))(t)
	equal(t, "key id", blob.KeyInfo.KeyId, "v1")
	done(t, first.Finalize(t.Context()))
	must(s.Logical().Write("transit/keys/vault-a/rotate", nil))(t)
	second := start()
	equal(t, "key id after a rotation", must(second.KeyId(t.Context()))(t), "v2")
	equal(t, "unsealed", string(must(second.Decrypt(t.Context(), blob))(t)), string(rootKey))
	again := must(second.Encrypt(t.Context(), rootKey))(t)
	equal(t, "unsealed", string(must(second.Decrypt(t.Context(), again))(t)), string(rootKey))

	for _, path := range []string{"transit/encrypt/vault-b", "transit/decrypt/vault-b", "transit/encrypt/new", "transit/keys/vault-a/rotate", "transit/datakey/plaintext/vault-a", "auth/token/create"} {
		_, err := vault.Logical().Write(path, map[string]any{"plaintext": "YQ=="})
		refused(t, err, http.StatusForbidden, "permission denied")
	}
	for _, path := range []string{"transit/keys/vault-a", "transit/export/encryption-key/vault-a", "transit/backup/vault-a", "secret/data/x", "sys/mounts"} {
		_, err := vault.Logical().Read(path)
		refused(t, err, http.StatusForbidden, "permission denied")
	}
	// A sealed unsealer opens nothing, and a revoked token neither.
	done(t, s.Auth().Token().RevokeTree(vault.Token()))
	if _, err := second.Decrypt(t.Context(), blob); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Fatalf("a revoked token: %v", err)
	}
}

// TestSOPS makes the calls of SOPS's hc_vault, in their order: mount, an RSA key,
// the data key of a file encrypted and decrypted.
func TestSOPS(t *testing.T) {
	s := unsealed(t)
	done(t, s.Sys().Mount("transit", &api.MountInput{Type: "transit", Description: "backend transit used by SOPS"}))
	for _, kind := range []string{"rsa-4096", "aes256-gcm96"} {
		must(s.Logical().Write("transit/keys/sops-"+kind, map[string]any{"type": kind}))(t)
		must(s.Logical().Read("transit/keys/sops-" + kind))(t)
		client := limited(t, s, "sops-"+kind)
		dataKey := []byte("thirty-two bytes for a data key!")
		sealed := must(client.Logical().Write("transit/encrypt/sops-"+kind, map[string]any{"plaintext": base64.StdEncoding.EncodeToString(dataKey)}))(t)
		enc, ok := sealed.Data["ciphertext"].(string)
		if !ok {
			t.Fatal(sealed.Data)
		}
		opened := must(client.Logical().Write("transit/decrypt/sops-"+kind, map[string]any{"ciphertext": enc}))(t)
		equal(t, "data key", opened.Data["plaintext"], any(base64.StdEncoding.EncodeToString(dataKey)))
	}
}

// TestVaultClientTransit is the transit engine as Vault's own client sees it:
// its commands send numbers and booleans as texts.
func TestVaultClientTransit(t *testing.T) {
	s := unsealed(t)
	write := func(path string, in map[string]any) map[string]any {
		t.Helper()
		out := must(s.Logical().Write("transit/"+path, in))(t)
		if out == nil {
			return nil
		}
		return out.Data
	}
	made := write("keys/orders", map[string]any{"exportable": "true", "auto_rotate_period": "24h"})
	equal(t, "made", []any{made["type"], made["exportable"], made["auto_rotate_period"]}, []any{"aes256-gcm96", true, json.Number("86400")})
	var batch []any
	for i := range 3 {
		batch = append(batch, map[string]any{"plaintext": base64.StdEncoding.EncodeToString([]byte{byte(i)}), "reference": fmt.Sprint(i)})
	}
	sealed := write("encrypt/orders", map[string]any{"batch_input": batch})["batch_results"].([]any)
	write("keys/orders/rotate", nil)
	var texts []any
	for _, one := range sealed {
		texts = append(texts, map[string]any{"ciphertext": one.(map[string]any)["ciphertext"]})
	}
	fresh := write("rewrap/orders", map[string]any{"batch_input": texts})["batch_results"].([]any)
	opened := write("decrypt/orders", map[string]any{"batch_input": fresh})["batch_results"].([]any)
	for i := range opened {
		equal(t, "opened", opened[i].(map[string]any)["plaintext"], any(base64.StdEncoding.EncodeToString([]byte{byte(i)})))
	}
	texts[1] = map[string]any{"ciphertext": "vault:v1:AAAA"}
	_, err := s.Logical().Write("transit/decrypt/orders", map[string]any{"batch_input": texts})
	if err == nil {
		t.Fatal("a batch with a bad item is answered with 200")
	}
	part := write("decrypt/orders", map[string]any{"batch_input": texts, "partial_failure_response_code": "207"})["batch_results"].([]any)
	equal(t, "a part", []any{len(part), part[1].(map[string]any)["error"] != nil}, []any{3, true})
	list := must(s.Logical().List("transit/keys"))(t)
	equal(t, "keys", list.Data["keys"], any([]any{"orders"}))
	if missing := must(s.Logical().Read("transit/keys/none"))(t); missing != nil {
		t.Fatal(missing)
	}
	write("keys/sign", map[string]any{"type": "ed25519"})
	signature := write("sign/sign", map[string]any{"input": "YQ=="})["signature"]
	equal(t, "valid", write("verify/sign", map[string]any{"input": "YQ==", "signature": signature})["valid"], any(true))
	exported := must(s.Logical().Read("transit/export/encryption-key/orders"))(t)
	equal(t, "exported", len(exported.Data["keys"].(map[string]any)), 2)
	write("keys/orders/config", map[string]any{"deletion_allowed": "true", "min_decryption_version": "2"})
	must(s.Logical().Delete("transit/keys/orders"))(t)
	warned := must(s.Logical().Write("transit/keys/sign", map[string]any{"tpye": "x"}))(t)
	if text := fmt.Sprint(warned.Warnings); !strings.Contains(text, "tpye") || !strings.Contains(text, "already existed") {
		t.Fatal(text)
	}
}

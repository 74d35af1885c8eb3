package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/migrate/vaultstore"
)

// field is one of a protobuf message.
func field(number byte, value []byte) []byte {
	out := binary.AppendUvarint([]byte{number<<3 | 2}, uint64(len(value)))
	return append(out, value...)
}

// storedKeys returns what is in the stored keys of the fixture "static".
func storedKeys(t *testing.T) []byte {
	t.Helper()
	seals, err := readSeals(file(t, staticStanza), "")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(stores + "static/core/hsm/_barrier-unseal-keys")
	if err != nil {
		t.Fatal(err)
	}
	var in struct{ Value []byte }
	if err := json.Unmarshal(text, &in); err != nil {
		t.Fatal(err)
	}
	blob, err := vaultstore.ParseBlob(in.Value)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seals[0].OpenBlob(t.Context(), blob)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestStoresUnderClouds: a store whose root key is under a key of Azure, AWS or
// Google Cloud, as a server there stored it, opens by the stanza of that server,
// with the clouds' own clients.
func TestStoresUnderClouds(t *testing.T) {
	clouds, err := fakeclouds.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer clouds.Close()
	dek := bytes.Repeat([]byte{7}, 32)
	block, err := aes.NewCipher(dek)
	if err != nil {
		t.Fatal(err)
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	sealed := a.Seal(nil, nil, storedKeys(t), nil)
	envelope := func(id string, wrapped []byte) []byte {
		info := append(field(3, []byte(id)), field(5, wrapped)...)
		return append(append(field(1, sealed[12:]), field(2, sealed[:12])...), field(5, info)...)
	}

	azure, err := azurekeyvault.New(clouds.Azure.Config("unseal"))
	if err != nil {
		t.Fatal(err)
	}
	atAzure, err := azure.Wrap(t.Context(), dek, kms.Binding{}) // by RSA-OAEP, which binds nothing
	if err != nil {
		t.Fatal(err)
	}
	theirs := awskms.New(awskms.Options{Region: "eu-west-1", BaseEndpoint: &clouds.AWS.URL, HTTPClient: clouds.AWS.Client(),
		Credentials: credentials.NewStaticCredentialsProvider(awskmstest.AccessKeyID, awskmstest.SecretAccessKey, "")})
	atAWS, err := theirs.Encrypt(t.Context(), &awskms.EncryptInput{KeyId: &clouds.AWSKey, Plaintext: dek})
	if err != nil {
		t.Fatal(err)
	}
	atGoogle, err := clouds.GCP.Encrypt(context.Background(), &kmspb.EncryptRequest{Name: clouds.GCP.KeyID("unseal"), Plaintext: dek})
	if err != nil {
		t.Fatal(err)
	}
	rsa := atAzure.Ciphertext[1:]
	for name, c := range map[string]struct {
		kind, stanza string
		blob         []byte
	}{
		"azure":           {"azurekeyvault", clouds.AzureStanza(), envelope(atAzure.Version, rsa)},
		"azure, in text":  {"azurekeyvault", clouds.AzureStanza(), envelope(atAzure.Version, []byte(base64.RawURLEncoding.EncodeToString(rsa)))},
		"aws":             {"awskms", clouds.AWSStanza(), envelope(clouds.AWSKey, atAWS.CiphertextBlob)},
		"google":          {"gcpckms", clouds.GCPStanza(), envelope(atGoogle.Name, atGoogle.Ciphertext)},
		"google, of both": {"gcpckms", clouds.AWSStanza() + clouds.GCPStanza(`disabled = "true"`), envelope(atGoogle.Name, atGoogle.Ciphertext)},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.CopyFS(dir, os.DirFS(stores+"static")); err != nil {
				t.Fatal(err)
			}
			for path, value := range map[string][]byte{
				"core/hsm/_barrier-unseal-keys": c.blob,
				"core/_seal-config":             fmt.Appendf(nil, `{"type":%q,"secret_shares":1,"secret_threshold":1}`, c.kind),
			} {
				text := fmt.Appendf(nil, `{"Value":%q}`, base64.StdEncoding.EncodeToString(value))
				if err := os.WriteFile(filepath.Join(dir, path), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			o := options{path: dir, configs: texts{file(t, c.stanza)}, fakes: clouds.File, get: "secret/hello"}
			if out, err := ran(t, o); err != nil || !strings.Contains(out, `"greeting": "static"`) {
				t.Error(err, out)
			}
		})
	}
}

package interop_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/helper/pgpkeys"
)

// A holder has a key in a file, and its secret part as Vault's code wants it.
type holder struct{ file, secret, fingerprint string }

// newHolder writes the key as gpg --export would, armored, bare, or in base64.
func newHolder(t *testing.T, form string) holder {
	t.Helper()
	e, err := openpgp.NewEntity(form, "", "", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, DefaultHash: crypto.SHA512})
	done(t, err)
	var public, secret bytes.Buffer
	done(t, e.SerializePrivate(&secret, nil))
	done(t, e.Serialize(&public))
	content := public.Bytes()
	switch form {
	case "armored":
		var b bytes.Buffer
		w := must(armor.Encode(&b, openpgp.PublicKeyType, nil))(t)
		w.Write(content)
		done(t, w.Close())
		content = b.Bytes()
	case "base64":
		content = []byte(base64.StdEncoding.EncodeToString(content))
	}
	h := holder{filepath.Join(t.TempDir(), form), base64.StdEncoding.EncodeToString(secret.Bytes()), ""}
	done(t, os.WriteFile(h.file, content, 0o600))
	h.fingerprint = must(pgpkeys.GetFingerprints([]string{base64.StdEncoding.EncodeToString(public.Bytes())}, nil))(t)[0]
	return h
}

// sent is what the command line sends for -pgp-keys=FILE,FILE…
func sent(t *testing.T, holders []holder) []string {
	t.Helper()
	var files []string
	for _, h := range holders {
		files = append(files, h.file)
	}
	return must(pgpkeys.ParsePGPKeys(files))(t)
}

// opened decrypts the shares, with Vault's code and each holder's key.
func opened(t *testing.T, holders []holder, hexed, encoded []string) (shares []string) {
	t.Helper()
	equal(t, "shares", []int{len(hexed), len(encoded)}, []int{len(holders), len(holders)})
	for i, h := range holders {
		share := must(pgpkeys.DecryptBytes(encoded[i], h.secret))(t).String()
		if !strings.HasPrefix(share, "sw1") {
			t.Fatalf("share %d decrypts to %d bytes that are none", i+1, len(share))
		}
		shares = append(shares, share)
	}
	return shares
}

// TestVaultClientPGP reads key files with the code of the vault command line,
// sends them with its client, and decrypts the answers with its code.
func TestVaultClientPGP(t *testing.T) {
	s := newServer(t)
	s.start("")
	first := []holder{newHolder(t, "armored"), newHolder(t, "binary"), newHolder(t, "base64")}
	second := []holder{newHolder(t, "armored"), newHolder(t, "armored")}

	// Vault's own test keys, of 2015, are signed with SHA-1.
	_, err := s.Sys().Init(&api.InitRequest{SecretShares: 2, SecretThreshold: 2, PGPKeys: []string{sent(t, first)[0], pgpkeys.TestPubKey1}})
	refused(t, err, http.StatusBadRequest, "pgp_keys: key 2 of 2: pgp: the key is weak: it is signed by itself with SHA-1")
	_, err = s.Sys().Init(&api.InitRequest{SecretShares: 5, SecretThreshold: 3, PGPKeys: sent(t, first)})
	refused(t, err, http.StatusBadRequest, "count mismatch between number of provided PGP keys and number of shares")

	made := must(s.Sys().Init(&api.InitRequest{
		SecretShares: 3, SecretThreshold: 2, PGPKeys: sent(t, first), RootTokenPGPKey: sent(t, second)[0],
	}))(t)
	shares := opened(t, first, made.Keys, made.KeysB64)
	s.SetToken(must(pgpkeys.DecryptBytes(made.RootToken, second[0].secret))(t).String())
	must(s.Sys().Unseal(shares[2]))(t)
	equal(t, "sealed", must(s.Sys().Unseal(shares[0]))(t).Sealed, false)
	must(s.KVv2("secret").Put(t.Context(), "hello", map[string]any{"greeting": "world"}))(t)

	sys := s.Sys()
	_, err = sys.RekeyInit(&api.RekeyInitRequest{SecretShares: 2, SecretThreshold: 2, PGPKeys: sent(t, second), Backup: true})
	refused(t, err, http.StatusBadRequest, "the store never has shares")
	begun := must(sys.RekeyInit(&api.RekeyInitRequest{SecretShares: 2, SecretThreshold: 2, PGPKeys: sent(t, second), RequireVerification: true}))(t)
	fingerprints := []string{second[0].fingerprint, second[1].fingerprint}
	equal(t, "fingerprints", begun.PGPFingerprints, fingerprints)
	must(sys.RekeyUpdate(shares[0], begun.Nonce))(t)
	out := must(sys.RekeyUpdate(shares[1], begun.Nonce))(t)
	equal(t, "fingerprints", out.PGPFingerprints, fingerprints)
	equal(t, "fingerprints", must(sys.RekeyStatus())(t).PGPFingerprints, fingerprints)
	shares = opened(t, second, out.Keys, out.KeysB64)
	must(sys.RekeyVerificationUpdate(shares[0], out.VerificationNonce))(t)
	equal(t, "verified", must(sys.RekeyVerificationUpdate(shares[1], out.VerificationNonce))(t).Complete, true)

	token := must(sys.GenerateRootInit("", sent(t, second)[1]))(t)
	equal(t, "fingerprint", token.PGPFingerprint, fingerprints[1])
	must(sys.GenerateRootUpdate(shares[0], token.Nonce))(t)
	token = must(sys.GenerateRootUpdate(shares[1], token.Nonce))(t)

	s.start("") // a new process, which knows no keys
	must(s.Sys().Unseal(shares[0]))(t)
	equal(t, "sealed", must(s.Sys().Unseal(shares[1]))(t).Sealed, false)
	s.SetToken(must(pgpkeys.DecryptBytes(token.EncodedRootToken, second[1].secret))(t).String())
	reads(t, s)
}

// TestVaultClientPGPRecovery: the recovery shares of a store that a KMS opens.
func TestVaultClientPGPRecovery(t *testing.T) {
	s := newServer(t)
	s.start(strings.ReplaceAll(s.stanza, "%s", ""))
	holders := []holder{newHolder(t, "armored"), newHolder(t, "binary")}
	_, err := s.Sys().Init(&api.InitRequest{RecoveryShares: 2, RecoveryThreshold: 2, PGPKeys: sent(t, holders)})
	refused(t, err, http.StatusBadRequest, "use recovery_pgp_keys")
	made := must(s.Sys().Init(&api.InitRequest{RecoveryShares: 2, RecoveryThreshold: 2, RecoveryPGPKeys: sent(t, holders)}))(t)
	equal(t, "unseal shares", len(made.Keys), 0)
	shares := opened(t, holders, made.RecoveryKeys, made.RecoveryKeysB64)
	s.SetToken(made.RootToken)
	must(s.KVv2("secret").Put(t.Context(), "hello", map[string]any{"greeting": "world"}))(t)

	s.start("") // the key is gone: the recovery shares open it
	must(s.Sys().Unseal(shares[1]))(t)
	equal(t, "sealed", must(s.Sys().Unseal(shares[0]))(t).Sealed, false)
	reads(t, s)
}

package named_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/migrate"
)

var update = flag.Bool("update", false, "write the goldens of a format that was never released")

// goldenKeys are keys under a keyring whose one key is 1, 2, 3, ….
func goldenKeys(t *testing.T, store named.Store) (*named.Keys, *keyring.Keyring) {
	t.Helper()
	owner := keyring.New()
	term := keyring.Term{Number: 1, Active: true}
	for i := range term.Key {
		term.Key[i] = byte(i + 1)
	}
	if err := owner.Install("golden", []keyring.Term{term}); err != nil {
		t.Fatal(err)
	}
	keys := must(named.New(named.Config{Keyring: owner.Keyring(), Store: store, Keep: func(migrate.Source) {},
		Now: func() time.Time { return time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC) }}))(t)
	return keys, owner.Keyring()
}

// What was stored and encrypted by the first version opens in every later one:
// testdata/document.txt is a document's JSON and then the rest in hexadecimal,
// document.hex the same as it was stored, and the others what was made with it.
func TestGolden(t *testing.T) {
	if *update {
		writeGoldens(t)
	}
	read := func(name string) string { return strings.TrimSpace(string(must(os.ReadFile("testdata/" + name))(t))) }
	store := named.NewMemStore()
	keys, ring := goldenKeys(t, store)
	stored := must(hex.DecodeString(read("document.hex")))(t)
	must(store.Swap(t.Context(), "golden", stored, ""))(t)
	info := must(keys.Read(t.Context(), "golden"))(t)
	if info.Latest != 3 || info.MinAvailable != 2 || info.MinDecryptionVersion != 2 || info.MinEncryptionVersion != 3 || info.AutoRotatePeriod != 24*time.Hour ||
		!info.Exportable || !info.AllowPlaintextBackup || !info.DeletionAllowed || info.Type != named.AES256 || !info.Derived || info.Backup == nil {
		t.Errorf("read %+v", info)
	}
	plain := must(ring.Decrypt(nil, stored, keyring.AAD("named key", "golden")))(t)
	if shown(plain) != read("document.txt") {
		t.Errorf("the document is\n%s", shown(plain))
	}
	// What is written today is the same.
	if again := must(named.ParseDocument("golden", plain))(t); !bytes.Equal(again, plain) {
		t.Errorf("it is written as\n%s", again)
	}
	key := must(keys.Key(t.Context(), "golden"))(t)
	c := named.Ciphertext{Text: read("ciphertext.txt"), Context: []byte("tenant 1"), AAD: []byte("row 7")}
	if got, err := key.Decrypt(c); string(got) != "plaintext" || err != nil {
		t.Errorf("the text: %q, %v", got, err)
	}
	c.Text, c.Binary = "", must(hex.DecodeString(read("ciphertext.hex")))(t)
	if got, err := key.Decrypt(c); string(got) != "plaintext" || err != nil {
		t.Errorf("the bytes: %q, %v", got, err)
	}
	if ok, err := key.VerifyMAC(named.Input{Data: []byte("data")}, read("mac.txt")); !ok || err != nil {
		t.Errorf("the MAC is valid: %v, %v", ok, err)
	}
}

// shown is a document for people, and goldenDocument its inverse.
func shown(document []byte) string {
	n := 4 + int(binary.BigEndian.Uint32(document))
	return string(document[4:n]) + "\n" + hex.EncodeToString(document[n:])
}

func goldenDocument(tb testing.TB) (text string, rest []byte) {
	text, coded, _ := strings.Cut(strings.TrimSpace(string(must(os.ReadFile("testdata/document.txt"))(tb))), "\n")
	return text, must(hex.DecodeString(coded))(tb)
}

func documentOf(text string, rest []byte) []byte {
	return slices.Concat(binary.BigEndian.AppendUint32(nil, uint32(len(text))), []byte(text), rest)
}

// A document of a newer version, or of none, is refused and stays.
func TestDocumentRefused(t *testing.T) {
	text, rest := goldenDocument(t)
	for words, change := range map[string][2]string{
		"format 2, this version reads 1": {`"format":1`, `"format":2`},
		"unknown format":                 {`"format":1`, `"format":1,"colour":"red"`},
		"another key's":                  {`"name":"golden"`, `"name":"silver"`},
		"unknown key type":               {`"type":"aes256-gcm96"`, `"type":"aes512"`},
		"min_decryption_version is 1":    {`"min_decryption":2`, `"min_decryption":1`},
		"min_encryption_version is 9":    {`"min_encryption":3`, `"min_encryption":9`},
		"out of range":                   {`"min_available":2`, `"min_available":-2`},
		"unknown derivation":             {`"kdf":"hkdf_sha256"`, `"kdf":"md5"`},
		"not of type":                    {`"key":32,"mac":32`, `"key":31,"mac":33`},
		"stored key is in an unknown":    {`"key":32`, `"key":33`},
		"auto_rotate_period":             {`"auto_rotate":86400`, `"auto_rotate":1`},
	} {
		bad := strings.Replace(text, change[0], change[1], 1)
		if bad == text {
			t.Errorf("%s: nothing was changed", words)
		}
		if _, err := named.ParseDocument("golden", documentOf(bad, rest)); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want words: %s", err, words)
		}
	}
	good := documentOf(text, rest)
	for _, bad := range [][]byte{
		nil, {0, 0, 0}, {0, 0, 0, 1}, documentOf("", nil), documentOf("{}", nil), documentOf("null", rest), documentOf(text+"{}", rest),
		documentOf(text, nil), documentOf(text, append(rest, 0)), good[:len(good)-1], good[:100], append([]byte{255, 255, 255, 255}, good...),
	} {
		if _, err := named.ParseDocument("golden", bad); !errors.Is(err, named.ErrFormat) && !errors.Is(err, named.ErrCorrupt) {
			t.Errorf("%.20q is a document: %v", bad, err)
		}
	}
}

func writeGoldens(t *testing.T) {
	store := named.NewMemStore()
	keys, ring := goldenKeys(t, store)
	ctx := t.Context()
	must(keys.Create(ctx, "golden", named.Spec{Derived: true, Settings: named.Settings{Exportable: true, AllowPlaintextBackup: true, DeletionAllowed: true, AutoRotatePeriod: 24 * time.Hour}}))(t)
	for range 2 {
		must(keys.Rotate(ctx, "golden"))(t)
	}
	must(keys.Configure(ctx, "golden", func(s *named.Settings) error { s.MinDecryptionVersion, s.MinEncryptionVersion = 2, 3; return nil }))(t)
	must(keys.Trim(ctx, "golden", 2))(t)
	must(keys.Backup(ctx, "golden"))(t)
	stored, _, err := store.Load(ctx, "golden")
	if err != nil {
		t.Fatal(err)
	}
	key := must(keys.Key(ctx, "golden"))(t)
	m := named.Message{Plaintext: []byte("plaintext"), Context: []byte("tenant 1"), AAD: []byte("row 7")}
	for name, text := range map[string]string{
		"document.hex":   hex.EncodeToString(stored),
		"document.txt":   shown(must(ring.Decrypt(nil, stored, keyring.AAD("named key", "golden")))(t)),
		"ciphertext.txt": must(key.Encrypt(m))(t),
		"ciphertext.hex": hex.EncodeToString(must(key.EncryptBinary(nil, m))(t)),
		"mac.txt":        must(key.MAC(named.Input{Data: []byte("data")}))(t),
	} {
		if err := os.WriteFile("testdata/"+name, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

package hpke

import (
	"bytes"
	"crypto/ecdh"
	stdhpke "crypto/hpke"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// newKey returns a private key, and the same one for crypto/hpke.
func newKey(t testing.TB, seedPQ, scalar []byte) (*PrivateKey, stdhpke.PrivateKey) {
	t.Helper()
	pq, err := mlkem.NewDecapsulationKey768(seedPQ)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		t.Fatal(err)
	}
	std, err := stdhpke.NewHybridPrivateKey(pq, p)
	if err != nil {
		t.Fatal(err)
	}
	return NewPrivateKey(pq, p), std
}

func randomKey(t testing.TB) (*PrivateKey, stdhpke.PrivateKey) {
	t.Helper()
	b := make([]byte, 96)
	rand.Read(b)
	return newKey(t, b[:64], b[64:])
}

// TestVector is the vector of draft-ietf-hpke-pq for this KEM and KDF, as Go
// has it in crypto/hpke/testdata/hpke-pq.json. It is for the AEAD 0x0001, which
// changes nothing but a number that is hashed.
func TestVector(t *testing.T) {
	type hexBytes = string
	var v struct {
		SkRm, PkRm, Enc, Info hexBytes
		SharedSecret          hexBytes `json:"shared_secret"`
		Exports               []struct {
			Context hexBytes `json:"exporter_context"`
			Value   hexBytes `json:"exported_value"`
		}
	}
	data, err := os.ReadFile("testdata/mlkem768-p256.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := sha3.SumSHAKE256(unhex(v.SkRm), 64+32)
	k, _ := newKey(t, b[:64], b[64:])
	if !bytes.Equal(k.PublicKey(), unhex(v.PkRm)) {
		t.Error("another public key")
	}
	enc := unhex(v.Enc)
	for _, e := range v.Exports {
		shared, err := k.decap(enc)
		if err != nil || !bytes.Equal(shared, unhex(v.SharedSecret)) {
			t.Fatalf("shared secret %x, %v", shared, err)
		}
		got := export("HPKE\x00\x50\x00\x01\x00\x01", shared, unhex(v.Info), string(unhex(e.Context)))
		if !bytes.Equal(got, unhex(e.Value)) {
			t.Errorf("export %s: %x, want %s", e.Context, got, e.Value)
		}
		if !bytes.Equal(shared, make([]byte, 32)) {
			t.Error("the shared secret is not cleared")
		}
	}
	if len(v.Exports) != 5 {
		t.Errorf("%d exports", len(v.Exports))
	}
}

// TestIsHPKE meets crypto/hpke from both sides.
func TestIsHPKE(t *testing.T) {
	for _, info := range []string{"", "info", strings.Repeat("long", 100)} {
		for _, context := range []string{"", "sealwright/root/v1", strings.Repeat("c", 300)} {
			k, std := randomKey(t)
			if !bytes.Equal(k.PublicKey(), std.PublicKey().Bytes()) {
				t.Fatal("another public key")
			}
			enc, secret, err := Send(k.PublicKey(), []byte(info), context)
			if err != nil {
				t.Fatal(err)
			}
			if got := stdReceive(t, std, enc, info, context); !bytes.Equal(got, secret) || len(secret) != SecretSize {
				t.Errorf("info %d, context %d: crypto/hpke receives another secret", len(info), len(context))
			}
			enc, sender, err := stdhpke.NewSender(std.PublicKey(), stdhpke.HKDFSHA256(), stdhpke.ExportOnly(), []byte(info))
			if err != nil {
				t.Fatal(err)
			}
			want, err := sender.Export(context, 32)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := k.Receive(enc, []byte(info), context); err != nil || !bytes.Equal(got, want) {
				t.Errorf("info %d, context %d: receives another secret than crypto/hpke sent: %v", len(info), len(context), err)
			}
		}
	}
}

func stdReceive(t testing.TB, k stdhpke.PrivateKey, enc []byte, info, context string) []byte {
	t.Helper()
	r, err := stdhpke.NewRecipient(enc, k, stdhpke.HKDFSHA256(), stdhpke.ExportOnly(), []byte(info))
	if err != nil {
		return nil
	}
	secret, err := r.Export(context, 32)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestNotAKey(t *testing.T) {
	k, _ := randomKey(t)
	enc, secret, err := Send(k.PublicKey(), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	changed := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 1
		return b
	}
	tooHigh := k.PublicKey()
	copy(tooHigh, "\xff\xff\xff") // no element of the field
	for name, b := range map[string][]byte{
		"none": nil, "short": k.PublicKey()[1:], "long": append(k.PublicKey(), 0), "ML-KEM": tooHigh,
		"off the curve": changed(k.PublicKey(), PublicKeySize-1), "compressed": changed(k.PublicKey(), PublicKeySize-pointSize),
	} {
		if enc, secret, err := Send(b, nil, ""); err != errPublicKey || enc != nil || secret != nil {
			t.Errorf("%s public key: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{
		"none": nil, "short": enc[1:], "long": append(bytes.Clone(enc), 0),
		"off the curve": changed(enc, EncSize-1), "compressed": changed(enc, EncSize-pointSize),
	} {
		if got, err := k.Receive(b, nil, ""); err != errEnc || got != nil {
			t.Errorf("%s encapsulated key: %v", name, err)
		}
	}
	for _, i := range []int{0, 500, mlkem.CiphertextSize768 - 1} {
		if got, err := k.Receive(changed(enc, i), nil, ""); err != nil || bytes.Equal(got, secret) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for name, other := range map[string][2]string{"info": {"x", ""}, "context": {"", "x"}} {
		if got, err := k.Receive(enc, []byte(other[0]), other[1]); err != nil || bytes.Equal(got, secret) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

func TestWipe(t *testing.T) {
	k, std := randomKey(t)
	enc, secret, err := Send(k.PublicKey(), nil, "")
	if err != nil {
		t.Fatal(err)
	}
	k.Wipe()
	if bytes.Equal(stdReceive(t, std, enc, "", ""), secret) {
		t.Error("a wiped key receives")
	}
	if len(bytes.Trim(k.pq.Bytes(), "\x00")) != 0 || len(bytes.Trim(k.t.Bytes(), "\x00")) != 0 {
		t.Error("something is left of a wiped key: has its layout changed?")
	}
	boring := reflect.ValueOf(k.t).Elem().FieldByName("boring")
	if _, err := k.t.ECDH(k.t.PublicKey()); err == nil && (!boring.IsValid() || boring.IsNil()) {
		t.Error("a wiped scalar multiplies: has its layout changed?")
	}
}

// FuzzReceive compares with crypto/hpke what any encapsulated key yields.
func FuzzReceive(f *testing.F) {
	k, std := newKey(f, bytes.Repeat([]byte{1}, 64), bytes.Repeat([]byte{2}, 32))
	enc, _, err := Send(k.PublicKey(), nil, "")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(enc, "info", "context")
	f.Add(enc[1:], "", "")
	f.Fuzz(func(t *testing.T, enc []byte, info, context string) {
		if len(info)+len(context) > 60000 {
			t.Skip("beyond HPKE's own limits")
		}
		got, err := k.Receive(enc, []byte(info), context)
		if want := stdReceive(t, std, enc, info, context); !bytes.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("got %x, %v; crypto/hpke %x", got, err, want)
		}
	})
}

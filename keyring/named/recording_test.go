package named_test

import (
	"crypto/ecdsa"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/keyring/named"
)

// testdata/transit.json holds exchanges with the transit engine of OpenBao 2.6.2,
// in their order. All secrets in it are throw-away.
type exchange struct {
	Note, Method, Path string
	Request            map[string]any
	Status             int
	Response           struct {
		Data   map[string]any
		Errors []string
	}
}

func recording(tb testing.TB) []exchange {
	tb.Helper()
	return must(readRecording())(tb)
}

var readRecording = sync.OnceValues(func() (all []exchange, err error) {
	text, err := os.ReadFile("testdata/transit.json")
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(text, &all)
	return all, err
})

func (e *exchange) ask(field string) string    { s, _ := e.Request[field].(string); return s }
func (e *exchange) answer(field string) string { s, _ := e.Response.Data[field].(string); return s }

func unbase64(tb testing.TB, s string) []byte {
	tb.Helper()
	return must(base64.StdEncoding.DecodeString(s))(tb)
}

// parts returns what a path of the engine names: the operation, the key and more.
func (e *exchange) parts() (op, key, more string) {
	p := strings.Split(strings.TrimPrefix(e.Path, "transit/"), "/")
	p = append(p, "", "", "")
	if p[0] == "export" || p[0] == "datakey" {
		return p[0], p[2], p[1]
	}
	return p[0], p[1], p[2]
}

// recorded is a key of the recording, as it was exported.
type recorded struct {
	created map[string]any    // the answer to its creation
	keys    map[string]string // by version
	macs    map[string]string
}

// recordedRSA returns a version of the recording's RSA key.
func recordedRSA(version string) (*rsa.PrivateKey, error) {
	all, err := readRecording()
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(recordedKeys(all)["k-rsa-2048"].keys[version]))
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}

func recordedKeys(all []exchange) map[string]*recorded {
	keys := map[string]*recorded{}
	for _, e := range all {
		op, name, more := e.parts()
		if e.Status != 200 {
			continue
		}
		switch {
		case op == "keys" && more == "" && e.Method == "POST" && keys[name] == nil:
			keys[name] = &recorded{created: e.Response.Data, macs: map[string]string{}}
		case op == "export" && (more == "encryption-key" || more == "signing-key"):
			keys[name].keys = texts(e.Response.Data["keys"])
		case op == "export" && more == "hmac-key":
			keys[name].macs = texts(e.Response.Data["keys"])
		}
	}
	return keys
}

func texts(v any) map[string]string {
	out := map[string]string{}
	for n, text := range v.(map[string]any) {
		out[n] = text.(string)
	}
	return out
}

var vaultNumber = map[string]int{"aes256-gcm96": 0, "ecdsa-p256": 1, "ed25519": 2, "rsa-2048": 3, "rsa-4096": 4, "chacha20-poly1305": 5,
	"ecdsa-p384": 6, "ecdsa-p521": 7, "aes128-gcm96": 8, "rsa-3072": 9, "hmac": 10, "xchacha20-poly1305": 11}

// backup writes an exported key down as the engine's backups are.
func (r *recorded) backup(tb testing.TB) string {
	versions := map[string]any{}
	keys, kind := r.keys, r.created["type"].(string)
	if kind == "hmac" {
		keys = r.macs
	}
	for n, text := range keys {
		v := map[string]any{"time": "2026-11-29T20:36:54Z", "creation_time": 1795984614}
		if mac := r.macs[n]; mac != "" {
			v["hmac_key"] = mac
		}
		if strings.HasPrefix(text, "-----") {
			block, _ := pem.Decode([]byte(text))
			if block.Type == "RSA PRIVATE KEY" {
				v["rsa_key"] = must(x509.ParsePKCS1PrivateKey(block.Bytes))(tb)
			} else {
				key := must(x509.ParseECPrivateKey(block.Bytes))(tb)
				v["ec_x"], v["ec_y"], v["ec_d"] = bigOf(key)
			}
		} else {
			v["key"] = text
		}
		if r.created["convergent_encryption"] == true {
			v["convergent_version"] = 3
		}
		versions[n] = v
	}
	policy := map[string]any{
		"name": r.created["name"], "keys": versions, "type": vaultNumber[kind], "latest_version": len(keys), "min_decryption_version": 1,
		"exportable": true, "allow_plaintext_backup": true, "derived": r.created["derived"], "convergent_encryption": r.created["convergent_encryption"] == true,
	}
	if r.created["derived"] == true {
		policy["kdf"] = 1
	}
	if kind == "hmac" {
		policy["key_size"] = 32
	}
	return base64.StdEncoding.EncodeToString(must(json.Marshal(map[string]any{"policy": policy}))(tb))
}

func bigOf(key *ecdsa.PrivateKey) (x, y, d json.Number) {
	number := func(b []byte) json.Number { return json.Number(new(big.Int).SetBytes(b).String()) }
	secret, err := key.Bytes()
	if err != nil {
		panic(err)
	}
	point, err := key.PublicKey.Bytes() // 4 ‖ x ‖ y
	if err != nil {
		panic(err)
	}
	half := len(point) / 2
	return number(point[1 : half+1]), number(point[half+1:]), number(secret)
}

// restoreRecorded makes the keys of the recording from their exports.
func restoreRecorded(t *testing.T, h *house, all []exchange) map[string]*recorded {
	t.Helper()
	keys := recordedKeys(all)
	for name, r := range keys {
		if kind := r.created["type"].(string); fips140.Enabled() && strings.Contains(kind, "chacha") {
			delete(keys, name)
			continue
		}
		if _, err := h.Restore(t.Context(), "", r.backup(t), false); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// Every ciphertext, signature and MAC of the recording opens or verifies under the
// keys that were exported, and the exports of ours are the recording's.
func TestRecording(t *testing.T) {
	all := recording(t)
	h := open(t, nil)
	keys := restoreRecorded(t, h, all)
	did := map[string]int{}
	for i, e := range all {
		op, name, more := e.parts()
		if keys[name] == nil || e.Status != 200 {
			continue
		}
		if e.Path == "transit/encrypt/k-aes256-gcm96" && strings.HasPrefix(e.Note, "encrypt with a key that is not there") {
			break // another key of the name, which was not exported
		}
		if testing.Short() && (strings.HasSuffix(name, "-3072") || strings.HasSuffix(name, "-4096")) {
			continue // large RSA keys, which do as that of 2048 bits does
		}
		t.Run(strconv.Itoa(i)+" "+e.Path+" "+e.Note, func(t *testing.T) {
			if n := replay(t, h, &e, all[:i], op, name, more); n > 0 {
				did[op] += n
			}
		})
	}
	t.Logf("opened or verified: %v", did)
	if !fips140.Enabled() && !testing.Short() && (did["encrypt"] < 15 || did["rewrap"] < 8 || did["datakey"] < 8 || did["sign"] < 15 || did["hmac"] < 8 || did["export"] < 20) {
		t.Errorf("only %v were checked", did)
	}
}

// replay checks what an exchange answered, and returns how much that was.
func replay(t *testing.T, h *house, e *exchange, before []exchange, op, name, more string) int {
	key := h.key(name)
	in := named.Input{Data: unbase64(t, e.ask("input")), Context: unbase64(t, e.ask("context")), Hash: e.ask("hash_algorithm"),
		Prehashed: e.Request["prehashed"] == true, Scheme: e.ask("signature_algorithm"), Marshaling: e.ask("marshaling_algorithm"), SaltLength: e.ask("salt_length")}
	c := named.Ciphertext{AAD: unbase64(t, e.ask("associated_data")), Context: unbase64(t, e.ask("context"))}
	switch op {
	case "encrypt", "rewrap", "datakey":
		var asked, answered []any
		if items, ok := e.Request["batch_input"].([]any); ok {
			asked, answered = items, e.Response.Data["batch_results"].([]any)
		} else {
			asked, answered = []any{e.Request}, []any{e.Response.Data}
		}
		for i := range answered {
			ask, answer := asked[i].(map[string]any), answered[i].(map[string]any)
			c.Text = answer["ciphertext"].(string)
			plaintext, err := key.Decrypt(c)
			if err != nil {
				t.Fatal(err)
			}
			want, known := ask["plaintext"].(string)
			if !known {
				want, known = answer["plaintext"].(string)
			}
			if old, ok := ask["ciphertext"].(string); ok {
				c.Text = old
				want, known = base64.StdEncoding.EncodeToString(must(key.Decrypt(c))(t)), true
			}
			if got := base64.StdEncoding.EncodeToString(plaintext); known && got != want {
				t.Errorf("decrypted %s, want %s", got, want)
			}
			if key.Info().Convergent && !fips140.Enabled() {
				again := must(key.Encrypt(named.Message{Plaintext: plaintext, Context: c.Context}))(t)
				if again != answer["ciphertext"] {
					t.Errorf("converges to %s, want %s", again, answer["ciphertext"])
				}
			}
		}
		return len(answered)
	case "sign":
		if items, ok := e.Request["batch_input"].([]any); ok {
			for i, item := range items {
				in.Data = unbase64(t, item.(map[string]any)["input"].(string))
				text := e.Response.Data["batch_results"].([]any)[i].(map[string]any)["signature"].(string)
				verify(t, key, in, text, true)
			}
			return len(items)
		}
		verify(t, key, in, e.answer("signature"), true)
		in.Data = append([]byte("not "), in.Data...)
		if !in.Prehashed {
			verify(t, key, in, e.answer("signature"), false)
		}
		if public := e.answer("public_key"); public != "" && public != must(key.PublicKey(1, in.Context))(t) {
			t.Errorf("the public key of the context is not %s", public)
		}
		return 1
	case "verify":
		// The recorder noted the input of the last call to each signature for all
		// of them: what was valid was of the sign before.
		if text := e.ask("signature"); text != "" {
			valid := e.Response.Data["valid"] == true
			for i := len(before) - 1; valid && i >= 0; i-- {
				if before[i].answer("signature") == text {
					in.Data = unbase64(t, before[i].ask("input"))
					break
				}
			}
			if in.Prehashed && !valid {
				return 0 // an input that is no hash is refused here
			}
			verify(t, key, in, text, valid)
			return 1
		}
		if ok, err := key.VerifyMAC(in, e.ask("hmac")); err != nil || ok != (e.Response.Data["valid"] == true) {
			t.Errorf("the MAC is valid: %v, %v", ok, err)
		}
		return 1
	case "hmac":
		in.Hash = more
		in.Version = must(named.Version(e.answer("hmac")))(t)
		if got := must(key.MAC(in))(t); got != e.answer("hmac") {
			t.Errorf("MAC %s, want %s", got, e.answer("hmac"))
		}
		return 1
	case "export":
		out := must(h.Export(t.Context(), name, named.ExportKind(more), 0))(t)
		for _, v := range out {
			if want := texts(e.Response.Data["keys"])[strconv.Itoa(v.Version)]; v.Key.Reveal() != want {
				t.Errorf("version %d exports other than was recorded", v.Version)
			}
		}
		if len(out) != len(e.Response.Data["keys"].(map[string]any)) {
			t.Errorf("%d versions exported", len(out))
		}
		return len(out)
	case "decrypt":
		c.Text = e.ask("ciphertext")
		if c.Text != "" {
			if got := base64.StdEncoding.EncodeToString(must(key.Decrypt(c))(t)); got != e.answer("plaintext") {
				t.Errorf("decrypted %s", got)
			}
			return 1
		}
	}
	return 0
}

func verify(t *testing.T, key *named.Key, in named.Input, text string, want bool) {
	t.Helper()
	if ok, err := key.Verify(in, text); err != nil || ok != want {
		t.Errorf("valid: %v, %v; want %v", ok, err, want)
	}
}

// The backup of the recording restores, opens what it encrypted, and comes out of
// ours with the same key.
func TestRecordedBackup(t *testing.T) {
	h := open(t, nil)
	for _, e := range recording(t) {
		text := e.answer("backup")
		if text == "" {
			continue
		}
		info := must(h.Restore(t.Context(), "", text, false))(t)
		if info.Name != "k-aes256-gcm96" || info.Latest != 2 || info.MinAvailable != 2 || info.AutoRotatePeriod.Hours() != 24 || info.Restore == nil || info.Backup == nil {
			t.Errorf("restored %+v", info)
		}
		plaintext, err := h.key(info.Name).Decrypt(named.Ciphertext{Text: "vault:v2:7VxbQcY+em/6ySAQdTRG3ANfHMjTF5Lxf8N3CIeNuhUqZzevcabsFX5UMu6L80c="})
		if string(plaintext) != "the quick brown fox" || err != nil {
			t.Errorf("decrypted %q, %v", plaintext, err)
		}
		again := must(h.Backup(t.Context(), info.Name))(t)
		var ours, theirs map[string]any
		for text, into := range map[string]*map[string]any{text: &theirs, again.Reveal(): &ours} {
			if err := json.Unmarshal(unbase64(t, text), into); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := must(json.Marshal(ours["archived_keys"]))(t), must(json.Marshal(theirs["archived_keys"]))(t); string(a) != string(b) {
			t.Errorf("archived keys:\n%s\nwant\n%s", a, b)
		}
		for field, want := range theirs["policy"].(map[string]any) {
			got := ours["policy"].(map[string]any)[field]
			if a, b := must(json.Marshal(got))(t), must(json.Marshal(want))(t); string(a) != string(b) && field != "backup_info" && field != "restore_info" {
				t.Errorf("%s: %s, want %s", field, a, b)
			}
		}
		return
	}
	t.Fatal("the recording has no backup")
}

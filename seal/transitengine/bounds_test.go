package transitengine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/transitengine"
)

// TestHostileBodies: what is no JSON object, too large, too deep, or ends early.
func TestHostileBodies(t *testing.T) {
	s := newServer(t, func(c *transitengine.Config) { c.MaxBody = 4 << 10 })
	s.want(200, "POST", "keys/k", nil)
	for _, body := range []string{
		`[`, `{`, `{"plaintext"`, `{"plaintext":`, `{"plaintext":"`, `{"plaintext":"YQ=="`, `{"plaintext":"YQ==",`, `{"plaintext":"YQ==",}`, `"x"`, `[]`, `nul`, `null null`, `1`,
		`{"plaintext":"YQ=="}{`, `{"plaintext":"YQ=="} x`, `{plaintext:1}`, `{'plaintext':'x'}`, `{"plaintext":"a` + "\n" + `b"}`, `{"plaintext":"\x"}`, `{"plaintext":"\u12"}`,
		`{"plaintext":tru}`, `{"plaintext":01}`, `{"plaintext":1.}`, `{"a":"` + strings.Repeat("\\", 9) + `"}`, `{"plaintext":"YQ==","plaintext":"Yg=="}`,
		`{"plaintext":"YQ==","pl\u0061intext":"Yg=="}`, strings.Repeat(`{"a":`, 17) + "1" + strings.Repeat("}", 17), `{"a":` + strings.Repeat("[", 999),
		"\xff\xfe", `{"plaintext":"YQ=="` + "\x00}",
	} {
		s.refuses(400, "failed to parse JSON input", "POST", "encrypt/k", body)
	}
	for at := range 20 { // a control character, wherever it stands
		for _, c := range []byte{0, 1, '\n', 0x1f} {
			text := []byte(strings.Repeat("\xff\x20\x80A", 5))
			text[at] = c
			s.refuses(400, "failed to parse JSON input", "POST", "encrypt/k", `{"x":"`+string(text)+`","plaintext":""}`)
		}
	}
	s.want(200, "POST", "encrypt/k", `{"x":"`+strings.Repeat("\xff\x20\x80\x7fA", 5)+`","plaintext":""}`)
	var many strings.Builder
	for i := range 65 {
		fmt.Fprintf(&many, `,"f%d":1`, i)
	}
	s.refuses(400, "failed to parse JSON input", "POST", "encrypt/k", "{"+many.String()[1:]+"}")
	s.want(200, "POST", "keys/k/rotate", "null") // what bao write -f sends
	large := `{"plaintext":"` + strings.Repeat("A", 8<<10) + `"}`
	s.refuses(413, "too large", "POST", "encrypt/k", large)
	r := httptest.NewRequest("POST", "/v1/transit/encrypt/k", endless{})
	r.Header.Set("X-Vault-Token", token)
	r.ContentLength = -1
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	if w.Code != 413 {
		t.Error(w.Code)
	}
	for _, fine := range []string{` { "plaintext" : "YQ==" } `, `{"pl\u0061intext":"Y\u0051=="}`, `{"plaintext":"YQ==","context":null,"x":[1,{"y":[true,false,null,-1.5e+9]}]}`} {
		if got := s.data("POST", "encrypt/k", fine)["ciphertext"].(string); !strings.HasPrefix(got, "vault:v2:") {
			t.Error(got)
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return copy(b, bytes.Repeat([]byte{'{'}, len(b))), nil }

// FuzzBody: a body is taken as encoding/json takes it, or refused; whatever it
// is, the answer is JSON, and nothing panics.
func FuzzBody(f *testing.F) {
	s := newServer(f)
	s.want(200, "POST", "keys/k", nil)
	s.want(200, "POST", "keys/e", object{"type": "ed25519", "derived": true})
	for i, body := range []string{
		`{"plaintext":"YQ==","context":"YQ==","key_version":1,"associated_data":"YQ=="}`, `{"batch_input":[{"plaintext":"YQ==","reference":"\u00e9"}]}`,
		`{"input":"YQ==","signature":"vault:v1:AAAA"}`, `{"ciphertext":"vault:v1:AAAA"}`, `{"min_decryption_version":"1","exportable":true}`, `{"backup":"eyJ9"}`,
		`{"x":[{"y":-1.5e9}],"plaintext":"\"\\\/\b\f\n\r\t\u0041"}`,
	} {
		f.Add(byte(i), body)
	}
	paths := []string{
		"encrypt/k", "decrypt/k", "rewrap/k", "sign/e", "verify/e", "hmac/k", "datakey/plaintext/k", "keys/k/config", "keys/k/trim", "keys/new", "restore", "keys/i/import", "random", "hash",
	}
	f.Fuzz(func(t *testing.T, at byte, body string) {
		r := httptest.NewRequest("POST", "/v1/transit/"+paths[int(at)%len(paths)], strings.NewReader(body))
		r.Header.Set("X-Vault-Token", token)
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		if w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("the answer is %q", w.Body)
		}
		var out map[string]any
		if json.Unmarshal([]byte(body), &out) != nil && strings.TrimSpace(body) != "" && w.Code < 400 {
			t.Fatalf("%d for what is no JSON object: %q", w.Code, body)
		}
	})
}

// TestNoSecretIsShown: what is encrypted, exported and sent as a token, stands in
// no error, event, log line or warning. The control is an event that names it.
func TestNoSecretIsShown(t *testing.T) {
	var log strings.Builder
	logged := seal.LogEvents(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	var s *server
	s = newServer(t, func(c *transitengine.Config) { c.OnEvent = func(e seal.Event) { s.event(e); logged(e) } })
	canary := b64("canary-plaintext-that-nobody-may-see")
	pair := "rsa-2048"
	if testing.Short() {
		pair = "ecdsa-p256" // which is made at once
	}
	for _, key := range []object{{"type": "aes256-gcm96"}, {"type": pair}, {"type": "ed25519"}, {"type": "hmac"}, {"derived": true}} {
		key["exportable"], key["allow_plaintext_backup"] = true, true
		s.want(200, "POST", fmt.Sprintf("keys/k%d", len(s.events)), key)
	}
	secrets := []string{"canary", canary, token}
	for _, kind := range []string{"encryption-key/k0", "signing-key/k2", "hmac-key/k3"} {
		for _, text := range s.data("GET", "export/"+kind, nil)["keys"].(object) {
			secrets = append(secrets, text.(string))
		}
	}
	messages, turn := 0, 0
	for _, a := range actions {
		if !testlevel.Whole() && a.path == "wrapping_key" {
			continue // it is an RSA key of 4096 bits, which takes a second to make
		}
		for n := range 5 {
			for _, key := range []string{"plaintext", "ciphertext", "input", "context", "associated_data", "backup", "hmac", "signature", "type", "hash_algorithm", "format", "key_version", "bits", "nonce", "batch_input", "public_key", canary} {
				if turn++; testing.Short() && turn%7 != 0 {
					continue // each action has some of all
				}
				path := strings.ReplaceAll(a.path, "/k", fmt.Sprintf("/k%d", n))
				if strings.HasPrefix(a.path, "keys") {
					path = a.path
				}
				bodies := []object{{key: canary}, {"plaintext": canary, "input": canary, "ciphertext": canary, key: canary + "%"}, {"batch_input": []object{{"plaintext": canary, "input": canary, key: canary}}}}
				for _, body := range bodies {
					code, text := s.send(a.method, path, body)
					messages++
					if code >= 400 {
						hidden(t, text, secrets)
						continue
					}
					if out := decoded(t, text); out != nil && key != canary { // an unknown field's name is told, its value not
						hidden(t, fmt.Sprint(out["warnings"]), secrets)
					}
				}
			}
		}
	}
	for _, e := range s.events {
		hidden(t, fmt.Sprintf("%v %+v %v", e, e, e.Err), secrets)
	}
	hidden(t, log.String(), secrets)
	if control := (seal.Event{Detail: canary}); !strings.Contains(fmt.Sprint(control), canary) || len(s.events) < 100 || log.Len() == 0 {
		t.Error("the scan finds nothing")
	}
	if !testing.Short() {
		t.Logf("GUARANTEE 20 transit-engine: messages=%d events=%d leaks=0", messages, len(s.events))
	}
}

func hidden(t *testing.T, text string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%.20q… is shown: %.300s", secret, text)
		}
	}
}

// TestBuffersAreCleared: what one caller sent is not what another one, whose
// request is short, gets to see.
func TestBuffersAreCleared(t *testing.T) {
	s := newServer(t)
	s.want(200, "POST", "keys/k", nil)
	for range 50 {
		sealed := s.data("POST", "encrypt/k", object{"plaintext": b64(strings.Repeat("secret", 99))})["ciphertext"]
		s.data("POST", "decrypt/k", object{"ciphertext": sealed})
		short := s.data("POST", "encrypt/k", object{"plaintext": ""})["ciphertext"]
		if got := s.data("POST", "decrypt/k", object{"ciphertext": short})["plaintext"]; got != "" {
			t.Fatal(got)
		}
	}
}

// TestParallel: many callers at once get their own answers.
func TestParallel(t *testing.T) {
	s := newServer(t)
	s.want(200, "POST", "keys/k", nil)
	done := make(chan string)
	for n := range 8 {
		go func() {
			for i := range 50 {
				text := b64(strings.Repeat(fmt.Sprint(n), i*7))
				ask := func(path, body string) object {
					r := httptest.NewRequest(http.MethodPost, "/v1/transit/"+path, strings.NewReader(body))
					r.Header.Set("X-Vault-Token", token)
					w := httptest.NewRecorder()
					s.h.ServeHTTP(w, r)
					var out struct{ Data object }
					_ = json.Unmarshal(w.Body.Bytes(), &out)
					return out.Data
				}
				sealed := ask("encrypt/k", `{"plaintext":"`+text+`"}`)["ciphertext"]
				if got := ask("decrypt/k", fmt.Sprintf(`{"ciphertext":%q}`, sealed))["plaintext"]; got != text {
					done <- fmt.Sprint(got)
					return
				}
			}
			done <- ""
		}()
	}
	for range 8 {
		if wrong := <-done; wrong != "" {
			t.Error(wrong)
		}
	}
}

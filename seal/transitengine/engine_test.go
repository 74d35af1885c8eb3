package transitengine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/keyring/named"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/transitengine"
)

func TestConfig(t *testing.T) {
	s := newServer(t)
	good := transitengine.Config{Keys: s.keys, Sealed: s.b.Sealed, Authorize: s.authorize}
	for words, spoil := range map[string]func(*transitengine.Config){
		"Keys is nil":          func(c *transitengine.Config) { c.Keys = nil },
		"Sealed is nil":        func(c *transitengine.Config) { c.Sealed = nil },
		"Authorize is nil":     func(c *transitengine.Config) { c.Authorize = nil },
		"begins and ends with": func(c *transitengine.Config) { c.Prefix = "v1/transit" },
		"0 to 1 GiB":           func(c *transitengine.Config) { c.MaxBody = -1 },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := transitengine.New(cfg); !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// TestMountedElsewhere: under another prefix, and only there.
func TestMountedElsewhere(t *testing.T) {
	s := newServer(t, func(c *transitengine.Config) { c.Prefix = "/team/keys/" })
	for path, want := range map[string]int{"/team/keys/random/8": 200, "/v1/transit/random/8": 404, "/team/keysrandom": 404} {
		r := httptest.NewRequest("POST", path, nil)
		r.Header.Set("X-Vault-Token", token)
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// actions is a request of each action, with the key it names.
var actions = []struct {
	method, path string
	action       transitengine.Action
	key          string
}{
	{"POST", "encrypt/k", transitengine.Encrypt, "k"}, {"PUT", "decrypt/k", transitengine.Decrypt, "k"}, {"POST", "rewrap/k", transitengine.Rewrap, "k"},
	{"POST", "datakey/plaintext/k", transitengine.PlainDataKey, "k"}, {"POST", "datakey/wrapped/k", transitengine.DataKey, "k"},
	{"POST", "sign/k", transitengine.Sign, "k"}, {"POST", "sign/k/sha2-512", transitengine.Sign, "k"}, {"POST", "verify/k", transitengine.Verify, "k"},
	{"POST", "verify/k/sha2-512", transitengine.Verify, "k"}, {"POST", "hmac/k", transitengine.MAC, "k"}, {"POST", "hmac/k/sha2-512", transitengine.MAC, "k"},
	{"GET", "keys/k", transitengine.Read, "k"}, {"POST", "keys/k", transitengine.Create, "k"}, {"DELETE", "keys/k", transitengine.Delete, "k"},
	{"POST", "keys/k/config", transitengine.Configure, "k"}, {"POST", "keys/k/rotate", transitengine.Rotate, "k"}, {"POST", "keys/k/trim", transitengine.Trim, "k"},
	{"POST", "keys/k/import", transitengine.Import, "k"}, {"POST", "keys/k/import_version", transitengine.Import, "k"},
	{"GET", "export/encryption-key/k", transitengine.Export, "k"}, {"GET", "export/signing-key/k/latest", transitengine.Export, "k"},
	{"GET", "export/hmac-key/k/1", transitengine.Export, "k"}, {"GET", "export/public-key/k", transitengine.ExportPublic, "k"},
	{"GET", "backup/k", transitengine.Backup, "k"}, {"POST", "restore/k", transitengine.Restore, "k"}, {"POST", "restore", transitengine.Restore, ""},
	{"LIST", "keys", transitengine.List, ""}, {"LIST", "keys/", transitengine.List, ""}, {"GET", "keys?list=true", transitengine.List, ""},
	{"GET", "wrapping_key", transitengine.WrappingKey, ""}, {"POST", "random", transitengine.Random, ""}, {"POST", "random/seal/9", transitengine.Random, ""},
	{"POST", "hash", transitengine.Hash, ""}, {"POST", "hash/sha2-256", transitengine.Hash, ""},
}

// TestHostIsAsked: each request is named to the host as what it is, with its
// key, and what the host refuses changes nothing, says nothing and is an event.
func TestHostIsAsked(t *testing.T) {
	s := newServer(t)
	s.want(200, "POST", "keys/k", object{"exportable": true, "allow_plaintext_backup": true})
	before := s.data("GET", "keys/k", nil)
	for _, a := range actions {
		s.mu.Lock()
		s.asked, s.events = nil, nil
		s.forbidden = map[transitengine.Action]bool{a.action: true}
		s.mu.Unlock()
		code, text := s.send(a.method, a.path, "this is not even JSON")
		if code != 403 || !strings.Contains(text, "permission denied") || strings.Contains(text, "nobody's business") {
			t.Errorf("%s %s: %d %s", a.method, a.path, code, text)
		}
		if want := string(a.action) + " " + a.key; !slices.Equal(s.asked, []string{want}) {
			t.Errorf("%s %s: asked %q, want %q", a.method, a.path, s.asked, want)
		}
		if len(s.events) != 1 || s.events[0].Err == nil || s.events[0].Kind != transitengine.EventRequest || !strings.HasPrefix(s.events[0].Detail, string(a.action)) {
			t.Errorf("%s %s: events %v", a.method, a.path, s.events)
		}
	}
	s.forbidden = nil
	if after := s.data("GET", "keys/k", nil); fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("%v, before %v", after, before)
	}
	for _, bad := range [][2]string{
		{"POST", "nothing"}, {"POST", "encrypt"}, {"POST", "encrypt/"}, {"POST", "encrypt/a/b"}, {"POST", "encrypt/a b"}, {"POST", "encrypt/.k"},
		{"POST", "encrypt/k."}, {"GET", "datakey/other/k"}, {"POST", "datakey/plaintext"}, {"POST", "sign/k/a/b"}, {"POST", "keys/k/other"},
		{"GET", "export/encryption-key"}, {"GET", "export/encryption-key/k/1/2"}, {"GET", "wrapping_key/x"}, {"GET", ""}, {"POST", "encrypt/.wrapping-key"},
	} {
		r := httptest.NewRequest(bad[0], "/v1/transit/", nil)
		r.URL.Path += bad[1]
		r.Header.Set("X-Vault-Token", token)
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		if w.Code != 404 {
			t.Errorf("%s: %d %s", bad, w.Code, w.Body)
		}
	}
	for _, bad := range [][2]string{{"GET", "encrypt/k"}, {"DELETE", "backup/k"}, {"PATCH", "keys/k"}, {"POST", "keys"}, {"GET", "random"}} {
		s.want(405, bad[0], bad[1], nil)
	}
}

// TestSealedServesNothing: not even what needs no key.
func TestSealedServesNothing(t *testing.T) {
	s := newServer(t)
	s.want(200, "POST", "keys/k", object{})
	sealed := s.data("POST", "encrypt/k", object{"plaintext": b64("hello")})["ciphertext"]
	s.b.Seal(seal.By{})
	for _, a := range actions {
		code, text := s.send(a.method, a.path, object{"plaintext": b64("hello"), "ciphertext": sealed, "input": b64("hello")})
		if code != 503 || text != `{"errors":["Vault is sealed"]}`+"\n" {
			t.Errorf("%s %s: %d %s", a.method, a.path, code, text)
		}
	}
	s.unseal()
	if got := s.data("POST", "decrypt/k", object{"ciphertext": sealed})["plaintext"]; got != b64("hello") {
		t.Error(got)
	}
}

// TestSealedInFlight: a batch that is sealed in its middle is answered as
// sealed, and not with a part of the results.
func TestSealedInFlight(t *testing.T) {
	s := newServer(t, func(c *transitengine.Config) { c.Sealed = func() error { return nil } })
	s.want(200, "POST", "keys/k", object{})
	s.b.Seal(seal.By{})
	s.refuses(503, "Vault is sealed", "POST", "encrypt/k", object{"batch_input": []object{{"plaintext": ""}, {"plaintext": ""}}})
	s.refuses(503, "Vault is sealed", "POST", "encrypt/k", object{"plaintext": ""})
}

// TestMisspeltKeyIsNoNewKey: an encrypt makes a key only for whom the host lets
// make keys.
func TestMisspeltKeyIsNoNewKey(t *testing.T) {
	s := newServer(t)
	s.forbidden[transitengine.Create] = true
	s.refuses(403, "permission denied", "POST", "encrypt/kk", object{"plaintext": b64("hello")})
	s.want(404, "GET", "keys/kk", nil)
	s.forbidden = nil
	s.refuses(400, "illegal base64", "POST", "encrypt/kk", object{"plaintext": "%"}) // nor for a bad request
	s.want(404, "GET", "keys/kk", nil)
	for words, body := range map[string]object{
		"not supported for this operation": {"plaintext": "", "type": "ecdsa-p256"},
		"unknown key type":                 {"plaintext": "", "type": "abacus"},
		"context is required":              {"plaintext": "", "convergent_encryption": true},
	} {
		s.refuses(400, words, "POST", "encrypt/kk", body)
	}
	s.events = nil
	s.want(200, "POST", "encrypt/kk", object{"plaintext": b64("hello"), "context": b64("tenant"), "type": "aes128-gcm96"})
	if got := s.data("GET", "keys/kk", nil); got["derived"] != true || got["type"] != "aes128-gcm96" {
		t.Error(got)
	}
	if len(s.events) != 1 || s.events[0].Detail != "create kk" {
		t.Error(s.events)
	}
}

// TestRefusedHeaders: what was meant for a namespace, to be wrapped, or comes
// from another site's page is not done.
func TestRefusedHeaders(t *testing.T) {
	s := newServer(t)
	s.want(200, "POST", "keys/k", object{"exportable": true})
	for words, headers := range map[string][]string{
		"namespaces are not supported": {"X-Vault-Namespace", "team"},
		"wrapping is not supported":    {"X-Vault-Wrap-TTL", "60"},
		"permission denied":            {"Sec-Fetch-Site", "cross-site"},
	} {
		code, text := s.send("POST", "datakey/plaintext/k", object{}, headers...)
		if code != 400 && code != 403 || !strings.Contains(text, words) {
			t.Errorf("%s: %d %s", words, code, text)
		}
	}
	if code, _ := s.send("POST", "random", object{}, "X-Vault-Namespace", "root/"); code != 200 {
		t.Error(code)
	}
}

// TestStoreFails: its words may name files and addresses; the client is told
// nothing of them, the event everything.
func TestStoreFails(t *testing.T) {
	s := newServer(t)
	store := &broken{Store: s.store}
	s = s.over(store)
	s.want(200, "POST", "keys/k", object{})
	store.err = errors.New("canary-address 10.0.0.7 refused")
	for _, request := range [][2]string{{"GET", "keys/k"}, {"POST", "keys/k/rotate"}, {"LIST", "keys"}, {"POST", "keys/new"}, {"DELETE", "keys/k"}, {"GET", "wrapping_key"}} {
		s.events = nil
		code, text := s.send(request[0], request[1], object{})
		if code != 500 || strings.Contains(text, "canary") {
			t.Errorf("%s: %d %s", request, code, text)
		}
		if len(s.events) != 1 || !strings.Contains(fmt.Sprint(s.events[0].Err), "canary-address") {
			t.Errorf("%s: %v", request, s.events)
		}
	}
	// What the store holds was altered: that is not the client's fault.
	store.err = nil
	store.document = []byte("garbage")
	s.want(500, "GET", "keys/k", nil)
}

type broken struct {
	named.Store
	err      error
	document []byte
}

func (b *broken) Load(ctx ctx, name string) ([]byte, string, error) {
	if b.err != nil {
		return nil, "", b.err
	}
	d, rev, err := b.Store.Load(ctx, name)
	if b.document != nil {
		d = b.document
	}
	return d, rev, err
}

func (b *broken) Swap(ctx ctx, name string, d []byte, rev string) (string, error) {
	if b.err != nil {
		return "", b.err
	}
	return b.Store.Swap(ctx, name, d, rev)
}

func (b *broken) List(ctx ctx, after string, n int) ([]string, error) {
	if b.err != nil {
		return nil, b.err
	}
	return b.Store.List(ctx, after, n)
}

// TestPanickingSink loses its event, not the answer.
func TestPanickingSink(t *testing.T) {
	s := newServer(t, func(c *transitengine.Config) { c.OnEvent = func(seal.Event) { panic("a sink of the host's") } })
	s.want(200, "POST", "keys/k", object{})
	s.want(http.StatusBadRequest, "POST", "keys/k", "[")
}

type ctx = context.Context

// hanging is a store that answers when its caller gives up.
type hanging struct{ named.Store }

func (hanging) Load(ctx ctx, _ string) ([]byte, string, error) {
	<-ctx.Done()
	return nil, "", ctx.Err()
}

// TestStoreHangs: a request that waits for the store ends before the tools give
// up; and one whose client leaves at once.
func TestStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s = s.over(hanging{s.store})
		for _, request := range [][2]string{{"POST", "encrypt/k"}, {"GET", "keys/k"}, {"POST", "keys/k/rotate"}} {
			start := time.Now()
			s.refuses(503, "no answer in time", request[0], request[1], object{"plaintext": ""})
			if took := time.Since(start); took != 50*time.Second {
				t.Errorf("%s took %v", request, took)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		r := httptest.NewRequest("POST", "/v1/transit/encrypt/k", strings.NewReader(`{"plaintext":""}`)).WithContext(ctx)
		r.Header.Set("X-Vault-Token", token)
		start := time.Now()
		s.h.ServeHTTP(httptest.NewRecorder(), r)
		if took := time.Since(start); took != time.Second {
			t.Errorf("without its client it took %v", took)
		}
	})
}

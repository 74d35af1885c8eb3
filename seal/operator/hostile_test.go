package operator_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
	"github.com/sealwright/sealwright/seal/storetest"
)

var hostile = flag.Int("hostile", 10_000, "hostile submissions beside an honest quorum")

// attacks are what somebody without a share and without a token can send.
func attacks(shares []string, r *rand.Rand) (method, path, body string) {
	raw := make([]byte, 33)
	for i := range raw {
		raw[i] = byte(r.Uint32())
	}
	raw[32] |= 1
	mistyped := []byte(shares[0])
	mistyped[20+r.IntN(60)] ^= 1
	switch r.IntN(14) {
	case 0:
		return "PUT", "unseal", `{"reset":true}`
	case 1:
		return "PUT", "unseal", fmt.Sprintf(`{"key":%q}`, hex.EncodeToString(raw))
	case 2:
		return "POST", "unseal", fmt.Sprintf(`{"key":%q,"migrate":true}`, base64.StdEncoding.EncodeToString(raw))
	case 3:
		return "PUT", "unseal", fmt.Sprintf(`{"key":%q}`, mistyped)
	case 4:
		return "PUT", "unseal", `{"key":"` + strings.Repeat("A", 1<<12+r.IntN(1<<12)) + `"}`
	case 5:
		return "PUT", "init", `{"secret_shares":1,"secret_threshold":1}`
	case 6:
		return "DELETE", "rekey/init", ``
	case 7:
		return "PUT", "rekey/update", fmt.Sprintf(`{"key":%q,"nonce":"x"}`, hex.EncodeToString(raw))
	case 8:
		return "PUT", "rekey/init", `{"secret_shares":1,"secret_threshold":1}`
	case 9:
		return "DELETE", "rekey/verify", ``
	case 10:
		return "PUT", "generate-root/attempt", `{"otp":""}`
	case 11:
		return "DELETE", "unseal", ``
	case 12:
		return "PUT", "unseal", fmt.Sprintf(`{"key":%q,"migrate":true}`, mistyped)
	default:
		return "GET", "seal-status", ``
	}
}

// An honest quorum unseals, rekeys and migrates beside a crowd that does its
// worst.
func TestHostileSubmissions(t *testing.T) {
	n := *hostile
	if !testlevel.Whole() {
		n = 1000
	}
	if testing.Short() {
		n = 300
	}
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 5, "secret_threshold": 3})
	s.unseal(shares[:3]...)
	s.restart()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	var sent, refused atomic.Int64
	crowd := func(n int) *sync.WaitGroup {
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(1, uint64(worker)))
				for range (n + 7) / 8 {
					method, path, body := attacks(shares, r)
					w := httptest.NewRecorder()
					s.h.ServeHTTP(w, httptest.NewRequest(method, "/v1/sys/"+path, strings.NewReader(body)))
					sent.Add(1)
					if w.Code >= 400 {
						refused.Add(1)
					}
				}
			})
		}
		return &wg
	}

	honest := 0
	wg := crowd(n / 3)
	for i, share := range shares[:3] {
		out := s.unseal(share)
		expect(t, out, object{"sealed": i < 2})
		if i < 2 {
			expect(t, out, object{"progress": i + 1})
		}
		honest++
	}
	wg.Wait()

	wg = crowd(n / 3)
	nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2})["nonce"]
	var out object
	for _, share := range shares[2:] {
		out = s.must("PUT", "/v1/sys/rekey/update", "", object{"key": share, "nonce": nonce})
		honest++
	}
	fresh := stringsOf(out["keys"])
	vnonce := out["verification_nonce"]
	for _, share := range fresh[1:] {
		out = s.must("PUT", "/v1/sys/rekey/verify", "", object{"key": share, "nonce": vnonce})
		honest++
	}
	expect(t, out, object{"complete": true})
	wg.Wait()

	// A migration, begun on the unsealed server by a share and no token.
	s.toCloud("cloud")
	s.restart()
	s.unseal(fresh[:2]...)
	wg = crowd(n - n/3*2)
	for i, share := range fresh[1:] {
		expect(t, s.migrate("", share), object{"migration": i == 0})
		honest++
	}
	wg.Wait()

	runtime.GC()
	runtime.ReadMemStats(&after)
	grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	if grown > 4<<20 {
		t.Errorf("%d bytes were kept after %d hostile requests", grown, sent.Load())
	}
	s.restart()
	expect(t, s.unseal(fresh[:2]...), object{"sealed": false})
	testlevel.Counted(t, "GUARANTEE 23 operator: hostile=%d refused=%d honest_taken=%d_of_10 heap_grown=%d", sent.Load(), refused.Load(), honest, max(grown, 0))
}

// zeros is a body without end.
type zeros struct{ read int }

func (z *zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	if z.read == 0 {
		copy(p, `{"key":"`)
	}
	z.read += len(p)
	return len(p), nil
}

func TestHugeBodies(t *testing.T) {
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(shares[:2]...)
	s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2})
	// Every route that changes something; what needs no body reads none.
	largest, refused, unread := 0, 0, 0
	seen := map[string]bool{}
	for _, a := range attempts(shares[0], shares[0]) {
		if seen[a.method+a.path] || a.method == "PUT" && a.path == "seal" {
			continue // sealed, it would refuse the rest before it reads
		}
		seen[a.method+a.path] = true
		if testing.Short() && len(seen)%8 != 0 { // those that read one read megabytes
			continue
		}
		body := &zeros{}
		r := httptest.NewRequest(a.method, "/v1/sys/"+a.path, body)
		r.Header.Set("X-Vault-Token", token)
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		switch {
		case body.read == 0:
			unread++
		case w.Code == http.StatusRequestEntityTooLarge:
			refused++
		default:
			t.Errorf("%s %s: %d %s", a.method, a.path, w.Code, w.Body)
		}
		largest = max(largest, body.read)
		if body.read > 9<<20 {
			t.Errorf("%s %s read %d bytes", a.method, a.path, body.read)
		}
	}
	if refused < 16 && !testing.Short() || refused == 0 {
		t.Errorf("only %d routes read a body", refused)
	}
	testlevel.Counted(t, "GUARANTEE 27 operator: routes=%d endless_bodies_refused=%d unread=%d largest_read=%d", len(seen), refused, unread, largest)
}

// FuzzHandler sends anything anywhere: no panic, an answer that is JSON, and no
// code that a load balancer would mistake for health.
func FuzzHandler(f *testing.F) {
	for _, path := range []string{"unseal", "init", "rekey/init", "rekey/update", "rekey/verify", "rotate/config", "generate-root/attempt", "health?sealedcode=999", "leader", "../x", ""} {
		for _, body := range []string{`{"key":"00","nonce":"x","migrate":true}`, `{"secret_shares":300,"secret_threshold":-1}`, `null`, `[`, `{"reset":1}`, ""} {
			f.Add("PUT", path, body)
			f.Add("GET", path, body)
		}
	}
	s := newServer(f)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r := &http.Request{Method: method, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
		r.URL = httptest.NewRequest("GET", "/", nil).URL
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut("/v1/sys/"+path, "?")
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		if w.Code < 200 || w.Code > 599 {
			t.Fatalf("code %d", w.Code)
		}
		if w.Body.Len() > 1<<16 && !strings.Contains(path, "init") {
			t.Fatalf("an answer of %d bytes to a body of %d", w.Body.Len(), len(body))
		}
	})
}

// The shares leave in the one answer that hands them out, and nowhere else.
func TestNoSecretLeaves(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t)
	s.events = seal.LogEvents(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	s.restart()
	var answers bytes.Buffer
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.keys, s.plan = []string{"cloud"}, migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
	s.restart()
	secrets := append([]string{token}, shares...)
	send := func(method, path, token string, body any) object {
		_, out := s.do(method, path, token, body)
		fmt.Fprintln(&answers, out)
		return out
	}
	scan := func() (found int) {
		for _, secret := range secrets {
			for _, text := range []string{log.String(), answers.String()} {
				found += strings.Count(strings.ToLower(text), strings.ToLower(secret))
			}
		}
		return found
	}
	for _, share := range shares {
		send("PUT", "/v1/sys/unseal", "", object{"key": share[:88] + "q"})
		send("PUT", "/v1/sys/unseal", "", object{"key": share, "nonce": share, "migrate": true})
		send("PUT", "/v1/sys/unseal", "", `{"key":"`+share+`"`)
		send("PUT", "/v1/sys/unseal", "", `{"key":`+share+`}`)
		send("PUT", "/v1/sys/unseal", "", object{"key": share})
	}
	nonce := send("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2})["nonce"]
	send("PUT", "/v1/sys/rekey/update", "", object{"key": shares[0], "nonce": shares[1]})
	send("PUT", "/v1/sys/rekey/update", "", object{"key": shares[0], "nonce": nonce})
	_, out := s.do("PUT", "/v1/sys/rekey/update", "", object{"key": shares[1], "nonce": nonce})
	fresh := stringsOf(out["keys"])
	secrets = append(secrets, fresh...)
	send("PUT", "/v1/sys/rekey/verify", "", object{"key": fresh[0], "nonce": fresh[1]})
	send("GET", "/v1/sys/seal-status", token, nil)
	send("GET", "/v1/sys/key-status", token, nil)
	send("GET", "/v1/sys/rekey/init", token, nil)
	found := scan()
	if found != 0 {
		t.Errorf("%d secrets in events or answers", found)
	}
	messages := bytes.Count(log.Bytes(), []byte("\n")) + bytes.Count(answers.Bytes(), []byte("\n"))
	fmt.Fprintln(&answers, "planted: ", fresh[2])
	if scan() != found+1 {
		t.Error("the scan does not find a planted share")
	}
	t.Logf("GUARANTEE 20 operator: messages=%d secrets=%d found=%d", messages, len(secrets), found)
}

func TestHealth(t *testing.T) {
	s := newServer(t)
	health := func(query string, code int, initialized, sealed bool) {
		t.Helper()
		got, out := s.do("GET", "/v1/sys/health"+query, "", nil)
		if got != code {
			t.Errorf("health%s: %d, want %d", query, got, code)
		}
		expect(t, out, object{"initialized": initialized, "sealed": sealed, "standby": false})
	}
	health("", 501, false, true)
	health("?uninitcode=200", 200, false, true)
	shares, _ := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	health("", 503, true, true)
	health("?sealedcode=202&uninitcode=300", 202, true, true)
	if code, out := s.do("GET", "/v1/sys/health?sealedcode=204", "", nil); code != 204 || out != nil {
		t.Errorf("sealedcode=204: %d %v", code, out)
	}
	s.fails("GET", "/v1/sys/health?sealedcode=1", "", nil, 400, "200 to 599")
	s.unseal(shares[:2]...)
	health("", 200, true, false)
	health("?activecode=299&standbyok=true", 299, true, false)
	if code, _ := s.do("HEAD", "/v1/sys/health", "", nil); code != 200 {
		t.Errorf("HEAD: %d", code)
	}
}

// A store that cannot be reached is never an empty one.
func TestUnreachableStore(t *testing.T) {
	s := newServer(t)
	faulty := &storetest.Faulty{Inner: s.store}
	s.store = faulty
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(shares[:2]...)
	s.restart()
	faulty.Outage(errors.New("no route to 10.0.0.7"))
	out := s.must("GET", "/v1/sys/seal-status", "", nil)
	expect(t, out, object{"initialized": true, "sealed": true, "reason": "the store cannot be reached"})
	if text := fmt.Sprint(s.must("GET", "/v1/sys/seal-status", token, nil)["reason"]); !strings.Contains(text, "10.0.0.7") {
		t.Errorf("the reason for an operator: %s", text)
	}
	for _, token := range []string{"", token} {
		_, out := s.do("PUT", "/v1/sys/unseal", token, object{"key": shares[0]})
		if told := strings.Contains(fmt.Sprint(out), "10.0.0.7"); told != (token != "") {
			t.Errorf("with token %q the answer is %v", token, out)
		}
	}
	s.fails("GET", "/v1/sys/init", "", nil, 503, "the store cannot be reached")
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[0]}, 503, "the store cannot be reached")
	s.fails("PUT", "/v1/sys/unseal", "", object{"key": shares[0], "migrate": true}, 503)
	s.fails("PUT", "/v1/sys/init", "", object{"secret_shares": 3, "secret_threshold": 2}, 503)
	s.fails("GET", "/v1/sys/health", "", nil, 503)
	faulty.Outage(nil)
	expect(t, s.unseal(shares[:2]...), object{"sealed": false})
	faulty.Outage(errors.New("no route"))
	s.fails("PUT", "/v1/sys/rotate", token, nil, 503)
	expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"sealed": false})
}

func TestRouting(t *testing.T) {
	s := newServer(t)
	mux := http.NewServeMux()
	mux.Handle("/admin/", s.h)
	s.h = mux
	expect(t, s.must("GET", "/admin/v1/sys/leader", "", nil), object{"ha_enabled": false})
	s.fails("GET", "/admin/v1/sys/ha-status", "", nil, 404, "unsupported path")
	s.fails("GET", "/admin/v1/secret/data/x", "", nil, 404)
	s.fails("GET", "/admin/v1/sys/unseal", "", nil, 405)
	s.fails("PATCH", "/admin/v1/sys/init", "", nil, 405)
}

func TestConfig(t *testing.T) {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	for name, test := range map[string]struct {
		cfg   operator.Config
		words string
	}{
		"no barrier":   {operator.Config{Authorize: s.authorize}, "Barrier is nil"},
		"no authorize": {operator.Config{Barrier: b}, "Authorize is nil"},
		"two plans": {operator.Config{
			Barrier: b, Authorize: s.authorize, Slots: map[string]seal.Spec{},
			Plan: func(context.Context) (migrate.Plan, error) { return migrate.Plan{}, nil },
		}, "both Config.Plan and Config.Slots"},
		"no length": {operator.Config{Barrier: b, Authorize: s.authorize, MintRootToken: s.mint}, "TokenLength is 0"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := operator.New(test.cfg)
			if !errors.Is(err, seal.ErrConfig) || !strings.Contains(err.Error(), test.words) {
				t.Fatal(err)
			}
		})
	}
}

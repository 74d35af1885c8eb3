package operator_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/operator"
)

// TestAttackWordsOfTheKMS: whatever a KMS or the configuration says, and with
// whatever code it is answered, somebody without a token hears its class alone.
func TestAttackWordsOfTheKMS(t *testing.T) {
	const secret = "-----BEGIN PRIVATE KEY-----"
	told := 0
	check := func(what, text string) {
		t.Helper()
		for _, word := range []string{secret, "cloud", "fake", "10.0.0.7", `"k"`} {
			if strings.Contains(text, word) {
				told++
				t.Errorf("%s: a stranger is told %q: %s", what, word, text)
			}
		}
	}
	for _, f := range kmstest.Failures() {
		s := ofCloud(t)
		s.kms.Script(kmstest.Always(kmstest.Fault{Failure: f}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		body := func() *strings.Reader { return strings.NewReader(`{"recovery_shares":1,"recovery_threshold":1}`) }
		r := httptest.NewRequest("PUT", "/v1/sys/init", body())
		if f == kmstest.Hang {
			r = r.WithContext(ctx)
		}
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		if w.Code >= 400 {
			check("init, "+string(f), w.Body.String())
		}
	}
	// Of the plan, in whatever it is wrapped.
	for _, err := range []error{
		fmt.Errorf("%w: cloud: %s", seal.ErrConfig, secret),
		&kms.Error{Op: "wrap", Type: "cloud", KeyID: "k", Kind: kms.ErrMisconfigured, Err: errors.New(secret)},
		fmt.Errorf("%w: %w", seal.ErrNoSlot, &kms.Error{Op: "wrap", Type: "cloud", KeyID: "k", Kind: kms.ErrDenied, Err: errors.New(secret)}),
		fmt.Errorf("%w: %s", seal.ErrNoProof, secret),
	} {
		s := newServer(t)
		s.with(func(c *operator.Config) {
			c.Plan = func(context.Context) (migrate.Plan, error) { return migrate.Plan{}, err }
		})
		code, out := s.do("PUT", "/v1/sys/init", "", object{"secret_shares": 1, "secret_threshold": 1})
		if code < 400 {
			t.Errorf("%v: %d", err, code)
		}
		check("init", fmt.Sprint(out))
		_, out = s.do("GET", "/v1/sys/seal-status", "", nil)
		check("seal-status", fmt.Sprint(out))
		token, _ := s.mint(t.Context())
		if _, out := s.do("PUT", "/v1/sys/init", token, object{"secret_shares": 1, "secret_threshold": 1}); !strings.Contains(fmt.Sprint(out["errors"]), secret) && !strings.Contains(fmt.Sprint(out["errors"]), "cloud") {
			t.Errorf("with a token: %v", out)
		}
	}
	// A plan that names a KMS which is not configured: 400.
	s := newServer(t)
	s.plan = migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}
	s.restart()
	_, out := s.do("PUT", "/v1/sys/init", "", object{"recovery_shares": 1, "recovery_threshold": 1})
	check("init without that KMS", fmt.Sprint(out["errors"]))
}

// TestAttackPasswordInTheNonce: what everybody reads of a ceremony tells nothing
// of its one-time password.
func TestAttackPasswordInTheNonce(t *testing.T) {
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 1, "secret_threshold": 1})
	s.unseal(shares...)
	otp := strings.Repeat("weak", 7)[:26]
	digest := sha256.Sum256([]byte(otp))
	s.must("PUT", "/v1/sys/generate-root/attempt", token, object{"otp": otp})
	for _, path := range []string{"generate-root/attempt", "seal-status"} {
		if text := fmt.Sprint(s.must("GET", "/v1/sys/"+path, "", nil)); strings.Contains(text, hex.EncodeToString(digest[:4])) {
			t.Errorf("%s shows 32 bits of the password's digest: %s", path, text)
		}
	}
}

// TestAttackForeignShareWhileUnsealed: a share that is wrong, or opens nothing
// yet, is told so by a server that needs none.
func TestAttackForeignShareWhileUnsealed(t *testing.T) {
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 3, "secret_threshold": 2})
	s.unseal(shares[:2]...)
	nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 1, "secret_threshold": 1})["nonce"]
	s.must("PUT", "/v1/sys/rekey/update", "", object{"key": shares[0], "nonce": nonce})
	pending := stringsOf(s.must("PUT", "/v1/sys/rekey/update", "", object{"key": shares[1], "nonce": nonce})["keys"])[0]
	strange := strangers(t, s, shares, shares[0][:88])
	strange[pending] = "opens nothing yet"
	for _, path := range []string{"unseal", "unseal/check"} {
		for key, words := range strange {
			s.fails("PUT", "/v1/sys/"+path, "", object{"key": key}, 400, words)
		}
	}
	expect(t, s.unseal(shares[2]), object{"sealed": false})
	expect(t, s.must("PUT", "/v1/sys/unseal/check", "", object{"key": shares[2]}), object{"opens": true, "slot": "shamir", "set": 1.0, "number": 3.0, "sealed": false})
	// Sealed, it is compared with the stored record, and is not taken.
	s.must("PUT", "/v1/sys/seal", token, nil)
	expect(t, s.must("PUT", "/v1/sys/unseal/check", "", object{"key": shares[2]}), object{"opens": true, "sealed": true})
	expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"progress": 0})
}

// TestSharesOfAPendingSet: a script rekeys without verifying, throws the old
// shares away, and restarts. A share of the new set counts, or is refused with
// words; it is never taken for nothing with 200.
func TestSharesOfAPendingSet(t *testing.T) {
	for _, migrating := range []bool{false, true} {
		s := newServer(t)
		old, token := s.init(object{"secret_shares": 1, "secret_threshold": 1})
		s.unseal(old...)
		nonce := s.must("PUT", "/v1/sys/rekey/init", token, object{"secret_shares": 3, "secret_threshold": 2})["nonce"]
		fresh := stringsOf(s.must("PUT", "/v1/sys/rekey/update", "", object{"key": old[0], "nonce": nonce})["keys"])
		s.toCloud("cloud")
		s.restart()
		for i, share := range fresh[:2] {
			code, out := s.do("PUT", "/v1/sys/unseal", "", object{"key": share, "migrate": migrating})
			switch counted := out["sealed"] == false || fmt.Sprint(out["progress"]) == fmt.Sprint(i+1); {
			case code == 200 && !counted:
				t.Errorf("migrating %v: taken for nothing: %v", migrating, out)
			case code == 400 && !strings.Contains(fmt.Sprint(out["errors"]), "proven"):
				t.Errorf("migrating %v: refused with %v", migrating, out)
			case code != 200 && code != 400:
				t.Errorf("migrating %v: %d %v", migrating, code, out)
			}
		}
		if s.b.Sealed() != nil {
			t.Errorf("migrating %v: a quorum of the new shares is no verification", migrating)
		}
		s.restart()
		s.fails("PUT", "/v1/sys/unseal", "", object{"key": old[0]}, 400, "replaced")
		if !migrating {
			expect(t, s.unseal(fresh[1:]...), object{"sealed": false})
		}
	}
}

// TestAttackCancelOfTheOtherTarget: DELETE of one rekey leaves that of the other
// target alone, and what waits for its verification.
func TestAttackCancelOfTheOtherTarget(t *testing.T) {
	s := ofCloud(t)
	shares, token := s.init(object{"recovery_shares": 3, "recovery_threshold": 2})
	s.proves("shamir", shares[:2]...)
	shape := object{"secret_shares": 1, "secret_threshold": 1}
	const store, recovery = "/v1/sys/rekey/", "/v1/sys/rekey-recovery-key/"
	for mine, other := range map[string]string{store: recovery, recovery: store} {
		nonce := s.must("PUT", mine+"init", token, shape)["nonce"]
		s.must("DELETE", other+"init", token, nil)
		expect(t, s.must("GET", mine+"init", "", nil), object{"started": true, "nonce": nonce})
		expect(t, s.must("GET", other+"init", "", nil), object{"started": false})
		s.fails("PUT", other+"init", token, shape, 400, "rekey already in progress")
		s.fails("PUT", other+"update", "", object{"key": shares[0], "nonce": nonce}, 400, "other target")
		s.must("DELETE", mine+"init", token, nil)
		expect(t, s.must("GET", mine+"init", "", nil), object{"started": false})
	}
	// New recovery shares that nobody has verified yet.
	nonce := s.must("PUT", recovery+"init", token, shape)["nonce"]
	s.must("PUT", recovery+"update", "", object{"key": shares[0], "nonce": nonce})
	out := s.must("PUT", recovery+"update", "", object{"key": shares[1], "nonce": nonce})
	s.must("DELETE", store+"init", token, nil)
	s.fails("DELETE", store+"verify", token, nil, 400, "no rekey verification")
	s.fails("GET", store+"verify", "", nil, 400, "no rekey verification")
	expect(t, s.must("GET", recovery+"verify", "", nil), object{"nonce": out["verification_nonce"]})
	if err := s.b.Admin().Cancel(t.Context(), seal.By{Operation: seal.OperationID(out["verification_nonce"].(string))}); err != nil {
		t.Fatal(err)
	}
	s.must("DELETE", store+"init", token, nil)
	s.fails("PUT", store+"init", token, object{}, 400, "wait to be verified")
	again := s.must("DELETE", recovery+"verify", token, nil)["nonce"]
	expect(t, s.must("PUT", recovery+"verify", "", object{"key": stringsOf(out["keys"])[0], "nonce": again}), object{"complete": true})
}

// TestAttackCrossSite: a page of another site has a browser send what needs no
// token, as text/plain, which asks nobody first.
func TestAttackCrossSite(t *testing.T) {
	s := newServer(t)
	send := func(headers ...string) int {
		r := httptest.NewRequest("POST", "https://vault.example/v1/sys/init", strings.NewReader(`{"secret_shares":1,"secret_threshold":1}`))
		r.Header.Set("Content-Type", "text/plain")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		return w.Code
	}
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
	} {
		if code := send(headers...); code != http.StatusForbidden {
			t.Errorf("%v: %d", headers, code)
		}
	}
	expect(t, s.must("GET", "/v1/sys/init", "", nil), object{"initialized": false})
	if code := send("Sec-Fetch-Site", "same-origin", "Origin", "https://vault.example"); code != 200 {
		t.Errorf("a page of its own: %d", code)
	}
}

// TestAttackRebindingInit: a page of a stranger whose name was made to lead to this
// machine is of one origin with this server, and would make the store and read its shares.
// The tools send none of what browsers do; a host that knows whose page may says so.
func TestAttackRebindingInit(t *testing.T) {
	s := newServer(t)
	send := func(h http.Handler, headers ...string) (int, string) {
		r := httptest.NewRequest("PUT", "http://evil.example:8200/v1/sys/init", strings.NewReader(`{"secret_shares":1,"secret_threshold":1}`))
		r.RemoteAddr = "127.0.0.1:4711"
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	for _, headers := range [][]string{
		{"Origin", "http://evil.example:8200"},
		{"Origin", "https://evil.example:8200"},
		{"Sec-Fetch-Site", "same-origin"},
		{"Origin", "http://evil.example:8200", "X-Forwarded-For", "203.0.113.9"},
	} {
		if code, body := send(s.h, headers...); code != http.StatusForbidden || !strings.Contains(body, "AuthorizeInit") {
			t.Errorf("%v: %d %s", headers, code, body)
		}
	}
	expect(t, s.must("GET", "/v1/sys/init", "", nil), object{"initialized": false})
	var asked []operator.Action
	h, err := operator.New(operator.Config{Barrier: s.b, AuthorizeInit: true, Authorize: func(_ *http.Request, a operator.Action) error {
		asked = append(asked, a)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if code, body := send(h, "Origin", "http://evil.example:8200"); code != 200 || len(asked) == 0 || asked[0] != operator.Init {
		t.Errorf("let in by the host, which was asked %v: %d %s", asked, code, body)
	}
}

// TestAttackNamespace: what is meant for one namespace is not done to the whole
// server: bao operator seal -namespace=team.
func TestAttackNamespace(t *testing.T) {
	s := newServer(t)
	shares, token := s.init(object{"secret_shares": 1, "secret_threshold": 1})
	s.unseal(shares...)
	for namespace, code := range map[string]int{"team": 400, "team/": 400, "root/a": 400, "": 204, "/": 204, "root": 204, "root/": 204} {
		r := httptest.NewRequest("PUT", "/v1/sys/seal", nil)
		r.Header.Set("X-Vault-Token", token)
		r.Header.Set("X-Vault-Namespace", namespace)
		w := httptest.NewRecorder()
		s.h.ServeHTTP(w, r)
		if w.Code != code || s.b.Status().Sealed != (code == 204) || code == 400 && !strings.Contains(w.Body.String(), "namespaces are not supported") {
			t.Errorf("namespace %q: %d %s", namespace, w.Code, w.Body)
		}
		s.unseal(shares...)
	}
}

// TestAnswersAreNoEnvelopes: what bao read and bao write take for Vault's
// envelope, they show nothing of.
func TestAnswersAreNoEnvelopes(t *testing.T) {
	s := ofCloud(t)
	answers := map[string]object{}
	answers["init"] = s.must("PUT", "/v1/sys/init", "", object{"recovery_shares": 1, "recovery_threshold": 1})
	shares, token := stringsOf(answers["init"]["recovery_keys"]), answers["init"]["root_token"].(string)
	s.proves("shamir", shares...)
	answers["seal-status"] = s.must("GET", "/v1/sys/seal-status", token, nil)
	answers["reset"] = s.must("PUT", "/v1/sys/unseal", "", object{"reset": true})
	answers["check"] = s.must("PUT", "/v1/sys/unseal/check", "", object{"key": shares[0]})
	answers["rekey"] = s.must("PUT", "/v1/sys/rekey-recovery-key/init", token, object{"secret_shares": 1, "secret_threshold": 1})
	answers["update"] = s.must("PUT", "/v1/sys/rekey-recovery-key/update", "", object{"key": shares[0], "nonce": answers["rekey"]["nonce"]})
	answers["verify"] = s.must("GET", "/v1/sys/rekey-recovery-key/verify", "", nil)
	answers["leader"] = s.must("GET", "/v1/sys/leader", "", nil)
	for name, out := range answers {
		for _, field := range []string{"request_id", "lease_id", "lease_duration", "renewable", "data", "warnings", "auth", "wrap_info", "mount_type"} {
			if _, ok := out[field]; ok {
				t.Errorf("%s has a field %q: %v", name, field, out)
			}
		}
	}
	if answers["reset"]["notes"] == nil {
		t.Error("nothing is noted")
	}
}

// TestMigrationShowsItsProgress: on an unsealed server the tools print the same
// table after each share; what they print of it says whether the share counted.
func TestMigrationShowsItsProgress(t *testing.T) {
	s := newServer(t)
	shares, _ := s.init(object{"secret_shares": 5, "secret_threshold": 3})
	s.unseal(shares[:3]...)
	s.toCloud("cloud")
	s.restart()
	s.unseal(shares[:3]...)
	for i, share := range shares[:2] {
		expect(t, s.migrate("", share), object{"progress": i + 1, "storage_type": fmt.Sprintf("inmem; migration: %d of 3 shares given", i+1)})
	}
	expect(t, s.migrate("", shares[2]), object{"migration": false, "storage_type": "inmem"})
	expect(t, s.must("GET", "/v1/sys/seal-status", "", nil), object{"storage_type": "inmem"})
}

func TestDecodeToken(t *testing.T) {
	s := newServer(t)
	// As recorded: bao operator generate-root -decode.
	in := object{"encoded_token": "J20zHwN4GTk7ITwcWSALHQoLUR0PLDNjfBk", "otp": "TCTyi7WaqqNMmoytFe8w6UXWIt"}
	out := s.must("POST", "/v1/sys/decode-token", "", in)
	expect(t, out, object{"token": "s.gfjONXJPrQ4OriLnij9yk45m"})
	expect(t, out["data"].(object), object{"token": "s.gfjONXJPrQ4OriLnij9yk45m"})
	for words, in := range map[string]object{
		"missing":                 {},
		"not base64":              {"encoded_token": "%", "otp": "x"},
		"they do not belong":      {"encoded_token": base64.RawStdEncoding.EncodeToString([]byte("abc")), "otp": "x"},
		"missing encoded_token o": {"otp": "x"},
	} {
		s.fails("PUT", "/v1/sys/decode-token", "", in, 400, words)
	}
}

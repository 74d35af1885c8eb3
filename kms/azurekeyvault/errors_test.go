package azurekeyvault_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/azurekeyvault"
	"github.com/sealwright/sealwright/kms/azurekeyvault/azurekeyvaulttest"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// always lets every request to a vault end with an answer.
func always(s *azurekeyvaulttest.Server, status int, body string) {
	s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.Host, "login.") {
			return false
		}
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(status)
		_, _ = rw.Write([]byte(body)) // the client is there
		return true
	})
}

// akv is an error of Key Vault.
func akv(code, inner, message string) string {
	text, _ := json.Marshal(map[string]any{"error": map[string]any{"code": code, "message": message, "innererror": map[string]any{"code": inner}}})
	return string(text)
}

// TestAnswers is the table of Key Vault's answers, for each operation.
func TestAnswers(t *testing.T) {
	all := func(kind error) [3]error { return [3]error{kind, kind, kind} }
	table := []struct {
		status int
		body   string
		kinds  [3]error // of wrap, unwrap, probe
		words  []string
	}{
		{400, akv("BadParameter", "", "Invalid value."), [3]error{kms.ErrMisconfigured, kms.ErrCorrupt, kms.ErrMisconfigured}, []string{"400 BadParameter: Invalid value"}},
		{401, akv("Unauthorized", "", "AKV10032: Invalid issuer."), all(kms.ErrUnauthenticated), []string{"401 Unauthorized: AKV10032", "tenant"}},
		{403, akv("Forbidden", "KeyDisabled", "Operation is not allowed on a disabled key."), all(kms.ErrKeyDisabled), []string{"403 KeyDisabled", "disabled key: enable this version"}},
		{403, akv("Forbidden", "KeyExpired", "x"), all(kms.ErrKeyDisabled), []string{"expiry"}},
		{403, akv("Forbidden", "KeyNotYetValid", "x"), all(kms.ErrKeyDisabled), []string{"activation"}},
		{403, akv("Forbidden", "ForbiddenByRbac", "Caller is not authorized."), all(kms.ErrDenied), []string{"Microsoft.KeyVault/vaults/keys/", "Key Vault Crypto Service Encryption User"}},
		{403, akv("Forbidden", "ForbiddenByPolicy", "x"), all(kms.ErrDenied), []string{"key permission"}},
		{403, akv("Forbidden", "AccessDenied", "x"), all(kms.ErrDenied), []string{"key permission"}},
		{403, akv("Forbidden", "ForbiddenByFirewall", "x"), all(kms.ErrDenied), []string{"firewall"}},
		{403, akv("Forbidden", "ForbiddenByConnection", "x"), all(kms.ErrDenied), []string{"private endpoint"}},
		{403, akv("Forbidden", "KeyOperationForbidden", "x"), all(kms.ErrDenied), []string{"key_ops"}},
		{403, `{"error":{"code":"Forbidden","innererror":{"code":"AccessDenied","innererror":{"code":"KeyDisabled"}}}}`, all(kms.ErrKeyDisabled), []string{"403 KeyDisabled"}},
		{403, `{"error":{"code":"Forbidden","InnerError":{"Code":"KeyDisabled"}}}`, all(kms.ErrKeyDisabled), nil},
		{403, "<html>\r\n\x1b[31mblocked by policy</html>", all(kms.ErrDenied), []string{"403"}},
		{403, "", all(kms.ErrDenied), nil},
		{404, akv("KeyNotFound", "", "A key was not found."), all(kms.ErrKeyGone), []string{"404 KeyNotFound", "show-deleted"}},
		{408, "", all(kms.ErrUnavailable), nil},
		{409, akv("Conflict", "ObjectIsDeletedButRecoverable", "x"), all(kms.ErrKeyGone), []string{"recover"}},
		{409, akv("Conflict", "ObjectIsBeingDeleted", "x"), all(kms.ErrKeyGone), []string{"recover"}},
		{409, akv("Conflict", "", "being recovered"), all(kms.ErrUnavailable), []string{"409"}},
		{413, "", all(kms.ErrMisconfigured), []string{"413"}},
		{429, akv("Throttled", "", "Reason: VaultRequestTypeLimitReached"), all(kms.ErrThrottled), []string{"VaultRequestTypeLimitReached"}},
		{302, "", all(kms.ErrUnavailable), []string{"302"}},
		{500, "null", all(kms.ErrUnavailable), nil},
		{503, `{"error":null}`, all(kms.ErrUnavailable), nil},
		{599, `{"error":"text"}`, all(kms.ErrUnavailable), nil},
		{200, "", [3]error{kms.ErrWrongKey, kms.ErrWrongKey, kms.ErrWrongKey}, []string{`"" answered`}},
		{200, "no JSON", all(kms.ErrUnavailable), []string{"is not Key Vault's"}},
		{200, `{"kid":5}`, [3]error{kms.ErrUnavailable, kms.ErrUnavailable, kms.ErrWrongKey}, nil},
		{200, `{"kid":"https://sealwright.vault.azure.net/keys/a","value":"AA"}`, all(kms.ErrWrongKey), nil},
		{200, `{"kid":"https://sealwright.vault.azure.net/keys/a/../b","value":"AA"}`, all(kms.ErrWrongKey), nil},
		{200, `{"kid":"https://other.vault.azure.net/keys/a/0123456789abcdef0123456789abcdef","value":"AA"}`, all(kms.ErrWrongKey), nil},
		{200, `{"key":{"kid":"https://sealwright.vault.azure.net/keys/a/0123456789abcdef0123456789abcdef"}}`, all(kms.ErrWrongKey), nil},
	}
	// The last line is a key of no kind, for a probe.
	table[len(table)-1].kinds[2] = kms.ErrMisconfigured

	s := start(t)
	w, blob := wrapped(t, s.Config("a"))
	faults, wrong := 0, 0
	for i, c := range table {
		always(s, c.status, c.body)
		for j, op := range []func() error{
			func() error { _, err := w.Wrap(t.Context(), secretKey(), place); return err },
			func() error { _, err := w.Unwrap(t.Context(), blob, place); return err },
			func() error { _, err := w.Probe(t.Context()); return err },
		} {
			t.Run(fmt.Sprintf("%d/%d/%s", i, c.status, [...]string{"wrap", "unwrap", "probe"}[j]), func(t *testing.T) {
				err := op()
				refused(t, err, c.kinds[j], c.words...)
				if strings.ContainsRune(err.Error(), '\x1b') {
					t.Errorf("the error moves the cursor: %q", err)
				}
				if r, ok := errors.AsType[*azcore.ResponseError](err); ok != (c.status != 200) || ok && r.StatusCode != c.status {
					t.Errorf("the SDK's error is not in %v", err)
				}
				faults++
				if t.Failed() {
					wrong++
				}
			})
		}
	}
	t.Logf("GUARANTEE 24 azurekeyvault-errors: faults=%d wrong=%d", faults, wrong)
}

// TestPermissions checks that a message names the permission that is missing.
func TestPermissions(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		algorithm           azurekeyvault.Algorithm
		key                 azurekeyvaulttest.KeyOptions
		wrap, unwrap, probe string
	}{
		{azurekeyvault.RSAOAEP256, azurekeyvaulttest.KeyOptions{RSA: rsaKey()},
			"vaults/keys/wrap/action: role Key Vault Crypto Service Encryption User, or key permission wrapKey",
			"vaults/keys/unwrap/action: role Key Vault Crypto Service Encryption User, or key permission unwrapKey",
			"vaults/keys/read: role Key Vault Crypto Service Encryption User, or key permission get"},
		{azurekeyvault.RSAOAEP256, azurekeyvaulttest.KeyOptions{VaultURL: azurekeyvaulttest.HSMURL, RSA: rsaKey()},
			"managedHsm/keys/wrap/action", "managedHsm/keys/unwrap/action", "managedHsm/keys/read/action"},
		{azurekeyvault.A256KW, azurekeyvaulttest.KeyOptions{VaultURL: azurekeyvaulttest.HSMURL},
			"managedHsm/keys/wrap/action", "managedHsm/keys/unwrap/action", "managedHsm/keys/read/action"},
		{azurekeyvault.A256GCM, azurekeyvaulttest.KeyOptions{VaultURL: azurekeyvaulttest.HSMURL},
			"managedHsm/keys/encrypt/action", "managedHsm/keys/decrypt/action", "managedHsm/keys/read/action"},
	} {
		s.Create("a", c.key)
		cfg := s.Config("a")
		cfg.Algorithm = c.algorithm
		w, blob := wrapped(t, cfg)
		s.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Denied}))
		_, err := w.Wrap(t.Context(), secretKey(), place)
		refused(t, err, kms.ErrDenied, c.wrap)
		_, err = w.Unwrap(t.Context(), blob, place)
		refused(t, err, kms.ErrDenied, c.unwrap)
		_, err = w.Probe(t.Context())
		refused(t, err, kms.ErrDenied, c.probe)
		s.Script(nil)
	}
}

// TestDisabled checks what makes wrapping no proof: only unwrapping notices that
// a version is disabled, and only wrapping that it has expired.
func TestDisabled(t *testing.T) {
	s := start(t)
	w, blob := wrapped(t, s.Config("a"))
	s.Disable("a", "")
	if _, err := w.Wrap(t.Context(), secretKey(), place); err != nil {
		t.Errorf("wrap with a disabled key: %v", err)
	}
	_, err := w.Unwrap(t.Context(), blob, place)
	refused(t, err, kms.ErrKeyDisabled, "version "+blob.Version)
	if h, err := w.Probe(t.Context()); err != nil || h.Enabled || h.Version != blob.Version {
		t.Errorf("probe of a disabled key: %+v, %v", h, err)
	}

	s.Rotate("a") // the newest is enabled, and the blob's is not
	if h, err := w.Probe(t.Context()); err != nil || !h.Enabled || h.Version == blob.Version {
		t.Errorf("probe of a rotated key: %+v, %v", h, err)
	}
	_, err = w.Unwrap(t.Context(), blob, place)
	refused(t, err, kms.ErrKeyDisabled)
	s.Enable("a", blob.Version)
	opens(t, w, blob)

	s.Expire("a", "", time.Now().Add(-time.Minute))
	opens(t, w, blob)
	_, err = w.Wrap(t.Context(), secretKey(), place)
	refused(t, err, kms.ErrKeyDisabled, "KeyExpired")
}

func TestDeleted(t *testing.T) {
	s := start(t)
	w, blob := wrapped(t, s.Config("a"))
	purge := time.Now().Add(7 * 24 * time.Hour).Truncate(time.Second)
	s.ScheduleDeletion("a", purge)
	before := len(s.Requests())
	h, err := w.Probe(t.Context())
	if err != nil || h.Enabled || !h.Deletion.Equal(purge) || h.KeyID != blob.KeyID || h.Version != blob.Version {
		t.Errorf("probe of a deleted key: %+v, %v", h, err)
	}
	if n := len(s.Requests()) - before; n != 2 {
		t.Errorf("a probe of a deleted key made %d requests, want 2", n)
	}
	s.Script(func(c kmstest.Call) kmstest.Fault {
		if c.Op == kmstest.OpProbe && strings.HasPrefix(s.Requests()[len(s.Requests())-1].Path, "/deletedkeys/") {
			return kmstest.Fault{Failure: kmstest.ServerError}
		}
		return kmstest.Fault{}
	})
	_, err = w.Probe(t.Context())
	refused(t, err, kms.ErrUnavailable, "503")
	s.Script(func(c kmstest.Call) kmstest.Fault {
		if strings.HasPrefix(s.Requests()[len(s.Requests())-1].Path, "/deletedkeys/") {
			return kmstest.Fault{Failure: kmstest.WrongKeyID}
		}
		return kmstest.Fault{}
	})
	_, err = w.Probe(t.Context())
	refused(t, err, kms.ErrWrongKey, "another-a")
	s.Script(nil)
	s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/deletedkeys/") {
			return false
		}
		_, _ = rw.Write([]byte(`{"attributes":{"enabled":true}}`)) // the client is there
		return true
	})
	_, err = w.Probe(t.Context())
	refused(t, err, kms.ErrKeyGone)
	s.Intercept(nil)
	s.Recover("a")
	opens(t, w, blob)
	s.Destroy("a")
	_, err = w.Probe(t.Context())
	refused(t, err, kms.ErrKeyGone, "show-deleted")
}

// TestKind checks that a probe notices a key that can never work.
func TestKind(t *testing.T) {
	s := start(t)
	for name, c := range map[string]struct {
		key       azurekeyvaulttest.KeyOptions
		algorithm azurekeyvault.Algorithm
		words     string
	}{
		"AES for RSA":            {azurekeyvaulttest.KeyOptions{VaultURL: azurekeyvaulttest.HSMURL}, azurekeyvault.RSAOAEP256, "[RSA RSA-HSM]"},
		"RSA for AES":            {azurekeyvaulttest.KeyOptions{VaultURL: azurekeyvaulttest.HSMURL, RSA: rsaKey()}, azurekeyvault.A256KW, "[oct oct-HSM]"},
		"no unwrapKey":           {azurekeyvaulttest.KeyOptions{RSA: rsaKey(), Operations: []string{"wrapKey"}}, azurekeyvault.RSAOAEP256, "unwrapKey: add it to its key_ops"},
		"no wrapKey":             {azurekeyvaulttest.KeyOptions{RSA: rsaKey(), Operations: []string{"unwrapKey"}}, azurekeyvault.RSAOAEP256, "operation wrapKey"},
		"no encrypt for A256GCM": {azurekeyvaulttest.KeyOptions{VaultURL: azurekeyvaulttest.HSMURL, Operations: []string{"wrapKey", "unwrapKey"}}, azurekeyvault.A256GCM, "operation encrypt"},
	} {
		s.Create("a", c.key)
		cfg := s.Config("a")
		cfg.Algorithm = c.algorithm
		w := open(t, cfg)
		_, err := w.Probe(t.Context())
		refused(t, err, kms.ErrMisconfigured, c.words)
		if !strings.HasPrefix(name, "no unwrap") {
			if _, err = w.Wrap(t.Context(), secretKey(), place); !errors.Is(err, kms.ErrMisconfigured) && !errors.Is(err, kms.ErrDenied) {
				t.Errorf("%s: wrap: %v", name, err)
			}
		}
	}
}

// TestNetwork is the table of ways not to get an answer.
func TestNetwork(t *testing.T) {
	noSuchHost := &net.DNSError{Err: "no such host", Name: "sealwright.vault.azure.net", IsNotFound: true}
	for name, c := range map[string]struct {
		err  error
		word string
	}{
		"no name":        {noSuchHost, "lookup sealwright.vault.azure.net: no such host: is that name right"},
		"refused":        {&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}, syscall.ECONNREFUSED.Error()},
		"no route":       {&net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}, syscall.EHOSTUNREACH.Error()},
		"dial timed out": {&net.OpError{Op: "dial", Net: "tcp", Err: context.DeadlineExceeded}, "dial tcp"},
		"cut":            {io.ErrUnexpectedEOF, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			w, blob := wrapped(t, s.Config("a"))
			s.Client().CloseIdleConnections()
			s.Cut(c.err)
			_, err := w.Unwrap(t.Context(), blob, place)
			refused(t, err, kms.ErrUnavailable, "sealwright.vault.azure.net: ", c.word)
			if !errors.Is(err, c.err) {
				t.Errorf("the cause is not in %v", err)
			}
			if strings.Contains(err.Error(), "api-version") {
				t.Errorf("the error has a whole URL: %v", err)
			}
			s.Cut(nil)
			opens(t, w, blob)
		})
	}
	t.Run("TLS", func(t *testing.T) {
		s := start(t)
		cfg := s.Config("a")
		cfg.ClientOptions.Transport = &http.Client{Transport: &http.Transport{
			DialContext:     s.Client().Transport.(*http.Transport).DialContext,
			TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()},
		}}
		_, err := open(t, cfg).Wrap(t.Context(), secretKey(), place)
		refused(t, err, kms.ErrUnavailable, "certificate")
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
			t.Errorf("the cause is not in %v", err)
		}
	})
}

// TestDefaultTransport makes a request without a transport of the host. It
// trusts nobody whom the machine does not.
func TestDefaultTransport(t *testing.T) {
	reached := false
	stranger := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	defer stranger.Close()
	s := start(t)
	cfg := s.Config("a")
	cfg.VaultURL, cfg.Environment, cfg.ClientOptions.Transport = stranger.URL, "AzurePublicCloud", nil
	_, err := open(t, cfg).Wrap(t.Context(), secretKey(), place)
	refused(t, err, kms.ErrUnavailable, strings.TrimPrefix(stranger.URL, "https://"), "certificate")
	if reached {
		t.Error("a request went to somebody with any certificate")
	}
}

// TestLies checks answers that are no errors, and no truth.
func TestLies(t *testing.T) {
	s := start(t)
	version := "0123456789abcdef0123456789abcdef"
	answer := func(key, version, value, more string) string {
		return fmt.Sprintf(`{"kid":"https://sealwright.%s/%s","value":%q%s}`, key, version, value, more)
	}
	const rsaKey, aesKey = "vault.azure.net/keys/a", "managedhsm.azure.net/keys/h"
	b64 := func(n int) string { return strings.Repeat("AAAA", n/3) + []string{"", "AA", "AAA"}[n%3] }

	w, blob := wrapped(t, s.Config("a"))
	g, sealedByGCM := wrapped(t, s.HSMConfig("h"))
	kwConfig := s.HSMConfig("h")
	kwConfig.Algorithm = azurekeyvault.A256KW
	k, sealedByKW := wrapped(t, kwConfig)
	for name, c := range map[string]struct {
		body string
		call func() error
		kind error
	}{
		"unwrap: another version":   {answer(rsaKey, version, b64(32), ""), unwrapping(t, w, blob), kms.ErrWrongKey},
		"unwrap: nothing":           {answer(rsaKey, blob.Version, "", ""), unwrapping(t, w, blob), kms.ErrCorrupt},
		"unwrap: 33 bytes":          {answer(rsaKey, blob.Version, b64(33), ""), unwrapping(t, w, blob), kms.ErrCorrupt},
		"unwrap: 8 bytes":           {answer(rsaKey, blob.Version, b64(8), ""), unwrapping(t, w, blob), kms.ErrCorrupt},
		"unwrap: 136 bytes":         {answer(rsaKey, blob.Version, b64(136), ""), unwrapping(t, w, blob), kms.ErrCorrupt},
		"unwrap: 64 KiB":            {answer(rsaKey, blob.Version, b64(64<<10), ""), unwrapping(t, w, blob), kms.ErrCorrupt},
		"unwrap: no base64":         {answer(rsaKey, blob.Version, "!", ""), unwrapping(t, w, blob), kms.ErrUnavailable},
		"A256GCM unwrap: 40 bytes":  {answer(aesKey, sealedByGCM.Version, b64(40), ""), unwrapping(t, g, sealedByGCM), kms.ErrCorrupt},
		"A256KW unwrap: 40 bytes":   {answer(aesKey, sealedByKW.Version, b64(40), ""), unwrapping(t, k, sealedByKW), kms.ErrCorrupt},
		"wrap: nothing":             {answer(rsaKey, version, "", ""), wrapping(t, w), kms.ErrCorrupt},
		"wrap: 255 bytes":           {answer(rsaKey, version, b64(255), ""), wrapping(t, w), kms.ErrCorrupt},
		"wrap: the key in clear":    {answer(rsaKey, version, b64(32), ""), wrapping(t, w), kms.ErrCorrupt},
		"A256KW wrap: 48 bytes":     {answer(aesKey, version, b64(48), ""), wrapping(t, k), kms.ErrCorrupt},
		"A256GCM wrap: no tag":      {answer(aesKey, version, b64(32), `,"iv":"`+b64(12)+`"`), wrapping(t, g), kms.ErrCorrupt},
		"A256GCM wrap: long iv":     {answer(aesKey, version, b64(32), `,"iv":"`+b64(16)+`","tag":"`+b64(16)+`"`), wrapping(t, g), kms.ErrCorrupt},
		"A256GCM wrap: another key": {answer(aesKey, version, b64(40), `,"iv":"`+b64(12)+`","tag":"`+b64(16)+`"`), wrapping(t, g), kms.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			always(s, 200, c.body)
			refused(t, c.call(), c.kind)
		})
	}
}

func wrapping(t *testing.T, w *azurekeyvault.Wrapper) func() error {
	return func() error {
		blob, err := w.Wrap(t.Context(), secretKey(), place)
		if blob != nil {
			return fmt.Errorf("a blob %v", blob)
		}
		return err
	}
}

func unwrapping(t *testing.T, w *azurekeyvault.Wrapper, blob *kms.Blob) func() error {
	return func() error {
		key, err := w.Unwrap(t.Context(), blob, place)
		if key != nil {
			return fmt.Errorf("a key of %d bytes", len(key))
		}
		return err
	}
}

// TestBlobVersion checks that a blob without a proper version is refused before
// any call: Azure would take none for the newest.
func TestBlobVersion(t *testing.T) {
	s := start(t)
	w, blob := wrapped(t, s.Config("a"))
	right, before := blob.Version, len(s.Requests())
	for _, version := range []string{"", " ", "/", "..", "latest", right[1:], right + "0", "../" + right[3:], right[:31] + "/", strings.Repeat("g", 32)} {
		blob.Version = version
		_, err := w.Unwrap(t.Context(), blob, place)
		refused(t, err, kms.ErrCorrupt, "the blob names the version")
	}
	if n := len(s.Requests()) - before; n != 0 {
		t.Errorf("%d requests", n)
	}
}

// TestForgery makes a blob with the public key alone, which is why RSA-OAEP is
// no authentication, and checks that nobody who asked for one gets it.
func TestForgery(t *testing.T) {
	s := start(t)
	s.Create("a", azurekeyvaulttest.KeyOptions{VaultURL: azurekeyvaulttest.HSMURL, RSA: rsaKey()})
	cfg := s.Config("a")
	w, blob := wrapped(t, cfg)
	if w.Authenticates(blob) {
		t.Error("RSA-OAEP is said to authenticate")
	}
	// The forger reads the key, and may neither wrap nor unwrap.
	client, err := azkeys.NewClient(azurekeyvaulttest.HSMURL, realCredential(t, s), &azkeys.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: s.Client()}})
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := client.GetKey(t.Context(), "a", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(bundle.Key.N), E: int(new(big.Int).SetBytes(bundle.Key.E).Int64())}
	value, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, secretKey(), nil)
	if err != nil {
		t.Fatal(err)
	}
	forged := &kms.Blob{Type: azurekeyvault.Type, KeyID: blob.KeyID, Version: blob.Version, Ciphertext: slices.Concat([]byte{1}, value)}
	opens(t, w, forged)

	for _, algorithm := range []azurekeyvault.Algorithm{azurekeyvault.A256KW, azurekeyvault.A256GCM} {
		cfg.Algorithm = algorithm
		w := open(t, cfg)
		if w.Authenticates(forged) {
			t.Errorf("%s: what anybody could have made is said to be authentic", algorithm)
		}
		before := len(s.Requests())
		_, err := w.Unwrap(t.Context(), forged, place)
		refused(t, err, kms.ErrMisconfigured, "RSA-OAEP-256", string(algorithm))
		if n := len(s.Requests()) - before; n != 0 {
			t.Errorf("%d requests for a blob that anybody could have made", n)
		}
	}
}

// TestAuthenticatesTheBlob: a blob chooses its algorithm and its version, and
// brings its key's name; the Config's algorithm says nothing of it.
func TestAuthenticatesTheBlob(t *testing.T) {
	s := start(t)
	s.Create("a", azurekeyvaulttest.KeyOptions{VaultURL: azurekeyvaulttest.HSMURL})
	cfg := s.Config("a")
	cfg.Algorithm = azurekeyvault.A256KW
	strict, blob := wrapped(t, cfg)
	cfg.Algorithm = azurekeyvault.RSAOAEP256
	lax := open(t, cfg)
	with := func(change func(b *kms.Blob)) *kms.Blob {
		b := *blob
		b.Ciphertext = slices.Clone(b.Ciphertext)
		change(&b)
		return &b
	}
	older := strings.Repeat("0", 32)
	for name, c := range map[string]struct {
		blob *kms.Blob
		want bool
	}{
		"its own":           {blob, true},
		"an older version":  {with(func(b *kms.Blob) { b.Version = older }), true}, // of the same key
		"the other case":    {with(func(b *kms.Blob) { b.KeyID = strings.ToUpper(b.KeyID) }), true},
		"another key":       {with(func(b *kms.Blob) { b.KeyID += "2" }), false},
		"another vault":     {with(func(b *kms.Blob) { b.KeyID = strings.Replace(b.KeyID, "https://", "https://x", 1) }), false},
		"a version's path":  {with(func(b *kms.Blob) { b.Version = "../b/" + older }), false},
		"another type":      {with(func(b *kms.Blob) { b.Type = "awskms" }), false},
		"unknown algorithm": {with(func(b *kms.Blob) { b.Ciphertext[0] = 9 }), false},
		"RSA-OAEP":          {with(func(b *kms.Blob) { b.Ciphertext = append([]byte{1}, make([]byte, 256)...) }), false},
		"nothing":           {nil, false},
	} {
		for _, w := range []*azurekeyvault.Wrapper{strict, lax} {
			if w.Authenticates(c.blob) != c.want {
				t.Errorf("%s: Authenticates is %v", name, !c.want)
			}
		}
	}
}

// realCredential returns the application's, made by the SDK.
func realCredential(t testing.TB, s *azurekeyvaulttest.Server) azcore.TokenCredential {
	t.Helper()
	cfg := s.Config("a")
	secret, err := cfg.ClientSecret()
	if err != nil {
		t.Fatal(err)
	}
	c, err := azidentity.NewClientSecretCredential(cfg.TenantID, cfg.ClientID, secret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: azcore.ClientOptions{Transport: s.Client()}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

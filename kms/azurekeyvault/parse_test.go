package azurekeyvault

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/sealwright/sealwright/kms"
)

func TestSealedFormat(t *testing.T) {
	fill := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	for _, c := range []struct {
		in   sealed
		want string // how the bytes begin
		n    int
	}{
		{sealed{algorithm: RSAOAEP256, value: fill(9, 256)}, "010909", 257},
		{sealed{algorithm: RSAOAEP256, value: fill(9, 384)}, "010909", 385},
		{sealed{algorithm: RSAOAEP256, value: fill(9, 512)}, "010909", 513},
		{sealed{algorithm: A256KW, value: fill(9, 40)}, "020909", 41},
		{sealed{algorithm: A256GCM, iv: fill(7, 12), tag: fill(8, 16), value: fill(9, 32)},
			"03" + strings.Repeat("07", 12) + strings.Repeat("08", 16) + "09", 61},
	} {
		b := c.in.marshal()
		if len(b) != c.n || !strings.HasPrefix(hex.EncodeToString(b), c.want) {
			t.Errorf("%s: %x, want %d bytes that begin with %s", c.in.algorithm, b, c.n, c.want)
		}
		out, err := parseSealed(b)
		if err != nil || out.algorithm != c.in.algorithm || !bytes.Equal(out.iv, c.in.iv) || !bytes.Equal(out.tag, c.in.tag) || !bytes.Equal(out.value, c.in.value) {
			t.Errorf("%s: %+v, %v", c.in.algorithm, out, err)
		}
	}
	for name, c := range map[string]struct {
		in   []byte
		word string
	}{
		"empty":                {nil, "no ciphertext"},
		"algorithm 0":          {fill(0, 257), "unknown algorithm 0"},
		"algorithm 4":          {fill(4, 257), "unknown algorithm 4"},
		"RSA of 255 bytes":     {fill(1, 256), "no result of 255 bytes"},
		"RSA of 257 bytes":     {fill(1, 258), "no result of 257 bytes"},
		"RSA of 128 bytes":     {fill(1, 129), "no result of 128 bytes"},
		"A256KW of 16 bytes":   {fill(2, 17), "no result of 16 bytes"},
		"A256KW of 33 bytes":   {fill(2, 34), "no result of 33 bytes"},
		"A256KW of 144 bytes":  {fill(2, 145), "no result of 144 bytes"},
		"A256GCM of 27 bytes":  {fill(3, 28), "with an iv of 0"},
		"A256GCM of nothing":   {fill(3, 29), "no result of 0 bytes"},
		"A256GCM of 8 bytes":   {fill(3, 37), "no result of 8 bytes"},
		"A256GCM of 136 bytes": {fill(3, 29+136), "no result of 136 bytes"},
	} {
		if _, err := parseSealed(c.in); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v, want %q", name, err, c.word)
		}
	}
}

func FuzzParseSealed(f *testing.F) {
	for _, n := range []int{0, 1, 17, 29, 41, 61, 257, 385, 513} {
		for b := range byte(5) {
			f.Add(bytes.Repeat([]byte{b}, n))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseSealed(b)
		if err != nil {
			return
		}
		if !bytes.Equal(s.marshal(), b) {
			t.Errorf("%x reads as %+v, which is written as %x", b, s, s.marshal())
		}
		if !slices.ContainsFunc([]int{16, 24, 32, 64, kms.MaxKeySize}, s.holds) && s.algorithm == RSAOAEP256 {
			t.Errorf("%x can hold no key", b)
		}
		for n := range 200 {
			if s.holds(n) && !validKey(n) {
				t.Errorf("%x is said to hold a key of %d bytes", b, n)
			}
		}
	})
}

const testKeyID = "https://prod.vault.azure.net/keys/key"

func TestVersionOf(t *testing.T) {
	const v = "0123456789abcdef0123456789ABCDEF"
	for kid, want := range map[string]string{
		testKeyID + "/" + v:                              v,
		"https://PROD.vault.azure.net/keys/KEY/" + v:     v,
		"https://prod.vault.azure.net:443/keys/key/" + v: v,
		"":                               "",
		testKeyID:                        "",
		testKeyID + "/":                  "",
		testKeyID + "2/" + v:             "",
		testKeyID + "/" + v + "0":        "",
		testKeyID + "/" + v + "/":        "",
		testKeyID + "/" + v[1:]:          "",
		testKeyID + "/" + v[1:] + "/":    "",
		testKeyID + "/" + v[1:] + "g":    "",
		"http" + testKeyID[5:] + "/" + v: "",
		"https://prod.vault.azure.cn/keys/key/" + v:     "",
		"https://prod.vault.azure.net/secrets/key/" + v: "",
	} {
		got, err := versionOf(kid, testKeyID)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("versionOf(%q) = %q, %v, want %q", kid, got, err, want)
		}
	}
}

func FuzzVersionOf(f *testing.F) {
	f.Add(testKeyID + "/0123456789abcdef0123456789abcdef")
	f.Add(testKeyID + "/../other/0123456789abcdef0123456789abc")
	f.Add("https://prod.vault.azure.net:443/keys/key/0123456789abcdef0123456789abcdef")
	f.Add("\u212aey")
	f.Fuzz(func(t *testing.T, kid string) {
		v, err := versionOf(kid, testKeyID)
		if err != nil {
			if v != "" || len(err.Error()) > 2000 {
				t.Errorf("%q: %q, %v", kid, v, err)
			}
			return
		}
		if len(v) != 32 || strings.ContainsAny(v, "/.%?#") || !strings.HasSuffix(kid, v) {
			t.Errorf("%q has the version %q", kid, v)
		}
	})
}

func FuzzParseError(f *testing.F) {
	for _, body := range []string{
		"", "null", "{}", "[]", `{"error":null}`, `{"error":"text"}`, `{"error":{"code":5}}`,
		`{"error":{"code":"Forbidden","message":"No.","innererror":{"code":"KeyDisabled"}}}`,
		`{"error":{"innererror":{"innererror":{"innererror":null}}}}`,
		`{"error":{"message":"a\u0000b\u001b[31m\r\n\u202ec"}}`, strings.Repeat(`{"error":{"innererror":`, 3000),
	} {
		f.Add(body, "30", "Sun, 01 Nov 2026 10:00:00 GMT")
	}
	f.Add("{}", "Sun, 01 Nov 2026 10:00:40 GMT", "Sun, 01 Nov 2026 10:00:00 GMT")
	f.Add("{}", "-1", "")
	f.Add("{}", "99999999999999999999", "x")
	f.Fuzz(func(t *testing.T, body, after, date string) {
		resp := &http.Response{Header: http.Header{"Retry-After": {after}, "Date": {date}}, Body: io.NopCloser(strings.NewReader(body))}
		code, message := parseError(resp)
		for _, s := range []string{line(code), message, line(body)} {
			if strings.ContainsAny(s, "\r\n\x00\x1b\u202e") || len([]rune(s)) > 301 {
				t.Errorf("%q is not one short line", s)
			}
		}
		if d := retryAfter(resp); d < 0 || d > maxRetryAfter {
			t.Errorf("Retry-After %q of %q is %v", after, date, d)
		}
	})
}

// TestNoResponse checks an error of the SDK that a host's policy made, without
// the answer.
func TestNoResponse(t *testing.T) {
	f := new(Wrapper).answered("unwrap", new(exchange), &azcore.ResponseError{StatusCode: 403, ErrorCode: "KeyDisabled"})
	if f.kind != kms.ErrKeyDisabled || f.after != 0 || !strings.HasPrefix(f.text, "403 KeyDisabled") {
		t.Errorf("%+v", f)
	}
}

// TestNoRedirect checks that the default transport goes where it was sent, and
// no further.
func TestNoRedirect(t *testing.T) {
	reached := 0
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer s.Close()
	client := Config{}.transport()
	tr := client.Transport.(*http.Transport)
	defer tr.CloseIdleConnections()
	tr.TLSClientConfig.RootCAs = x509.NewCertPool()
	tr.TLSClientConfig.RootCAs.AddCert(s.Certificate())
	resp, err := client.Post(s.URL, "application/json", strings.NewReader("a key"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect || reached != 1 {
		t.Errorf("%s after %d requests", resp.Status, reached)
	}
	if tr.Proxy != nil || (Config{AllowEnvironment: true}).transport().Transport.(*http.Transport).Proxy == nil {
		t.Error("a proxy of the environment is used without, or not with, AllowEnvironment")
	}
}

func TestPanicked(t *testing.T) {
	for want, v := range map[string]any{"a string": "token", "EOF": io.EOF} {
		if got := (&panicked{v}).Error(); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

package azurekeyvault_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
)

// canaries are secrets to look for, in the forms in which they could show.
type canaries map[string]string

func (c canaries) add(name string, secret []byte) {
	c[name] = string(secret)
	c[name+" in hex"] = hex.EncodeToString(secret)
	c[name+" in base64"] = base64.RawStdEncoding.EncodeToString(secret)
	c[name+" in base64url"] = base64.RawURLEncoding.EncodeToString(secret)
	c[name+" in decimal"] = strings.Trim(fmt.Sprint(secret), "[]")
}

// in returns the name of a canary in text, or "".
func (c canaries) in(text string) string {
	lower := strings.ToLower(text)
	for name, s := range c {
		if strings.Contains(text, s) || strings.Contains(lower, strings.ToLower(s)) {
			return name
		}
	}
	return ""
}

// prints returns v in every way that a program may print or encode it.
func prints(v any) []string {
	var out []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out = append(out, fmt.Sprintf(verb, v), fmt.Sprintf(verb, struct{ v any }{v}), fmt.Sprintf(verb, []any{v}))
	}
	var b bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("print", "v", v)
	}
	_ = gob.NewEncoder(&b).Encode(v) // what it refuses it does not show
	text, _ := json.Marshal(v)
	more, _ := xml.Marshal(v)
	return append(out, b.String(), string(text), string(more))
}

// TestSilence looks for credentials, tokens and keys in all that is printed.
func TestSilence(t *testing.T) {
	s := start(t)
	secret := "canary~client.secret"
	s.SetSecret(secret)
	cfg := s.Config("a")
	cfg.ClientOptions.Logging.IncludeBody = true
	var logged strings.Builder
	azlog.SetListener(func(e azlog.Event, text string) { fmt.Fprintln(&logged, e, text) })
	defer azlog.SetListener(nil)

	watch := canaries{}
	watch.add("the client secret", []byte(secret))
	watch.add("the key", secretKey())
	if watch.in("x"+hex.EncodeToString(secretKey())) == "" || watch.in(fmt.Sprint(secretKey())) == "" || watch.in("client_secret=canary~client.secret&") == "" {
		t.Fatal("a planted secret is not seen")
	}

	w, blob := wrapped(t, cfg)
	opens(t, w, blob)
	tokens := 0
	for _, r := range s.Requests() {
		if _, token, ok := strings.Cut(r.Header.Get("Authorization"), "Bearer "); ok {
			watch.add("a token", []byte(token))
			tokens++
		}
	}
	if tokens == 0 || logged.Len() == 0 {
		t.Fatalf("%d tokens seen, and %d bytes logged", tokens, logged.Len())
	}

	texts := append(append(prints(cfg), prints(&cfg)...), prints(w)...)
	errs := 0
	for _, f := range kmstest.Failures() {
		if f == kmstest.Hang {
			continue
		}
		s.Script(kmstest.Always(kmstest.Fault{Failure: f}))
		_, err1 := w.Wrap(t.Context(), secretKey(), place)
		_, err2 := w.Unwrap(t.Context(), blob, place)
		_, err3 := w.Probe(t.Context())
		for _, err := range []error{err1, err2, err3} {
			if err != nil {
				errs++
				texts = append(texts, chain(t, err)...)
			}
		}
		s.Script(nil)
	}
	// A vault, or somebody before it, that gives back all that it was sent.
	s.Intercept(func(rw http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.Host, "login.") {
			return false
		}
		body, _ := io.ReadAll(r.Body)
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = rw.Write(body) // the client is there
		return true
	})
	_, err := open(t, cfg).Wrap(t.Context(), secretKey(), place)
	refused(t, err, kms.ErrUnauthenticated)
	texts = append(texts, err.Error())

	texts = append(texts, logged.String())
	leaks := 0
	for _, text := range texts {
		if name := watch.in(text); name != "" {
			leaks++
			t.Errorf("%s is in %.300q", name, text)
		}
	}
	t.Logf("GUARANTEE 20 azurekeyvault-silence: texts=%d errors=%d leaks=%d", len(texts), errs, leaks)
}

// chain returns an error, and all that it wraps, in print.
func chain(t *testing.T, err error) []string {
	var texts []string
	for e := err; e != nil; e = cause(e) {
		texts = append(texts, e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e))
	}
	if r, ok := errors.AsType[*azcore.ResponseError](err); ok {
		if r.RawResponse.Request.Body != nil {
			t.Error("the SDK's error keeps the body of the request")
		}
		texts = append(texts, fmt.Sprintf("%+v", r.RawResponse), fmt.Sprintf("%+v", r.RawResponse.Request), fmt.Sprintf("%#v", *r.RawResponse.Request))
	}
	return texts
}

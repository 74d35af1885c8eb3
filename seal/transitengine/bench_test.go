package transitengine_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A discarder is a connection to a client that does not look.
type discarder struct{ head http.Header }

func (d *discarder) Header() http.Header         { return d.head }
func (d *discarder) Write(b []byte) (int, error) { return len(b), nil }
func (d *discarder) WriteHeader(int)             {}

// BenchmarkEncrypt is what an encrypt takes beside its way over HTTP, which
// internal/interop/ratios measures.
func BenchmarkEncrypt(b *testing.B) {
	s := newServer(b)
	s.want(200, "POST", "keys/k", nil)
	for name, size := range map[string]int{"64B": 64, "1KiB": 1 << 10} {
		b.Run(name, func(b *testing.B) {
			body := []byte(`{"plaintext":"` + b64(string(make([]byte, size))) + `"}`)
			r := httptest.NewRequest("POST", "/v1/transit/encrypt/k", nil)
			r.Header.Set("X-Vault-Token", token)
			r.ContentLength = int64(len(body))
			w := &discarder{http.Header{}}
			reader := bytes.NewReader(body)
			r.Body = io.NopCloser(reader)
			b.ReportAllocs()
			for b.Loop() {
				s.asked = s.asked[:0]
				reader.Reset(body)
				clear(w.head)
				s.h.ServeHTTP(w, r)
			}
		})
	}
}

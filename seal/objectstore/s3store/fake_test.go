package s3store_test

import (
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// fake is S3 as far as a store talks to it: one bucket, its conditions real.
// internal/storestest has servers of others.
type fake struct {
	mu      sync.Mutex
	objects map[string][]byte // by path
	blind   bool              // it ignores conditions
	denied  bool
	fail    map[string]int // answers 500 to so many requests of a method, after what they ask took place
	asked   map[string]int
}

// newClient returns a client of a fake that has a bucket named "bucket".
func newClient(t testing.TB) (*s3.Client, *fake) {
	f := &fake{objects: map[string][]byte{}, fail: map[string]int{}, asked: map[string]int{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return s3.New(s3.Options{
		BaseEndpoint: &server.URL, UsePathStyle: true, Region: "us-east-1",
		Credentials: aws.AnonymousCredentials{}, HTTPClient: server.Client(),
	}), f
}

func etag(content []byte) string { return fmt.Sprintf(`"%x"`, sha256.Sum256(content)) }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked[r.Method]++
	status, code, body := f.answer(w.Header(), r, content)
	if f.fail[r.Method] > 0 {
		f.fail[r.Method]--
		status, code = http.StatusInternalServerError, "InternalError"
	}
	w.WriteHeader(status)
	if code == "" {
		w.Write(body)
		return
	}
	xml.NewEncoder(w).Encode(struct {
		XMLName xml.Name `xml:"Error"`
		Code    string
	}{Code: code})
}

func (f *fake) answer(h http.Header, r *http.Request, content []byte) (status int, code string, body []byte) {
	key := r.URL.Path
	present, ok := f.objects[key]
	switch {
	case f.denied:
		return http.StatusForbidden, "AccessDenied", nil
	case len(key) < len("/bucket/") || key[:len("/bucket/")] != "/bucket/":
		return http.StatusNotFound, "NoSuchBucket", nil
	case r.Method == http.MethodGet && !ok:
		return http.StatusNotFound, "NoSuchKey", nil
	case r.Method == http.MethodGet:
		h.Set("ETag", etag(present))
		return http.StatusOK, "", present
	case r.Method == http.MethodDelete:
		delete(f.objects, key)
		return http.StatusNoContent, "", nil
	case f.blind:
	case r.Header.Get("If-Match") != "" && !ok:
		return http.StatusNotFound, "NoSuchKey", nil
	case r.Header.Get("If-Match") != "" && r.Header.Get("If-Match") != etag(present),
		r.Header.Get("If-None-Match") == "*" && ok:
		return http.StatusPreconditionFailed, "PreconditionFailed", nil
	}
	f.objects[key] = content
	h.Set("ETag", etag(content))
	return http.StatusOK, "", nil
}

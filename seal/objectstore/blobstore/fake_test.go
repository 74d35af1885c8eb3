package blobstore_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
)

// fake is Blob Storage as far as a store talks to it: one container, its conditions
// real. internal/storestest has Azurite.
type fake struct {
	mu      sync.Mutex
	objects map[string]object // by path
	writes  int
	blind   bool // it ignores conditions
	denied  bool
	leased  bool
	fail    map[string]int // answers 500 to so many requests of a method, after what they ask took place
	asked   map[string]int
}

type object struct {
	content []byte
	etag    string
}

// newClient returns a client of a container of a fake, which has one named "bucket".
func newClient(t testing.TB, name string) (*container.Client, *fake) {
	f := &fake{objects: map[string]object{}, fail: map[string]int{}, asked: map[string]int{}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client, err := container.NewClientWithNoCredential(server.URL+"/"+name, &container.ClientOptions{
		ClientOptions: azcore.ClientOptions{Transport: server.Client()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, f
}

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
		status, code, body = http.StatusInternalServerError, "InternalError", nil
	}
	if code != "" {
		w.Header().Set("x-ms-error-code", code)
	}
	w.WriteHeader(status)
	w.Write(body)
}

func (f *fake) answer(h http.Header, r *http.Request, content []byte) (status int, code string, body []byte) {
	key := r.URL.Path
	present, ok := f.objects[key]
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case f.denied:
		return http.StatusForbidden, "AuthorizationPermissionMismatch", nil
	case !strings.HasPrefix(key, "/bucket/"):
		return http.StatusNotFound, "ContainerNotFound", nil
	case r.Method != http.MethodPut && !ok:
		return http.StatusNotFound, "BlobNotFound", nil
	case r.Method == http.MethodGet:
		h.Set("ETag", present.etag)
		return http.StatusOK, "", present.content
	case r.Method == http.MethodDelete:
		delete(f.objects, key)
		return http.StatusAccepted, "", nil
	case f.leased:
		return http.StatusPreconditionFailed, "LeaseIdMissing", nil
	case f.blind:
	case none == "*" && ok:
		return http.StatusConflict, "BlobAlreadyExists", nil
	case match != "" && match != present.etag:
		return http.StatusPreconditionFailed, "ConditionNotMet", nil
	}
	f.writes++
	present = object{content: content, etag: fmt.Sprintf(`"0x8D%013X"`, f.writes)}
	f.objects[key] = present
	h.Set("ETag", present.etag)
	return http.StatusCreated, "", nil
}

package kubestore_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// fake is an API server as far as Secrets go: an update at the resourceVersion "" or
// "0" goes through whatever is there, one that changes nothing keeps it, and any other
// has to be the present one. internal/storestest has the real one.
type fake struct {
	*httptest.Server

	mu      sync.Mutex
	version int
	secrets map[string]map[string]any
	answer  func(w http.ResponseWriter, r *http.Request) bool // in place of this one
}

func newFake(t testing.TB) *fake {
	f := &fake{version: 100, secrets: map[string]map[string]any{}}
	f.Server = httptest.NewTLSServer(f)
	t.Cleanup(f.Close)
	return f
}

func say(w http.ResponseWriter, code int, reason, kind, name string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
		"message": fmt.Sprintf("%s %q: %s", kind, name, reason),
		"details": map[string]string{"kind": kind, "name": name},
	})
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answer != nil && f.answer(w, r) {
		return
	}
	namespace, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/secrets")
	name = strings.TrimPrefix(name, "/")
	var sent map[string]any
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			say(w, 400, "BadRequest", "secrets", name)
			return
		}
	}
	if r.Method == http.MethodPost {
		name = sent["metadata"].(map[string]any)["name"].(string)
	}
	key := namespace + "/" + name
	present := f.secrets[key]
	switch {
	case namespace == "nowhere" && r.Method == http.MethodPost:
		say(w, 404, "NotFound", "namespaces", namespace)
	case r.Method == http.MethodPost && present != nil:
		say(w, 409, "AlreadyExists", "secrets", name)
	case r.Method != http.MethodPost && present == nil:
		say(w, 404, "NotFound", "secrets", name)
	case r.Method == http.MethodPut && !f.current(present, sent):
		say(w, 409, "Conflict", "secrets", name)
	default:
		if r.Method != http.MethodGet {
			present = f.store(key, present, sent)
		}
		json.NewEncoder(w).Encode(present)
	}
}

func (f *fake) current(present, sent map[string]any) bool {
	version, _ := sent["metadata"].(map[string]any)["resourceVersion"].(string)
	return version == "" || version == "0" || version == present["metadata"].(map[string]any)["resourceVersion"]
}

func (f *fake) store(key string, present, sent map[string]any) map[string]any {
	if present != nil && reflect.DeepEqual(present["data"], sent["data"]) {
		return present
	}
	f.version++
	sent["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(f.version)
	f.secrets[key] = sent
	return sent
}

// put stores a Secret as another program does.
func (f *fake) put(t testing.TB, key, object string) {
	t.Helper()
	var secret map[string]any
	if err := json.Unmarshal([]byte(object), &secret); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secrets[key] = secret
}

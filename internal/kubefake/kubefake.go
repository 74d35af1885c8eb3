// Package kubefake is an API server of Kubernetes as far as Secrets go, for tests: its
// optimistic locking is real. internal/storestest has the real server.
package kubefake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Secrets answers requests for Secrets: an update at the resourceVersion "" or "0"
// goes through whatever is there, one that changes nothing keeps it, and any other has
// to be the present one. There is no namespace "nowhere". Nobody needs a token.
type Secrets struct {
	// Answer, if set, is asked first, and reports whether it has answered. Set it before
	// the first request.
	Answer func(w http.ResponseWriter, r *http.Request) bool

	mu      sync.Mutex
	version int
	secrets map[string]map[string]any
	changed chan struct{} // closed by the next change
}

// New returns a server without Secrets.
func New() *Secrets {
	f := &Secrets{}
	f.Restore()
	return f
}

// Restore takes all Secrets away, and begins with the resourceVersions anew, as after
// a restore of etcd.
func (f *Secrets) Restore() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version, f.secrets = 100, map[string]map[string]any{}
	f.tell()
}

// tell wakes who watches; f.mu is held.
func (f *Secrets) tell() {
	if f.changed != nil {
		close(f.changed)
	}
	f.changed = make(chan struct{})
}

// Put stores a Secret, by namespace/name, as another program does.
func (f *Secrets) Put(key, object string) error {
	var secret map[string]any
	if err := json.Unmarshal([]byte(object), &secret); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.secrets[key] = secret
	f.tell()
	return nil
}

// Secret returns a Secret as it is stored, or nil. It is not to be changed.
func (f *Secrets) Secret(key string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.secrets[key]
}

// Say answers with a Status, as an API server does where it refuses.
func Say(w http.ResponseWriter, code int, reason, kind, name string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]any{
		"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
		"message": fmt.Sprintf("%s %q: %s", kind, name, reason),
		"details": map[string]string{"kind": kind, "name": name},
	})
}

func (f *Secrets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Answer != nil && f.Answer(w, r) {
		return
	}
	if r.URL.Query().Get("watch") != "" {
		f.watch(w, r)
		return
	}
	namespace, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/secrets")
	name = strings.TrimPrefix(name, "/")
	var sent map[string]any
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			Say(w, 400, "BadRequest", "secrets", name)
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
		Say(w, 404, "NotFound", "namespaces", namespace)
	case r.Method == http.MethodPost && present != nil:
		Say(w, 409, "AlreadyExists", "secrets", name)
	case r.Method != http.MethodPost && present == nil:
		Say(w, 404, "NotFound", "secrets", name)
	case r.Method == http.MethodPut && !f.current(present, sent):
		Say(w, 409, "Conflict", "secrets", name)
	default:
		if r.Method != http.MethodGet {
			present = f.store(key, present, sent)
		}
		json.NewEncoder(w).Encode(present)
	}
}

func (f *Secrets) current(present, sent map[string]any) bool {
	version, _ := sent["metadata"].(map[string]any)["resourceVersion"].(string)
	return version == "" || version == "0" || version == present["metadata"].(map[string]any)["resourceVersion"]
}

func (f *Secrets) store(key string, present, sent map[string]any) map[string]any {
	if present != nil && reflect.DeepEqual(present["data"], sent["data"]) {
		return present
	}
	f.version++
	sent["metadata"].(map[string]any)["resourceVersion"] = strconv.Itoa(f.version)
	f.secrets[key] = sent
	f.tell()
	return sent
}

// watch tells of a Secret and of its changes, of several in a row as one, until the
// client leaves or has the seconds it asked for; f.mu is held.
func (f *Secrets) watch(w http.ResponseWriter, r *http.Request) {
	namespace := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/secrets")
	name, one := strings.CutPrefix(r.URL.Query().Get("fieldSelector"), "metadata.name=")
	seconds, err := strconv.Atoi(r.URL.Query().Get("timeoutSeconds"))
	if !one || err != nil {
		Say(w, 403, "Forbidden", "secrets", "")
		return
	}
	end := time.After(time.Duration(seconds) * time.Second)
	var last map[string]any
	for {
		present := f.secrets[namespace+"/"+name]
		event := map[string]any{"type": "MODIFIED", "object": present}
		switch {
		case present == nil && last != nil:
			event = map[string]any{"type": "DELETED", "object": last}
		case last == nil:
			event["type"] = "ADDED"
		}
		if present != nil && !reflect.DeepEqual(present, last) || present == nil && last != nil {
			json.NewEncoder(w).Encode(event)
		}
		http.NewResponseController(w).Flush()
		last = present
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-end:
		case <-r.Context().Done():
		}
		f.mu.Lock()
		if changed == f.changed {
			return
		}
	}
}

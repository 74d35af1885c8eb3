package gcsstore_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cloud.google.com/go/storage"
	"google.golang.org/api/option"
)

// fake is Cloud Storage as far as a store talks to it: one bucket, its generations
// and their preconditions real.
type fake struct {
	mu         sync.Mutex
	objects    map[string]object
	generation int64
	blind      bool // it ignores conditions
	denied     bool
	fail       int // answers 503 to so many uploads, after what they ask took place
	uploads    int
	cached     string // the Cache-Control of the last upload
}

type object struct {
	content    []byte
	generation int64
}

// newClient returns a client of a fake that has a bucket named "bucket".
func newClient(t testing.TB) (*storage.Client, *fake) {
	f := &fake{objects: map[string]object{}, generation: 1700000000000000}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	client, err := storage.NewClient(t.Context(), option.WithEndpoint(server.URL+"/storage/v1/"), option.WithHTTPClient(server.Client()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client, f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := r.URL.Path
	of := func(prefix string) (name string, ok bool) { return strings.CutPrefix(path, prefix) }
	if f.denied {
		http.Error(w, "no right", http.StatusForbidden)
		return
	}
	if _, ok := of("/upload/storage/v1/b/bucket/o"); ok {
		f.upload(w, r)
	} else if name, ok := of("/storage/v1/b/bucket/o/"); ok && r.Method == http.MethodDelete {
		delete(f.objects, name)
		w.WriteHeader(http.StatusNoContent)
	} else if _, ok := of("/storage/v1/b/bucket/o"); ok {
		f.list(w, r.URL.Query().Get("prefix"))
	} else if name, ok := of("/bucket/"); ok && f.objects[name].content != nil {
		w.Header().Set("X-Goog-Generation", strconv.FormatInt(f.objects[name].generation, 10))
		w.Write(f.objects[name].content)
	} else {
		http.NotFound(w, r)
	}
}

func (f *fake) list(w http.ResponseWriter, prefix string) {
	items := []map[string]string{}
	for name := range f.objects {
		if strings.HasPrefix(name, prefix) {
			items = append(items, map[string]string{"name": name})
		}
	}
	answer(w, map[string]any{"items": items})
}

func (f *fake) upload(w http.ResponseWriter, r *http.Request) {
	f.uploads++
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || r.URL.Query().Get("uploadType") != "multipart" {
		http.Error(w, "no upload in one request", http.StatusBadRequest)
		return
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	var attrs struct{ Name, CacheControl string }
	var content []byte
	for i := range 2 {
		part, err := parts.NextPart()
		if err != nil {
			return
		}
		if i == 0 {
			json.NewDecoder(part).Decode(&attrs)
		} else if content, err = io.ReadAll(part); err != nil {
			return
		}
	}
	unless := r.URL.Query().Get("ifGenerationMatch")
	if unless != strconv.FormatInt(f.objects[attrs.Name].generation, 10) && !f.blind {
		http.Error(w, "conditionNotMet", http.StatusPreconditionFailed)
		return
	}
	f.generation++
	f.objects[attrs.Name], f.cached = object{content, f.generation}, attrs.CacheControl
	if f.fail > 0 {
		f.fail--
		http.Error(w, "backendError", http.StatusServiceUnavailable)
		return
	}
	answer(w, map[string]any{"name": attrs.Name, "bucket": "bucket", "generation": strconv.FormatInt(f.generation, 10), "crc32c": sum(content)})
}

// sum is what the client compares.
func sum(content []byte) string {
	crc := crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc))
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

package kubestore_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/kubefake"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/kubestore"
	"github.com/sealwright/sealwright/seal/storetest"
)

func open(t testing.TB, f *fake, namespace string) *kubestore.Store {
	t.Helper()
	s, err := kubestore.New(kubestore.Config{
		Name: "seal", Namespace: namespace, Server: f.URL, Client: f.Client(), PollInterval: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	for name, object := range map[string]string{
		"no Secret":       "",
		"an empty Secret": `{"kind": "Secret", "metadata": {"name": "seal", "resourceVersion": "7"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if object != "" && testing.Short() {
				t.Skip("-short: the suite, once more")
			}
			storetest.Config{MaxRecordSize: kubestore.MaxRecordSize}.Run(t, func(t *testing.T) seal.Store {
				f := newFake(t)
				if object != "" {
					f.put(t, "ns/seal", object)
				}
				return storetest.Turns(open(t, f, "ns"), open(t, f, "ns"))
			})
		})
	}
}

func TestUnreachable(t *testing.T) {
	storetest.RunUnreachable(t, func(t *testing.T) seal.Store {
		f := newFake(t)
		f.Close()
		return open(t, f, "ns")
	})
}

func TestLostAnswers(t *testing.T) {
	f := newFake(t)
	wire := storetest.NewWire(t, "tcp", f.Listener.Addr().String())
	storetest.RunLostAnswers(t, func(t *testing.T) (seal.Store, func(int)) {
		client := f.Client()
		f.Restore()
		s, err := kubestore.New(kubestore.Config{Name: "seal", Namespace: "ns", Server: "https://" + wire.Addr(), Client: client})
		if err != nil {
			t.Fatal(err)
		}
		return s, wire.Lose
	})
}

// Something between sends what got no answer a second time: the second answer is a
// conflict with the first.
func TestAnUpdateThatWasSentTwiceIsNoConflict(t *testing.T) {
	f := newFake(t)
	client := f.Client()
	client.Transport = twice{client.Transport}
	s, err := kubestore.New(kubestore.Config{Name: "seal", Namespace: "ns", Server: f.URL, Client: client})
	if err != nil {
		t.Fatal(err)
	}
	rev := ""
	for _, rec := range []string{"one", "two"} { // by a POST, and by a PUT
		if rev, err = s.Swap(t.Context(), []byte(rec), rev); err != nil {
			t.Fatalf("Swap of %q: %v", rec, err)
		}
		if got, at, err := s.Load(t.Context()); err != nil || string(got) != rec || at != rev {
			t.Errorf("Load = %q at %q, %v; want %q at %q", got, at, err, rec, rev)
		}
	}
}

type twice struct{ http.RoundTripper }

func (t twice) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		first := r.Clone(r.Context())
		first.Body, _ = r.GetBody()
		answer, err := t.RoundTripper.RoundTrip(first)
		if err != nil {
			return nil, err
		}
		answer.Body.Close()
	}
	return t.RoundTripper.RoundTrip(r)
}

// An API server was restored, and gives a resourceVersion a second time.
func TestAReplicaFromBeforeARestoreDoesNotWin(t *testing.T) {
	f := newFake(t)
	s := open(t, f, "ns")
	away, err := s.Swap(t.Context(), []byte("before"), "")
	if err != nil {
		t.Fatal(err)
	}
	f.Restore()
	if _, err := s.Swap(t.Context(), []byte("after"), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), []byte("stale"), away); !errors.Is(err, seal.ErrConflict) {
		t.Errorf("Swap at a revision from before the restore: %v, want seal.ErrConflict", err)
	}
}

// What others keep in the Secret, and said of it, stays.
func TestTheRestOfTheSecretStays(t *testing.T) {
	f := newFake(t)
	f.put(t, "ns/seal", `{"kind": "Secret", "type": "Opaque", "metadata": {"name": "seal", "resourceVersion": "7", "labels": {"app": "payments"}}, "data": {"other": "b3RoZXI="}}`)
	s := open(t, f, "ns")
	if _, err := s.Swap(t.Context(), []byte("record"), ""); err != nil {
		t.Fatal(err)
	}
	now := f.Secret("ns/seal")
	data := now["data"].(map[string]any)
	labels := now["metadata"].(map[string]any)["labels"].(map[string]any)
	if data["other"] != "b3RoZXI=" || data["record"] != "cmVjb3Jk" || labels["app"] != "payments" || now["type"] != "Opaque" {
		t.Errorf("the Secret is %v", now)
	}
}

func TestSecretsThatTakeNone(t *testing.T) {
	big := strings.Repeat("AAAA", 300_000)
	for object, want := range map[string]error{
		`{"kind": "Secret", "metadata": {"resourceVersion": "7"}, "immutable": true}`:                                      kubestore.ErrFixed,
		`{"kind": "Secret", "metadata": {"resourceVersion": "7", "deletionTimestamp": "2026-11-30T00:00:00Z"}}`:            kubestore.ErrFixed,
		`{"kind": "Secret", "metadata": {"resourceVersion": "7"}, "data": {"other": "` + big + `"}}`:                       seal.ErrTooLarge,
		`{"kind": "Secret", "metadata": {"resourceVersion": "7"}, "data": {"record": "cmVjb3Jk"}}`:                         kubestore.ErrForeign,
		`{"kind": "Secret", "metadata": {"resourceVersion": "7"}, "data": {"record": "cmVjb3Jk", "revision": "bm9uZQ=="}}`: kubestore.ErrForeign,
		`{"kind": "Secret", "metadata": {"resourceVersion": "0"}}`:                                                         nil,
		`{"kind": "Secret", "metadata": {}}`:                                                                               nil,
		`{"kind": "Secret", "metadata": {"resourceVersion": "abc"}}`:                                                       nil,
		`{"kind": "ConfigMap", "metadata": {"resourceVersion": "7"}}`:                                                      nil,
	} {
		f := newFake(t)
		f.put(t, "ns/seal", object)
		size := 1000
		if want == seal.ErrTooLarge {
			size = 200_000
		}
		rev, err := open(t, f, "ns").Swap(t.Context(), make([]byte, size), "")
		if err == nil || errors.Is(err, seal.ErrConflict) || want != nil && !errors.Is(err, want) {
			t.Errorf("Swap into %.100s = %q, %v; want %v", object, rev, err, want)
		}
		if len(f.Secret("ns/seal")["metadata"].(map[string]any)) == 0 {
			continue
		}
		if data, _ := f.Secret("ns/seal")["data"].(map[string]any); len(data) == 2 && data["revision"] != "bm9uZQ==" {
			t.Errorf("Swap into %.100s stored %v", object, data)
		}
	}
}

// What is not a record is not told as a store that is away, which would come back by
// itself.
func TestAForeignSecretIsNoStoreThatIsAway(t *testing.T) {
	f := newFake(t)
	f.put(t, "ns/seal", `{"kind": "Secret", "metadata": {"resourceVersion": "7"}, "data": {"record": "cmVjb3Jk"}}`)
	b, err := seal.Open(seal.Config{Store: open(t, f, "ns")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.Unseal(t.Context())
	if why := b.Status().Reason; !errors.Is(why, seal.ErrCorrupt) || errors.Is(why, seal.ErrStoreUnavailable) || !strings.Contains(why.Error(), "something else") {
		t.Errorf("the server is sealed because %v, want seal.ErrCorrupt", why)
	}
}

// Every answer that is not the word that the Secret is not there is another error.
func TestAnswersThatAreNone(t *testing.T) {
	answers := map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"a proxy's 404": func(w http.ResponseWriter, r *http.Request) bool { http.NotFound(w, r); return true },
		"another's 404": func(w http.ResponseWriter, r *http.Request) bool {
			kubefake.Say(w, 404, "NotFound", "pods", "x")
			return true
		},
		"forbidden": func(w http.ResponseWriter, r *http.Request) bool {
			kubefake.Say(w, 403, "Forbidden", "secrets", "seal")
			return true
		},
		"busy": func(w http.ResponseWriter, r *http.Request) bool {
			kubefake.Say(w, 429, "TooManyRequests", "", "")
			return true
		},
		"no etcd": func(w http.ResponseWriter, r *http.Request) bool {
			kubefake.Say(w, 500, "InternalError", "", "")
			return true
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return true
		},
		"an empty 200":   func(w http.ResponseWriter, r *http.Request) bool { return true },
		"a page of HTML": func(w http.ResponseWriter, r *http.Request) bool { w.Write([]byte("<html>")); return true },
	}
	for name, answer := range answers {
		f := newFake(t)
		f.Answer = answer
		s := open(t, f, "ns")
		if _, _, err := s.Load(t.Context()); err == nil || errors.Is(err, seal.ErrNotFound) {
			t.Errorf("%s: Load: %v", name, err)
		}
		if _, err := s.Swap(t.Context(), []byte("one"), ""); err == nil || errors.Is(err, seal.ErrConflict) || errors.Is(err, seal.ErrNotFound) {
			t.Errorf("%s: Swap: %v", name, err)
		}
	}
	if _, err := open(t, newFake(t), "nowhere").Swap(t.Context(), []byte("one"), ""); err == nil || errors.Is(err, seal.ErrNotFound) || !strings.Contains(err.Error(), "namespace does not exist") {
		t.Errorf("Swap in a namespace that does not exist: %v", err)
	}
}

func TestConfig(t *testing.T) {
	for _, cfg := range []kubestore.Config{
		{},
		{Name: "seal"}, // this is no pod
		{Name: "Seal", Namespace: "ns", Server: "https://127.0.0.1", Client: http.DefaultClient},
		{Name: "../x", Namespace: "ns", Server: "https://127.0.0.1", Client: http.DefaultClient},
		{Name: "seal", Namespace: "ns", Client: http.DefaultClient},
		{Name: "seal", Namespace: "ns", Server: "http://10.0.0.1", Client: http.DefaultClient},
		{Name: "seal", Namespace: "ns", Server: "https://user:word@10.0.0.1", Client: http.DefaultClient},
		{Name: "seal", Namespace: "ns", Server: "https://127.0.0.1", Client: http.DefaultClient, PollInterval: -1},
	} {
		if _, err := kubestore.New(cfg); !errors.Is(err, seal.ErrConfig) || strings.Contains(err.Error(), "word") {
			t.Errorf("New(%+v): %v, want seal.ErrConfig", cfg, err)
		}
	}
}

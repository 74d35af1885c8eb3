//go:build unix

// Package kube runs seal/kubestore on a real kube-apiserver, where the user's cache
// has one and etcd is installed.
package kube_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/internal/etcdtest"
	"github.com/sealwright/sealwright/internal/sqltest/linear"
	"github.com/sealwright/sealwright/internal/storestest/kube/kubeserver"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/kubestore"
	"github.com/sealwright/sealwright/seal/storetest"
)

var shared = sync.OnceValues(func() (*kubeserver.Server, error) { return kubeserver.Start() })

func TestMain(m *testing.M) {
	code := m.Run()
	if s, err := shared(); err == nil {
		s.Close()
	}
	os.Exit(code)
}

func server(t testing.TB) *kubeserver.Server {
	t.Helper()
	s, err := shared()
	if errors.Is(err, kubeserver.ErrNoServer) || errors.Is(err, etcdtest.ErrNoServer) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var names atomic.Int64

func newName() string { return fmt.Sprintf("seal-%d", names.Add(1)) }

func open(t testing.TB, s *kubeserver.Server, user, namespace, name string) *kubestore.Store {
	t.Helper()
	store, err := kubestore.New(kubestore.Config{
		Name: name, Namespace: namespace, Server: s.URL, Client: s.Client(user), PollInterval: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func do(t testing.TB, s *kubeserver.Server, method, path, body string, want int) {
	t.Helper()
	if code, answer, err := s.Do(t.Context(), method, path, body); err != nil || code != want {
		t.Fatalf("%s %s = %d %s, %v; want %d", method, path, code, answer, err, want)
	}
}

func TestConformance(t *testing.T) {
	s := server(t)
	storetest.Config{MaxRecordSize: kubestore.MaxRecordSize}.Run(t, func(t *testing.T) seal.Store {
		name := newName()
		return storetest.Turns(open(t, s, kubeserver.Admin, "default", name), open(t, s, kubeserver.Admin, "default", name))
	})
}

// The pod has the rights that the package's documentation asks for, and no more.
func TestRights(t *testing.T) {
	s := server(t)
	const rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/"
	do(t, s, "POST", "/api/v1/namespaces/default/secrets", `{"metadata": {"name": "payments-seal"}}`, 201)
	do(t, s, "POST", rbac+"roles", `{"metadata": {"name": "payments-seal"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["payments-seal"], "verbs": ["get", "update", "watch"]}]}`, 201)
	do(t, s, "POST", rbac+"rolebindings", `{"metadata": {"name": "payments-seal"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "payments-seal"}, "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "pod"}]}`, 201)
	store, err := kubestore.New(kubestore.Config{
		Name: "payments-seal", Namespace: "default", Server: s.URL, Client: s.Client(kubeserver.Pod), PollInterval: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	changed, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- store.Watch(ctx, changed) }()
	<-changed // it begins by sending once
	<-changed // and is told what there is
	if _, _, err := store.Load(t.Context()); !errors.Is(err, seal.ErrNotFound) {
		t.Fatalf("Load of an empty Secret: %v", err)
	}
	rev, err := store.Swap(t.Context(), []byte("one"), "")
	if err != nil {
		t.Fatal(err)
	}
	<-changed // by the API server: the store itself asks once an hour
	if rev, err = store.Swap(t.Context(), []byte("two"), rev); err != nil {
		t.Fatal(err)
	}
	<-changed
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v", err)
	}
	if rec, at, err := store.Load(t.Context()); err != nil || string(rec) != "two" || at != rev {
		t.Errorf("Load = %q at %q, %v", rec, at, err)
	}
	other := open(t, s, kubeserver.Pod, "default", newName())
	if _, _, err := other.Load(t.Context()); err == nil || errors.Is(err, seal.ErrNotFound) {
		t.Errorf("Load without a right: %v", err)
	}
	if _, err := other.Swap(t.Context(), []byte("one"), ""); err == nil || errors.Is(err, seal.ErrConflict) {
		t.Errorf("Swap without a right: %v", err)
	}
}

func TestWhatTakesNoRecord(t *testing.T) {
	s := server(t)
	do(t, s, "POST", "/api/v1/namespaces/default/secrets", `{"metadata": {"name": "fixed"}, "immutable": true}`, 201)
	if _, err := open(t, s, kubeserver.Admin, "default", "fixed").Swap(t.Context(), []byte("one"), ""); !errors.Is(err, kubestore.ErrFixed) {
		t.Errorf("Swap into an immutable Secret: %v", err)
	}
	do(t, s, "POST", "/api/v1/namespaces/default/secrets", `{"metadata": {"name": "going", "finalizers": ["test.invalid/hold"]}}`, 201)
	do(t, s, "DELETE", "/api/v1/namespaces/default/secrets/going", "", 200)
	if _, err := open(t, s, kubeserver.Admin, "default", "going").Swap(t.Context(), []byte("one"), ""); !errors.Is(err, kubestore.ErrFixed) {
		t.Errorf("Swap into a Secret that is being deleted: %v", err)
	}
	if _, err := open(t, s, kubeserver.Admin, "nowhere", "seal").Swap(t.Context(), []byte("one"), ""); err == nil || errors.Is(err, seal.ErrNotFound) || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("Swap in a namespace that is not there: %v", err)
	}
	do(t, s, "POST", "/api/v1/namespaces", `{"metadata": {"name": "ending"}}`, 201)
	do(t, s, "DELETE", "/api/v1/namespaces/ending", "", 200)
	if _, err := open(t, s, kubeserver.Admin, "ending", "seal").Swap(t.Context(), []byte("one"), ""); !errors.Is(err, kubestore.ErrFixed) {
		t.Errorf("Swap in a namespace that is being deleted: %v", err)
	}
}

func TestStaleWriter(t *testing.T) {
	s := server(t)
	proof := linear.Prove(t, linear.Histories(12), func() (stores []seal.Store) {
		name := newName()
		for range linear.Writers {
			stores = append(stores, open(t, s, kubeserver.Admin, "default", name))
		}
		return stores
	})
	if !t.Failed() {
		t.Log(proof.Figures("kube-apiserver"))
	}
}

// The API server is killed while a writer goes on.
func TestKilled(t *testing.T) {
	s := server(t)
	store := open(t, s, kubeserver.Admin, "default", newName())
	told := make(chan int)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(told)
		rev, err := "", error(nil)
		for n := 1; err == nil; n++ {
			if rev, err = store.Swap(ctx, []byte(strings.Repeat("x", n)), rev); err == nil {
				told <- n
			}
		}
	}()
	last := 0
	for range 20 {
		last = <-told
	}
	s.Crash()
	cancel()
	for n := range told {
		last = n
	}
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	rec, _, err := store.Load(t.Context())
	if err != nil || len(rec) < last || len(rec) > last+1 {
		t.Fatalf("%d Swaps had returned, and the record is number %d, %v", last, len(rec), err)
	}
	t.Logf("GUARANTEE 4 durable-kube: kills=1 swaps=%d lost=0", last)
}

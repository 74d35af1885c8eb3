package etcdstore_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/etcdstore"
	"github.com/sealwright/sealwright/seal/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Config{MaxRecordSize: etcdstore.MaxRecordSize}.Run(t, func(t *testing.T) seal.Store {
		client, _ := newClient(t)
		s, err := etcdstore.New(client, etcdstore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

// What stands under the key is for ever: a value that was put once is read, and what
// is put looks like it.
func TestFormat(t *testing.T) {
	client, f := newClient(t)
	s, err := etcdstore.New(client, etcdstore.Config{Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	f.put("key", "00112233445566778899aabbccddeeff\nrecord\n\x00")
	rec, rev, err := s.Load(t.Context())
	if want := "2-00112233445566778899aabbccddeeff"; string(rec) != "record\n\x00" || rev != want || err != nil {
		t.Fatalf("Load = %q at %q, %v; want it at %q", rec, rev, err, want)
	}
	if _, err := s.Swap(t.Context(), []byte("the next"), rev); err != nil {
		t.Fatal(err)
	}
	if value := f.values["key"].Value; !regexp.MustCompile("^[0-9a-f]{32}\nthe next$").Match(value) {
		t.Errorf("the value is %q", value)
	}
}

func TestAForeignValue(t *testing.T) {
	for _, value := range []string{"", "\n", "a record of another program", strings.Repeat("g", 32) + "\n", strings.Repeat("a", 32)} {
		client, f := newClient(t)
		s, err := etcdstore.New(client, etcdstore.Config{Key: "key"})
		if err != nil {
			t.Fatal(err)
		}
		f.put("key", value)
		if rec, rev, err := s.Load(t.Context()); !errors.Is(err, etcdstore.ErrForeign) || !errors.Is(err, seal.ErrCorrupt) {
			t.Errorf("Load over %q = %q at %q, %v; want ErrForeign", value, rec, rev, err)
		}
		if _, err := s.Swap(t.Context(), []byte("ours"), ""); !errors.Is(err, seal.ErrConflict) {
			t.Errorf("Swap over %q: %v, want seal.ErrConflict", value, err)
		}
	}
}

// etcdctl prints a value with a line feed behind it, and puts that back with it.
func TestAValueThatEtcdctlPutBackIsTheRecord(t *testing.T) {
	client, f := newClient(t)
	s, err := etcdstore.New(client, etcdstore.Config{Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	b := openOn(t, s)
	if _, err := b.Init(t.Context(), map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	want, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.put("key", string(f.values["key"].Value)+"\n")
	rec, rev, err := s.Load(t.Context())
	if err != nil || string(rec) != string(want) {
		t.Fatalf("Load = %q, %v; want %q", rec, err, want)
	}
	if _, err := openOn(t, s).Admin().Inspect(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.Swap(t.Context(), rec, rev); err != nil {
		t.Errorf("Swap at its revision: %v", err)
	}
}

// What is not a record is not told as a store that is away, which would come back by
// itself.
func TestAForeignValueIsNoStoreThatIsAway(t *testing.T) {
	client, f := newClient(t)
	s, err := etcdstore.New(client, etcdstore.Config{Key: "key"})
	if err != nil {
		t.Fatal(err)
	}
	f.put("key", "a record of another program")
	b := openOn(t, s)
	b.Unseal(t.Context())
	if why := b.Status().Reason; !errors.Is(why, seal.ErrCorrupt) || errors.Is(why, seal.ErrStoreUnavailable) || !strings.Contains(why.Error(), "something else") {
		t.Errorf("the server is sealed because %v, want seal.ErrCorrupt", why)
	}
}

func openOn(t *testing.T, s seal.Store) *seal.Barrier {
	t.Helper()
	b, err := seal.Open(seal.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// A watch that outlived the restore of a snapshot tells of nothing; it is begun anew.
func TestAWatchThatWentDeafIsBegunAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, f := newClient(t)
		s, err := etcdstore.New(client, etcdstore.Config{Key: "key"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		changed, ended := make(chan struct{}, 1), make(chan error, 1)
		go func() { ended <- s.Watch(ctx, changed) }()
		<-changed
		synctest.Wait()
		f.mu.Lock()
		for watch := range f.watches {
			f.watches[watch] = "deaf"
		}
		f.put("key", "unheard")
		f.mu.Unlock()
		began := time.Now()
		<-changed
		if after := time.Since(began); after > time.Minute {
			t.Errorf("the change was told after %s", after)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch returned %v, want context.Canceled", err)
		}
	})
}

func TestConfig(t *testing.T) {
	if _, err := etcdstore.New(nil, etcdstore.Config{}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("New without a client: %v, want seal.ErrConfig", err)
	}
}

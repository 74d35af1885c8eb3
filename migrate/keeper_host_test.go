package migrate_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A drain is metrics that take what they are told out of the map.
type drain struct{ items atomic.Int64 }

func (*drain) Keeper(string, time.Time, time.Time, error) {}

func (d *drain) Items(_ string, counts map[string]int64) {
	for term, n := range counts {
		d.items.Add(n)
		delete(counts, term)
	}
}

func (*drain) Rewrap(string) func(map[string]int64) { return func(map[string]int64) {} }

// What metrics do with the map that they get is their own affair: by it the Keeper knew
// which terms something is under, and it retired one whose items were not rewrapped.
func TestKeeperCountsForItself(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b, d := unsealed(t), &drain{}
		src := filled(t, b.Keyring(), 3)
		src.onReplace = func(string) error { return fmt.Errorf("read-only") }
		k, err := migrate.NewKeeper(b, migrate.KeeperConfig{
			Sources: []migrate.KeeperSource{{Name: "a", Source: src}}, KeepOld: migrate.AtOnce, Metrics: d,
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Rotate(t.Context(), seal.By{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx) }()
		time.Sleep(time.Hour)
		if items := k.Status().Sources[0].Items; items["1"] != 3 || d.items.Load() == 0 {
			t.Errorf("items %v, and the metrics had %d", items, d.items.Load())
		}
		if n := len(b.Keyring().Terms()); n != 2 {
			t.Errorf("%d terms, and the items are under the first", n)
		}
		for _, it := range src.all() {
			if term, err := keyring.TermOf(it.Ciphertext); err != nil || term != 1 {
				t.Errorf("item %s: term %d, %v", it.ID, term, err)
			}
		}
		cancel()
		<-ended
	})
}

// What the host does with its slice of sources after NewKeeper is its own affair.
func TestKeeperKeepsItsSources(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := unsealed(t)
		sources := []migrate.KeeperSource{{Name: "a", Source: filled(t, b.Keyring(), 3)}}
		k, err := migrate.NewKeeper(b, migrate.KeeperConfig{Sources: sources, KeepOld: migrate.AtOnce})
		if err != nil {
			t.Fatal(err)
		}
		sources[0] = migrate.KeeperSource{Name: "b", Source: &memSource{}}
		if err := b.Rotate(t.Context(), seal.By{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Run(ctx) }()
		time.Sleep(time.Hour)
		if s := k.Status().Sources; len(s) != 1 || s[0].Name != "a" || s[0].Items["2"] != 3 {
			t.Errorf("%+v", s)
		}
		cancel()
		<-ended
	})
}

// A curious wrapper looks at something when it is asked what its blobs prove.
type curious struct {
	kms.Wrapper
	look atomic.Pointer[func()]
}

func (w *curious) Authenticates(blob *kms.Blob) bool {
	if look := w.look.Load(); look != nil {
		(*look)()
	}
	return w.Wrapper.(kms.Authenticator).Authenticates(blob)
}

// A Keeper asks the Barrier, and that a KMS of the host's, without its own lock: who
// looks at the Keeper there waited for itself.
func TestKeeperAsksWithoutItsLock(t *testing.T) {
	w := &curious{Wrapper: (&kmstest.Fake{}).Key("prod")}
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": w}, Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	if _, err := b.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	src := filled(t, b.Keyring(), 3)
	if err := b.Rotate(t.Context(), seal.By{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{}, 1)
	k, err := migrate.NewKeeper(b, migrate.KeeperConfig{
		Sources: []migrate.KeeperSource{{Name: "a", Source: src}}, KeepOld: migrate.AtOnce,
		OnStatus: func(s migrate.KeeperStatus) {
			if !s.Round.IsZero() {
				select {
				case done <- struct{}{}:
				default:
				}
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	look := func() {
		seen := make(chan struct{})
		go func() { k.Status(); close(seen) }()
		select {
		case <-seen:
		case <-time.After(10 * time.Second):
			t.Error("the Keeper asks with its lock held")
		}
	}
	w.look.Store(&look)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	<-done
	cancel()
	<-ended
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/examples/internal/boltfile"
	"github.com/sealwright/sealwright/seal"
)

// Whatever is missing or damaged: the server comes up, answers, and says which;
// and it goes on by itself when that is mended.
func TestSealedButServing(t *testing.T) {
	shamir, forward, _ := azureWorld(t)
	azure := shamir.copyOf(t)
	if err := azure.goesOn(forward); err != nil {
		t.Fatal(err)
	}
	path := func(w *world) string { return filepath.Join(w.dir, "sealwright.db") }
	rewrite := func(w *world, change func(*bbolt.Bucket) error) {
		t.Helper()
		db, err := bbolt.Open(path(w), 0o600, nil)
		if err == nil {
			err = db.Update(func(tx *bbolt.Tx) error { return change(tx.Bucket(boltfile.SealBucket)) })
			db.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cases, wrong := 0, 0
	for name, test := range map[string]struct {
		from   *world
		stanza string
		harm   func(w *world) (mend func())
		reason string
		health int
		init   bool // what seal-status says of initialized
		opens  bool // whether people's shares open it all the same
	}{
		"nothing there":   {&world{dir: t.TempDir(), clouds: shamir.clouds}, "", nil, "not initialized", 501, false, false},
		"people are away": {shamir, "", nil, "", 503, true, true},
		"Azure cannot be reached": {azure, forward.stanza, func(w *world) func() {
			w.clouds.Wire.Unplug()
			return func() { w.clouds.Wire.Plug() }
		}, "unavailable", 503, true, true},
		"the key is disabled": {azure, forward.stanza, func(w *world) func() {
			w.clouds.Azure.Disable("unseal", "")
			return func() { w.clouds.Azure.Enable("unseal", "") }
		}, "disabled", 503, true, true},
		"the stanza is gone": {azure, "", nil, "none of that name", 503, true, true},
		"the record is damaged": {azure, forward.stanza, func(w *world) func() {
			var before []byte
			rewrite(w, func(b *bbolt.Bucket) error {
				before = append(before, b.Get(boltfile.RecordKey)...)
				return b.Put(boltfile.RecordKey, before[:len(before)/2])
			})
			return nil // what is damaged is restored by people
		}, "the record is damaged", 503, true, false},
		"the record is of a newer release": {azure, forward.stanza, func(w *world) func() {
			rewrite(w, func(b *bbolt.Bucket) error {
				return b.Put(boltfile.RecordKey, []byte(strings.Replace(string(b.Get(boltfile.RecordKey)), `"min_reader":1`, `"min_reader":9`, 1)))
			})
			return nil
		}, "newer", 503, true, false},
		"the file is none of bbolt's": {azure, forward.stanza, func(w *world) func() {
			before, err := os.ReadFile(path(w))
			if err != nil {
				t.Fatal(err)
			}
			os.WriteFile(path(w), []byte(strings.Repeat("x", 1<<15)), 0o600)
			return func() { os.WriteFile(path(w), before, 0o600) }
		}, "the store cannot be reached", 503, true, false},
		"the file's pages are damaged": {azure, forward.stanza, func(w *world) func() {
			whole, err := os.ReadFile(path(w))
			if err != nil {
				t.Fatal(err)
			}
			copy(whole[2*os.Getpagesize():], strings.Repeat("x", len(whole)))
			os.WriteFile(path(w), whole, 0o600)
			return nil
		}, "is damaged", 503, true, false},
		"a directory is in its place": {azure, forward.stanza, func(w *world) func() {
			os.Rename(path(w), path(w)+".kept")
			os.Mkdir(path(w), 0o700)
			return func() {
				os.Remove(path(w))
				os.Rename(path(w)+".kept", path(w))
			}
		}, "the store cannot be reached", 503, true, false},
		"the volume is not mounted": {azure, forward.stanza, func(w *world) func() {
			kept := w.dir
			w.dir = filepath.Join(t.TempDir(), "volume", "data")
			return func() {
				os.Mkdir(filepath.Dir(w.dir), 0o700)
				os.Rename(kept, w.dir)
			}
		}, "the store cannot be reached", 503, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			cases++
			defer func() {
				if t.Failed() {
					wrong++
				}
			}()
			w := test.from
			if w != nil && w.shares != nil {
				w = w.copyOf(t)
			}
			var mend func()
			if test.harm != nil {
				mend = test.harm(w)
			}
			l, err := w.start(test.stanza, nil)
			if err != nil {
				t.Fatalf("it does not come up: %v", err)
			}
			defer l.end()
			unsealErr := l.unsealByKMS()
			code, status, err := l.send("GET", "sys/seal-status", "", nil)
			if err != nil || code != 200 || status["sealed"] != true || status["initialized"] != test.init {
				t.Errorf("seal-status: %d %v %v", code, status, err)
			}
			if reason := fmt.Sprint(status["reason"]); !strings.Contains(reason, test.reason) {
				t.Errorf("seal-status gives the reason %q, and not %q; unsealing ended with %v", reason, test.reason, unsealErr)
			}
			if code, _, _ := l.send("GET", "sys/health", "", nil); code != test.health {
				t.Errorf("health: %d", code)
			}
			if code, out, _ := l.send("GET", "secret/data/hello", w.token, nil); code != 503 {
				t.Errorf("a secret: %d %v", code, out)
			}
			if test.opens {
				if err := l.unseal(); err != nil {
					t.Errorf("people: %v", err)
				} else if err := l.reads(); err != nil {
					t.Error(err)
				}
				l.s.barrier.Seal(seal.By{})
			}
			if mend != nil {
				mend()
				if err := l.unsealByKMS(); err != nil {
					t.Errorf("mended, and still: %v", err)
				} else if err := l.reads(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	t.Logf("GUARANTEE 24 sealed-but-serving: cases=%d wrong=%d", cases, wrong)
}

// A second process over the same file comes up, says that it waits, and takes
// over when the first one has ended.
func TestSecondProcess(t *testing.T) {
	shamir, _, _ := azureWorld(t)
	w := shamir.copyOf(t)
	first, err := w.start("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.unseal(); err != nil {
		t.Fatal(err)
	}
	second, err := w.start("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer second.end()
	code, status, err := second.send("GET", "sys/seal-status", "", nil)
	if err != nil || code != 200 || !strings.Contains(fmt.Sprint(status["reason"]), "the store cannot be reached") {
		t.Errorf("%d %v %v", code, status, err)
	}
	if code, out, _ := second.send("PUT", "sys/init", "", object{"secret_shares": 1, "secret_threshold": 1}); code != 503 {
		t.Errorf("init: %d %v", code, out)
	}
	first.end()
	if err := second.unseal(); err != nil {
		t.Fatal(err)
	}
	if err := second.reads(); err != nil {
		t.Error(err)
	}
}

// A request that is on its way when the server is sealed is served, or told that
// the server is sealed: never that something is wrong with it.
func TestSealUnderLoad(t *testing.T) {
	shamir, _, _ := azureWorld(t)
	l, err := shamir.copyOf(t).start("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.end()
	if err := l.unseal(); err != nil {
		t.Fatal(err)
	}
	var answers [2]atomic.Int64 // of both kinds
	var wg sync.WaitGroup
	for client := range 4 {
		wg.Go(func() {
			for range 200 {
				method, body := "GET", any(nil)
				if client == 0 {
					method, body = "PUT", object{"data": object{"greeting": "hello"}}
				}
				switch code, out, err := l.send(method, "secret/data/hello", l.world.token, body); {
				case code == 200:
					answers[0].Add(1)
				case code == 503 && fmt.Sprint(out["errors"]) == "[Vault is sealed]":
					answers[1].Add(1)
				default:
					t.Errorf("%s: %d %v %v", method, code, out, err)
				}
			}
		})
	}
	for range 20 {
		if code, out, err := l.send("PUT", "sys/seal", l.world.token, nil); code != 204 {
			t.Errorf("seal: %d %v %v", code, out, err)
		}
		if err := l.unseal(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if answers[0].Load() == 0 || answers[1].Load() == 0 {
		t.Errorf("%d were served, %d were told", answers[0].Load(), answers[1].Load())
	}
}

package seal_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/seal"
)

// lostKey makes a store with a slot of a key in a file beside people's, loses the
// file, and returns a Barrier that starts then, and unseals it by people.
func lostKey(t *testing.T, lose func(path string)) (_ *seal.Barrier, byPeople func(), path string) {
	t.Helper()
	ctx := t.Context()
	path = filepath.Join(t.TempDir(), "kms.key")
	must(t, localkms.Create(ctx, path))
	w, err := localkms.New(localkms.Config{Path: path})
	must(t, err)
	cfg := seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"local": w}, Retry: kms.Policy{Attempts: 1}, Spread: time.Second}
	open := func() *seal.Barrier {
		b, err := seal.Open(cfg)
		must(t, err)
		t.Cleanup(func() { b.Close() })
		return b
	}
	d, err := open().Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "local"}, "people": seal.Shamir{Shares: 2, Threshold: 2}}, seal.By{})
	must(t, err)
	if lose != nil {
		lose(path)
	}
	b := open()
	return b, func() {
		t.Helper()
		for _, s := range d.Sets[0].Shares {
			_, err = b.Submit(ctx, s, seal.By{})
		}
		must(t, err)
	}, path
}

var losses = map[string]func(t *testing.T, path string){
	"no file": func(t *testing.T, path string) { must(t, os.Remove(path)) },
	"another file": func(t *testing.T, path string) {
		must(t, os.Remove(path))
		must(t, localkms.Create(context.Background(), path))
	},
	"no directory": func(t *testing.T, path string) { must(t, os.RemoveAll(filepath.Dir(path))) },
}

func slotNamed(t *testing.T, b *seal.Barrier, name string) seal.SlotStatus {
	t.Helper()
	for _, s := range b.Status().Slots {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no slot %q", name)
	return seal.SlotStatus{}
}

// TestALostKeyIsNotAMissingPin: the key file was gone, or another one in its place,
// and people unsealed. Status said to pin the slot, which helps nothing, and no
// longer why the slot had not opened the store.
func TestALostKeyIsNotAMissingPin(t *testing.T) {
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			b, byPeople, _ := lostKey(t, func(path string) { lose(t, path) })
			if err := b.Unseal(t.Context()); err == nil {
				t.Fatal("it was unsealed without its key")
			}
			byPeople()
			slot, warnings := slotNamed(t, b, "auto"), strings.Join(b.Status().Warnings, "\n")
			if slot.NeedsPin || strings.Contains(warnings, "pin") {
				t.Errorf("needs a pin: %v; %s", slot.NeedsPin, warnings)
			}
			if slot.DrillError == nil || slot.Drilled.IsZero() || !strings.Contains(warnings, `slot "auto" does not open the store now`) {
				t.Errorf("drilled %v: %v; %s", slot.Drilled, slot.DrillError, warnings)
			}
			if slot := slotNamed(t, b, "people"); slot.DrillError != nil || !slot.Drilled.IsZero() {
				t.Errorf("the people's: %v at %v", slot.DrillError, slot.Drilled)
			}
		})
	}
}

// TestAKeyThatIsLostWhileUnsealedIsNotAMissingPin: Status asks the wrapper anew.
func TestAKeyThatIsLostWhileUnsealedIsNotAMissingPin(t *testing.T) {
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			b, _, path := lostKey(t, nil)
			must(t, b.Unseal(t.Context()))
			lose(t, path)
			if err := b.Admin().Drill(t.Context()); err == nil {
				t.Error("the drill went well")
			}
			if slot := slotNamed(t, b, "auto"); slot.NeedsPin || slot.DrillError == nil {
				t.Errorf("needs a pin: %v; %v", slot.NeedsPin, slot.DrillError)
			}
		})
	}
}

// TestWhatRunSaidOfASlotStands: Run tried the slot, and tries it again soon after
// people have unsealed, so that a key that is back is not called lost for hours.
func TestWhatRunSaidOfASlotStands(t *testing.T) {
	virtual(t, func(t *testing.T) {
		fake, store := &kmstest.Fake{}, seal.NewMemStore()
		open := func() *seal.Barrier {
			b, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"cloud": fake.Key("k")}, Retry: kms.Policy{Attempts: 1}})
			must(t, err)
			t.Cleanup(func() { b.Close() })
			return b
		}
		d, err := open().Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}, "people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
		must(t, err)
		fake.Disable("k")
		b := open()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go b.Run(ctx)
		time.Sleep(10 * time.Minute)
		_, err = b.Submit(ctx, d.Sets[0].Shares[0], seal.By{})
		must(t, err)
		fake.Enable("k")
		if slot := slotNamed(t, b, "auto"); slot.DrillError == nil || slot.Drilled.IsZero() {
			t.Errorf("at once: drilled %v: %v", slot.Drilled, slot.DrillError)
		}
		time.Sleep(5 * time.Minute)
		if slot := slotNamed(t, b, "auto"); slot.DrillError != nil {
			t.Errorf("the key is enabled again: %v", slot.DrillError)
		}
	})
}

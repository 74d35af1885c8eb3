package cloudtest

import (
	"bytes"
	"context"
	"errors"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

// The two functions below stand in the README to the letter, as
// TestTheReadmeSurvivesItsRestart makes sure.

// create makes the store, once.
func create(ctx context.Context, b *seal.Barrier, deliver func(share string) error) error {
	d, err := b.Init(ctx, map[string]seal.Spec{
		"auto":   seal.KMS{Wrapper: "local"},
		"people": seal.Shamir{Shares: 5, Threshold: 3},
	}, seal.By{Actor: "installer"})
	if err != nil {
		return err
	}
	defer d.Wipe()
	for _, share := range d.Sets[0].Shares {
		if err := deliver(share.Reveal()); err != nil {
			return err
		}
	}
	for name, pin := range d.Pins { // of a key that does not prove who wrapped
		log.Printf("slot %s: a process that starts needs %s in Config.Pins", name, pin)
	}
	return nil
}

func toCloud(ctx context.Context, b *seal.Barrier) error {
	plan := migrate.Plan{
		Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}},
		Drop:  []string{"auto"}, // leave it out to keep the old slot
	}
	report, err := migrate.Check(ctx, b, plan) // changes nothing
	if err != nil || !report.OK() {
		return errors.Join(err, errors.Join(report.Problems...))
	}
	result, err := migrate.Reconcile(ctx, b, plan, migrate.Options{})
	for name, pin := range result.Pins {
		log.Printf("slot %s: a process that starts needs %s in Config.Pins", name, pin)
	}
	return err
}

var pinSaid = regexp.MustCompile(`a process that starts needs ([0-9a-f]{24}) in Config.Pins`)

// A reader has the README's store in a file, and what its code has logged.
type reader struct {
	*testing.T
	file string
	kms  map[string]kms.Wrapper
	pins []string
}

// start is a new process: what the one before had in memory is gone.
func (r *reader) start() *seal.Barrier {
	r.Helper()
	store, err := filestore.Open(r.file)
	if err != nil {
		r.Fatal(err)
	}
	b, err := seal.Open(seal.Config{Store: store, KMS: r.kms, Pins: r.pins})
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { b.Close() })
	return b
}

// restart starts a process with the pins that were logged, which has to unseal by
// itself and to read what was written.
func (r *reader) restart(before *seal.Barrier, logged *bytes.Buffer) *seal.Barrier {
	r.Helper()
	ctx := r.Context()
	ct, err := before.Box("secrets", "value").Encrypt(ctx, []byte("secret"), "token")
	if err != nil {
		r.Fatal(err)
	}
	before.Close()
	for _, m := range pinSaid.FindAllStringSubmatch(logged.String(), -1) {
		r.pins = append(r.pins, m[1])
	}
	logged.Reset()
	b := r.start()
	if err := b.Unseal(ctx); err != nil {
		r.Fatalf("after the restart: %v", err)
	}
	if got, err := b.Box("secrets", "value").Decrypt(ctx, ct, "token"); err != nil || string(got) != "secret" {
		r.Fatalf("after the restart: %q, %v", got, err)
	}
	return b
}

// TestTheReadmeSurvivesItsRestart follows the README to the letter with each
// provider: a store made with its key, and a store that is moved to it. What the code
// logs, and Check says, is all that it takes to come up again.
func TestTheReadmeSurvivesItsRestart(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, head := range []string{"func create(", "func toCloud("} {
		_, rest, _ := strings.Cut(string(own), "\n"+head)
		body, _, _ := strings.Cut(rest, "\n}\n")
		if !strings.Contains(string(readme), "\n"+head+body+"\n}\n") {
			t.Errorf("the README has another %s", head)
		}
	}
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	file := filepath.Join(t.TempDir(), "kms.key")
	if err := localkms.Create(t.Context(), file); err != nil {
		t.Fatal(err)
	}
	local, err := localkms.New(localkms.Config{Path: file})
	if err != nil {
		t.Fatal(err)
	}
	pinned := 0
	for _, c := range custodies(t) {
		if len(c.kms) != 1 {
			continue
		}
		nobody := func(string) error { return nil } // the shares are not needed here
		t.Run(c.name+"/made", func(t *testing.T) {
			logged.Reset()
			r := &reader{T: t, file: filepath.Join(t.TempDir(), "record.json"), kms: map[string]kms.Wrapper{"local": c.kms[c.name]}}
			b := r.start()
			if err := create(t.Context(), b, nobody); err != nil {
				t.Fatal(err)
			}
			if err := b.Unseal(t.Context()); err != nil && !errors.Is(err, seal.ErrUnpinned) {
				t.Fatal(err)
			}
			r.restart(b, &logged)
			pinned += len(r.pins)
		})
		t.Run(c.name+"/moved", func(t *testing.T) {
			ctx := t.Context()
			logged.Reset()
			r := &reader{T: t, file: filepath.Join(t.TempDir(), "record.json"), kms: map[string]kms.Wrapper{"local": local, "cloud": c.kms[c.name]}}
			b := r.start()
			if err := create(ctx, b, nobody); err != nil {
				t.Fatal(err)
			}
			if err := b.Unseal(ctx); err != nil {
				t.Fatal(err)
			}
			if err := toCloud(ctx, b); errors.Is(err, seal.ErrUnpinned) {
				// As it says: without Drop, then with the pin.
				result, err := migrate.Reconcile(ctx, b, migrate.Plan{Slots: map[string]seal.Spec{"cloud": seal.KMS{Wrapper: "cloud"}}}, migrate.Options{})
				if err != nil {
					t.Fatal(err)
				}
				log.Printf("slot cloud: a process that starts needs %s in Config.Pins", result.Pins["cloud"])
				b = r.restart(b, &logged)
				if err := toCloud(ctx, b); err != nil {
					t.Fatal(err)
				}
			} else if err != nil {
				t.Fatal(err)
			}
			delete(r.kms, "local") // the old key is gone
			r.restart(b, &logged)
		})
	}
	if pinned == 0 {
		t.Error("no provider needed a pin: RSA of Azure Key Vault does")
	}
}

package migrate_test

import (
	"context"
	"errors"
	"log"
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

// The functions below stand in the README to the letter.

func open(dir string) (*seal.Barrier, error) {
	store, err := filestore.Open(filepath.Join(dir, "record.json"))
	if err != nil {
		return nil, err
	}
	// A key in a file, made once by localkms.Create; or a cloud's.
	key, err := localkms.New(localkms.Config{Path: filepath.Join(dir, "kms.key")})
	if err != nil {
		return nil, err
	}
	return seal.Open(seal.Config{
		Store: store,
		KMS:   map[string]kms.Wrapper{"local": key},
	})
}

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

// start runs work whenever the server is unsealed, by the KMS or by people. A Seal
// ends its context, and waits for it before the keys go.
func start(ctx context.Context, b *seal.Barrier, work func(context.Context) error) error {
	go b.Run(ctx) // unseals by itself, follows other replicas, drills the keys
	return b.While(ctx, work)
}

// give takes one share; the third one unseals.
func give(ctx context.Context, b *seal.Barrier, text string) (unsealed bool, err error) {
	share, err := seal.ParseShare(text)
	if err != nil {
		return false, err
	}
	return b.Submit(ctx, share, seal.By{})
}

// save binds a secret to its place, here a column of a table, and to its name.
func save(ctx context.Context, b *seal.Barrier, name string, secret []byte) ([]byte, error) {
	return b.Box("secrets", "value").Encrypt(ctx, secret, name)
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

var errDone = errors.New("done")

// TestReadme runs what the README shows.
func TestReadme(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dir := t.TempDir()
	for _, name := range []string{"kms.key", "cloud.key"} {
		if err := localkms.Create(ctx, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	wrapper := func(name string) kms.Wrapper {
		w, err := localkms.New(localkms.Config{Path: filepath.Join(dir, name)})
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	b, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var shares []string
	if err := create(ctx, b, func(share string) error { shares = append(shares, share); return nil }); err != nil {
		t.Fatal(err)
	}
	var ct []byte
	if err := start(ctx, b, func(ctx context.Context) (err error) {
		if ct, err = save(ctx, b, "token", []byte("secret")); err == nil {
			err = errDone
		}
		return err
	}); !errors.Is(err, errDone) {
		t.Fatal(err)
	}
	store, err := filestore.Open(filepath.Join(dir, "record.json"))
	if err != nil {
		t.Fatal(err)
	}
	later, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"local": wrapper("kms.key"), "cloud": wrapper("cloud.key")}})
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	for i, share := range shares[1:4] {
		if unsealed, err := give(ctx, later, share); err != nil || unsealed != (i == 2) {
			t.Fatalf("share %d: unsealed %v, %v", i, unsealed, err)
		}
	}
	if err := toCloud(ctx, later); err != nil {
		t.Fatal(err)
	}
	if got, err := later.Box("secrets", "value").Decrypt(ctx, ct, "token"); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
	if s := later.Status(); len(s.Slots) != 2 || s.Slots[1].Name != "cloud" {
		t.Errorf("slots: %+v", s.Slots)
	}
}

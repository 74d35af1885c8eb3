package migrate_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// The functions below stand in the README to the letter.

func open(ctx context.Context, dir string) (*seal.Barrier, error) {
	store, err := seal.OpenFileStore(filepath.Join(dir, "record.json"))
	if err != nil {
		return nil, err
	}
	// A key in a file, made once by localkms.Create; or a cloud's.
	key, err := localkms.New(localkms.Config{Path: filepath.Join(dir, "kms.key")})
	if err != nil {
		return nil, err
	}
	b, err := seal.Open(seal.Config{
		Store: store,
		KMS:   map[string]kms.Wrapper{"local": key},
	})
	if err != nil {
		return nil, err
	}
	go b.Run(ctx) // unseals by itself, follows other replicas, drills the keys
	return b, b.Wait(ctx)
}

func save(b *seal.Barrier, name string, secret []byte) ([]byte, error) {
	return b.Keyring().Encrypt(nil, secret, []byte(name))
}

func toCloud(ctx context.Context, b *seal.Barrier) error {
	plan := migrate.Plan{
		Slots: map[string]seal.Spec{"cloud": seal.KMS{Name: "cloud"}},
		Drop:  []string{"auto"}, // leave it out to keep the old slot
	}
	report, err := migrate.Check(ctx, b, plan) // changes nothing
	if err != nil || !report.OK() {
		return errors.Join(err, errors.Join(report.Problems...))
	}
	_, err = migrate.Reconcile(ctx, b, plan, migrate.Options{})
	return err
}

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
	store, err := seal.OpenFileStore(filepath.Join(dir, "record.json"))
	if err != nil {
		t.Fatal(err)
	}
	first, err := seal.Open(seal.Config{Store: store, KMS: map[string]kms.Wrapper{"local": wrapper("kms.key"), "cloud": wrapper("cloud.key")}})
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := first.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Name: "local"}, "people": seal.Shamir{Shares: 5, Threshold: 3}}, seal.By{Actor: "installer"}); err != nil {
		t.Fatal(err)
	}
	b, err := open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ct, err := save(b, "token", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := toCloud(ctx, first); err != nil {
		t.Fatal(err)
	}
	if got, err := first.Keyring().Decrypt(nil, ct, []byte("token")); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
	if s := first.Status(); len(s.Slots) != 2 || s.Slots[1].Name != "cloud" {
		t.Errorf("slots: %+v", s.Slots)
	}
}

package migrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A server keeps its configuration in an encrypted file, which it alone writes,
// under a lock. The file is replaced whole: whoever reads it finds the old content
// or the new one.
func ExampleBlob() {
	dir, err := os.MkdirTemp("", "blob")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "settings")
	var mu sync.Mutex // every writer's
	write := func(data []byte) error {
		f, err := os.CreateTemp(dir, "settings-*")
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Sync(), f.Close(), os.Rename(f.Name(), path))
	}
	settings := migrate.Blob{
		ID:  "settings",
		AAD: keyring.AAD("settings"),
		Load: func(context.Context) ([]byte, error) {
			data, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			return data, err
		},
		Swap: func(_ context.Context, old, next []byte) (bool, error) {
			mu.Lock()
			defer mu.Unlock()
			stored, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(stored, old) {
				return false, err
			}
			return true, write(next)
		},
	}

	owner := keyring.New() // of a Barrier: its Keyring
	if err := owner.Install("a store", terms(1, 1)); err != nil {
		log.Fatal(err)
	}
	data, err := owner.Keyring().Encrypt(nil, []byte("the settings"), settings.AAD)
	if err != nil {
		log.Fatal(err)
	}
	if err := write(data); err != nil {
		log.Fatal(err)
	}
	if err := owner.Install("a store", terms(2, 2)); err != nil {
		log.Fatal(err)
	}
	for p, err := range migrate.Rewrap(context.Background(), owner.Keyring(), settings, migrate.RewrapOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		if p.Done {
			fmt.Println("rewrapped:", p.Rewrapped)
		}
	}
	data, err = settings.Load(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	term, err := keyring.TermOf(data)
	fmt.Println("under term", term, err)
	// Output:
	// rewrapped: 1
	// under term 2 <nil>
}

func TestBlob(t *testing.T) {
	_, kr := newKeyring(t, 1, 1)
	b := migrate.Blob{ID: "a"}
	if _, _, err := finish(t.Context(), kr, b, migrate.RewrapOptions{}); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("nothing is set: %v", err)
	}
	b.Load = func(context.Context) ([]byte, error) { return nil, nil }
	b.Swap = func(context.Context, []byte, []byte) (bool, error) { return true, nil }
	if p, _, err := finish(t.Context(), kr, b, migrate.RewrapOptions{}); err != nil || p.Empty != 1 || p.Items != 0 {
		t.Errorf("nothing is stored: %+v, %v", p, err)
	}
	if ok, err := b.Replace(t.Context(), "b", nil, nil); ok || err != nil {
		t.Errorf("another item: %v, %v", ok, err)
	}
	b.Load = func(context.Context) ([]byte, error) { return nil, errDown }
	if _, _, err := finish(t.Context(), kr, b, migrate.RewrapOptions{}); !errors.Is(err, errDown) {
		t.Errorf("it cannot be read: %v", err)
	}
}

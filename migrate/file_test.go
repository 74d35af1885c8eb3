package migrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
)

// A server keeps its settings in one encrypted file.
func ExampleFile() {
	dir, err := os.MkdirTemp("", "settings")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	b, err := exampleBarrier(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Close()
	box := b.Box("settings")
	file := migrate.File{Path: filepath.Join(dir, "settings"), AAD: box.AAD("main")}

	sealed, err := box.Encrypt(ctx, []byte(`{"password": "hunter2"}`), "main")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := file.Write(ctx, sealed); err != nil {
		fmt.Println(err)
		return
	}

	// After a rotation it is one more source of the Keeper's, or of Rewrap's.
	if err := b.Rotate(ctx, seal.By{}); err != nil {
		fmt.Println(err)
		return
	}
	for _, err := range migrate.Rewrap(ctx, b.Keyring(), file, migrate.RewrapOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	sealed, err = file.Read(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	term, _ := keyring.TermOf(sealed)
	settings, err := box.Decrypt(ctx, sealed, "main")
	fmt.Println(string(settings), err, "under term", term)
	// Output: {"password": "hunter2"} <nil> under term 2
}

// exampleBarrier is unsealed, over a store in memory.
func exampleBarrier(ctx context.Context) (*seal.Barrier, error) {
	b, err := seal.Open(seal.Config{Store: seal.NewMemStore()})
	if err != nil {
		return nil, err
	}
	d, err := b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
	if err != nil {
		return nil, err
	}
	_, err = b.Submit(ctx, d.Sets[0].Shares[0], seal.By{})
	return b, err
}

// TestFile: an item that is there or not, and is replaced if it is what was read.
func TestFile(t *testing.T) {
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "settings")
	f := migrate.File{Path: path, AAD: []byte("place")}
	page, err := f.Page(ctx, "", 10)
	if err != nil || len(page) != 1 || page[0].ID != "settings" || len(page[0].Ciphertext) != 0 || string(page[0].AAD) != "place" {
		t.Errorf("of no file: %v, %v", page, err)
	}
	if ok, err := f.Replace(ctx, "settings", nil, []byte("x")); ok || err != nil {
		t.Errorf("no file was replaced: %v, %v", ok, err)
	}
	if err := f.Write(ctx, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id, old  string
		replaced bool
	}{{"settings", "other", false}, {"another", "one", false}, {"settings", "one", true}, {"settings", "one", false}} {
		if ok, err := f.Replace(ctx, c.id, []byte(c.old), []byte("two")); ok != c.replaced || err != nil {
			t.Errorf("replace %q where it held %q: %v, %v", c.id, c.old, ok, err)
		}
	}
	if got, err := f.Read(ctx); err != nil || string(got) != "two" {
		t.Errorf("holds %q, %v", got, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode was not kept: %v, %v", info.Mode(), err)
	}
	if next, err := f.Page(ctx, "settings", 10); err != nil || len(next) != 0 {
		t.Errorf("there is a second item: %v, %v", next, err)
	}
}

// TestFileRefused: what is no file to keep a value in.
func TestFileRefused(t *testing.T) {
	ctx := t.Context()
	for name, c := range map[string]struct {
		path string
		says string
	}{
		"no path":      {"", "its Path is empty"},
		"a directory":  {t.TempDir(), "is a directory"},
		"no directory": {filepath.Join(t.TempDir(), "none", "file"), "no such file"},
	} {
		err := migrate.File{Path: c.path}.Write(ctx, []byte("x"))
		if err == nil || !strings.HasPrefix(err.Error(), "migrate: file: write: ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (migrate.File{}).Page(ctx, "", 1); !errors.Is(err, seal.ErrConfig) {
		t.Errorf("no path: %v", err)
	}
}

// TestFileWriters: of many who replace what they read none is lost.
func TestFileWriters(t *testing.T) {
	ctx := t.Context()
	f := migrate.File{Path: filepath.Join(t.TempDir(), "count")}
	if err := f.Write(ctx, nil); err != nil {
		t.Fatal(err)
	}
	const writers, each = 4, 10
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for n := 0; n < each; {
				old, err := f.Read(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				ok, err := f.Replace(ctx, "count", old, append(bytes.Clone(old), 'x'))
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					n++
				}
			}
		})
	}
	all.Wait()
	if got, err := f.Read(ctx); err != nil || len(got) != writers*each {
		t.Errorf("%d of %d are left, %v", len(got), writers*each, err)
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/examples/internal/flags/flagstest"
	"github.com/sealwright/sealwright/migrate"
)

func TestStory(t *testing.T) {
	if err := run(t.Context(), t.TempDir(), false, 200); err != nil {
		t.Fatal(err)
	}
}

func TestRunRefuses(t *testing.T) {
	if err := run(t.Context(), t.TempDir(), false, 99); err == nil || !strings.Contains(err.Error(), "give at least 100") {
		t.Errorf("99 rows: %v", err)
	}
	dir := t.TempDir()
	if err := run(t.Context(), dir, true, 100); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), dir, true, 100); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("a directory in use: %v", err)
	}
}

// Both sources keep what migrate.Source asks of them.
func TestSources(t *testing.T) {
	env := newEnvironment()
	srv, err := openServer(t.Context(), t.TempDir(), &env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.close() })
	put := func(id int64, value string) {
		if _, err := srv.db.ExecContext(t.Context(), "INSERT OR REPLACE INTO tokens VALUES (?, ?)", id, value); err != nil {
			t.Fatal(err)
		}
		if err := srv.file.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte(srv.sessions.name)).Put(fmt.Append(nil, id), []byte(value))
		}); err != nil {
			t.Fatal(err)
		}
	}
	// The orders differ: by number, and by the bytes of the key.
	for _, id := range []int64{10, 2, 33, 1} {
		put(id, fmt.Sprint("value ", id))
	}
	for name, tt := range map[string]struct {
		src  migrate.Source
		want string
	}{
		"column": {srv.tokens, "1 2 10 33"},
		"bucket": {srv.sessions, "1 10 2 33"},
	} {
		for _, limit := range []int{1, 3, 100} {
			var got []string
			for after := ""; ; {
				page, err := tt.src.Page(t.Context(), after, limit)
				if err != nil || len(page) > limit {
					t.Fatalf("%s: a page of %d items for a limit of %d, %v", name, len(page), limit, err)
				}
				if len(page) == 0 {
					break
				}
				for _, it := range page {
					if string(it.Ciphertext) != "value "+it.ID || len(it.AAD) == 0 {
						t.Errorf("%s: item %+v", name, it)
					}
					got = append(got, it.ID)
				}
				after = page[len(page)-1].ID
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%s, pages of %d: %v, want %s", name, limit, got, tt.want)
			}
		}
		page, err := tt.src.Page(t.Context(), "10", 1)
		if err != nil || len(page) != 1 {
			t.Fatal(err)
		}
		id := page[0].ID
		for _, step := range []struct {
			what, id, old, next string
			want                bool
		}{
			{"another value", id, "value", "next", false},
			{"the case differs", id, strings.ToUpper("value " + id), "next", false},
			{"no such item", "99", "", "next", false},
			{"the value", id, "value " + id, "next", true},
			{"again", id, "value " + id, "other", false},
		} {
			got, err := tt.src.Replace(t.Context(), step.id, []byte(step.old), []byte(step.next))
			if err != nil || got != step.want {
				t.Errorf("%s: replace, %s: %v, %v", name, step.what, got, err)
			}
		}
		page, err = tt.src.Page(t.Context(), "10", 1)
		if err != nil || !bytes.Equal(page[0].Ciphertext, []byte("next")) {
			t.Errorf("%s: after the replacement: %v, %v", name, page, err)
		}
	}
	if _, err := srv.tokens.Page(t.Context(), "x", 1); err == nil {
		t.Error("column: an id that is no number is taken")
	}
}

// A request that holds the only connection of the server's pool, and decrypts what
// another replica has just written under a new key, gets on.
func TestDecryptWithinTransaction(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	s, err := openServer(ctx, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := os.Stat(keyFile(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the start made a key: %v", err)
	}
	if err := initStore(ctx, dir, s.b); err != nil {
		t.Fatal(err)
	}
	other, err := openBarrier(ctx, dir, s.records)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Unseal(ctx); err != nil {
		t.Fatal(err)
	}
	if err := other.Rotate(ctx, operator); err != nil {
		t.Fatal(err)
	}
	written, err := other.Keyring().Encrypt(nil, []byte("a token"), nil)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if token, err := s.b.Admin().Decrypt(ctx, nil, written, nil); err != nil || string(token) != "a token" {
		t.Errorf("Decrypt within a transaction = %q, %v", token, err)
	}
}

func TestForgottenDash(t *testing.T) { flagstest.Dashless(t, main) }

package main_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

const canary = "canary-9f31c0de-plaintext"

// sqlWorld is a SQLite file with the record and a table of values, of which one is
// damaged and one is NULL.
func sqlWorld(t *testing.T) (*world, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "host.db")
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s, err := sqlstore.Open(db, sqlstore.Config{Dialect: sqlstore.SQLite})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateTable(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, s, false, func(b *seal.Barrier) {
		must(t, db, "CREATE TABLE tokens (id INTEGER PRIMARY KEY, secret TEXT, raw BLOB)")
		box, raw := b.Box("tokens", "secret"), b.Box("tokens", "raw")
		for i, id := range []string{"1", "2", "3"} {
			text, err := box.EncryptString(t.Context(), canary+" \"q\"\n"+id, id)
			if err != nil {
				t.Fatal(err)
			}
			bin, err := raw.Encrypt(t.Context(), []byte{0xff, byte(i)}, id)
			if err != nil {
				t.Fatal(err)
			}
			must(t, db, "INSERT INTO tokens VALUES (?, ?, ?)", id, text, bin)
		}
		must(t, db, "UPDATE tokens SET secret = (SELECT secret FROM tokens WHERE id = 1) WHERE id = 2") // moved
		must(t, db, "UPDATE tokens SET raw = NULL WHERE id = 3")
	})
	secretOf(t, canary)
	return w, path
}

func must(t *testing.T, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.Exec(text, args...); err != nil {
		t.Fatal(err)
	}
}

// A line is what an export has of a value.
type line struct {
	ID                           []string
	Column, Value, Base64, Error string
	Empty                        bool
}

func linesOf(t *testing.T, path string) (out []line) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the plaintext is %v", info.Mode())
	}
	for _, text := range strings.Split(strings.TrimSpace(string(fileContent(t, path))), "\n") {
		var l line
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(&l); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		out = append(out, l)
	}
	return out
}

func TestExportSQL(t *testing.T) {
	w, at := sqlWorld(t)
	out := filepath.Join(w.dir, "tokens.jsonl")
	shares := w.shares[0] + "\n" + w.shares[1]
	r := run(t, shares, "export", "sql", "--store", at, "--table", "tokens", "--columns", "secret,raw", "--out", out, "--json")
	r.want(t, 1, "exported 4 values", "1 are empty, 1 failed")
	got := linesOf(t, out)
	byID := map[string]line{}
	for _, l := range got {
		byID[l.ID[0]+l.Column] = l
	}
	if len(got) != 6 || byID["1secret"].Value != canary+" \"q\"\n1" || byID["3secret"].Value != canary+" \"q\"\n3" ||
		!strings.Contains(byID["2secret"].Error, "look whether place and id are right") || byID["1raw"].Base64 != "/wA=" || !byID["3raw"].Empty {
		t.Errorf("%+v", got)
	}
	// What is there stays, and so does a file that another run left.
	before := fileContent(t, out)
	run(t, shares, "export", "sql", "--store", at, "--table", "tokens", "--columns", "secret", "--out", out).want(t, 1, "is there already")
	if !bytes.Equal(before, fileContent(t, out)) {
		t.Error("an export replaced a file")
	}
	// A pipe is a place for plaintext.
	cmd := command(t, "export", "sql", "--store", at, "--table", "tokens", "--columns", "raw", "--where", "id < 3")
	cmd.Stdin = strings.NewReader(shares)
	finish(t, cmd).want(t, 0, `{"id":["2"],"column":"raw","base64":"/wE="}`)
	for name, test := range map[string]struct {
		args  []string
		words string
	}{
		"no such table":  {[]string{"--table", "nosuch", "--columns", "secret"}, "nosuch"},
		"no such column": {[]string{"--table", "tokens", "--columns", "nosuch"}, "nosuch"},
		"no database":    {[]string{"--db", w.write(t, "x", "text"), "--table", "tokens", "--columns", "secret"}, "is no SQL database"},
		"two places":     {[]string{"--place", "x", "--table", "tokens", "--columns", "secret,raw"}, "one by one"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, shares, append([]string{"export", "sql", "--store", at}, test.args...)...).want(t, 1, test.words)
		})
	}
}

// Plaintext goes to no terminal unless told, and to no file that is there.
func TestDecrypt(t *testing.T) {
	w, at := sqlWorld(t)
	db, err := sql.Open("sqlite3", "file:"+at)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var value string
	if err := db.QueryRow("SELECT secret FROM tokens WHERE id = 1").Scan(&value); err != nil {
		t.Fatal(err)
	}
	shares := w.write(t, "shares", w.shares[0]+"\n"+w.shares[1])
	args := []string{"decrypt", "--store", at, "--place", "tokens", "--place", "secret", "--shares", shares}
	out := filepath.Join(w.dir, "plain")
	run(t, "", append(args, "--id", "1", value, "--out", out)...).want(t, 0)
	if got := string(fileContent(t, out)); got != canary+" \"q\"\n1" {
		t.Errorf("%q", got)
	}
	run(t, value, append(args, "--id", "1", "--value-file", "-", "--out", out+"2", "--json")...).want(t, 0)
	var v struct{ Value string }
	if json.Unmarshal(fileContent(t, out+"2"), &v); v.Value != canary+" \"q\"\n1" {
		t.Errorf("%+v", v)
	}
	run(t, "", append(args, "--id", "2", value)...).want(t, 1, "look whether place and id are right")
	run(t, "", append(args, value)...).want(t, 1, "--id")
	run(t, "", append(args, "--id", "1")...).want(t, 1, "no value is given")
	run(t, "", append(args, "--id", "1", "hello")...).want(t, 1, "neither sw1.")
	run(t, value, "decrypt", "--store", at, "--place", "x", "--id", "1", "--value-file", "-", "--shares", "-").want(t, 1, "standard input is the value already")
	if _, err := os.Lstat(filepath.Join(w.dir, "plain3")); err == nil {
		t.Error("a failed run left a file")
	}

	p := onTerminal(t, false, append(args, "--id", "1", value)...)
	if r := p.wait(); r.code != 1 || !strings.Contains(r.err, "say --to-terminal") || strings.Contains(r.err, canary) {
		t.Errorf("%+v", r)
	}
	p = onTerminal(t, false, append(args, "--id", "1", value, "--to-terminal")...)
	if r := p.wait(); r.code != 0 || !strings.Contains(r.err, canary) {
		t.Errorf("%+v", r)
	}
}

func TestExportBolt(t *testing.T) {
	m := seal.NewMemStore()
	path := filepath.Join(t.TempDir(), "sealwright.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, m, false, func(b *seal.Barrier) {
		err := db.Update(func(tx *bbolt.Tx) error {
			secrets, _ := tx.CreateBucket([]byte("secrets"))
			for _, name := range []string{"app/db", "b\xff"} {
				sealed, err := b.Keyring().Encrypt(nil, []byte(canary+name), keyring.AAD("secret", name))
				if err != nil {
					return err
				}
				secrets.Put([]byte(name), sealed)
			}
			record, _ := tx.CreateBucket([]byte("seal"))
			record.Put([]byte("record"), recordOf(t, m))
			return record.Put([]byte("revision"), []byte("1"))
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	secretOf(t, canary)
	shares := w.shares[0] + w.shares[1]
	out := filepath.Join(w.dir, "out")
	args := []string{"export", "bolt", "--store", path, "--bucket", "secrets", "--place", "secret", "--out", out}
	run(t, shares, args...).want(t, 1, "has "+path+" locked", "a server has the store open") // the test is the server
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	run(t, shares, args...).want(t, 0, "exported 2 values")
	text := string(fileContent(t, out))
	if !strings.Contains(text, `{"id":["app/db"],"value":"`+canary+`app/db"}`) || !strings.Contains(text, `{"id":[{"base64":"Yv8="}],"base64":`) {
		t.Error(text)
	}
	run(t, shares, "export", "bolt", "--store", path, "--bucket", "nosuch", "--place", "secret", "--out", out+"2").want(t, 1, `has no bucket ["nosuch"]: it has "seal", "secrets"`)
	if _, err := os.Lstat(out + "2.partial"); err == nil {
		t.Error("a failed run left an empty file")
	}
}

func TestExportFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	s, err := filestore.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w := newWorld(t, s, false, func(b *seal.Barrier) {
		sealed, err := b.Box("blobs").Encrypt(t.Context(), []byte(canary), "message")
		if err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(dir, "message"), sealed, 0o600)
		os.WriteFile(filepath.Join(dir, "moved"), sealed, 0o600)
		os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600)
		f, err := os.Create(filepath.Join(dir, "stream"))
		if err != nil {
			t.Fatal(err)
		}
		wr, err := b.Keyring().NewWriter(f, keyring.AAD("blobs", "stream"))
		if err != nil {
			t.Fatal(err)
		}
		wr.Write(bytes.Repeat([]byte(canary), 9000))
		if err := wr.Close(); err != nil {
			t.Fatal(err)
		}
		f.Close()
		cut := fileContent(t, filepath.Join(dir, "stream"))
		os.WriteFile(filepath.Join(dir, "cut"), cut[:len(cut)-5], 0o600)
	})
	secretOf(t, canary)
	out := filepath.Join(w.dir, "plain")
	args := []string{"export", "files", "--store", path, "--place", "blobs", "--out", out}
	for _, name := range []string{"message", "moved", "empty", "stream", "cut"} {
		args = append(args, filepath.Join(dir, name))
	}
	run(t, w.shares[1]+w.shares[2], args...).want(t, 1, "exported 2 values", "1 are empty, 2 failed")
	if string(fileContent(t, filepath.Join(out, "message"))) != canary || len(fileContent(t, filepath.Join(out, "stream"))) != 9000*len(canary) {
		t.Error("what was exported differs")
	}
	entries, err := os.ReadDir(out)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
}

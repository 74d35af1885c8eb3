package main_test

import (
	"database/sql"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"
	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
	"github.com/sealwright/sealwright/seal/sqlstore"
)

// stores are a world in each kind of store, and what --store says.
func stores(t *testing.T) map[string]func(t *testing.T) (*world, string) {
	return map[string]func(t *testing.T) (*world, string){
		"filestore": func(t *testing.T) (*world, string) { return fileWorld(t, false) },
		"record": func(t *testing.T) (*world, string) {
			m := seal.NewMemStore()
			w := newWorld(t, m, false, nil)
			return w, w.write(t, "record.json", string(recordOf(t, m)))
		},
		"sqlite": func(t *testing.T) (*world, string) {
			path := filepath.Join(t.TempDir(), "host.db")
			db, err := sql.Open("sqlite3", "file:"+path+"?_pragma=journal_mode(WAL)")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			s, err := sqlstore.Open(db, sqlstore.Config{Dialect: sqlstore.SQLite})
			if err == nil {
				err = s.CreateTable(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			return newWorld(t, s, false, nil), path
		},
		"bbolt": func(t *testing.T) (*world, string) {
			m := seal.NewMemStore()
			w := newWorld(t, m, false, nil)
			path := filepath.Join(t.TempDir(), "sealwright.db")
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			err = db.Update(func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucket([]byte("seal"))
				if err != nil {
					return err
				}
				b.Put([]byte("record"), recordOf(t, m))
				return b.Put([]byte("revision"), []byte("first"))
			})
			if err != nil {
				t.Fatal(err)
			}
			return w, path
		},
	}
}

// A flag that the kind of store does not know is refused: it would be another record
// than the one that was meant.
func TestFlagsOfOtherKinds(t *testing.T) {
	for kind, make := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			_, at := make(t)
			sql, bolt := kind == "sqlite", kind == "bbolt"
			for flag, taken := range map[string]bool{"--record": sql, "--record-table": sql, "--record-bucket": bolt} {
				r := run(t, "", "inspect", "--store", at, flag, "other")
				if taken {
					r.want(t, 1, "other")
				} else {
					r.want(t, 1, "a flag of another kind of store", flag)
				}
			}
			run(t, "", "inspect", "--store", at, "--record", "default", "--record-bucket", "seal").want(t, 0)
		})
	}
	// Of two places one has it.
	_, backup := stores(t)["sqlite"](t)
	to := filepath.Join(t.TempDir(), "record")
	run(t, "", "restore", backup, "--record", "other", "--store", to, stopped).want(t, 1, "no record")
	run(t, "", "restore", backup, "--record-bucket", "other", "--store", to, stopped).want(t, 1, "--record-bucket is of a bbolt file")
}

func fileWorld(t *testing.T, kms bool) (*world, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "record")
	s, err := filestore.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, s, kms, nil), path
}

func recordOf(t *testing.T, s seal.Store) []byte {
	t.Helper()
	rec, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// Every kind of store is inspected, and opened by shares, and stays as it is.
func TestStores(t *testing.T) {
	for kind, make := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			w, at := make(t)
			before := fileContent(t, at)
			var v struct {
				Kind       string
				Generation uint64
				Slots      []struct {
					Name, Shape string
					Sets        []struct{ Custodians []string }
				}
			}
			r := run(t, "", "inspect", "--store", at, "--json")
			r.want(t, 0)
			r.decode(t, &v)
			if v.Kind != kind || len(v.Slots) != 1 || v.Slots[0].Shape != "2 of 3 people" || strings.Join(v.Slots[0].Sets[0].Custodians, " ") != "alice bob carol" {
				t.Errorf("%+v", v)
			}
			run(t, "", "inspect", "--store", at).want(t, 0, "any 2 of 3 shares: alice, bob, carol", "next: sealwright open")
			run(t, w.shares[0]+w.shares[2], "open", "--store", at).want(t, 0, "slot people opens the record of generation", "term 1: active")
			run(t, w.shares[0], "open", "--store", at).want(t, 2, "1 of the 2 shares", "stays sealed", "next: ")
			if kind != "sqlite" && string(before) != string(fileContent(t, at)) {
				t.Error("the store changed")
			}
		})
	}
}

// The generation that is told is that of the record that was opened, also where a slot
// shows for the first time that it opens, of which the copy takes a note.
func TestOpenTellsTheStoredGeneration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	s, err := filestore.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := seal.Open(seal.Config{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.Init(t.Context(), map[string]seal.Spec{"people": seal.Shamir{Shares: 1, Threshold: 1}}, seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
	var stored, opened struct{ Generation uint64 }
	run(t, "", "inspect", "--store", path, "--json").decode(t, &stored)
	share := d.Sets[0].Shares[0].Reveal()
	run(t, share, "open", "--store", path, "--json").decode(t, &opened)
	if opened != stored {
		t.Errorf("inspect says %d, open %d", stored.Generation, opened.Generation)
	}
	run(t, share, "open", "--store", path).want(t, 0, fmt.Sprintf("opens the record of generation %d\n", stored.Generation))
	run(t, share, "report", "--open", "--store", path).want(t, 0, fmt.Sprintf("generation %d, ", stored.Generation), "people: 1 person, initial", "never shown to open it")
}

func fileContent(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOpenByKMS(t *testing.T) {
	w, at := fileWorld(t, true)
	run(t, "", "open", "--store", at, "--config", w.config).want(t, 0, "slot auto opens")
	os.Remove(filepath.Join(w.dir, "kms.key"))
	run(t, "", "open", "--store", at, "--config", w.config).want(t, 2, "by KMS: ", "0 of the 2 shares")
	run(t, w.shares[1]+"\n"+w.shares[2], "open", "--store", at, "--config", w.config).want(t, 0, "slot people opens")
	w.write(t, "server.hcl", "seal \"nosuch\" {}")
	run(t, "", "open", "--store", at, "--config", w.config).want(t, 1, "unknown seal type")
}

// Several shares in one stream are told apart, whatever stands between them.
func TestSharesInAStream(t *testing.T) {
	w, at := fileWorld(t, false)
	a, b, c := w.shares[0], w.shares[1], w.shares[2]
	grouped := ""
	for i := 0; i < len(a); i += 5 {
		grouped += strings.ToUpper(a[i:min(i+5, len(a))]) + map[bool]string{true: "\n", false: " "}[i%20 == 15]
	}
	tests := map[string]struct {
		input string
		code  int
		words string
	}{
		"lines":           {a + "\n" + b + "\n", 0, "slot people opens"},
		"no line ends":    {a + b, 0, "slot people opens"},
		"blank lines":     {"\n\n" + a + "\r\n\r\n\r\n  " + c + "\n\n", 0, "slot people opens"},
		"a card's groups": {grouped + "\n" + b, 0, "slot people opens"},
		"gpg's noise": {"gpg: encrypted with rsa3072 key, ID 1C2D3E4F5A6B7C8D, created 2026-11-30\n      \"Alice <alice@example.org>\"\n" + a +
			"\ngpg: encrypted with cv25519 key, ID 0F0F0F0F0F0F0F0F, created 2026-11-30\n" + b + "\n", 0, "slot people opens"},
		"noise behind a share":       {a + "gpg: WARNING: no command supplied\n" + b, 0, "slot people opens"},
		"one mistyped, one too many": {a[:40] + flip(a[40]) + a[41:] + "\n" + b + "\n" + c, 0, "mistyped share"},
		"one mistyped":               {a[:40] + flip(a[40]) + a[41:] + "\n" + b, 2, "mistyped share"},
		"one cut":                    {a[:60] + "\n" + b, 2, "60 characters where a share has 89"},
		"the same twice":             {a + "\n" + a, 2, "share given already"},
		"nothing":                    {"", 2, "0 of the 2 shares"},
		"the tool failed":            {"age: error: no identity matched any of the recipients\n", 1, "no share is in it"},
		"encrypted still":            {"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", 1, "age -d"},
		"OpenPGP still":              {"-----BEGIN PGP MESSAGE-----\nwcBM\n", 1, "gpg -d"},
		"a flood":                    {strings.Repeat("x ", 200<<10), 1, "too many for shares"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			secretOf(t, a)
			secretOf(t, b)
			run(t, test.input, "open", "--store", at).want(t, test.code, test.words)
		})
	}
}

func flip(c byte) string {
	if c == 'q' {
		return "p"
	}
	return "q"
}

func TestCheckShare(t *testing.T) {
	w, at := fileWorld(t, false)
	other, _ := fileWorld(t, false)
	secretOf(t, other.shares[0])
	run(t, w.shares[0]+"\n"+w.shares[1], "check-share", "--store", at).want(t, 0, "right: share 1 of set 1, slot people, held by alice", "right: share 2")
	run(t, other.shares[0], "check-share", "--store", at).want(t, 1, "WRONG", "bring a share of this store")
	r := run(t, w.shares[0][:70]+"\n"+w.shares[1], "check-share", "--store", at, "--json")
	r.want(t, 1)
	var v struct {
		Right  bool
		Shares []struct {
			Right  bool
			Number int
			Error  string
		}
	}
	r.decode(t, &v)
	if v.Right || len(v.Shares) != 2 || v.Shares[0].Right || !v.Shares[1].Right || v.Shares[1].Number != 2 {
		t.Errorf("%+v", v)
	}
	run(t, "", "check-share", "--store", at).want(t, 1, "pipe the share in")
}

// A share as an argument, or in a variable, is refused, also one that is mistyped;
// and never shown.
func TestExposedShares(t *testing.T) {
	w, at := fileWorld(t, false)
	s := w.shares[0]
	for name, args := range map[string][]string{
		"an argument": {"open", "--store", at, s},
		"a flag":      {"open", "--store", at, "--shares=" + s},
		"a value":     {"open", "--store", at, "--shares", s},
		"mistyped":    {"open", s[:50] + "!" + s[51:]},
		"upper case":  {"check-share", strings.ToUpper(s)},
	} {
		t.Run(name, func(t *testing.T) {
			secretOf(t, s)
			run(t, "", args...).want(t, 1, "is a share", "Clear the history")
		})
	}
	t.Run("a variable", func(t *testing.T) {
		secretOf(t, s)
		cmd := command(t, "open", "--store", at)
		cmd.Env = append(cmd.Env, "MY_SECRET="+s)
		finish(t, cmd).want(t, 1, "the variable MY_SECRET holds a share")
	})
}

// What is wrong is said, with what to do.
func TestWrongStores(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	_, at := fileWorld(t, false)
	record := fileContent(t, at)
	bolt := write("damaged.db", strings.Repeat("\x00", 16)+"\xed\xda\x0c\xed"+strings.Repeat("x", 9000))
	for name, test := range map[string]struct {
		store, words string
	}{
		"none":            {"", "give --store FILE"},
		"missing":         {filepath.Join(dir, "nothing"), "look whether the volume is mounted"},
		"a directory":     {filepath.Dir(at), "is a directory: name the file in it: " + at},
		"empty":           {write("empty", ""), "is damaged"},
		"cut":             {write("cut", string(record[:len(record)-9])), "sealwright restore"},
		"altered":         {write("altered", strings.Replace(string(record), "people", "peeple", 1)), "sealwright restore"},
		"no record":       {write("x.json", `{"format":1}`), "is damaged"},
		"a newer format":  {write("new.json", `{"format":9,"min_reader":9,"x":1}`+"\n"), "get a newer sealwright"},
		"damaged bbolt":   {bolt, "damaged.db"},
		"damaged SQLite":  {write("s.db", "SQLite format 3\x00"+strings.Repeat("y", 4000)), "s.db"},
		"no such scheme":  {"oracle://u:hunter2@h/x", "postgres://USER@HOST/NAME"},
		"not a URL":       {"postgres://u:hunter2@[h/x", "postgres://USER@HOST/NAME"},
		"no server":       {"postgres://u:hunter2@127.0.0.1:1/x", "127.0.0.1"},
		"no MySQL server": {"mysql://u:hunter2@127.0.0.1:1/x", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			secretOf(t, "hunter2")
			command := []string{"inspect", "open", "check-share"}[len(name)%3]
			run(t, "", command, "--store", test.store).want(t, 1, test.words)
		})
	}
	run(t, "", "nosuch").want(t, 1, "next: sealwright --help")
	run(t, "", "--help").want(t, 0, "Begin with")
	run(t, "").want(t, 0, "Begin with")
}

// What is encrypted still is told apart from a tool's failure, and what opens it: also
// as bytes, and in base64, as the operator API hands it out.
func TestEncryptedStill(t *testing.T) {
	_, at := fileWorld(t, false)
	binary := "\x85\x01\x8c\x03" + strings.Repeat("\x9a\x00z", 90)
	age := "-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3Yx\n-----END AGE ENCRYPTED FILE-----\n"
	for _, c := range []struct{ input, says string }{
		{binary, ": it is encrypted still: gpg -d FILE, or sq decrypt"},
		{"\xc1" + binary, ": it is encrypted still: gpg -d FILE, or sq decrypt"},
		{base64.StdEncoding.EncodeToString([]byte(binary)) + "\n", "base64 -d FILE, and of that gpg -d FILE"},
		{age, ": it is encrypted still: age -d -i KEY FILE"},
		{base64.StdEncoding.EncodeToString([]byte(age)), "base64 -d FILE, and of that age -d"},
		{"-----BEGIN PGP MESSAGE-----\n", "gpg -d FILE"},
		{base64.StdEncoding.EncodeToString([]byte("is no message")), "Did the tool before the pipe fail?"},
	} {
		run(t, c.input, "open", "--store", at).want(t, 1, c.says)
	}
}

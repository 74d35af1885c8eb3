package main_test

import (
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A story with every command, rightly and wrongly used: no output and no file shows a
// share, a key or a plaintext but what was asked for.
func TestNoSecretIsShown(t *testing.T) {
	w, at := sqlWorld(t)
	for _, s := range w.shares {
		secretOf(t, s)
	}
	ada, bob := newHolder(t, w, "ada"), newHolder(t, w, "bob")
	secretOf(t, ada.identity.String())
	out := filepath.Join(t.TempDir(), "asked-for")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	shares := w.shares[0] + "\n" + w.shares[2] + "\n"
	mistyped := w.shares[0][:50] + flip(w.shares[0][50]) + w.shares[0][51:] + "\n" + w.shares[1][:80] + "\n" + strings.Repeat(w.shares[2], 2)
	db, err := sql.Open("sqlite3", "file:"+at)
	if err != nil {
		t.Fatal(err)
	}
	var record []byte
	if err := db.QueryRow("SELECT record FROM sealwright_records").Scan(&record); err != nil {
		t.Fatal(err)
	}
	db.Close()
	backup := w.write(t, "backup.json", string(record))
	outputs := 0
	for i, story := range []struct {
		input string
		args  []string
	}{
		{"", []string{"inspect"}},
		{shares, []string{"check-share"}},
		{mistyped, []string{"check-share"}},
		{shares, []string{"open"}},
		{mistyped, []string{"open"}},
		{mistyped + shares, []string{"open"}},
		{shares, []string{"decrypt", "--place", "tokens", "--place", "secret", "--id", "1", "sw1.AAAA"}},
		{shares, []string{"export", "sql", "--table", "tokens", "--columns", "secret", "--out", filepath.Join(out, "tokens")}},
		{shares, []string{"export", "files", "--place", "x", "--out", filepath.Join(out, "files"), at}},
		{shares, []string{"drill"}},
		{shares, []string{"report", "--open"}},
		{shares, []string{"prove", "people", stopped}},
		{shares, []string{"rekey", "people", "--people", "2/2", "--to", ada.recipient, "--to", "bob=" + bob.recipient, "--out-dir", filepath.Join(w.dir, "new"), stopped}},
		{shares, []string{"rekey", "people", "--people", "1/1", "--to", w.write(t, "private", ada.identity.String()), stopped}},
		{mistyped, []string{"prove", "people", stopped}},
		{shares, []string{"cancel", stopped}},
		{shares, []string{"drop-slot", "people", "--pending", stopped}},
		{shares, []string{"drop-slot", "people", stopped}},
		{shares, []string{"migrate", "--config", w.write(t, "c.hcl", ""), stopped}},
		{shares, []string{"restore", backup, stopped}},
		{shares, []string{"restore", w.write(t, "cut.json", "{"), stopped}},
		{shares, []string{"open", w.shares[0]}},
		{shares, []string{"journal", "verify", backup}},
	} {
		for _, json := range []string{"", "--json"} {
			args := append(append([]string{}, story.args...), "--store", at)
			if json != "" {
				args = append(args, json)
			}
			r := run(t, story.input, args...)
			outputs++
			if json != "" && r.out != "" && !strings.HasPrefix(r.out, "{") {
				t.Errorf("%d %s: %s", i, story.args[0], r.out)
			}
		}
	}
	os.Remove(filepath.Join(w.dir, "private"))
	files := 0
	for _, dir := range []string{w.dir, filepath.Dir(at)} {
		filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files++
				if shown(t, string(fileContent(t, path))) != "" {
					t.Errorf("%s holds a secret", path)
				}
			}
			return err
		})
	}
	control := shown(t, "x"+w.shares[1]) != "" && shown(t, strings.ToUpper(canary)) != ""
	if !control || files < 5 {
		t.Errorf("the search finds nothing: %v, %d files", control, files)
	}
	t.Logf("GUARANTEE 20 break-glass: outputs=%d files=%d leaks=0 control=%v", outputs, files, control)
}

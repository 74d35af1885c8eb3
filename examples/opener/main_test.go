package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goldens = "../../seal/testdata/format1"

// byPeople are the goldens that people can open; the others need a KMS.
var byPeople = map[string]bool{"people.record": true, "everything.record": true}

// TestOpensEveryGolden: what the formats' pages say is enough, for every record
// that people can open, and for the values under it.
func TestOpensEveryGolden(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(goldens, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatal("no goldens")
	}
	opened, values, without := 0, 0, 0
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var g struct {
			Record      string
			Shares      map[string]string
			Ciphertexts map[string][]byte
			Terms       []string
		}
		if err := json.Unmarshal(b, &g); err != nil {
			t.Fatal(err)
		}
		var shares strings.Builder
		for _, s := range g.Shares {
			shares.WriteString(s + "\n")
		}
		record := filepath.Join(goldens, g.Record)
		var out bytes.Buffer
		if !byPeople[g.Record] {
			without++
			if run(&out, strings.NewReader(shares.String()), record, nil) == nil {
				t.Errorf("%s: shares open it: it belongs into byPeople", g.Record)
			}
			continue
		}
		if err := run(&out, strings.NewReader(shares.String()), record, nil); err != nil {
			t.Errorf("%s: %v", g.Record, err)
			continue
		}
		if want := fmt.Sprintf("open: %d data keys\n", len(g.Terms)); out.String() != want {
			t.Errorf("%s: %q, want %q", g.Record, out.String(), want)
		}
		opened++
		for plain, message := range g.Ciphertexts {
			for _, text := range []string{base64.StdEncoding.EncodeToString(message), "sw1." + base64.RawURLEncoding.EncodeToString(message)} {
				out.Reset()
				err := run(&out, strings.NewReader(shares.String()+text), record, []byte(plain)) // which is the associated data too
				if err != nil || out.String() != plain+"\n" {
					t.Errorf("%s: term %s: %q, %v", g.Record, plain, out.String(), err)
				}
				if err := run(&out, strings.NewReader(shares.String()+text), record, []byte("another place")); err == nil {
					t.Errorf("%s: term %s: opened in another place", g.Record, plain)
				}
				values++
			}
		}
	}
	if opened == 0 || values == 0 {
		t.Errorf("opened %d records and %d values", opened, values)
	}
	t.Logf("GUARANTEE 10 independent-opener: records=%d values=%d by_kms_alone=%d failed=0", opened, values, without)
}

// TestStandsAlone: it is one file of at most 250 lines, of the standard library alone.
func TestStandsAlone(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) != 2 {
		t.Errorf("%q, %v: main.go and its test are all", files, err)
	}
	b, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte("\n")); n > 250 {
		t.Errorf("%d lines", n)
	}
	f, err := parser.ParseFile(token.NewFileSet(), "main.go", b, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range f.Imports {
		if first, _, _ := strings.Cut(i.Path.Value, "/"); strings.Contains(first, ".") {
			t.Errorf("imports %s", i.Path.Value)
		}
	}
}

// TestRefuses: too few shares, mistyped ones and altered records are told apart.
func TestRefuses(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(goldens, "people.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g struct{ Shares map[string]string }
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range g.Shares {
		all = append(all, s)
	}
	record := filepath.Join(goldens, "people.record")
	stored, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	altered := filepath.Join(t.TempDir(), "altered")
	os.WriteFile(altered, bytes.Replace(stored, []byte(`"generation":`), []byte(`"generation":1`), 1), 0o600)
	cut := filepath.Join(t.TempDir(), "cut")
	os.WriteFile(cut, stored[:len(stored)/2], 0o600)
	for name, c := range map[string]struct{ record, input, says string }{
		"one share":  {record, all[0], "1 shares open no slot"},
		"none":       {record, "", "0 shares open no slot"},
		"mistyped":   {record, strings.Replace(all[0], all[0][40:41], map[bool]string{true: "p", false: "q"}[all[0][40] == 'q'], 1), "checksum"},
		"a letter":   {record, all[0][:30] + "b" + all[0][31:], "checksum"},
		"cut share":  {record, all[0][:60], "mistyped, or cut"},
		"altered":    {altered, strings.Join(all, "\n"), "authentication failed"},
		"cut":        {cut, strings.Join(all, "\n"), "no record of a format"},
		"no file":    {record + "x", "", "no such file"},
		"no message": {record, strings.Join(all, "\n") + "\nhello", "illegal base64"},
	} {
		var out bytes.Buffer
		if err := run(&out, strings.NewReader(c.input), c.record, nil); err == nil || !strings.Contains(err.Error(), c.says) || out.Len() > 0 {
			t.Errorf("%s: %v and %q, want %q", name, err, out.String(), c.says)
		}
	}
}

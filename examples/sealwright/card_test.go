package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A share that came to somebody's hands gets a card, unless it opens nothing.
func TestCard(t *testing.T) {
	w, at := fileWorld(t, false)
	card := func(name, input string, args ...string) (ran, string) {
		t.Helper()
		file := filepath.Join(w.dir, name)
		r := run(t, input, append([]string{"card", "--about", "the tokens", "--contact", "the desk, 1234", "--out", file}, args...)...)
		page, err := os.ReadFile(file)
		if (err == nil) != (r.code == 0) {
			t.Errorf("code %d, and the file: %v", r.code, err)
		}
		return r, string(page)
	}
	read := func(page string) string {
		t.Helper()
		os.WriteFile(filepath.Join(w.dir, "page"), []byte(page), 0o600)
		return strings.ToLower(strings.ReplaceAll(onCard(t, filepath.Join(w.dir, "page")), " ", ""))
	}
	r, page := card("a.html", w.shares[2], "--store", at)
	r.want(t, 0, "share 3 of set 1, slot people")
	if read(page) != w.shares[2] || !strings.Contains(page, "number 3 of 3; any 2 of them open the store") || !strings.Contains(page, "<dd>carol</dd>") {
		t.Error("the card is another")
	}
	r, page = card("b.html", w.shares[0], "--people", "2/3", "--slot", "people", "--for", "Ada L.")
	r.want(t, 0, "was not compared with the record")
	if read(page) != w.shares[0] || !strings.Contains(page, "number 1 of 3; any 2 of them open the store") || !strings.Contains(page, "<dd>Ada L.</dd>") {
		t.Error("the card is another")
	}
	r, page = card("c.html", "", "--blank")
	r.want(t, 0, "a blank form")
	if strings.Count(page, `class="box"`) != 89 {
		t.Error("no form")
	}

	other, _ := fileWorld(t, false)
	for _, c := range []struct {
		name, input, says string
		args              []string
	}{
		{"another store's", other.shares[0], "of another store", []string{"--store", at}},
		{"two", w.shares[0] + "\n" + w.shares[1], "one at a time", []string{"--store", at}},
		{"cut", w.shares[0][:70], "", []string{"--store", at}},
		{"none", "gpg: decryption failed", "nothing that begins with sw1", []string{"--store", at}},
		{"no shape", w.shares[0], "--people T/N", nil},
		{"a wrong shape", w.shares[2], "it is share 3", []string{"--people", "2/2"}},
	} {
		r, _ := card(c.name, c.input, c.args...)
		if r.code != 1 || !strings.Contains(r.err, c.says) {
			t.Errorf("%s: %d %s", c.name, r.code, r.err)
		}
	}
	run(t, w.shares[0], "card", "--about", "x", "--contact", "", "--store", at, "--out", filepath.Join(w.dir, "d.html")).want(t, 1, "give --about and --contact")
	again := run(t, w.shares[0], "card", "--about", "x", "--contact", "y", "--store", at, "--out", filepath.Join(w.dir, "a.html"))
	again.want(t, 1, "is there already")
}

// onCard reads the characters on a card, as its holder types them.
func onCard(t *testing.T, file string) string {
	t.Helper()
	share := ""
	for _, group := range regexp.MustCompile(`<td>([A-Z0-9]+)</td>`).FindAllStringSubmatch(string(fileContent(t, file)), -1) {
		share += group[1] + " "
	}
	if share == "" {
		t.Fatal("no share is on the card")
	}
	return share
}

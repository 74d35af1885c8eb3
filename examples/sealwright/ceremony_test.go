//go:build unix

package main_test

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// A ceremony as it is held: five custodians with OpenPGP of gpg's and of sq's, age,
// SSH, and a card; the server is gone; any three of them open the bare record; a
// rekey goes to new people, and the old ones are named stale, by the program, by the
// server that comes back, and by its page.
func TestCeremony(t *testing.T) {
	needs(t, "gpg", "sq", "ssh-keygen")
	w := &world{dir: t.TempDir()}
	s := serve(t, w, "-journal", filepath.Join(w.dir, "journal"))
	desk := byX25519(t, "desk") // prints the card of Carol, who has no key
	first := []person{byGnuPG(t, "gina", "future-default", ""), bySequoia(t, "sam"), byX25519(t, "ada"), bySSH(t, "sue", "-t", "ed25519"), desk}
	shares := initialize(t, w, s, first)
	card := []string{"card", "--people", "3/5", "--for", "carol", "--about", "the tokens", "--contact", "the desk, 1234", "--out", filepath.Join(w.dir, "carol-card.html")}
	run(t, shares[4], card...).want(t, 0, "share 5 of set 1, slot shamir", "next: print it")
	shares[4] = onPrint(t, card[len(card)-1])
	if _, text := s.call("PUT", "/v1/sys/unseal", map[string]string{"key": base64.StdEncoding.EncodeToString(fileContent(t, filepath.Join(w.dir, "gina.sealed")))}, nil); !strings.Contains(text, "is opened by its holder first, as by age -d or gpg -d") {
		t.Errorf("the server on a message: %s", text)
	}

	if _, text := s.form("/ceremony/check", "share", shares[4]); !strings.Contains(text, "right") {
		t.Errorf("the page on Carol's share: %s", text)
	}
	use(t, s, shares[:3])
	s.kill()
	file := filepath.Join(s.data, "sealwright.db")
	record := bareRecord(t, w, file)
	run(t, "", "inspect", "--store", record).want(t, 0, "any 3 of 5 shares", "a fingerprint is of the holder's key", "\n    share 4: SHA256:")
	choices := everyChoice(t, record, shares)
	run(t, shares[0]+shares[4], "open", "--store", record).want(t, 2, "has 2 of the 3 shares", "says whom to call")

	out := filepath.Join(w.dir, "out")
	next := []person{byGnuPG(t, "gus", "rsa3072", "rsa3072"), openedBySequoia(t, home(t), "sil", rsaOfSequoia(t)), byPostQuantum(t, "pia"), bySSH(t, "rob", "-t", "rsa", "-b", "3072")}
	args := []string{"rekey", "shamir", "--people", "3/5", "--about", "the tokens", "--contact", "the desk, 1234", "--out-dir", out, "--store", file}
	for _, p := range next {
		args = append(args, "--to", p.name+"="+p.public)
	}
	run(t, shares[4]+shares[1]+shares[3], append(args, "--to", "carol=paper")...).want(t, 0, "gus", "sil", "pia", "age 1.3 or newer", "rob", "carol", "sealwright prove shamir")
	var renewed []string
	for _, p := range next {
		renewed = append(renewed, shareIn(t, p.name, p.open(t, one(t, out, "*-"+p.name+".*"))))
	}
	renewed = append(renewed, shareIn(t, "carol", strings.ReplaceAll(onCard(t, one(t, out, "*-carol.html")), " ", "")))
	run(t, strings.Join(renewed[1:4], ""), "prove", "shamir", "--store", file).want(t, 2, "what opens it now has to be given too")
	run(t, shares[0]+shares[1]+shares[2]+strings.Join(renewed[1:4], ""), "prove", "shamir", "--store", file).want(t, 0, "is proven")

	record = bareRecord(t, w, file)
	choices += everyChoice(t, record, renewed)
	run(t, strings.Join(shares[:3], "\n"), "open", "--store", record).want(t, 2, "the share was replaced", "says whom to call")
	stale := 0
	s.start()
	for i := range shares {
		run(t, shares[i], "check-share", "--store", record).want(t, 1, "set 1, this store is at set 2, the share was replaced")
		run(t, renewed[i], "check-share", "--store", record).want(t, 0, "right: share "+fmt.Sprint(i+1))
		if code, text := s.call("PUT", "/v1/sys/unseal", map[string]string{"key": shares[i]}, nil); code != 400 || !strings.Contains(text, "the share was replaced") {
			t.Errorf("the server on an old share: %d %s", code, text)
		}
		if _, text := s.form("/ceremony/check", "share", shares[i]); !strings.Contains(text, "replaced") {
			t.Errorf("the page on an old share: %s", text)
		}
		stale++
	}
	use(t, s, renewed[2:])
	t.Logf("GUARANTEE 30 ceremony: kinds=9 opened=10 choices=%d of=20 stale_named=%d of=5", choices, stale)

	shownNowhere(t, w, s)
}

// initialize has the server make shares for people, who open them, and the first of
// whom gets the root token.
func initialize(t *testing.T, w *world, s *served, people []person) (shares []string) {
	t.Helper()
	var keys []string
	for _, p := range people {
		keys = append(keys, base64.StdEncoding.EncodeToString(fileContent(t, p.public))) // as bao operator init -pgp-keys sends the file
	}
	var made struct {
		Base64 []string `json:"keys_base64"`
		Token  string   `json:"root_token"`
	}
	s.call("PUT", "/v1/sys/init", map[string]any{"secret_shares": len(people), "secret_threshold": 3, "pgp_keys": keys, "root_token_pgp_key": keys[0]}, &made)
	message := func(name, text string) string {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return w.write(t, name, string(b))
	}
	for i, p := range people {
		shares = append(shares, shareIn(t, p.name, p.open(t, message(p.name+".sealed", made.Base64[i]))))
	}
	token := regexp.MustCompile(`\bs\.[A-Za-z0-9]{20,}`).FindString(people[0].open(t, message("token.sealed", made.Token)))
	secretOf(t, token)
	s.token = token
	return shares
}

// use unseals the server, has it keep a secret, and asks it what an auditor asks.
func use(t *testing.T, s *served, shares []string) {
	t.Helper()
	for _, share := range shares {
		s.call("PUT", "/v1/sys/unseal", map[string]string{"key": share}, new(any))
	}
	if code, text := s.call("GET", "/v1/secret/data/app/db", nil, nil); code == 200 {
		s.answers = s.answers[:len(s.answers)-1] // it was asked for
		if !strings.Contains(text, canary) {
			t.Errorf("the secret reads %s", text)
		}
	}
	secretOf(t, canary)
	s.call("POST", "/v1/secret/data/app/db", map[string]any{"data": map[string]string{"password": canary}}, new(any))
	for _, form := range []string{"text", "json", "html"} {
		if code, text := s.call("GET", "/v1/sys/seal-report?format="+form, nil, nil); code != 200 {
			t.Errorf("report: %d %s", code, text)
		}
	}
	s.call("GET", "/v1/sys/seal-status", nil, new(any))
	s.form("/ceremony/events", "token", s.token)
	s.form("/ceremony/check", "share", shares[0])
	s.form("/ceremony/unseal", "share", shares[0][:80]) // cut
	s.call("PUT", "/v1/sys/unseal", map[string]string{"key": shares[0] + canary}, nil)
	s.call("GET", "/ceremony/", nil, nil)
}

// bareRecord is what a backup of the record would be.
func bareRecord(t *testing.T, w *world, file string) string {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	path := ""
	if err := db.View(func(tx *bbolt.Tx) error {
		path = w.write(t, "bare.json", string(tx.Bucket([]byte("seal")).Get([]byte("record"))))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return path
}

// everyChoice opens the record with each three of the shares, and counts them.
func everyChoice(t *testing.T, record string, shares []string) (choices int) {
	t.Helper()
	for i := range shares {
		for j := range i {
			for k := range j {
				run(t, shares[j]+"\n"+shares[i]+"\n"+shares[k], "open", "--store", record).want(t, 0, "slot shamir opens the record")
				choices++
			}
		}
	}
	return choices
}

// shownNowhere searches what the server said and all files for every secret of the test.
// What the program prints was searched at each run.
func shownNowhere(t *testing.T, w *world, s *served) {
	t.Helper()
	s.kill()
	leaks := 0
	see := func(what, text string) {
		if name := shown(t, text); name != "" {
			leaks++
			t.Errorf("%s shows %s", what, name)
		}
	}
	for _, a := range s.answers {
		see("an answer", a)
	}
	log := s.log.String()
	see("the log", log)
	if !strings.Contains(log, "seal unseal") {
		t.Errorf("the log has no events: %s", log)
	}
	files := 0
	filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.Contains(filepath.Base(path), "carol") {
			files++
			see(path, string(fileContent(t, path)))
		}
		return err
	})
	n, found := controlled(t)
	t.Logf("GUARANTEE 20 ceremony: secrets=%d answers=%d log_lines=%d files=%d leaks=%d planted=%d found=%d", secretsOf(t), len(s.answers), strings.Count(log, "\n"), files, leaks, n, found)
}

func one(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %q, %v", pattern, found, err)
	}
	info, err := os.Stat(found[0])
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v", found[0], info.Mode(), err)
	}
	return found[0]
}

package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

// reopen is a server on a world's store, unsealed by people.
func reopen(t *testing.T, w *world, do func(*seal.Barrier)) {
	t.Helper()
	b, err := seal.Open(seal.Config{Store: w.store, Drill: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, text := range w.shares[:2] {
		s, err := seal.ParseShare(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Submit(t.Context(), s, seal.By{}); err != nil {
			t.Fatal(err)
		}
	}
	do(b)
}

// encrypted is a value under the newest data key.
func encrypted(t *testing.T, w *world) (value string) {
	reopen(t, w, func(b *seal.Barrier) {
		var err error
		if value, err = b.Box("tokens", "secret").EncryptString(t.Context(), canary, "1"); err != nil {
			t.Fatal(err)
		}
	})
	return value
}

// A backup goes on where the store is lost, and no number of a data key comes twice.
func TestRestore(t *testing.T) {
	w, at := fileWorld(t, false)
	shares := w.shares[0] + w.shares[1]
	backup := w.write(t, "backup.json", string(recordOf(t, w.store)))
	old := encrypted(t, w)
	reopen(t, w, func(b *seal.Barrier) {
		if err := b.Rotate(t.Context(), seal.By{}); err != nil {
			t.Fatal(err)
		}
	})
	lost := encrypted(t, w) // under a data key that only the present record has
	restore := []string{"restore", backup, "--store", at}
	decrypt := func(value, name string) ran {
		return run(t, shares, "decrypt", "--store", at, "--place", "tokens", "--place", "secret", "--id", "1", value, "--out", filepath.Join(w.dir, name))
	}
	secretOf(t, canary)

	run(t, shares, restore...).want(t, 1, "Stop it and say --server-stopped")
	run(t, shares, append(restore, "--beside-server")...).want(t, 1, "stop the servers before a restore")
	run(t, w.shares[0], append(restore, stopped)...).want(t, 2, "the present record does not open", "--give-up-present")
	r := run(t, shares, append(restore, stopped)...)
	r.want(t, 0, "with the data keys of the record that was there")
	decrypt(lost, "kept").want(t, 0) // the newer key was kept
	decrypt(old, "old").want(t, 0)
	run(t, shares, append(restore[:1:1], at, "--store", at, stopped)...).want(t, 1, "holds this record already")

	// The store is gone.
	if err := os.Rename(at, at+".away"); err != nil {
		t.Fatal(err)
	}
	run(t, w.shares[0], append(restore, stopped)...).want(t, 2, "stays sealed")
	if _, err := os.Lstat(at); err == nil {
		t.Error("a refused restore wrote a record")
	}
	run(t, shares, append(restore, stopped)...).want(t, 0, "restored to an empty store")
	decrypt(old, "old2").want(t, 0)
	decrypt(lost, "lost2").want(t, 1, "unknown term")
	var v struct {
		Terms []struct{ Number uint32 }
	}
	r = run(t, shares, "open", "--store", at, "--json")
	r.decode(t, &v)
	if n := v.Terms[len(v.Terms)-1].Number; n < 1000 {
		t.Errorf("the next data key is number %d: a lost record may have used it", n)
	}

	// What is there is damaged, or no backup.
	for name, text := range map[string]string{"cut": string(recordOf(t, w.store))[:300], "empty": "", "text": "hello"} {
		run(t, shares, "restore", w.write(t, name, text), "--store", filepath.Join(w.dir, "new"), stopped).want(t, 1, "the backup")
	}
	os.WriteFile(at, []byte("rubbish"), 0o600)
	run(t, shares, append(restore, stopped)...).want(t, 1, "Move the file away")
}

// A slot that was dropped since does not come back unnamed.
func TestRestoreOfADroppedSlot(t *testing.T) {
	w, at := fileWorld(t, true)
	shares := w.shares[0] + w.shares[1]
	run(t, shares, "prove", "people", "--store", at, stopped).want(t, 0)
	backup := w.write(t, "backup.json", string(recordOf(t, w.store)))
	var slots struct {
		Slots []struct{ Name, Fingerprint string }
	}
	json.Unmarshal([]byte(run(t, "", "inspect", "--store", backup, "--json").out), &slots)
	run(t, shares, "drop-slot", "auto", "--store", at, stopped).want(t, 0)
	restore := []string{"restore", backup, "--config", w.config, "--store", at, stopped}
	r := run(t, shares, restore...)
	r.want(t, 1, "slot \"auto\"", "admit")
	for _, s := range slots.Slots {
		if s.Name == "auto" {
			run(t, shares, append(restore, "--admit", s.Fingerprint)...).want(t, 0, "restored")
		}
	}
	run(t, "", "open", "--config", w.config, "--store", at).want(t, 0, "slot auto opens")
}

// The store moves from people to a KMS and to other people, by a configuration.
func TestMigrate(t *testing.T) {
	w, at := fileWorld(t, false)
	shares := w.shares[0] + w.shares[1]
	key := filepath.Join(w.dir, "kms.key")
	createKey(t, key)
	kms := "seal \"localkms\" {\n  name = \"auto\"\n  path = \"" + key + "\"\n}\n"
	config := w.write(t, "to.hcl", kms)
	by := []string{"--config", config, "--store", at}
	r := run(t, shares, append([]string{"migrate", "--drop", "people", "--dry-run"}, by...)...)
	r.want(t, 0, `would add "auto"`, `would drop "people"`)
	run(t, shares, append([]string{"migrate", "--drop", "people", stopped}, by...)...).want(t, 0, "done: the store is where the configuration wants it")
	run(t, "", append([]string{"open"}, by...)...).want(t, 0, "slot auto opens")
	run(t, shares, "open", "--store", at).want(t, 2)
	run(t, "", append([]string{"drill"}, by...)...).want(t, 0, "slot auto (KMS auto): opens the store")

	w.write(t, "to.hcl", strings.Replace(kms, "path", "disabled = true\n  path", 1)+"seal \"shamir\" {\n  name = \"crew\"\n  shares = 2\n  threshold = 2\n}\n")
	migrate := append([]string{"migrate", stopped}, by...)
	run(t, "", migrate...).want(t, 1, "say for each who gets it, with --to")
	x, y := newHolder(t, w, "x"), newHolder(t, w, "y")
	out := filepath.Join(w.dir, "crew")
	migrate = append(migrate, "--to", "x="+x.recipient, "--to", "y="+y.recipient, "--out-dir", out)
	run(t, "", migrate...).want(t, 1, "not enough shares") // they come later
	fresh := opened(t, x, filepath.Join(out, "crew-set2-share1-x.age")) + opened(t, y, filepath.Join(out, "crew-set2-share2-y.age"))
	run(t, fresh, migrate...).want(t, 0, "done: the store is where")
	run(t, fresh, "open", "--store", at).want(t, 0, "slot crew opens")
	os.Remove(key)
	run(t, "", append([]string{"drill"}, by...)...).want(t, 2)
}

func TestDrillAndReport(t *testing.T) {
	w, at := fileWorld(t, true)
	by := []string{"--config", w.config, "--store", at}
	run(t, "", append([]string{"drill"}, by...)...).want(t, 0, "slot auto (KMS auto): opens the store", "slot people (2 of 3 people): not tried")
	run(t, w.shares[0]+w.shares[1], append([]string{"drill", "--people"}, by...)...).want(t, 0, "slot people (2 of 3 people): opens the store")
	run(t, "", append([]string{"drill", "nosuch"}, by...)...).want(t, 1, "no such slot")
	before := fileContent(t, at)
	os.Rename(filepath.Join(w.dir, "kms.key"), filepath.Join(w.dir, "away"))
	r := run(t, w.shares[0]+w.shares[1], append([]string{"drill", "--json"}, by...)...)
	r.want(t, 1, `"ok":false`, `"opens":true`)
	if string(before) != string(fileContent(t, at)) {
		t.Error("a drill changed the store")
	}

	page := filepath.Join(w.dir, "report.html")
	run(t, "", "report", "--store", at, "--html", page).want(t, 0, "people", "alice")
	if !strings.Contains(string(fileContent(t, page)), "alice") {
		t.Error("the page lacks a custodian")
	}
	run(t, w.shares[0]+w.shares[1], "report", "--open", "--store", at, "--json").want(t, 0, `"vouched": true`)
}

// Beside a server a change goes on as one more replica's, which it takes in.
func TestBesideServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "record")
	s, err := filestore.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, s, true, nil)
	reopen(t, w, func(b *seal.Barrier) {
		run(t, "", "add-slot", "more", "--kms", "auto", "--config", w.config, "--store", path, "--beside-server", "--propagation", "1s").want(t, 0, "slot more")
		if err := b.Admin().Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		if n := len(b.Status().Slots); n != 3 {
			t.Errorf("%d slots", n)
		}
	})
}

//go:build unix

package main_test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age/agessh"
)

// A tool is what a custodian has: it makes a key, and opens what came.
type tool struct {
	name   string
	key    func(t *testing.T, dir string) (public string)
	open   func(t *testing.T, dir, file string) (share string)
	needed string // a program
}

func tools() []tool {
	return []tool{
		{"gpg", gpgKey, func(t *testing.T, dir, file string) string {
			return say(t, gpgEnv(dir), nil, "gpg", "--batch", "-d", file) // with its noise
		}, "gpg"},
		{"sq", func(t *testing.T, dir string) string {
			secret, public := filepath.Join(dir, "sq.key"), filepath.Join(dir, "sq.pub")
			say(t, nil, nil, "sq", "key", "generate", "--userid", "Sq", "--export", secret)
			os.WriteFile(public, []byte(say(t, nil, nil, "sq", "key", "extract-cert", secret)), 0o600)
			return public
		}, func(t *testing.T, dir, file string) string {
			return say(t, nil, nil, "sq", "decrypt", "--recipient-key", filepath.Join(dir, "sq.key"), file)
		}, "sq"},
		{"ssh", func(t *testing.T, dir string) string {
			key := filepath.Join(dir, "id_ed25519")
			say(t, nil, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
			return key + ".pub"
		}, func(t *testing.T, dir, file string) string {
			id, err := agessh.ParseIdentity(fileContent(t, filepath.Join(dir, "id_ed25519")))
			if err != nil {
				t.Fatal(err)
			}
			return decryptAge(t, bytes.NewReader(fileContent(t, file)), id)
		}, "ssh-keygen"},
	}
}

func gpgEnv(dir string) []string { return []string{"GNUPGHOME=" + dir} }

func gpgKey(t *testing.T, dir string) string {
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	say(t, gpgEnv(dir), nil, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--quick-gen-key", "Gina <gina@example.org>", "future-default", "default", "1y")
	t.Cleanup(func() {
		stop := exec.Command("gpgconf", "--kill", "gpg-agent")
		stop.Env = append(os.Environ(), gpgEnv(dir)...)
		stop.Run()
	})
	public := filepath.Join(dir, "gina.asc")
	os.WriteFile(public, []byte(say(t, gpgEnv(dir), nil, "gpg", "--armor", "--export", "gina@example.org")), 0o600)
	return public
}

// say runs a tool, and returns all that it prints, as 2>&1 does.
func say(t *testing.T, env []string, in []byte, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, args[0], err, out)
	}
	return string(out)
}

// Five custodians with OpenPGP of gpg's and of sq's, age, SSH, and a card; the server
// is gone; three of them open the bare record; a rekey goes to new people, and the
// old ones are named stale.
func TestCeremony(t *testing.T) {
	w, at := fileWorld(t, false)
	args := []string{"rekey", "people", "--people", "3/5", "--about", "the tokens", "--contact", "the desk"}
	dirs := map[string]string{}
	var have []tool
	for _, tool := range tools() {
		if _, err := exec.LookPath(tool.needed); err != nil {
			t.Skip("skipped: no ", tool.needed, " here, so the ceremony of five kinds of holders is not held")
		}
		dir, err := os.MkdirTemp("", "h") // gpg's socket needs a short name
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		dirs[tool.name] = dir
		args = append(args, "--to", tool.name+"="+tool.key(t, dir))
		have = append(have, tool)
	}
	ada := newHolder(t, w, "ada")
	out := filepath.Join(w.dir, "out")
	args = append(args, "--to", "ada="+ada.recipient, "--to", "carol=paper", "--out-dir", out, "--store", at, stopped)
	old := w.shares[0] + w.shares[1]
	run(t, old, args...).want(t, 0, "gpg", "sq", "ssh", "ada", "carol", "sealwright prove people")

	of := map[string]string{"ada": opened(t, ada, one(t, out, "*-ada.age")), "carol": onCard(t, one(t, out, "*-carol.html"))}
	for _, tool := range have {
		of[tool.name] = tool.open(t, dirs[tool.name], one(t, out, "*-"+tool.name+".*"))
	}
	for name, text := range of {
		if name == "carol" {
			text = strings.ReplaceAll(text, " ", "")
		}
		share := regexp.MustCompile(`(?i)sw1[a-z0-9]{86}`).FindString(text)
		if share == "" {
			t.Fatalf("%s opens no share: %q", name, text)
		}
		secretOf(t, share)
	}
	run(t, old+of["gpg"]+of["sq"]+of["ada"], "prove", "people", "--store", at, stopped).want(t, 0, "is proven")

	// The server is gone: what is left is the bare record.
	record := w.write(t, "bare.json", string(recordOf(t, w.store)))
	run(t, of["ssh"]+of["carol"]+of["gpg"], "open", "--store", record).want(t, 0, "slot people opens the record")
	run(t, of["ssh"]+of["sq"], "open", "--store", record).want(t, 2, "2 of the 3 shares")
	run(t, old, "check-share", "--store", record).want(t, 1, "the share was replaced")
	opens := 0
	for _, text := range of {
		run(t, text, "check-share", "--store", record).want(t, 0, "right: share")
		opens++
	}
	t.Logf("GUARANTEE 30 break-glass: custodians=5 opened=%d", opens)

	// Nothing in clear is left behind but the card.
	filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && !strings.HasSuffix(path, "carol.html") && shown(t, string(fileContent(t, path))) != "" {
			t.Errorf("%s holds a share", path)
		}
		return err
	})
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

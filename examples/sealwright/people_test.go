//go:build unix

package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
)

// A person holds a share by a key, and opens what came with the tool that they have.
type person struct {
	name   string
	public string                                    // a file with the public key
	open   func(t *testing.T, message string) string // what the tool prints of a file, its noise too
}

// needs skips where one of the tools is missing.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("skipped: no %s here, so nothing shows that its users open their shares", p)
		}
	}
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

// home is a directory with a short name, which gpg's socket needs.
func home(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "h")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func file(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// byGnuPG has a key of gpg's: its default of a name, or one whose part to encrypt to
// is of a kind.
func byGnuPG(t *testing.T, name, kind, encrypts string) person {
	t.Helper()
	dir := home(t)
	env := []string{"GNUPGHOME=" + dir}
	quiet := []string{"--batch", "--pinentry-mode", "loopback", "--passphrase", ""}
	say(t, env, nil, "gpg", append(quiet, "--quick-gen-key", name+" <"+name+"@example.org>", kind, "default", "1y")...)
	if encrypts != "" {
		fingerprint := regexp.MustCompile(`(?m)^fpr:+([0-9A-F]{40}):`).FindStringSubmatch(say(t, env, nil, "gpg", "--with-colons", "--list-keys"))[1]
		say(t, env, nil, "gpg", append(quiet, "--quick-add-key", fingerprint, encrypts, "encr", "1y")...)
	}
	t.Cleanup(func() {
		stop := exec.Command("gpgconf", "--kill", "gpg-agent")
		stop.Env = append(os.Environ(), env...)
		stop.Run()
	})
	public := file(t, dir, name+".asc", say(t, env, nil, "gpg", "--armor", "--export", name+"@example.org"))
	secretOf(t, say(t, env, nil, "gpg", "--batch", "--armor", "--export-secret-keys", name+"@example.org"))
	return person{name, public, func(t *testing.T, message string) string {
		return say(t, env, nil, "gpg", "--batch", "-d", message)
	}}
}

// bySequoia has a key of sq's.
func bySequoia(t *testing.T, name string) person {
	t.Helper()
	dir := home(t)
	key := filepath.Join(dir, name+".key")
	sqWith(t, dir, "key", "generate", "--userid", name, "--export", key)
	return openedBySequoia(t, dir, name, key)
}

func openedBySequoia(t *testing.T, dir, name, key string) person {
	t.Helper()
	secretOf(t, string(fileContent(t, key)))
	public := file(t, dir, name+".asc", sqWith(t, dir, "key", "extract-cert", key))
	return person{name, public, func(t *testing.T, message string) string {
		return sqWith(t, dir, "decrypt", "--recipient-key", key, message)
	}}
}

// rsaOfSequoia is a file with a key of sq's of RSA 3072, made once: it takes a second.
func rsaOfSequoia(t *testing.T) string {
	t.Helper()
	key := filepath.Join(binaries, "rsa.key")
	if _, err := os.Stat(key); err != nil {
		sqWith(t, binaries, "key", "generate", "--userid", "sil", "--cipher-suite", "rsa3k", "--export", key)
	}
	return key
}

// byAge has an identity of age's.
func byAge(t *testing.T, name string, id interface{ String() string }, recipient interface{ String() string }) person {
	t.Helper()
	dir := home(t)
	secretOf(t, id.String())
	return openedByAge(name, file(t, dir, name+".pub", recipient.String()+"\n"), file(t, dir, name+".key", id.String()+"\n"))
}

func byX25519(t *testing.T, name string) person {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return byAge(t, name, id, id.Recipient())
}

func byPostQuantum(t *testing.T, name string) person {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return byAge(t, name, id, id.Recipient())
}

// bySSH has a key of ssh-keygen's.
func bySSH(t *testing.T, name string, args ...string) person {
	t.Helper()
	key := filepath.Join(home(t), "id")
	say(t, nil, nil, "ssh-keygen", append([]string{"-q", "-N", "", "-f", key}, args...)...)
	secretOf(t, string(fileContent(t, key)))
	return openedByAge(name, key+".pub", key)
}

// inPEM is a person of bySSH, with the private key as older tools write it.
func inPEM(t *testing.T, p person) person {
	t.Helper()
	key := file(t, home(t), "id", string(fileContent(t, strings.TrimSuffix(p.public, ".pub"))))
	say(t, nil, nil, "ssh-keygen", "-q", "-p", "-m", "PEM", "-P", "", "-N", "", "-f", key)
	if !strings.HasPrefix(string(fileContent(t, key)), "-----BEGIN RSA PRIVATE KEY-----") {
		t.Fatal("ssh-keygen writes no PEM")
	}
	return openedByAge(p.name, p.public, key)
}

func openedByAge(name, public, key string) person {
	return person{name, public, func(t *testing.T, message string) string {
		return say(t, nil, nil, ageProgram(t), "-d", "-i", key, message)
	}}
}

var shareText = regexp.MustCompile(`(?i)sw1[a-z0-9]{86}`)

// shareIn is the share in what a tool printed.
func shareIn(t *testing.T, who, printed string) string {
	t.Helper()
	share := strings.ToLower(shareText.FindString(printed))
	if share == "" {
		t.Fatalf("%s opens no share", who)
	}
	secretOf(t, share)
	return share
}

// onPrint is the share on a card, as a scanner reads it off the printed page, and
// as a person types it.
func onPrint(t *testing.T, card string) string {
	t.Helper()
	typed := strings.ReplaceAll(onCard(t, card), " ", "")
	for _, p := range []string{"chromium", "pdftoppm", "zbarimg"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Logf("no %s here: the card was typed, and neither printed nor scanned", p)
			return typed
		}
	}
	dir := t.TempDir()
	pdf := filepath.Join(dir, "card.pdf")
	say(t, nil, nil, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", "--user-data-dir="+filepath.Join(dir, "profile"), "--print-to-pdf="+pdf, "file://"+card)
	say(t, nil, nil, "pdftoppm", "-r", "110", "-png", "-singlefile", pdf, filepath.Join(dir, "page"))
	scan, err := exec.CommandContext(t.Context(), "zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", filepath.Join(dir, "page.png")).Output()
	scanned := strings.TrimSpace(string(scan))
	if err != nil || scanned != typed {
		t.Errorf("the scanner reads something else than the card says, %v", err)
	}
	return scanned
}

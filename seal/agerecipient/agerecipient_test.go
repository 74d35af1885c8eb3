package agerecipient_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/fips140"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/agerecipient"
)

const share = "sw1qxrr95h8xz3qvlcew3jcjfjuvxzlxl0zqqqqqqyqqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszq8mdul"

func TestMain(m *testing.M) {
	if name, is := strings.CutPrefix(filepath.Base(os.Args[0]), "age-plugin-"); is {
		os.Exit(runPlugin(name))
	}
	if fips140.Enforced() {
		if _, _, err := agerecipient.Parse("age1x"); !errors.Is(err, errors.ErrUnsupported) {
			panic(fmt.Sprint("Parse in FIPS mode: ", err))
		}
		os.Stdout.WriteString("skipped: age needs algorithms that GODEBUG=fips140=only refuses\n")
		return
	}
	os.Exit(m.Run())
}

// runPlugin is what age runs: good wraps, curious asks, stuck waits for a finger.
func runPlugin(name string) int {
	p, err := plugin.New(name)
	if err != nil {
		return 2
	}
	p.HandleRecipient(func(data []byte) (age.Recipient, error) {
		return wrapper{p, name, data}, nil
	})
	p.HandleIdentity(func(data []byte) (age.Identity, error) { return wrapper{p, name, data}, nil })
	return p.Main()
}

type wrapper struct {
	p    *plugin.Plugin
	name string
	data []byte
}

func (w wrapper) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	switch w.name {
	case "stuck":
		time.Sleep(2 * time.Second) // longer than it is waited for
	case "curious":
		if _, err := w.p.RequestValue("your PIN?", true); err != nil {
			return nil, err
		}
	}
	body := bytes.Clone(fileKey)
	for i := range body {
		body[i] ^= w.data[0]
	}
	return []*age.Stanza{{Type: "sealwright-test", Body: body}}, nil
}

func (w wrapper) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	for _, s := range stanzas {
		if s.Type == "sealwright-test" {
			out, err := w.Wrap(s.Body)
			if err != nil {
				return nil, err
			}
			return out[0].Body, nil
		}
	}
	return nil, age.ErrIncorrectIdentity
}

// rsaKey is that of each holder who has one of RSA: to make one takes long.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// A holder has a public key, and the file that age -d -i takes.
type holder struct {
	public, secret, name string
	identity             age.Identity
	hint                 string
}

func holders(t *testing.T) map[string]holder {
	t.Helper()
	out := map[string]holder{}
	x, err := age.GenerateX25519Identity()
	must(t, err)
	out["X25519"] = holder{x.Recipient().String(), x.String(), x.Recipient().String(), x, ""}
	h, err := age.GenerateHybridIdentity()
	must(t, err)
	out["post-quantum"] = holder{h.Recipient().String(), h.String(), "", h, "age 1.3 or newer"}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	r, err := rsaKey()
	must(t, err)
	for name, key := range map[string]any{"ssh-ed25519": ed, "ssh-rsa": r} {
		signer, err := ssh.NewSignerFromKey(key)
		must(t, err)
		block, err := ssh.MarshalPrivateKey(key, "")
		must(t, err)
		secret := pem.EncodeToMemory(block)
		identity, err := agessh.ParseIdentity(secret)
		must(t, err)
		out[name] = holder{
			string(ssh.MarshalAuthorizedKey(signer.PublicKey())), string(secret), ssh.FingerprintSHA256(signer.PublicKey()), identity, "",
		}
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOpens: what is encrypted to a key is opened by it, also by the command, where
// all is tried, and named in the record.
func TestOpens(t *testing.T) {
	command := ""
	if os.Getenv("SEALWRIGHT_TESTS") == "whole" { // as internal/testlevel has it
		command = ageCommand(t)
	}
	opened := 0
	all := holders(t)
	for name, h := range all {
		forms := map[string]string{
			"as it is": h.public, "a file": "# created: today\n\n" + strings.TrimSpace(h.public) + "\n",
			"as the tools send files": base64.StdEncoding.EncodeToString([]byte(h.public + "\n")),
		}
		var message []byte
		for form, text := range forms {
			to, called, err := agerecipient.Parse(text)
			if err != nil {
				t.Errorf("%s, %s: %v", name, form, err)
				continue
			}
			if h.name != "" && called != h.name || len(called) > 64 || h.name == "" && !strings.HasPrefix(called, "age1pq-sha256:") {
				t.Errorf("%s: is named %q", name, called)
			}
			if got := to.(seal.Hinter).Hint(); (h.hint == "") != (got == "") || !strings.Contains(got, h.hint) {
				t.Errorf("%s: hints %q", name, got)
			}
			message, err = to.Encrypt(t.Context(), share)
			must(t, err)
			r, err := age.Decrypt(armor.NewReader(bytes.NewReader(message)), h.identity)
			must(t, err)
			if got, _ := io.ReadAll(r); string(got) != share {
				t.Errorf("%s, %s: opens %q", name, form, got)
			}
		}
		if command == "" {
			continue // to build it takes long
		}
		file := filepath.Join(t.TempDir(), "key")
		must(t, os.WriteFile(file, []byte(h.secret+"\n"), 0o600))
		cmd := exec.CommandContext(t.Context(), command, "-d", "-i", file)
		cmd.Stdin = bytes.NewReader(message)
		out, err := cmd.CombinedOutput()
		if err != nil || string(out) != share {
			t.Errorf("%s: age -d opens %q, %v", name, out, err)
			continue
		}
		opened++
	}
	if command != "" {
		t.Logf("GUARANTEE 30 age: keys=%d opened=%d", len(all), opened)
	}
}

// ageCommand builds the command, of the version that go.mod names, or takes it from Go's
// cache, which has those of go run alone.
func ageCommand(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "age")
	cmd := exec.CommandContext(t.Context(), "go", "run", "-exec=cp", "filippo.io/age/cmd/age", out)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build age: %v: %s", err, text)
	}
	return out
}

// TestRefused: what is not taken is told apart, in words that lead to a key that
// is, and that show nothing of what was sent.
func TestRefused(t *testing.T) {
	all := holders(t)
	x, other := all["X25519"].public, "q"
	if x[20] == 'q' {
		other = "p"
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil { // where the runtime makes none
		t.Log("no RSA of 1024 bits here")
	}
	plugged := plugin.EncodeRecipient("yubikey", []byte{1, 2, 3})
	cases := map[string]struct {
		text string
		is   error
		says string
	}{
		"nothing":            {"", agerecipient.ErrMalformed, "neither with age1 nor with ssh-"},
		"words":              {"ask Ada", agerecipient.ErrMalformed, "neither with age1 nor with ssh-"},
		"cut":                {x[:40], agerecipient.ErrMalformed, "cut or mistyped"},
		"mistyped":           {x[:20] + other + x[21:], agerecipient.ErrMalformed, "cut or mistyped"},
		"post-quantum, cut":  {all["post-quantum"].public[:900], agerecipient.ErrMalformed, "cut or mistyped"},
		"two":                {x + "\n" + all["post-quantum"].public, agerecipient.ErrMalformed, "send one recipient"},
		"an age identity":    {all["X25519"].secret, agerecipient.ErrSecret, "has now left its owner"},
		"a key file":         {"# public key: " + x + "\n" + all["X25519"].secret + "\n", agerecipient.ErrSecret, "replace it"},
		"an SSH private key": {all["ssh-ed25519"].secret, agerecipient.ErrSecret, "send a public one"},
		"in base64":          {base64.StdEncoding.EncodeToString([]byte(all["X25519"].secret)), agerecipient.ErrSecret, "replace it"},
		"SSH, cut":           {all["ssh-ed25519"].public[:40], agerecipient.ErrMalformed, "an SSH public key, cut or mistyped"},
		"ecdsa":              {"ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=", agerecipient.ErrKind, "ssh-keygen -t ed25519"},
		"a plugin's":         {plugged, agerecipient.ErrKind, `the plugin "yubikey"`},
		"long":               {strings.Repeat("a", 20<<10), agerecipient.ErrMalformed, ""},
	}
	if small != nil {
		signer, err := ssh.NewSignerFromKey(small)
		must(t, err)
		cases["RSA 1024"] = struct {
			text string
			is   error
			says string
		}{string(ssh.MarshalAuthorizedKey(signer.PublicKey())), agerecipient.ErrKind, "2048 bits"}
	}
	for name, c := range cases {
		to, _, err := agerecipient.Parse(c.text)
		if to != nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", name, err, c.is, c.says)
			continue
		}
		if at := len(c.text) - 12; at > 0 && strings.Contains(err.Error(), c.text[at:]) {
			t.Errorf("%s: the error shows what was sent: %v", name, err)
		}
	}
}

// TestElse: other kinds of keys go to who reads them, and age's do not.
func TestElse(t *testing.T) {
	var asked []string
	c := agerecipient.Config{Else: func(key string) (seal.Recipient, string, error) {
		asked = append(asked, key)
		return nil, "other", nil
	}}
	openpgp := base64.StdEncoding.EncodeToString([]byte{0x99, 1, 13, 4})
	long := "-----BEGIN PGP PUBLIC KEY BLOCK-----\n" + strings.Repeat("A", 30<<10)
	for _, key := range []string{openpgp, long} {
		if _, name, err := c.Parse(key); name != "other" || err != nil {
			t.Errorf("%.10q: %q, %v", key, name, err)
		}
	}
	if _, _, err := c.Parse(holders(t)["X25519"].public); err != nil || len(asked) != 2 {
		t.Errorf("an age key: %v, and %d were asked", err, len(asked))
	}
	if _, _, err := c.Parse(holders(t)["X25519"].secret); !errors.Is(err, agerecipient.ErrSecret) {
		t.Errorf("a secret: %v", err)
	}
}

// TestPlugins: one that the host names is run; one that asks gets no answer, and
// one that waits for a finger is given up on.
func TestPlugins(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: the plugin here is a link to this test's binary")
	}
	dir := t.TempDir()
	self, err := os.Executable()
	must(t, err)
	for _, name := range []string{"good", "curious", "stuck"} {
		must(t, os.Symlink(self, filepath.Join(dir, "age-plugin-"+name)))
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	c := agerecipient.Config{Plugins: []string{"good", "curious", "stuck", "absent"}}
	parse := func(name string) seal.Recipient {
		t.Helper()
		to, called, err := c.Parse(plugin.EncodeRecipient(name, bytes.Repeat([]byte{0x5a}, 33)))
		must(t, err)
		if !strings.HasPrefix(called, "age1"+name) || len(called) > 64 {
			t.Errorf("is named %q", called)
		}
		return to
	}
	good := parse("good")
	message, err := good.Encrypt(t.Context(), share)
	must(t, err)
	identity, err := plugin.NewIdentity(plugin.EncodeIdentity("good", []byte{0x5a}), &plugin.ClientUI{})
	must(t, err)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(message)), identity)
	must(t, err)
	if got, _ := io.ReadAll(r); string(got) != share {
		t.Errorf("opens %q", got)
	}
	if hint := good.(seal.Hinter).Hint(); !strings.Contains(hint, "age-plugin-good") {
		t.Errorf("hints %q", hint)
	}
	if _, err := parse("curious").Encrypt(t.Context(), share); err == nil {
		t.Error("one that asks was answered")
	}
	if _, err := parse("absent").Encrypt(t.Context(), share); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("one that is not there: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := parse("stuck").Encrypt(ctx, share); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "age-plugin-stuck") {
		t.Errorf("one that waits: %v", err)
	}
}

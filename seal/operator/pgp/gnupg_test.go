package pgp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// gnupg runs gpg in a home of its own.
type gnupg struct {
	t    testing.TB
	home string
}

func newGnuPG(t testing.TB) *gnupg {
	t.Helper()
	if _, err := exec.LookPath("gpg"); err != nil {
		t.Skip("skipped: no gpg here, so nothing shows that gpg -d opens the shares")
	}
	// The agent's socket must have a short path.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	g := &gnupg{t, home}
	t.Cleanup(func() {
		g.command("gpgconf", nil, "--kill", "gpg-agent") // the one of this home
		os.RemoveAll(home)
	})
	return g
}

func (g *gnupg) command(name string, in []byte, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "GNUPGHOME="+g.home, "LC_ALL=C")
	cmd.Stdin = bytes.NewReader(in)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, &errs)
	}
	return out.Bytes(), nil
}

func (g *gnupg) gpg(in []byte, args ...string) []byte {
	g.t.Helper()
	out, err := g.command("gpg", in, append([]string{"--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
	if err != nil {
		g.t.Fatal(err)
	}
	return out
}

// holder makes a key. An empty subkey takes the primary one to encrypt too.
func (g *gnupg) holder(name, primary, usage, subkey string) holder {
	g.t.Helper()
	g.gpg(nil, "--quick-gen-key", name, primary, usage, "never")
	fingerprint := g.fingerprint(name)
	if subkey != "" {
		g.gpg(nil, "--quick-add-key", fingerprint, subkey, "encr", "1y")
	}
	opens := func(message []byte) (string, error) {
		// A holder has only their own secret key.
		out, err := g.command("gpg", message, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--status-fd", "2", "--try-secret-key", fingerprint, "-d")
		return string(out), err
	}
	return holder{base64.StdEncoding.EncodeToString(g.gpg(nil, "--export", fingerprint)), strings.ToLower(fingerprint), opens}
}

// fingerprint is that of the key with a name.
func (g *gnupg) fingerprint(name string) string {
	g.t.Helper()
	for line := range strings.SplitSeq(string(g.gpg(nil, "--with-colons", "--list-keys", "="+name)), "\n") {
		if f := strings.Split(line, ":"); f[0] == "fpr" {
			return f[9]
		}
	}
	g.t.Fatalf("no key of %q", name)
	return ""
}

// TestGnuPG goes through the ceremony with keys that gpg made, whose holders
// open their shares with gpg -d.
func TestGnuPG(t *testing.T) {
	holders(t, 0) // skips where there is no OpenPGP
	// Each group is one home per holder: nobody opens another's share.
	var first, second []holder
	for _, k := range []struct{ name, primary, usage, subkey string }{
		{"Curve 25519", "ed25519", "cert", "cv25519"},
		{"RSA 2048", "rsa2048", "cert", "rsa2048"},
		{"RSA, one key for all", "rsa2048", "cert,sign,encr", ""},
	} {
		first = append(first, newGnuPG(t).holder(k.name, k.primary, k.usage, k.subkey))
	}
	for _, k := range []struct{ name, primary, usage, subkey string }{
		{"NIST P-256", "nistp256", "cert", "nistp256"},
		{"NIST P-521", "nistp521", "cert", "nistp521"},
		{"Brainpool", "brainpoolP256r1", "cert", "brainpoolP256r1"},
	} {
		second = append(second, newGnuPG(t).holder(k.name, k.primary, k.usage, k.subkey))
	}
	ceremony(t, first, second)
}

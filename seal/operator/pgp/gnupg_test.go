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

	"github.com/sealwright/sealwright/seal/operator/pgp"
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

// primary makes a key, and returns its fingerprint.
func (g *gnupg) primary(name, primary, usage, expires string, options ...string) string {
	g.t.Helper()
	status := string(g.gpg(nil, append(options, "--status-fd", "1", "--quick-gen-key", name, primary, usage, expires)...))
	_, created, _ := strings.Cut(status, "KEY_CREATED P ")
	fingerprint, _, ok := strings.Cut(created, "\n")
	if !ok {
		g.t.Fatalf("gpg made no key of %q: %s", name, status)
	}
	return fingerprint
}

// holder makes a key. An empty subkey takes the primary one to encrypt too.
func (g *gnupg) holder(name, primary, usage, subkey string) holder {
	g.t.Helper()
	fingerprint := g.primary(name, primary, usage, "never")
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

// TestGnuPG goes through the ceremony with keys that gpg made, whose holders
// open their shares with gpg -d. Where a part is enough, some have keys that are not
// gpg's, and the curves are left to TestKeysOfGnuPG.
func TestGnuPG(t *testing.T) {
	holders(t, 0) // skips where there is no OpenPGP
	// Each group is one home per holder: nobody opens another's share.
	var first, second []holder
	for _, k := range []struct{ name, primary, usage, subkey string }{
		{"Curve 25519", "ed25519", "cert", "cv25519"},
		{"RSA 2048", "rsa2048", "cert", "rsa2048"},
		{"RSA, one key for all", "rsa2048", "cert,sign,encr", ""},
	} {
		if k.name == "RSA 2048" && !pgp.Exhaustive() {
			continue
		}
		first = append(first, newGnuPG(t).holder(k.name, k.primary, k.usage, k.subkey))
	}
	if !pgp.Exhaustive() {
		ceremony(t, first, holders(t, 2))
		return
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

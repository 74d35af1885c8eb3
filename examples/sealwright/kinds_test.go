//go:build unix

package main_test

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/agerecipient"
	"github.com/sealwright/sealwright/seal/operator/pgp"
)

var anyKey = agerecipient.Config{Else: pgp.Parse}

// A purse is gpg's home, in which a person keeps keys.
type purse struct {
	t    *testing.T
	home string
}

func newPurse(t *testing.T) purse {
	k := purse{t, home(t)}
	t.Cleanup(func() {
		stop := exec.Command("gpgconf", "--kill", "gpg-agent")
		stop.Env = append(os.Environ(), "GNUPGHOME="+k.home)
		stop.Run()
	})
	return k
}

func (k purse) run(args ...string) string {
	k.t.Helper()
	return say(k.t, []string{"GNUPGHOME=" + k.home, "LC_ALL=C"}, nil, "gpg", append([]string{"--batch", "--quiet", "--no-auto-check-trustdb", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
}

// A held is a key in a purse, told from the others in it by its fingerprint.
type held struct {
	purse
	fingerprint string
}

// made makes a key, with a part to encrypt to unless that is "".
func (k purse) made(name, primary, usage, encrypts string, more ...string) held {
	k.t.Helper()
	k.run(append(more, "--quick-gen-key", name, primary, usage, "9y")...)
	fingerprint := regexp.MustCompile(`(?m)^fpr:+([0-9A-F]{40}):`).FindStringSubmatch(k.run("--with-colons", "--list-keys", "="+name))[1]
	if encrypts != "" {
		k.run(append(more, "--quick-add-key", fingerprint, encrypts, "encr", "9y")...)
	}
	return held{k, fingerprint}
}

func (k held) public() string { return k.run("--armor", "--export", k.fingerprint) }

func (k held) secret() string { return k.run("--armor", "--export-secret-keys", k.fingerprint) }

func (k purse) open(message string) string { return k.run("-d", message) }

// sqWith runs sq in a home of its own.
func sqWith(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return say(t, []string{"HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir}, nil, "sq", args...)
}

// A kind of key, made by its holder's tool, and what opens what is encrypted to it.
type kind struct {
	name, public string
	tools        map[string]func(message string) string
}

func kinds(t *testing.T) (out []kind) {
	t.Helper()
	all := newPurse(t) // one, for the agent that each has
	// gpg's keys, opened by gpg, and by sq from what gpg exports.
	for _, c := range []struct{ name, primary, usage, encrypts string }{
		{"gpg Curve 25519", "ed25519", "cert", "cv25519"},
		{"gpg RSA 2048, one key for all", "rsa2048", "cert,sign,encr", ""},
		{"gpg NIST P-256", "nistp256", "cert", "nistp256"},
		{"gpg NIST P-521", "nistp521", "cert", "nistp521"},
		{"gpg Brainpool", "brainpoolP256r1", "cert", "brainpoolP256r1"},
	} {
		k := all.made(c.name, c.primary, c.usage, c.encrypts)
		tools := map[string]func(string) string{"gpg -d": k.open}
		if c.primary != "brainpoolP256r1" { // which the message says
			secret := file(t, k.home, k.fingerprint+".asc", k.secret())
			tools["sq decrypt"] = func(m string) string { return sqWith(t, k.home, "decrypt", "--recipient-key", secret, m) }
		}
		out = append(out, kind{c.name, k.public(), tools})
	}
	// sq's keys, opened by sq, and by gpg, which imports none without a name.
	for _, c := range []struct {
		name string
		args []string
	}{
		{"sq Curve 25519", []string{"--userid", "Ada"}},
		{"sq RSA 3072", []string{"--cipher-suite", "rsa3k"}},
		{"sq without a name", nil},
	} {
		dir := home(t)
		secret := filepath.Join(dir, "secret")
		if len(c.args) > 0 && c.args[0] == "--cipher-suite" {
			secret = rsaOfSequoia(t)
		} else {
			sqWith(t, dir, append([]string{"key", "generate", "--export", secret}, c.args...)...)
		}
		tools := map[string]func(string) string{"sq decrypt": func(m string) string { return sqWith(t, dir, "decrypt", "--recipient-key", secret, m) }}
		if c.args != nil {
			all.run("--import", secret)
			tools["gpg -d"] = all.open
		}
		out = append(out, kind{c.name, sqWith(t, dir, "key", "extract-cert", secret), tools})
	}
	rob := bySSH(t, "rob", "-t", "rsa", "-b", "2048")
	for name, p := range map[string]person{
		"age X25519": byX25519(t, "ada"), "age post-quantum": byPostQuantum(t, "pia"),
		"SSH ed25519": bySSH(t, "sue", "-t", "ed25519"), "SSH RSA 2048": rob, "SSH RSA, PEM": inPEM(t, rob),
	} {
		out = append(out, kind{name, string(fileContent(t, p.public)), map[string]func(string) string{"age -d": func(m string) string { return p.open(t, m) }}})
	}
	return out
}

// Every kind of key that is taken × every tool that its holder may have: each opens
// the share. Every kind that is refused says what to do, and who does that has a
// share that opens.
func TestKindsOfKeys(t *testing.T) {
	needs(t, "gpg", "sq", "ssh-keygen")
	w, _ := fileWorld(t, false)
	share := w.shares[0]
	sealed := func(key string) (message string, hint string) {
		t.Helper()
		to, _, err := anyKey.Parse(base64.StdEncoding.EncodeToString([]byte(key)))
		if err != nil {
			t.Fatalf("%v: %s", err, key)
		}
		b, err := to.Encrypt(t.Context(), share)
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := to.(seal.Hinter); ok {
			hint = h.Hint()
		}
		return w.write(t, "message", string(b)), hint
	}
	all := kinds(t)
	pairs, opened, tools := 0, 0, map[string]bool{}
	for _, k := range all {
		message, _ := sealed(k.public)
		for name, open := range k.tools {
			pairs++
			tools[name] = true
			if printed := open(message); strings.Contains(printed, share) {
				opened++
			} else {
				t.Errorf("%s, by %s: %.60q", k.name, name, printed)
			}
		}
		if k.name == "gpg Brainpool" && !strings.Contains(string(fileContent(t, message)), "open it with gpg -d") {
			t.Error("nothing says that gpg alone opens it")
		}
	}
	refused, led := refusals(t), 0
	for name, r := range refused {
		_, _, err := anyKey.Parse(base64.StdEncoding.EncodeToString([]byte(r.key)))
		if err == nil {
			t.Errorf("%s: is taken", name)
			continue
		}
		if !strings.Contains(err.Error(), r.says) || len(r.key) > 40 && strings.Contains(err.Error(), r.key[len(r.key)/2:]) {
			t.Errorf("%s: %v, which does not say %q", name, err, r.says)
			continue
		}
		key, open := r.follow(err.Error())
		message, _ := sealed(key)
		if !strings.Contains(open(message), share) {
			t.Errorf("%s: what the words lead to does not open", name)
			continue
		}
		led++
	}
	t.Logf("GUARANTEE 30 kinds: keys=%d tools=%d pairs=%d opened=%d; refused=%d led_by_words=%d", len(all), len(tools), pairs, opened, len(refused), led)
	if len(tools) != 3 {
		t.Errorf("only %v", tools)
	}
}

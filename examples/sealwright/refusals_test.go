//go:build unix

package main_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"filippo.io/age/plugin"
)

// A refusal is a key that nothing can be encrypted to, and what its holder does who
// reads the words: the key that comes of it, and the tool that opens.
type refusal struct {
	key, says string
	follow    func(words string) (key string, open func(message string) string)
}

// refusals are keys as people send them.
func refusals(t *testing.T) map[string]refusal {
	t.Helper()
	out := map[string]refusal{}
	exported := byExport(t)
	ofGnuPG(t, out, exported)
	ofSSH(t, out)

	age := byX25519(t, "ada")
	public, secret := string(fileContent(t, age.public)), string(fileContent(t, strings.TrimSuffix(age.public, ".pub")+".key"))
	fresh := func(string) (string, func(string) string) {
		p := byX25519(t, "anew")
		return string(fileContent(t, p.public)), func(m string) string { return p.open(t, m) }
	}
	whole := func(string) (string, func(string) string) {
		return public, func(m string) string { return age.open(t, m) }
	}
	out["an age identity"] = refusal{secret, "has now left its owner: replace it, and send a public one", fresh}
	out["an age recipient, cut"] = refusal{public[:40], "an age recipient, cut or mistyped", whole}
	out["a plugin's recipient"] = refusal{plugin.EncodeRecipient("yubikey", []byte{1, 2, 3}), `the plugin "yubikey"'s, which this host does not run: send an age1… of age itself`, fresh}
	out["two recipients"] = refusal{public + string(fileContent(t, byX25519(t, "eve").public)), "send one recipient", whole}
	out["WireGuard's"] = refusal{"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=", "send what gpg --armor --export NAME prints", exported}
	out["a sentence"] = refusal{"ask Ada", "begins neither with age1 nor with ssh-", fresh}
	return out
}

// byExport is what gpg --armor --export NAME prints.
func byExport(t *testing.T) func(string) (string, func(string) string) {
	k := newPurse(t)
	k.made("Ada", "ed25519", "cert", "cv25519")
	return func(string) (string, func(string) string) { return k.run("--armor", "--export", "Ada"), k.open }
}

func ofGnuPG(t *testing.T, out map[string]refusal, exported func(string) (string, func(string) string)) {
	// command does the commands of gpg's that the words have, and exports again.
	command := func(k held) func(string) (string, func(string) string) {
		return func(words string) (string, func(string) string) {
			found := regexp.MustCompile(`gpg ((?:--cert-digest-algo SHA256 )?--quick-(?:set-expire|add-key) [0-9A-F]{40}(?: (?:2y|default|encr|'\*'|[0-9A-F]{40}))+)`).FindAllStringSubmatch(words, -1)
			if found == nil {
				t.Fatalf("no command in: %s", words)
			}
			for _, c := range found {
				k.run(strings.Fields(strings.ReplaceAll(c[1], "'", ""))...)
			}
			return k.public(), k.open
		}
	}
	all, fresh := newPurse(t), newPurse(t)
	var made sync.Once
	// another makes the key that the words name, beside the one that is not taken.
	another := func(words string) (string, func(string) string) {
		if !strings.Contains(words, "gpg --quick-gen-key NAME makes one, and gpg --armor --export NAME prints it") {
			t.Errorf("no way to another: %s", words)
		}
		made.Do(func() { fresh.run("--quick-gen-key", "NAME") })
		return fresh.run("--armor", "--export", "NAME"), fresh.open
	}
	const then, later = "20250101T000000!", "20250101T000100!"
	k := all.made("signs alone", "ed25519", "cert", "")
	out["gpg, signs alone"] = refusal{k.public(), "add a subkey that encrypts (gpg --quick-add-key", command(k)}
	k = all.made("expired", "ed25519", "cert", "cv25519", "--faked-system-time", then)
	k.run("--faked-system-time", later, "--quick-set-expire", k.fingerprint, "1d")
	out["gpg, expired"] = refusal{k.public(), "it expired on", command(k)}
	k = all.made("subkey expired", "ed25519", "cert", "cv25519", "--faked-system-time", then)
	k.run("--faked-system-time", later, "--quick-set-expire", k.fingerprint, "1d", "*")
	out["gpg, its subkey expired"] = refusal{k.public(), "its subkey for encryption expired on", command(k)}
	k = all.made("by SHA-1", "ed25519", "cert", "cv25519", "--faked-system-time", then, "--cert-digest-algo", "SHA1")
	out["gpg, by SHA-1"] = refusal{k.public(), "SHA-1", command(k)}
	k = all.made("RSA 1024", "rsa1024", "cert,sign,encr", "")
	out["gpg, RSA 1024"] = refusal{k.public(), "RSA of 1024 bits", another}
	k = all.made("revoked", "ed25519", "cert", "cv25519")
	certificate := regexp.MustCompile(`(?m)^:`).ReplaceAllString(string(fileContent(t, filepath.Join(k.home, "openpgp-revocs.d", k.fingerprint+".rev"))), "")
	k.run("--import", file(t, k.home, "revoked", certificate))
	out["gpg, revoked"] = refusal{k.public(), "is revoked: send another key", another}
	k = all.made("Ada", "ed25519", "cert", "cv25519")
	out["gpg, the secret key"] = refusal{k.secret(), "has now left its owner: revoke it, and send the public one of another", exported}
	out["gpg, a message"] = refusal{k.run("--armor", "--trust-model", "always", "--recipient", "Ada", "--output", "-", "--encrypt", file(t, k.home, "text", "text")), "send what gpg --armor --export NAME prints", exported}
	out["gpg, its fingerprint"] = refusal{"A1B2 C3D4 " + k.fingerprint[8:], "send what gpg --armor --export NAME prints", exported}
}

func ofSSH(t *testing.T, out map[string]refusal) {
	p := bySSH(t, "sue", "-t", "ed25519")
	key := strings.TrimSuffix(p.public, ".pub")
	open := func(m string) string { return p.open(t, m) }
	keygen := func(words string) (string, func(string) string) {
		if !strings.Contains(words, "ssh-keygen -t ed25519") {
			t.Errorf("no way to another: %s", words)
		}
		q := bySSH(t, "anew", "-t", "ed25519")
		return string(fileContent(t, q.public)), func(m string) string { return q.open(t, m) }
	}
	public := func(string) (string, func(string) string) { return string(fileContent(t, p.public)), open }
	other := func(string) (string, func(string) string) {
		q := bySSH(t, "anew", "-t", "ed25519")
		return string(fileContent(t, q.public)), func(m string) string { return q.open(t, m) }
	}
	out["SSH, the private key"] = refusal{string(fileContent(t, key)), "has now left its owner: replace it, and send a public one", other}
	out["SSH, PuTTY's file"] = refusal{"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: ada\nPublic-Lines: 2\nAAAA\n", "has now left its owner: replace it, and send a public one", other}
	out["SSH, cut"] = refusal{string(fileContent(t, p.public))[:40], "an SSH public key, cut or mistyped", public}
	out["SSH, of RFC 4716"] = refusal{say(t, nil, nil, "ssh-keygen", "-e", "-f", p.public), "ssh-keygen -i -f FILE prints the line that is taken", func(string) (string, func(string) string) {
		return say(t, nil, nil, "ssh-keygen", "-i", "-f", file(t, t.TempDir(), "FILE", say(t, nil, nil, "ssh-keygen", "-e", "-f", p.public))), open
	}}
	out["SSH, ECDSA"] = refusal{string(fileContent(t, bySSH(t, "ed", "-t", "ecdsa").public)), "age encrypts to ssh-ed25519 and ssh-rsa alone", keygen}
	out["SSH, RSA 1024"] = refusal{string(fileContent(t, bySSH(t, "ron", "-t", "rsa", "-b", "1024").public)), "ssh-rsa below 2048 bits", keygen}
	out["SSH, on a token"] = refusal{"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIFwzWsC1pNuRD0pV4Jvvd0pMZm0kzLD0ZbVbQf9k4nLTAAAABHNzaDo= ada", "age encrypts to ssh-ed25519 and ssh-rsa alone", keygen}
	say(t, nil, nil, "ssh-keygen", "-q", "-s", key, "-I", "ada", p.public)
	out["SSH, a certificate"] = refusal{string(fileContent(t, key+"-cert.pub")), "age encrypts to ssh-ed25519 and ssh-rsa alone", keygen}
}

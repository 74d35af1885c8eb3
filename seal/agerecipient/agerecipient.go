package agerecipient

import (
	"bytes"
	"context"
	"crypto/fips140"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"

	"github.com/sealwright/sealwright/seal"
)

// Why [Parse] refuses a key. Each is mended by another key.
var (
	// ErrMalformed: it is not one recipient of age, nor one SSH public key.
	ErrMalformed = errors.New("agerecipient: not a recipient")
	// ErrSecret: it is a private key, which has now left its owner.
	ErrSecret = errors.New("agerecipient: a private key, which has now left its owner: replace it, and send a public one")
	// ErrKind: age does not encrypt to keys of its kind, or this host does not.
	ErrKind = errors.New("agerecipient: keys of this kind are not taken")
)

// PluginTime is how long a plugin may take for one share.
const PluginTime = 15 * time.Second

// maxText is the longest text that is read: a post-quantum recipient has 1,959
// characters, an SSH key of 16384 bits some 2,800.
const maxText = 16 << 10

// Config says what is taken beside age's own recipients and SSH keys. The zero
// value takes those.
type Config struct {
	// Plugins are the names of the plugins that may be run: "yubikey" for
	// age-plugin-yubikey. None by default.
	Plugins []string

	// Else, if set, reads what is neither an age recipient nor an SSH key, such
	// as Parse of package operator/pgp.
	Else func(key string) (to seal.Recipient, name string, err error)
}

// Parse is that of the zero [Config].
func Parse(key string) (to seal.Recipient, name string, err error) { return Config{}.Parse(key) }

// Parse reads a recipient, and returns it and the name under which its holder
// stands in the record; see [Name]. The recipient is safe for concurrent use.
func (c Config) Parse(key string) (to seal.Recipient, name string, err error) {
	line, err := lineOf(key)
	if err != nil {
		return nil, "", err
	}
	if c.Else != nil && !strings.HasPrefix(line, "age1") && !isSSH(line) {
		to, name, err := c.Else(key)
		if err != nil && line != "" && !isBase64(line) { // what was meant is not known
			err = fmt.Errorf("%w; and it begins neither with age1 nor with ssh-, as keys of age and SSH do", err)
		}
		return to, name, err
	}
	if fips140.Enforced() {
		return nil, "", fmt.Errorf("agerecipient: %w with GODEBUG=fips140=only: age needs ChaCha20-Poly1305", errors.ErrUnsupported)
	}
	defer func() {
		if recover() != nil { // the text comes from strangers
			to, name, err = nil, "", fmt.Errorf("%w: reading it failed", ErrMalformed)
		}
	}()
	r, err := c.recipient(line)
	if err != nil {
		return nil, "", err
	}
	return r, Name(line), nil
}

// lineOf returns the one line of a text that is a key, without comments; "" where
// it has several, or none.
func lineOf(text string) (string, error) {
	if len(text) > maxText {
		return "", nil // no recipient is as long; an OpenPGP key may be
	}
	if b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil && len(b) > 0 && isText(b) {
		text = string(b)
	}
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(strings.ToUpper(line), "AGE-SECRET-KEY-"), strings.HasPrefix(strings.ToUpper(line), "AGE-PLUGIN-"),
			strings.HasPrefix(line, "-----BEGIN ") && strings.HasSuffix(line, " PRIVATE KEY-----"),
			strings.HasPrefix(line, "PuTTY-User-Key-File-"):
			return "", ErrSecret
		case strings.HasPrefix(line, "---- BEGIN SSH2 PUBLIC KEY"):
			return "", fmt.Errorf("%w: an SSH key in the form of RFC 4716: ssh-keygen -i -f FILE prints the line that is taken", ErrMalformed)
		}
		lines = append(lines, line)
	}
	if len(lines) > 1 && slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "age1") || isSSH(l) }) {
		return "", fmt.Errorf("%w: %d lines that are no comment: send one recipient", ErrMalformed, len(lines))
	}
	if len(lines) != 1 {
		return "", nil
	}
	return lines[0], nil
}

func isBase64(line string) bool {
	_, err := base64.StdEncoding.DecodeString(line)
	return err == nil
}

func isText(b []byte) bool {
	return !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r > '~' })
}

func isSSH(line string) bool {
	kind, _, _ := strings.Cut(line, " ")
	return strings.HasPrefix(kind, "ssh-") || strings.HasPrefix(kind, "sk-") || strings.HasPrefix(kind, "ecdsa-sha2-")
}

// recipient reads one line.
func (c Config) recipient(line string) (*recipient, error) {
	switch {
	case isSSH(line):
		to, err := sshRecipient(line)
		return &recipient{to: to}, err
	case !strings.HasPrefix(line, "age1"):
		return nil, fmt.Errorf("%w: it begins neither with age1 nor with ssh-", ErrMalformed)
	}
	if to, err := age.ParseRecipients(strings.NewReader(line)); err == nil && len(to) == 1 {
		_, hybrid := to[0].(*age.HybridRecipient)
		return &recipient{to: to[0], pq: hybrid}, nil
	}
	name, _, err := plugin.ParseRecipient(line)
	switch {
	case err != nil, name == "pq":
		return nil, fmt.Errorf("%w: an age recipient, cut or mistyped: its checksum is wrong", ErrMalformed)
	case !slices.Contains(c.Plugins, name):
		return nil, fmt.Errorf("%w: it is the plugin %q's, which this host does not run: send an age1… of age itself, or an SSH key", ErrKind, name)
	}
	to, err := plugin.NewRecipient(line, silent)
	if err != nil {
		return nil, fmt.Errorf("%w: the plugin %q does not read it", ErrMalformed, name)
	}
	return &recipient{to: to, plugin: name}, nil
}

func sshRecipient(line string) (age.Recipient, error) {
	k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return nil, fmt.Errorf("%w: an SSH public key, cut or mistyped", ErrMalformed)
	}
	switch kind := k.Type(); kind {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoRSA:
	default:
		return nil, fmt.Errorf("%w: %s: age encrypts to ssh-ed25519 and ssh-rsa alone; make one with ssh-keygen -t ed25519, or an age key with age-keygen", ErrKind, kind)
	}
	to, err := agessh.ParseRecipient(line)
	if err != nil {
		return nil, fmt.Errorf("%w: ssh-rsa below 2048 bits, or no key: make one with ssh-keygen -t ed25519", ErrKind)
	}
	return to, nil
}

// silent answers every question of a plugin with an error: nobody is there.
var silent = &plugin.ClientUI{
	DisplayMessage: func(string, string) error { return nil },
	RequestValue:   func(string, string, bool) (string, error) { return "", errNobody },
	Confirm:        func(string, string, string, string) (bool, error) { return false, errNobody },
}

var errNobody = errors.New("there is nobody to ask on the server")

// A recipient is one of age.
type recipient struct {
	to     age.Recipient
	plugin string // the name; "" for none
	pq     bool
}

// Hint implements [seal.Hinter].
func (r *recipient) Hint() string {
	switch {
	case r.pq:
		return "open it with age 1.3 or newer; keep the identity in a file of its own, which an older age would refuse"
	case r.plugin != "":
		return "open it with age and age-plugin-" + r.plugin
	}
	return ""
}

// Encrypt implements [seal.Recipient]: the share as text that age -d opens.
func (r *recipient) Encrypt(ctx context.Context, share string) ([]byte, error) {
	if r.plugin == "" {
		return r.encrypt(share)
	}
	ctx, cancel := context.WithTimeout(ctx, PluginTime)
	defer cancel()
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := r.encrypt(share)
		done <- result{text, err}
	}()
	select {
	case res := <-done:
		return res.text, res.err
	case <-ctx.Done():
		return nil, fmt.Errorf("agerecipient: age-plugin-%s did not answer: %w", r.plugin, ctx.Err())
	}
}

func (r *recipient) encrypt(share string) ([]byte, error) {
	var out bytes.Buffer
	text := armor.NewWriter(&out)
	w, err := age.Encrypt(text, r.to)
	if err != nil {
		return nil, fmt.Errorf("agerecipient: encrypt: %w", err)
	}
	_, err = io.WriteString(w, share)
	if err = errors.Join(err, w.Close(), text.Close()); err != nil {
		return nil, fmt.Errorf("agerecipient: encrypt: %w", err)
	}
	return out.Bytes(), nil
}

// maxName is how long a custodian's name may be.
const maxName = 64

// Name returns the name of a recipient in the record, from its line: itself, the
// fingerprint of an SSH key, or, of a longer one, what it begins with and the
// first 16 bytes of its SHA-256 in hexadecimal, as in
// age1pq-sha256:9f86d081884c7d659a2feaa0c55ad015. Of anything else it is "".
func Name(line string) string {
	line = strings.TrimSpace(line)
	if isSSH(line) {
		if k, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line)); err == nil {
			return ssh.FingerprintSHA256(k)
		}
		return ""
	}
	kind, _, found := strings.Cut(strings.TrimPrefix(line, "age1"), "1")
	switch {
	case !strings.HasPrefix(line, "age1"):
		return ""
	case len(line) <= maxName:
		return line
	case !found || len(kind) > 16:
		kind = "" // of a name that long, or of none
	}
	digest := sha256.Sum256([]byte(line))
	return "age1" + kind + "-sha256:" + hex.EncodeToString(digest[:16])
}

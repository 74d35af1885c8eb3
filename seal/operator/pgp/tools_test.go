package pgp_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/sealwright/sealwright/seal/operator/pgp"
)

const text = "sw1qxrr95h8xz3qvlcew3jcjfjuvxzlxl0zqqqqqqyqqyqszqgpqyqszqgpqyqszqgpqyqszqgpqyqszq8mdul"

// entity is a key of an owner's, with its secret.
func entity(t testing.TB, c packet.Config) *openpgp.Entity {
	t.Helper()
	if c.Algorithm == 0 {
		c.Algorithm = packet.PubKeyAlgoEdDSA
	}
	e, err := openpgp.NewEntity("Ada", "", "ada@example.com", &c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// public is the exported key.
func public(t testing.TB, e *openpgp.Entity) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := e.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// sealed is a share encrypted to the key.
func sealed(t testing.TB, key string) []byte {
	t.Helper()
	to, _, err := pgp.Parse(key)
	if err != nil {
		t.Fatal(err)
	}
	message, err := to.Encrypt(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// kinds are the packets of a message: the key ids of what it is encrypted to, and
// the version of what holds the text.
func kinds(t testing.TB, message []byte) (to []uint64, version int) {
	t.Helper()
	r := packet.NewReader(bytes.NewReader(message))
	for {
		p, err := r.Next()
		if err != nil {
			return to, version
		}
		switch p := p.(type) {
		case *packet.EncryptedKey:
			to = append(to, p.KeyId)
		case *packet.SymmetricallyEncrypted:
			return to, p.Version
		}
	}
}

// imports gives gpg a secret key.
func (g *gnupg) imports(e *openpgp.Entity) {
	g.t.Helper()
	var b bytes.Buffer
	if err := e.SerializePrivateWithoutSigning(&b, nil); err != nil {
		g.t.Fatal(err)
	}
	g.gpg(b.Bytes(), "--import")
}

// TestFeaturesThatGnuPGLacks: a key of version 4 that claims the AEAD of RFC 9580,
// as Sequoia's new ones do, gets what gpg opens.
func TestFeaturesThatGnuPGLacks(t *testing.T) {
	holders(t, 0)
	e := entity(t, packet.Config{AEADConfig: &packet.AEADConfig{}})
	if self, _ := e.PrimarySelfSignature(time.Now(), nil); self == nil || !self.SEIPDv2 || e.PrimaryKey.Version != 4 {
		t.Fatal("the key does not claim the feature")
	}
	message := sealed(t, encode(public(t, e)))
	if _, version := kinds(t, message); version != 1 {
		t.Errorf("the message is of version %d", version)
	}
	g := newGnuPG(t)
	g.imports(e)
	if got := string(g.gpg(message, "-d")); got != text {
		t.Errorf("gpg -d opens %q", got)
	}
}

// TestTwoSubkeys: each subkey that is in force opens the share: after an owner
// extended both at once, which one they still have is not to be seen.
func TestTwoSubkeys(t *testing.T) {
	holders(t, 0)
	g := newGnuPG(t)
	h := g.holder("Ada", "ed25519", "cert", "cv25519")
	g.gpg(nil, "--quick-add-key", h.fingerprint, "cv25519", "encr", "1y")
	g.gpg(nil, "--quick-set-expire", h.fingerprint, "2y", "*")
	message := sealed(t, encode(g.gpg(nil, "--export", h.fingerprint)))
	if to, _ := kinds(t, message); len(to) != 2 {
		t.Fatalf("encrypted to %d subkeys", len(to))
	}
	if got, err := h.opens(message); err != nil || got != text {
		t.Errorf("gpg -d opens %q, %v", got, err)
	}
	// Only the newest secret is left, and only the oldest.
	to, _ := kinds(t, message)
	for i, left := range to {
		if i > 0 && !pgp.Exhaustive() {
			break
		}
		one := newGnuPG(t)
		one.gpg(g.gpg(nil, "--export-secret-subkeys", fmt.Sprintf("%016X!", left)), "--import")
		if got := string(one.gpg(message, "-d")); got != text {
			t.Errorf("the subkey %016X opens %q", left, got)
		}
	}
}

// TestDesignatedRevoker: who was named to revoke a key has done so.
func TestDesignatedRevoker(t *testing.T) {
	holders(t, 0)
	e, other := entity(t, packet.Config{}), entity(t, packet.Config{})
	revocation := &packet.Signature{
		Version: 4, SigType: packet.SigTypeKeyRevocation, PubKeyAlgo: other.PrimaryKey.PubKeyAlgo, Hash: crypto.SHA256,
		CreationTime: time.Now(), IssuerKeyId: &other.PrimaryKey.KeyId,
	}
	if err := revocation.RevokeKey(e.PrimaryKey, other.PrivateKey, nil); err != nil {
		t.Fatal(err)
	}
	e.Revocations = []*packet.VerifiableSignature{packet.NewVerifiableSig(revocation)}
	if _, _, err := pgp.Parse(encode(public(t, e))); err != nil {
		t.Errorf("a stranger's revocation: %v", err)
	}

	// gpg names one, and revokes.
	g := newGnuPG(t)
	ada, eve := g.holder("Ada", "ed25519", "cert", "cv25519"), g.primary("Eve", "ed25519", "cert", "never")
	g.gpg([]byte(eve+"\ny\n"), "--command-fd", "0", "--expert", "--edit-key", ada.fingerprint, "addrevoker", "save")
	if _, _, err := pgp.Parse(encode(g.gpg(nil, "--export", ada.fingerprint))); err != nil {
		t.Errorf("with a revoker who did nothing: %v", err)
	}
	certificate, err := g.command("gpg", []byte("y\n1\n\ny\n"), "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "",
		"--command-fd", "0", "--output", "-", "--desig-revoke", ada.fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	g.gpg(certificate, "--import")
	_, _, err = pgp.Parse(encode(g.gpg(nil, "--export", ada.fingerprint)))
	wants(t, "revoked by whom its owner named", err, pgp.ErrRevoked, "by "+strings.ToLower(eve))
}

func wants(t testing.TB, name string, err, is error, says string) {
	t.Helper()
	if err == nil || is != nil && !errors.Is(err, is) || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v, want %v with %q", name, err, is, says)
	}
}

// TestSHA1Advice: what the error says to do leads to a key that is taken.
func TestSHA1Advice(t *testing.T) {
	holders(t, 0)
	g := newGnuPG(t)
	const then = "20250101T000000!" // a signature of the same second is not newer
	fingerprint := g.primary("Ada", "ed25519", "cert", "9y", "--faked-system-time", then, "--cert-digest-algo", "SHA1")
	g.gpg(nil, "--faked-system-time", then, "--cert-digest-algo", "SHA1", "--quick-add-key", fingerprint, "cv25519", "encr", "9y")
	_, _, err := pgp.Parse(encode(g.gpg(nil, "--export", fingerprint)))
	wants(t, "SHA-1", err, pgp.ErrWeak, "SHA-1")
	commands := regexp.MustCompile(`gpg (--cert-digest-algo SHA256 --quick-set-expire [0-9A-F]{40} 2y(?: '\*')?)`).FindAllStringSubmatch(fmt.Sprint(err), -1)
	if len(commands) != 2 {
		t.Fatalf("the error has %d commands: %v", len(commands), err)
	}
	for _, c := range commands {
		g.gpg(nil, strings.Fields(strings.ReplaceAll(c[1], "'", ""))...)
	}
	if message := sealed(t, encode(g.gpg(nil, "--export", fingerprint))); string(g.gpg(message, "-d")) != text {
		t.Error("gpg -d opens something else")
	}
}

// TestPicturesAndFriends: what others put on a key is left out, not counted.
func TestPicturesAndFriends(t *testing.T) {
	holders(t, 0)
	e := entity(t, packet.Config{})
	friend := entity(t, packet.Config{})
	for range 1200 { // more than a key may have of its own, in parts and in bytes
		if err := e.SignIdentity("Ada <ada@example.com>", friend, nil); err != nil {
			t.Fatal(err)
		}
	}
	friends := public(t, e)
	// A picture stands behind the names: 60 KB of it, and the owner's signature.
	picture := append([]byte{0xc0 | 17, 0xff, 0, 0, 60 << 2, 0}, make([]byte, 60<<10)...)
	for name, key := range map[string][]byte{
		"1200 friends": friends,
		"a picture":    insertBeforeSubkey(t, friends, picture),
		"2 pictures":   insertBeforeSubkey(t, insertBeforeSubkey(t, friends, picture), picture),
	} {
		if got, _ := openpgp.ReadMessage(bytes.NewReader(sealed(t, encode(key))), openpgp.EntityList{e}, nil, nil); got == nil {
			t.Errorf("%s: its owner does not open the share", name)
		}
	}
}

// insertBeforeSubkey puts a packet before the first subkey.
func insertBeforeSubkey(t testing.TB, key, p []byte) []byte {
	t.Helper()
	r := packet.NewOpaqueReader(bytes.NewReader(key))
	var out bytes.Buffer
	done := false
	for {
		raw, err := r.Next()
		if err != nil {
			return out.Bytes()
		}
		if raw.Tag == 14 && !done {
			out.Write(p)
			done = true
		}
		if err := raw.Serialize(&out); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWords: each key that is refused is told apart, with words that lead to one
// that is taken.
func TestWords(t *testing.T) {
	holders(t, 0)
	e := entity(t, packet.Config{})
	key := public(t, e)
	var body bytes.Buffer
	if err := e.PrimaryKey.Serialize(&body); err != nil {
		t.Fatal(err)
	}
	raw, err := packet.NewOpaqueReader(bytes.NewReader(body.Bytes())).Next()
	if err != nil {
		t.Fatal(err)
	}
	packed := func(tag byte, contents []byte) []byte {
		return append([]byte{0xc0 | tag, 0xff, 0, 0, byte(len(contents) >> 8), byte(len(contents))}, contents...)
	}
	stub := func(tail ...byte) []byte {
		return packed(5, append(bytes.Clone(raw.Contents), append([]byte{255, 0, 101, 0, 'G', 'N', 'U'}, tail...)...))
	}
	version := func(v byte) []byte {
		b := bytes.Clone(raw.Contents)
		b[0] = v
		return packed(6, b)
	}
	var secret bytes.Buffer
	if err := e.SerializePrivateWithoutSigning(&secret, nil); err != nil {
		t.Fatal(err)
	}
	var armored strings.Builder
	for range 2 {
		w, _ := armor.Encode(&armored, openpgp.PublicKeyType, nil)
		w.Write(key)
		w.Close()
		armored.WriteByte('\n')
	}
	e.Identities = map[string]*openpgp.Identity{}
	for name, c := range map[string]struct {
		text, says string
	}{
		"on a card":              {encode(stub(2, 4, 1, 2, 3, 4)), "nothing secret is in it; send the public key, as gpg --export"},
		"its secret left out":    {encode(stub(1)), "nothing secret is in it"},
		"a subkey's secret":      {encode(append(stub(1), secret.Bytes()...)), "a secret key, which has now left its owner"},
		"a secret":               {encode(secret.Bytes()), "revoke it"},
		"version 5":              {encode(version(5)), "LibrePGP alone has: make one of version 4"},
		"version 3":              {encode(version(3)), "of the nineties: make one of version 4"},
		"version 9":              {encode(version(9)), "send one of version 4 or 6"},
		"two armors":             {armored.String(), "2 keys, one after the other: send one alone"},
		"two armors, encoded":    {encode([]byte(armored.String())), "2 keys, one after the other"},
		"stripped of its names":  {encode(public(t, e)), "as key servers hand it out: export it from where it was made"},
		"stripped, in one armor": {encode(public(t, e)), "neither a name nor a signature by itself"},
	} {
		_, _, err := pgp.Parse(c.text)
		wants(t, name, err, pgp.ErrMalformed, c.says)
	}
}

// TestSaysWhatOpensIt: where a holder needs a certain tool, the message says so.
func TestSaysWhatOpensIt(t *testing.T) {
	holders(t, 0)
	for name, c := range map[string]struct {
		config packet.Config
		says   string
	}{
		"version 6": {packet.Config{Algorithm: packet.PubKeyAlgoEd25519, V6Keys: true}, "sq decrypt, or a gpg that reads version 6"},
		"Curve448":  {packet.Config{Algorithm: packet.PubKeyAlgoEd448}, "sq decrypt: gpg does not read Curve448"},
		"Brainpool": {packet.Config{Algorithm: packet.PubKeyAlgoECDSA, Curve: packet.CurveBrainpoolP256}, "gpg -d: sq as Debian has it"},
		"any":       {packet.Config{}, ""},
	} {
		e := entity(t, c.config)
		message := sealed(t, encode(public(t, e)))
		block, err := armor.Decode(bytes.NewReader(message))
		switch {
		case c.says == "" && err != nil:
			continue // as it was
		case err != nil:
			t.Errorf("%s: not armored: %v", name, err)
			continue
		case c.says == "" || !strings.Contains(block.Header["Comment"], c.says):
			t.Errorf("%s: says %q, want %q", name, block.Header["Comment"], c.says)
		}
		got, err := openpgp.ReadMessage(block.Body, openpgp.EntityList{e}, nil, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if b, _ := io.ReadAll(got.UnverifiedBody); string(b) != text {
			t.Errorf("%s: opens %q", name, b)
		}
	}
}

// TestSequoia: keys that sq makes, opened by sq and by gpg.
func TestSequoia(t *testing.T) {
	holders(t, 0)
	if _, err := exec.LookPath("sq"); err != nil {
		t.Skip("skipped: no sq here, so nothing shows that sq decrypt opens the shares")
	}
	home := t.TempDir()
	sq := func(in []byte, args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sq", args...)
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home)
		cmd.Stdin = bytes.NewReader(in)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("sq %s: %v: %s", strings.Join(args, " "), err, &errs)
		}
		return out.Bytes()
	}
	keys, opened := 0, 0
	for name, args := range map[string][]string{
		"Curve 25519": {"--userid", "Ada"},
		"RSA 3072":    {"--userid", "Ada", "--cipher-suite", "rsa3k"},
		"no name":     nil,
	} {
		if name == "RSA 3072" && !pgp.Exhaustive() {
			continue
		}
		keys++
		file := filepath.Join(home, strings.ReplaceAll(name, " ", "-"))
		sq(nil, append([]string{"key", "generate", "--export", file}, args...)...)
		message := sealed(t, string(sq(nil, "key", "extract-cert", file)))
		if got := string(sq(message, "decrypt", "--recipient-key", file)); got != text {
			t.Errorf("%s: sq decrypt opens %q", name, got)
		}
		opened++
		if name == "no name" {
			continue // gpg imports no such key
		}
		secret, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		g := newGnuPG(t)
		g.gpg(secret, "--import")
		if got := string(g.gpg(message, "-d")); got != text {
			t.Errorf("%s: gpg -d opens %q", name, got)
		}
		opened++
	}
	if !pgp.Exhaustive() {
		t.Logf("of a part: openpgp-sequoia: keys=%d opened=%d of=3", keys, opened)
		return
	}
	t.Logf("GUARANTEE 30 openpgp-sequoia: keys=%d opened=%d of=5", keys, opened)
}

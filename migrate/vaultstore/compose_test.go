package vaultstore_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/sealwright/sealwright/migrate/vaultstore"
	"github.com/sealwright/sealwright/shamir"
)

// A bench takes a fixture apart and puts it together as a server would have left
// it, by code that shares nothing with the package.
type bench struct {
	testing.TB
	raw
	root    []byte
	dek     []byte // of the active term
	term    uint32
	keyring map[string]json.RawMessage
	copied  string // core/root-key or core/master
}

func aead(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return a
}

func (b *bench) must(plain []byte, err error) []byte {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	return plain
}

// newBench opens a fixture. Blobs begin with their ciphertext, and an iv may
// follow.
func newBench(t testing.TB, name string) *bench {
	t.Helper()
	b := &bench{TB: t, raw: readRaw(t, fixture(name))}
	kek := static(t).Key
	if name != "static" {
		kek = b.must(shamir.Combine(shares(t, name)[:3]))
	}
	b.root = b.rootOf(b.raw["core/hsm/barrier-unseal-keys"], kek)
	text := b.open(b.root, "core/keyring")
	if err := json.Unmarshal(text, &b.keyring); err != nil {
		t.Fatal(err)
	}
	var keys []struct {
		Term  uint32
		Value []byte
	}
	if err := json.Unmarshal(b.keyring["Keys"], &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Term > b.term {
			b.term, b.dek = k.Term, k.Value
		}
	}
	b.copied = "core/root-key"
	if b.raw[b.copied] == nil {
		b.copied = "core/master"
	}
	return b
}

// blobText opens a blob of this bench's own knowledge of its bytes.
func (b *bench) blobText(blob, key []byte) []byte {
	n := int(blob[1])
	sealed := slices.Clone(blob[2 : 2+n])
	if rest := blob[2+n:]; rest[0] == 2<<3|2 {
		sealed = append(slices.Clone(rest[2:2+rest[1]]), sealed...)
	}
	return b.must(aead(key).Open(nil, nil, sealed, nil))
}

func (b *bench) rootOf(blob, key []byte) []byte {
	var keys [][]byte
	if err := json.Unmarshal(b.blobText(blob, key), &keys); err != nil {
		b.Fatal(err)
	}
	return keys[0]
}

func (b *bench) open(key []byte, path string) []byte {
	return b.must(aead(key).Open(nil, nil, b.raw[path][5:], []byte(path)))
}

func (b *bench) seal(key []byte, term uint32, path string, plain []byte) {
	out := append(binary.BigEndian.AppendUint32(nil, term), 2)
	b.raw[path] = aead(key).Seal(out, nil, plain, []byte(path))
}

// part returns a bench to go on with, that the first does not see.
func (b *bench) part() *bench {
	out := *b
	out.raw = b.raw.clone()
	return &out
}

// setRoot writes the keyring under another root key, and then its copy.
func (b *bench) setRoot(root []byte) {
	b.root = root
	b.keyring = map[string]json.RawMessage{"Keys": b.keyring["Keys"], "MasterKey": b.must(json.Marshal(root)), "RotationConfig": b.keyring["RotationConfig"]}
	b.seal(root, 1, "core/keyring", b.must(json.Marshal(b.keyring)))
}

func (b *bench) setCopy() {
	text := fmt.Appendf(nil, `{"Term":1,"Version":1,"Value":%q,"InstallTime":"0001-01-01T00:00:00Z"}`, base64.StdEncoding.EncodeToString(b.root))
	b.seal(b.dek, b.term, b.copied, text)
}

func (b *bench) storedKeys() []byte {
	return fmt.Appendf(nil, "[%q]", base64.StdEncoding.EncodeToString(b.root))
}

// storeByShares writes the stored keys under what shares combine to.
func (b *bench) storeByShares(kek []byte) {
	sealed := aead(kek).Seal(nil, nil, b.storedKeys(), nil)
	b.raw["core/hsm/barrier-unseal-keys"] = append(append([]byte{1<<3 | 2, byte(len(sealed))}, sealed...), 5<<3|2, 0)
}

// blobBy is the blob of a static seal.
func blobBy(s vaultstore.Static, plain []byte) []byte {
	sealed := aead(s.Key).Seal(nil, nil, plain, nil)
	out := append([]byte{1<<3 | 2, byte(len(sealed) - 12)}, sealed[12:]...)
	out = append(append(out, 2<<3|2, 12), sealed[:12]...)
	out = append(out, 5<<3|2, byte(len(s.ID)+2), 3<<3|2, byte(len(s.ID)))
	return append(out, s.ID...)
}

func (b *bench) config(path, kind string, shares, threshold int) {
	b.raw[path] = fmt.Appendf(nil, `{"type":%q,"secret_shares":%d,"secret_threshold":%d,"pgp_keys":null,"nonce":"","backup":false}`, kind, shares, threshold)
	if b.copied == "core/master" {
		b.raw[path] = fmt.Appendf(nil, `{"type":%q,"secret_shares":%d,"secret_threshold":%d,"pgp_keys":null,"nonce":"","backup":false,"stored_shares":1,"name":""}`, kind, shares, threshold)
	}
}

// another is a static seal that the fixtures know nothing of.
func another() vaultstore.Static {
	return vaultstore.Static{ID: "another", Key: bytes.Repeat([]byte{0xa7}, 32)}
}

// onlyOpens is a seal that does not wrap, as those by a KMS.
type onlyOpens struct{ s vaultstore.Static }

func (o onlyOpens) Type() string { return "awskms" }

func (o onlyOpens) OpenBlob(ctx context.Context, b *vaultstore.Blob) ([]byte, error) {
	return o.s.OpenBlob(ctx, b)
}

// toAuto returns the states of a migration from shares to a static seal, by how
// many of the server's writes were made.
func toAuto(t testing.TB, name string, s vaultstore.Static, kind string) []*bench {
	b := newBench(t, name)
	kek := b.must(shamir.Combine(shares(t, name)[:3]))
	states := []*bench{b.part()}
	step := func(change func()) {
		change()
		states = append(states, b.part())
	}
	step(func() { b.raw["core/recovery-key"] = blobBy(s, kek) })
	step(func() { b.setRoot(bytes.Repeat([]byte{0x3c}, 32)) })
	step(b.setCopy)
	step(func() { b.raw["core/hsm/barrier-unseal-keys"] = blobBy(s, b.storedKeys()) })
	step(func() { b.config("core/seal-config", kind, 1, 1) })
	step(func() { b.config("core/recovery-config", "shamir", 5, 3) })
	return states
}

// toShares returns the states of a migration from the static seal to shares: none,
// the stored keys, the config, the end.
func toShares(t testing.TB) []*bench {
	b := newBench(t, "static")
	kek := b.blobText(b.raw["core/recovery-key"], static(t).Key)
	states := []*bench{b.part()}
	step := func(change func()) {
		change()
		states = append(states, b.part())
	}
	step(func() { b.storeByShares(kek) })
	step(func() { b.config("core/seal-config", "shamir", 5, 3) })
	step(func() { delete(b.raw, "core/recovery-config") })
	return states
}

// toOther returns the states of a migration from the static seal to another.
func toOther(t testing.TB, s vaultstore.Static, kind string) []*bench {
	b := newBench(t, "static")
	kek := b.blobText(b.raw["core/recovery-key"], static(t).Key)
	states := []*bench{b.part()}
	step := func(change func()) {
		change()
		states = append(states, b.part())
	}
	step(func() { b.raw["core/recovery-key"] = blobBy(s, kek) })
	step(func() { b.raw["core/hsm/barrier-unseal-keys"] = blobBy(s, b.storedKeys()) })
	step(func() { b.config("core/seal-config", kind, 1, 1) })
	return states
}

// rekey returns the states of a rekey of a Shamir seal, and the new shares.
func rekey(t testing.TB, name string, n, threshold int) ([]*bench, [][]byte) {
	b := newBench(t, name)
	kek := bytes.Repeat([]byte{0x51}, 32)
	parts, err := shamir.Split(kek, n, threshold)
	if err != nil {
		t.Fatal(err)
	}
	states := []*bench{b.part()}
	step := func(change func()) {
		change()
		states = append(states, b.part())
	}
	root := bytes.Repeat([]byte{0x3d}, 32)
	step(func() {
		old := b.root
		b.root = root
		b.storeByShares(kek)
		b.root = old
	})
	step(func() { b.setRoot(root) })
	step(b.setCopy)
	step(func() { b.seal(b.dek, b.term, "core/shamir-kek", kek) })
	step(func() { b.config("core/seal-config", "shamir", n, threshold) })
	return states, parts
}

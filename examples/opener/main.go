// Opener opens a record by people's shares, and decrypts values with it. It is this
// file and Go's standard library, written from seal/FORMAT.md, seal/SHARES.md and
// keyring/FORMAT.md, and shares no code with the library: those pages are enough.
//
//	opener record.json < shares               # one a line; counts the data keys
//	opener record.json users token 42 < input # the shares, then ciphertexts, as text or base64
//
// The words are the values' associated data, as keyring.AAD joins them.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: opener RECORD [ASSOCIATED DATA …] < shares and ciphertexts")
	}
	var aad []byte
	for _, part := range os.Args[2:] {
		aad = append(binary.BigEndian.AppendUint64(aad, uint64(len(part))), part...)
	}
	if err := run(os.Stdout, os.Stdin, os.Args[1], aad); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer, in io.Reader, path string, aad []byte) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v) // a slice out of range is of a file that is cut
		}
	}()
	var r record
	stored := must(os.ReadFile(path))
	if json.Unmarshal(stored, &r) != nil || r.MinReader < 1 || r.MinReader > 2 {
		panic("no record of a format that is read here")
	}
	var values []string
	for _, word := range strings.Fields(string(must(io.ReadAll(in)))) {
		if lower := strings.ToLower(word); strings.HasPrefix(lower, "sw1") && !strings.HasPrefix(word, "sw1.") {
			r.take(lower)
		} else {
			values = append(values, word)
		}
	}
	clear := string(stored[:strings.LastIndex(string(stored), `,"sealed":"`)]) + "}"
	keys := r.open(sha256.Sum256([]byte(clear)))
	for _, v := range values {
		fmt.Fprintf(out, "%s\n", decrypt(keys, r.Store, v, aad))
	}
	if values == nil {
		fmt.Fprintln(out, "open:", len(keys), "data keys")
	}
	return nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

type record struct {
	MinReader int `json:"min_reader"`
	Store     string
	Root      uint64
	Slots     []slot
	Sealed    []byte
	shares    [][]byte // fingerprint (12) ‖ set (4) ‖ x (1) ‖ y (32)
}

type slot struct {
	ID                       uint64
	Name, State, Fingerprint string
	Tree                     node
	Wrap                     []byte
	PublicKey                []byte `json:"public_key"`
}

type node struct {
	Shamir, Threshold *struct {
		Threshold   int
		Set         uint64
		Commitments []string
		Of          []node
	}
}

// take reads a share's text: Bech32m over 50 bytes.
func (r *record) take(text string) {
	const alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	sum := uint32(1)
	for _, v := range "rrqnh" + text[3:] { // which is how "sw" stands in its checksum
		v = rune(strings.IndexRune(alphabet, v))
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for j, g := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			sum ^= g * (top >> j & 1)
		}
	}
	if len(text) != 89 || sum != 0x2bc830a3 {
		panic("a share's checksum is wrong: it was mistyped, or cut")
	}
	r.shares = append(r.shares, must(base32.NewEncoding(alphabet).WithPadding(base32.NoPadding).DecodeString(text[3:83]))[1:])
}

// open returns the data keys, by way of the first slot that the shares open.
func (r *record) open(clear [32]byte) map[uint32][]byte {
	for _, s := range r.Slots {
		if seed := r.value(s, s.Tree, ""); s.State != "pending" && seed != nil {
			return r.openWith(s, seed, clear[:])
		}
	}
	panic(fmt.Errorf("%d shares open no slot: more are needed, or others", len(r.shares)))
}

// value is what a node holds: interpolated from shares, or from its children.
func (r *record) value(s slot, n node, path string) []byte {
	points, threshold := map[byte][]byte{}, 0
	if p := n.Shamir; p != nil {
		threshold = p.Threshold
		for _, sh := range r.shares {
			c := sha256.Sum256(append(place("sealwright/share/v1", r.Store, s.Name, path, p.Set, uint64(sh[16])), sh[17:]...))
			if fmt.Sprintf("%x", sh[:12]) == s.Fingerprint && slices.Contains(p.Commitments, fmt.Sprintf("%x", c[:])) {
				points[sh[16]] = sh[17:]
			}
		}
	} else if p := n.Threshold; p != nil {
		threshold = p.Threshold
		for i, child := range p.Of {
			if v := r.value(s, child, strings.TrimPrefix(fmt.Sprintf("%s.%d", path, i+1), ".")); v != nil {
				points[byte(i+1)] = v
			}
		}
	}
	if threshold == 0 || len(points) < threshold {
		return nil
	}
	out := make([]byte, 32) // Lagrange's formula at 0; more points than it takes do no harm
	for x, y := range points {
		weight := byte(1)
		for other := range points {
			if other != x {
				weight = mul(weight, other)
			}
			for range 254 * min(1, int(other^x)) { // to the power of 254 is the inverse
				weight = mul(weight, other^x)
			}
		}
		for i := range out {
			out[i] ^= mul(y[i], weight)
		}
	}
	return out
}

func mul(a, b byte) (p byte) {
	for ; b > 0; b >>= 1 {
		p, a = p^a*(b&1), a<<1^0x1b*(a>>7)
	}
	return p
}

// openWith goes from a slot's seed to the root key, and to the data keys.
func (r *record) openWith(s slot, seed, clear []byte) map[uint32][]byte {
	pq := must(mlkem.NewDecapsulationKey768(must(hkdf.Key(sha256.New, seed, nil, "sealwright/slot/v1 ml-kem-768", 64))))
	ec := must(ecdh.P256().NewPrivateKey(must(hkdf.Key(sha256.New, seed, nil, "sealwright/slot/v1 p-256 0", 32))))
	if string(s.PublicKey) != string(pq.EncapsulationKey().Bytes())+string(ec.PublicKey().Bytes()) {
		panic(fmt.Errorf("slot %q: the seed is not that of its public key", s.Name))
	}
	point := must(ecdh.P256().NewPublicKey(s.Wrap[1088:1153]))
	secret := sha3.Sum256(slices.Concat(must(pq.Decapsulate(s.Wrap[:1088])), must(ec.ECDH(point)), point.Bytes(), ec.PublicKey().Bytes(), []byte("MLKEM768-P256")))
	at := place("sealwright/wrap/v1", r.Store, s.ID, r.Root)
	root := openBox(export(secret[:], at, "sealwright/root/v1"), "sealwright/root/v1", s.Wrap[1153:], at)
	b := openBox(root, "sealwright/record/v1", r.Sealed, clear)
	keys, n := map[uint32][]byte{}, binary.BigEndian.Uint32(b[1:])
	for b = b[5:]; n > 0; n, b = n-1, b[45:] {
		keys[binary.BigEndian.Uint32(b)] = b[13:45]
	}
	for n, b = binary.BigEndian.Uint32(b), b[4:]; n > 0; n, b = n-1, b[36:] {
		if f := sha256.Sum256(b[4:36]); uint64(binary.BigEndian.Uint32(b)) == s.ID && fmt.Sprintf("%x", f[:12]) == s.Fingerprint {
			return keys
		}
	}
	panic("the record was made by somebody who is not who made the shares")
}

// export is RFC 9180's key schedule and export, in mode base without AEAD.
func export(shared, info []byte, context string) []byte {
	const suite = "HPKE\x00\x50\x00\x01\xff\xff"
	extract := func(salt []byte, label string, ikm []byte) []byte {
		return must(hkdf.Extract(sha256.New, append([]byte("HPKE-v1"+suite+label), ikm...), salt))
	}
	expand := func(prk []byte, label, info string) []byte {
		return must(hkdf.Expand(sha256.New, prk, "\x00\x20HPKE-v1"+suite+label+info, 32))
	}
	schedule := slices.Concat([]byte{0}, extract(nil, "psk_id_hash", nil), extract(nil, "info_hash", info))
	return expand(expand(extract(shared, "secret", nil), "exp", string(schedule)), "sec", context)
}

// openBox opens salt (16) ‖ commitment (16) ‖ nonce (12) ‖ ciphertext ‖ tag (16).
func openBox(key []byte, info string, box, aad []byte) []byte {
	k := must(hkdf.Key(sha256.New, key, box[:16], info, 48))
	if subtle.ConstantTimeCompare(k[32:], box[16:32]) != 1 {
		panic("something was made with another key")
	}
	return must(must(cipher.NewGCM(must(aes.NewCipher(k[:32])))).Open(nil, box[32:44], box[44:], aad))
}

func place(parts ...any) (b []byte) {
	for _, p := range parts {
		switch p := p.(type) {
		case string:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, p)
		}
	}
	return b
}

// decrypt opens a message of the keyring, in base64 or as text.
func decrypt(keys map[uint32][]byte, store, text string, aad []byte) []byte {
	text = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(strings.TrimPrefix(text, "sw1."))
	m := must(base64.RawURLEncoding.DecodeString(text))
	if m[0] != 1 || keys[binary.BigEndian.Uint32(m[1:])] == nil {
		panic("no message under a term of this store")
	}
	info := "sealwright/keyring/v1/message\x00" + string(rune(len(store))) + store + string(m[1:5])
	return openBox(keys[binary.BigEndian.Uint32(m[1:])], info, m[9:], aad)
}

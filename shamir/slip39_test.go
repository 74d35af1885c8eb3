package shamir

import (
	"bytes"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
)

// A slip39Share is a decoded mnemonic of SLIP-39, without its checksum.
type slip39Share struct {
	id              uint16
	extendable      bool
	exponent        uint
	group, member   byte
	groups, members int // thresholds
	y               []byte
}

// TestSLIP39 restores the master secrets of SLIP-39, whose shares lie in the
// same field but with the secret at x = 255 and a digest of it at 254: other
// people's shares, at other places than ours.
//
// SLIP-39's keys for HMAC and PBKDF2 are shorter than FIPS 140 has them.
func TestSLIP39(t *testing.T) { fips140.WithoutEnforcement(func() { testSLIP39(t) }) }

func testSLIP39(t *testing.T) {
	var vectors [][]any // name, mnemonics, master secret or "", extended key
	readJSON(t, "testdata/slip39/vectors.json", &vectors)
	words := slip39Words(t)
	restored := 0
	for i, v := range vectors {
		name, want := v[0].(string), v[2].(string)
		forged := strings.Contains(name, "invalid digest")
		if want == "" && !forged {
			continue // refused for reasons that are SLIP-39's own
		}
		if testing.Short() && !forged && i%3 != 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			var shares []slip39Share
			for _, mnemonic := range v[1].([]any) {
				shares = append(shares, decodeSLIP39(t, words, mnemonic.(string)))
			}
			members := map[byte]*points{}
			for _, s := range shares {
				p := members[s.group]
				if p == nil {
					p = new(points)
					members[s.group] = p
				}
				p.x[p.n], p.y = s.member, append(p.y, s.y)
				p.n++
				if p.n > s.members {
					t.Fatalf("more than %d members in group %d", s.members, s.group)
				}
			}
			var groups points
			for x, p := range members {
				secret, err := restoreSLIP39(p)
				if forged {
					if err == nil {
						t.Error("a forged share was not noticed")
					}
					return
				}
				if err != nil {
					t.Fatalf("group %d: %v", x, err)
				}
				groups.x[groups.n], groups.y = x, append(groups.y, secret)
				groups.n++
			}
			encrypted, err := restoreSLIP39(&groups)
			if err != nil {
				t.Fatal(err)
			}
			restored++
			if got := hex.EncodeToString(decryptSLIP39(t, shares[0], encrypted)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	if testing.Short() {
		t.Logf("of a sample: restored %d vectors", restored)
		return
	}
	if restored != 15 {
		t.Errorf("restored %d vectors, want 15", restored)
	}
	t.Logf("GUARANTEE 12 shamir: slip39=%d", restored)
}

// restoreSLIP39 returns the value at 255, if its digest stands at 254.
func restoreSLIP39(p *points) ([]byte, error) {
	if p.n == 1 {
		return p.y[0], nil
	}
	p.prepare()
	secret := make([]byte, len(p.y[0]))
	digest := make([]byte, len(p.y[0]))
	p.evaluate(secret, 255)
	p.evaluate(digest, 254)
	mac := hmac.New(sha256.New, digest[4:])
	mac.Write(secret)
	if !bytes.Equal(mac.Sum(nil)[:4], digest[:4]) {
		return nil, errors.New("wrong digest")
	}
	return secret, nil
}

// decodeSLIP39 reads a mnemonic: id (15 bits), extendable (1), exponent (4),
// group index, group threshold-1, groups-1, member index, member threshold-1
// (4 each), value, checksum (30).
func decodeSLIP39(t *testing.T, words map[string]int64, mnemonic string) slip39Share {
	n := new(big.Int)
	fields := strings.Fields(mnemonic)
	for _, word := range fields {
		index, ok := words[word]
		if !ok {
			t.Fatalf("%q is not in the word list", word)
		}
		n.Lsh(n, 10).Or(n, big.NewInt(index))
	}
	n.Rsh(n, 30)
	bits := 10*len(fields) - 30
	head := new(big.Int).Rsh(n, uint(bits-40)).Uint64()
	value := make([]byte, (bits-40)/8)
	n.And(n, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(bits-40)), big.NewInt(1)))
	n.FillBytes(value)
	return slip39Share{
		id:         uint16(head >> 25),
		extendable: head>>24&1 == 1,
		exponent:   uint(head >> 20 & 15),
		group:      byte(head >> 16 & 15),
		groups:     int(head>>12&15) + 1,
		member:     byte(head >> 4 & 15),
		members:    int(head&15) + 1,
		y:          value[len(value)%2:], // values have an even length
	}
}

// decryptSLIP39 undoes the Feistel cipher of SLIP-39 with the passphrase of
// the vectors.
func decryptSLIP39(t *testing.T, s slip39Share, encrypted []byte) []byte {
	var salt []byte
	if !s.extendable {
		salt = binary.BigEndian.AppendUint16([]byte("shamir"), s.id)
	}
	half := len(encrypted) / 2
	l, r := encrypted[:half], encrypted[half:]
	for i := 3; i >= 0; i-- {
		f, err := pbkdf2.Key(sha256.New, string(byte(i))+"TREZOR", append(salt[:len(salt):len(salt)], r...), 2500<<s.exponent, half)
		if err != nil {
			t.Fatal(err)
		}
		subtle.XORBytes(f, f, l)
		l, r = r, f
	}
	return append(bytes.Clone(r), l...)
}

func slip39Words(t *testing.T) map[string]int64 {
	data, err := os.ReadFile("testdata/slip39/words.txt")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]int64{}
	for i, word := range strings.Fields(string(data)) {
		words[word] = int64(i)
	}
	if len(words) != 1024 {
		t.Fatalf("%d words, want 1024", len(words))
	}
	return words
}

func readJSON(t *testing.T, path string, v any) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

package shamir_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/sealwright/sealwright/shamir"
)

func split(t testing.TB, secret []byte, shares, threshold int) [][]byte {
	t.Helper()
	out, err := shamir.Split(secret, shares, threshold)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func random(size int, seed uint64) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	out := make([]byte, size)
	rand.NewChaCha8(key).Read(out)
	return out
}

// TestSubsets combines every subset of the shares: those of at least the
// threshold give the secret, and those of fewer, and more than one, another
// one without an error.
func TestSubsets(t *testing.T) {
	for n := 2; n <= 7; n++ {
		for threshold := 2; threshold <= n; threshold++ {
			for _, size := range []int{16, 32, 33} {
				secret := random(size, uint64(n))
				shares := split(t, secret, n, threshold)
				for set := range 1 << n {
					var subset [][]byte
					for i, share := range shares {
						if set>>i&1 == 1 {
							subset = append(subset, share)
						}
					}
					if len(subset) < 2 {
						continue
					}
					got, err := shamir.Combine(subset)
					if err != nil {
						t.Fatal(err)
					}
					if enough := len(subset) >= threshold; bytes.Equal(got, secret) != enough {
						t.Errorf("%d of %d, %d bytes, shares %b: got the secret: %t, want %t", threshold, n, size, set, !enough, enough)
					}
				}
			}
		}
	}
}

func TestSizes(t *testing.T) {
	tests := map[string]struct{ size, shares, threshold int }{
		"one byte":          {1, 5, 3},
		"most shares":       {32, 255, 2},
		"highest threshold": {33, 255, 255},
		"half of them":      {64, 255, 128},
		"largest":           {shamir.MaxSecretSize, 3, 2},
		"largest but one":   {shamir.MaxSecretSize - 1, 5, 3},
	}
	for size := range 130 {
		if testing.Short() && size%9 != 0 { // 1, 10, and so on, 64 and 127 among them
			continue
		}
		tests[fmt.Sprintf("%d bytes", size+1)] = struct{ size, shares, threshold int }{size + 1, 20, 10}
	}
	if testing.Short() {
		delete(tests, "largest")
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			secret := random(test.size, 1)
			shares := split(t, secret, test.shares, test.threshold)
			if len(shares) != test.shares {
				t.Fatalf("%d shares, want %d", len(shares), test.shares)
			}
			for i, share := range shares {
				if len(share) != test.size+1 || cap(share) != len(share) || share[test.size] != byte(i+1) {
					t.Errorf("share %d: length %d, capacity %d, x = %d", i, len(share), cap(share), share[test.size])
				}
			}
			for _, of := range [][][]byte{shares, shares[:test.threshold], shares[test.shares-test.threshold:]} {
				before := make([][]byte, len(of))
				for i, share := range of {
					before[i] = bytes.Clone(share)
				}
				got, err := shamir.Combine(of)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, secret) {
					t.Error("not the secret")
				}
				for i, share := range of {
					if !bytes.Equal(share, before[i]) {
						t.Errorf("Combine changed share %d", i)
					}
				}
			}
			if !bytes.Equal(secret, random(test.size, 1)) {
				t.Error("Split changed the secret")
			}
		})
	}
}

// TestFresh splits one secret over and over: no byte of any share but x stays
// what it was.
func TestFresh(t *testing.T) {
	secret := random(33, 1)
	first := split(t, secret, 6, 4)
	changed := make([][]bool, len(first))
	for i := range changed {
		changed[i] = make([]bool, len(secret))
	}
	for range 64 { // a byte stays by chance once in 2^512
		for i, share := range split(t, secret, 6, 4) {
			for k, y := range share[:len(secret)] {
				if y != first[i][k] {
					changed[i][k] = true
				}
			}
		}
	}
	for i := range changed {
		for k, ok := range changed[i] {
			if !ok {
				t.Errorf("byte %d of share %d is always the same", k, i)
			}
		}
	}
}

// TestVectors combines the shares of another, audited library.
func TestVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/gf256-privy.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tests []struct {
			N, T   int
			Secret string
			Shares []string
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for i, v := range file.Tests {
		var shares [][]byte
		for _, s := range v.Shares {
			share, err := hex.DecodeString(s)
			if err != nil {
				t.Fatal(err)
			}
			shares = append(shares, share)
		}
		for _, of := range [][][]byte{shares[:v.T], shares[len(shares)-v.T:], shares} {
			got, err := shamir.Combine(of)
			if err != nil {
				t.Fatal(err)
			}
			if hex.EncodeToString(got) != v.Secret {
				wrong++
				t.Errorf("vector %d, %d of %d, %d shares: got %x, want %s", i, v.T, v.N, len(of), got, v.Secret)
			}
		}
	}
	if len(file.Tests) != 41 {
		t.Errorf("%d vectors, want 41", len(file.Tests))
	}
	t.Logf("GUARANTEE 12 shamir: vectors=%d wrong=%d", len(file.Tests), wrong)
}

func TestSplitErrors(t *testing.T) {
	tests := map[string]struct {
		size, shares, threshold int
		want                    error
		text                    string
	}{
		"no threshold":       {32, 5, 0, shamir.ErrCount, "shamir: number of shares out of range: threshold 0 of 5 shares, need 2 <= threshold <= shares <= 255"},
		"threshold 1":        {32, 5, 1, shamir.ErrCount, "shamir: number of shares out of range: threshold 1 of 5 shares, need 2 <= threshold <= shares <= 255"},
		"1 of 1":             {32, 1, 1, shamir.ErrCount, "shamir: number of shares out of range: threshold 1 of 1 shares, need 2 <= threshold <= shares <= 255"},
		"negative":           {32, -1, -2, shamir.ErrCount, "shamir: number of shares out of range: threshold -2 of -1 shares, need 2 <= threshold <= shares <= 255"},
		"threshold too high": {32, 5, 6, shamir.ErrCount, "shamir: number of shares out of range: threshold 6 of 5 shares, need 2 <= threshold <= shares <= 255"},
		"too many shares":    {32, 256, 3, shamir.ErrCount, "shamir: number of shares out of range: threshold 3 of 256 shares, need 2 <= threshold <= shares <= 255"},
		"empty":              {0, 5, 3, shamir.ErrSize, "shamir: size out of range: secret of 0 bytes, need 1 to 1048576"},
		"too long":           {shamir.MaxSecretSize + 1, 5, 3, shamir.ErrSize, "shamir: size out of range: secret of 1048577 bytes, need 1 to 1048576"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			shares, err := shamir.Split(make([]byte, test.size), test.shares, test.threshold)
			if shares != nil || !errors.Is(err, test.want) || err.Error() != test.text {
				t.Errorf("got %d shares, error %v\nwant %v", len(shares), err, test.text)
			}
		})
	}
}

func TestCombineErrors(t *testing.T) {
	long := make([]byte, shamir.MaxSecretSize+2)
	long[len(long)-1] = 1
	var many [][]byte
	for x := range 256 {
		many = append(many, []byte{7, byte(x + 1)})
	}
	tests := map[string]struct {
		shares [][]byte
		want   error
		text   string
	}{
		"none":           {nil, shamir.ErrCount, "shamir: number of shares out of range: 0 to combine, need the threshold, at least 2"},
		"one":            {[][]byte{{7, 1}}, shamir.ErrCount, "shamir: number of shares out of range: 1 to combine, need the threshold, at least 2"},
		"first nil":      {[][]byte{nil, {7, 2}}, shamir.ErrSize, "shamir: size out of range: share 1 has 0 bytes, need 2 to 1048577"},
		"only x":         {[][]byte{{1}, {2}}, shamir.ErrSize, "shamir: size out of range: share 1 has 1 bytes, need 2 to 1048577"},
		"too long":       {[][]byte{long, long}, shamir.ErrSize, "shamir: size out of range: share 1 has 1048578 bytes, need 2 to 1048577"},
		"second nil":     {[][]byte{{7, 1}, nil}, shamir.ErrSize, "shamir: size out of range: share 2 has 0 bytes and share 1 has 2, need equal"},
		"second shorter": {[][]byte{{7, 7, 1}, {7, 2}}, shamir.ErrSize, "shamir: size out of range: share 2 has 2 bytes and share 1 has 3, need equal"},
		"third longer":   {[][]byte{{7, 1}, {7, 2}, {7, 7, 3}}, shamir.ErrSize, "shamir: size out of range: share 3 has 3 bytes and share 1 has 2, need equal"},
		"first x zero":   {[][]byte{{7, 0}, {7, 2}}, shamir.ErrZero, "shamir: share with x = 0: share 1"},
		"last x zero":    {[][]byte{{7, 1}, {7, 2}, {7, 0}}, shamir.ErrZero, "shamir: share with x = 0: share 3"},
		"same share":     {[][]byte{{7, 1}, {7, 1}}, shamir.ErrDuplicate, "shamir: duplicate share: shares 1 and 2 have x = 1"},
		"same x":         {[][]byte{{7, 1}, {7, 255}, {8, 3}, {9, 255}}, shamir.ErrDuplicate, "shamir: duplicate share: shares 2 and 4 have x = 255"},
		"all there are":  {many[:255:255], nil, ""},
		"256 and zero":   {many, shamir.ErrZero, "shamir: share with x = 0: share 256"},
		"256 and again":  {append(many[:255:255], []byte{7, 255}), shamir.ErrDuplicate, "shamir: duplicate share: shares 255 and 256 have x = 255"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			secret, err := shamir.Combine(test.shares)
			if test.want == nil {
				if err != nil || !bytes.Equal(secret, []byte{7}) {
					t.Errorf("got %x, error %v, want 07", secret, err)
				}
				return
			}
			if secret != nil || !errors.Is(err, test.want) || err.Error() != test.text {
				t.Errorf("got %x, error %v\nwant %v", secret, err, test.text)
			}
		})
	}
}

// TestSplitIsRandom: no byte of any share stays the same from split to split,
// nor is it that of another share, beside it or further on: all that Split draws
// comes to where it belongs. By chance that would fail once in 2^400 times.
func TestSplitIsRandom(t *testing.T) {
	const size, splits = 5, 64
	for threshold := 2; threshold <= 6; threshold++ {
		n := threshold + 2
		columns := make([][splits]byte, n*size) // each byte of each share, over the splits
		for i := range splits {
			shares, err := shamir.Split(make([]byte, size), n, threshold)
			if err != nil {
				t.Fatal(err)
			}
			for j := range columns {
				columns[j][i] = shares[j/size][j%size]
			}
		}
		seen := map[[splits]byte]int{}
		for j, c := range columns {
			if c == [splits]byte(bytes.Repeat(c[:1], splits)) {
				t.Errorf("threshold %d: byte %d of share %d is always %d", threshold, j%size, j/size+1, c[0])
			}
			if k, ok := seen[c]; ok {
				t.Errorf("threshold %d: byte %d of share %d is byte %d of share %d", threshold, j%size, j/size+1, k%size, k/size+1)
			}
			seen[c] = j
		}
	}
}

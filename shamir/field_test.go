package shamir

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
)

// product multiplies as on paper: the sum of a shifted by each bit of b, less
// multiples of 0x11B until eight bits are left.
func product(a, b byte) byte {
	p := 0
	for i := range 8 {
		if b>>i&1 == 1 {
			p ^= int(a) << i
		}
	}
	for i := 14; i >= 8; i-- {
		if p>>i&1 == 1 {
			p ^= 0x11b << (i - 8)
		}
	}
	return byte(p)
}

// all is each element of the field once.
func all() []byte {
	out := make([]byte, 256)
	for i := range out {
		out[i] = byte(i)
	}
	return out
}

func TestTextbook(t *testing.T) {
	// The example of FIPS 197, section 4.2.
	if got := product(0x57, 0x83); got != 0xc1 {
		t.Fatalf("57 * 83 = %x, want c1", got)
	}
}

// TestProducts multiplies every two elements, in each of the three ways dot
// goes: a block, a long string, the rest of one.
func TestProducts(t *testing.T) {
	y := all()
	products, wrong := 0, 0
	for w := range 256 {
		var blocks, long, single [256]byte
		for i := 0; i < 256; i += block {
			dot(blocks[i:i+block], []byte{byte(w)}, [][]byte{y[i:]})
		}
		dot(long[:], []byte{byte(w)}, [][]byte{y})
		for i := range 256 {
			dot(single[i:i+1], []byte{byte(w)}, [][]byte{y[i:]})
			want := product(byte(w), byte(i))
			products++
			if blocks[i] != want || long[i] != want || single[i] != want {
				wrong++
				t.Errorf("%#x * %#x = %#x, %#x, %#x, want %#x", w, i, blocks[i], long[i], single[i], want)
			}
		}
	}
	t.Logf("GUARANTEE 12 shamir: products=%d wrong=%d", products, wrong)
}

func TestLogarithms(t *testing.T) {
	for i, a := range powers {
		if int(logs[a]) != i {
			t.Errorf("log %#x = %d, want %d", a, logs[a], i)
		}
		if next := powers[(i+1)%255]; next != product(a, 3) {
			t.Errorf("3 * %#x = %#x, want %#x", a, next, product(a, 3))
		}
	}
	if logs[0] != 0 {
		t.Errorf("log 0 = %d, want 0, as prepare counts on", logs[0])
	}
}

// TestDot adds up products, of all lengths that end differently and of those
// about a chunk.
func TestDot(t *testing.T) {
	sizes := []int{chunk - 1, chunk, chunk + 1, 2*chunk + block + 1}
	for size := range 4 * block {
		if testing.Short() && size%5 != 0 && size%block > 1 {
			continue
		}
		sizes = append(sizes, size)
	}
	r := rand.NewChaCha8([32]byte{})
	var products [256][256]byte
	for a := range products {
		for b := range products[a] {
			products[a][b] = product(byte(a), byte(b))
		}
	}
	for _, n := range []int{1, 2, 3, 10, 255} {
		for _, size := range sizes {
			w := make([]byte, n)
			r.Read(w)
			want := make([]byte, size)
			y := make([][]byte, n)
			for j := range y {
				y[j] = make([]byte, size+j%3) // dot ignores what is beyond
				r.Read(y[j])
				for i := range want {
					want[i] ^= products[w[j]][y[j][i]]
				}
			}
			dst := bytes.Repeat([]byte{0xa5}, size+1)
			dot(dst[:size], w, y)
			if !bytes.Equal(dst[:size], want) {
				t.Fatalf("%d terms of %d bytes: got %x, want %x", n, size, dst[:size], want)
			}
			if dst[size] != 0xa5 {
				t.Fatalf("%d terms of %d bytes: wrote behind dst", n, size)
			}
		}
	}
}

// TestEvaluate compares with the values of known polynomials, at all places
// that are not among the points and for points in any order.
func TestEvaluate(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	value := func(coefficients []byte, x byte) (y byte) {
		for _, c := range coefficients {
			y = product(y, x) ^ c
		}
		return y
	}
	for _, n := range []int{1, 2, 3, 10, 16, 17, 100, 255} {
		coefficients := make([]byte, n)
		for i := range coefficients {
			coefficients[i] = byte(r.Uint32())
		}
		places := r.Perm(256)
		p := points{n: n}
		for j := range n {
			p.x[j] = byte(places[j])
			p.y = append(p.y, []byte{value(coefficients, p.x[j])})
		}
		p.prepare()
		for _, x := range places[n:] {
			var got [1]byte
			p.evaluate(got[:], byte(x))
			if want := value(coefficients, byte(x)); got[0] != want {
				t.Errorf("%d points: value at %d is %#x, want %#x", n, x, got[0], want)
			}
		}
	}
}

// TestComplete compares, for every threshold and every x, with the polynomial
// itself: the values that come by weights, and those that come by planes.
func TestComplete(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 9))
	var products [256][256]byte
	for x := range products {
		for y := range products[x] {
			products[x][y] = product(byte(x), byte(y))
		}
	}
	byPlane := 0
	for threshold := 2; threshold <= MaxShares; threshold++ {
		if testing.Short() && threshold > 9 && threshold%49 != 10 { // 10, 59, and so on to 255
			continue
		}
		coefficients := make([]byte, threshold)
		for i := range coefficients {
			coefficients[i] = byte(r.Uint32())
		}
		values, want := make([][]byte, MaxShares+1), make([]byte, MaxShares+1)
		for x := range values {
			for _, c := range coefficients {
				want[x] = products[x][want[x]] ^ c
			}
			values[x] = make([]byte, 1)
			if x < threshold {
				values[x][0] = want[x]
			} else if planeOf(x, threshold) != 0 {
				byPlane++
			}
		}
		complete(values, threshold)
		if got := bytes.Join(values, nil); !bytes.Equal(got, want) {
			t.Errorf("threshold %d: values\n%x, want\n%x", threshold, got, want)
		}
	}
	if byPlane == 0 || planeOf(3, 3) != 3 || planeOf(4, 3) != 0 || planeOf(7, 4) != 7 || planeOf(7, 8) != 0 {
		t.Errorf("%d values by planes", byPlane)
	}
}

// TestUniform counts, over all random choices there are, what threshold-1
// shares can be: whatever the secret, each combination of values comes exactly
// once, so that they say nothing of it. One run goes through all choices, one
// a byte.
func TestUniform(t *testing.T) {
	secrets := all()
	if !testlevel.Whole() {
		secrets = []byte{0, 1, 0x53, 0xff}
	}
	var counted, uneven int
	for _, secret := range secrets {
		for _, set := range []struct{ threshold, n int }{{2, 255}, {3, 6}} {
			choices := 1 << (8 * (set.threshold - 1))
			shares := make([][]byte, set.n)
			for i := range shares {
				shares[i] = make([]byte, choices+1)
				shares[i][choices] = byte(i + 1)
			}
			for c := range choices {
				for i := range set.threshold - 1 {
					shares[i][c] = byte(c >> (8 * i))
				}
			}
			complete(append([][]byte{bytes.Repeat([]byte{secret}, choices)}, shares...), set.threshold)

			for i, a := range shares {
				others := shares[:i]
				if set.threshold == 2 {
					others = [][]byte{make([]byte, choices)} // each by itself
				}
				for _, b := range others {
					counted += choices
					uneven += repeats(choices, a, b)
				}
			}
		}
	}
	if uneven != 0 {
		t.Errorf("%d values of threshold-1 shares come more than once", uneven)
	}
	if n := repeats(256, all(), all()); n != 0 {
		t.Errorf("%d repeats in what has none", n)
	}
	if n := repeats(65536, bytes.Repeat(all(), 256), bytes.Repeat(all(), 256)); n != 65536-256 {
		t.Errorf("%d repeats in a share that another one gives away, want %d", n, 65536-256)
	}
	t.Logf("GUARANTEE 12 shamir: secrets=%d values=%d uneven=%d", len(secrets), counted, uneven)
}

// repeats counts how often two shares take values together, in one of their
// first n bytes, that they had before.
func repeats(n int, a, b []byte) (repeated int) {
	var seen [1 << 16]byte
	a, b = a[:n], b[:n]
	for i := range a {
		values := int(a[i])<<8 | int(b[i])
		repeated += int(seen[values])
		seen[values] = 1
	}
	return repeated
}

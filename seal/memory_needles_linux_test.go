//go:build !goexperiment.boringcrypto && !race

package seal_test

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// finds is how often each kind of secret was found, in each form.
type finds map[string]map[string]int

func (f finds) sum() (n int) {
	for kind := range f {
		n += f.count(kind)
	}
	return n
}

func (f finds) count(kind string) (n int) {
	for _, c := range f[kind] {
		n += c
	}
	return n
}

// take returns the count of a kind, and forgets it.
func (f finds) take(kind string) int {
	defer delete(f, kind)
	return f.count(kind)
}

// needles are the forms in which memory may hold the secrets.
type needles struct {
	forms  map[uint64][]needle // by their first eight bytes
	filter [1 << 13]byte       // a bit for each first two bytes
}

type needle struct {
	text       []byte
	kind, form string
}

func newNeedles(secrets map[string]string) *needles {
	n := &needles{forms: map[uint64][]needle{}}
	for secret, kind := range secrets {
		n.add(kind, []byte(secret))
	}
	return n
}

// add adds each half of a secret, raw, masked as HMAC masks, and with the bytes
// of each word turned about; and the whole in hexadecimal and base64, behind
// any length of text.
func (n *needles) add(kind string, secret []byte) {
	form := func(name string, text []byte) {
		head := binary.LittleEndian.Uint64(text)
		n.forms[head] = append(n.forms[head], needle{text, kind, name})
		n.filter[uint16(head)>>3] |= 1 << (head & 7)
	}
	changed := func(f func(b []byte)) []byte {
		out := bytes.Clone(secret)
		f(out)
		return out
	}
	words := func(size int) []byte {
		return changed(func(b []byte) {
			for word := range slices.Chunk(b, size) {
				slices.Reverse(word)
			}
		})
	}
	masked := func(pad byte) []byte {
		return changed(func(b []byte) {
			for i := range b {
				b[i] ^= pad
			}
		})
	}
	for name, b := range map[string][]byte{
		"raw": bytes.Clone(secret), "^36": masked(0x36), "^5c": masked(0x5c),
		"swap4": words(4), "swap8": words(8), "reversed": words(32),
	} {
		form(name, b[:16])
		form(name, b[16:])
	}
	hexText := hex.EncodeToString(secret)
	form("hex", []byte(hexText[:32]))
	form("hex", []byte(strings.ToUpper(hexText)[:32]))
	for before := range 3 {
		b := append(make([]byte, before), secret...)
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			form("base64", []byte(encoding.EncodeToString(b))[4:36])
		}
	}
}

// A region is a part of a process's memory that it can write.
type region struct {
	lo, hi int64
	dumped bool // whether it comes into a core dump
}

func regionsOf(t *testing.T, pid int) (out []region) {
	t.Helper()
	smaps, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		t.Fatal(err)
	}
	var r region
	writable := false
	for line := range strings.Lines(string(smaps)) {
		var lo, hi int64
		var perm string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &lo, &hi, &perm); n == 3 {
			r, writable = region{lo: lo, hi: hi}, strings.HasPrefix(perm, "rw")
		} else if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && writable {
			r.dumped = !slices.Contains(strings.Fields(flags), "dd")
			out = append(out, r)
		}
	}
	return out
}

// inMemory looks into everything that the process can write, or into what of it
// comes into a core dump.
func (n *needles) inMemory(t *testing.T, pid int, dumped bool) finds {
	t.Helper()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skipf("the system does not let a process read its child's memory: %v", err)
	}
	defer mem.Close()
	f := finds{}
	for _, r := range regionsOf(t, pid) {
		if r.dumped || !dumped {
			n.in(mem, r.lo, r.hi, f)
		}
	}
	return f
}

// in adds what it finds between two places.
func (n *needles) in(r io.ReaderAt, lo, hi int64, f finds) {
	const chunk, tail = 1 << 20, 32
	buf := make([]byte, chunk+tail)
	for ; lo < hi; lo += chunk {
		k, _ := r.ReadAt(buf[:min(chunk+tail, hi-lo)], lo)
		n.search(buf[:k], min(chunk, k), func(found needle) {
			if f[found.kind] == nil {
				f[found.kind] = map[string]int{}
			}
			f[found.kind][found.form]++
		})
	}
}

// search calls found for each needle that begins in the first size bytes of b.
func (n *needles) search(b []byte, size int, found func(needle)) {
	for i := 0; i < size && i+16 <= len(b); i++ {
		if head := uint16(b[i]) | uint16(b[i+1])<<8; n.filter[head>>3]&(1<<(head&7)) == 0 {
			continue
		}
		for _, needle := range n.forms[binary.LittleEndian.Uint64(b[i:])] {
			if bytes.HasPrefix(b[i:], needle.text) {
				found(needle)
			}
		}
	}
}

// TestNeedles plants a secret in every form, at odd places, in a slice.
func TestNeedles(t *testing.T) {
	secret := make([]byte, 32)
	rand.Read(secret)
	masked := func(pad byte) []byte {
		out := bytes.Clone(secret)
		subtle.XORBytes(out, out, bytes.Repeat([]byte{pad}, 32))
		return out
	}
	swapped := bytes.Clone(secret)
	for i := 0; i < 32; i += 4 {
		slices.Reverse(swapped[i : i+4])
	}
	n := newNeedles(map[string]string{string(secret): "secret"})
	found := 0
	for name, text := range map[string][]byte{
		"raw": secret, "first half": secret[:16], "second half": secret[16:], "^36": masked(0x36), "^5c": masked(0x5c), "swapped": swapped,
		"hex": []byte(hex.EncodeToString(secret)), "HEX": []byte(strings.ToUpper(hex.EncodeToString(secret))),
		"base64": []byte(base64.StdEncoding.EncodeToString(secret)), "base64url": []byte(base64.URLEncoding.EncodeToString(secret)),
		"base64 behind": []byte(base64.StdEncoding.EncodeToString(append([]byte("x"), secret...))),
	} {
		count := 0
		b := slices.Concat([]byte("pad"), text, []byte("pad"))
		n.search(b, len(b), func(needle) { count++ })
		if count == 0 {
			t.Errorf("%s: not found", name)
		}
		found++
	}
	secret[3] ^= 1
	n.search(secret[:16], 16, func(f needle) { t.Errorf("found %s, which is not there", f.form) })
	if found != 11 {
		t.Errorf("%d forms", found)
	}
}

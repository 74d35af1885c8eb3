//go:build !goexperiment.boringcrypto && !race

package seal_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sealwright/sealwright/internal/aead"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/shamir"
)

// TestCleanMemory looks for every secret of a Barrier's whole life in the memory
// of the process that lives it, from outside. That process tells the records it
// stores, which are no secret, and its shares masked; with the keys of its KMS,
// which are known, all else follows from them.
//
// What the code leaves is there every time. What the runtime saved of a register
// when it interrupted a goroutine, or of a stack that it shrank, is there by
// chance, so three lives may try. A copy in whole counts as two, one for each
// half.
func TestCleanMemory(t *testing.T) {
	chance := 0 // in the worst life
	for try := 1; ; try++ {
		r := liveAndSearch(t)
		left := sum(r.sealed)
		if left > 0 && try < 3 {
			t.Logf("by chance, copies of %v in the forms %v", r.sealed, r.forms)
			chance = max(chance, left)
			continue
		}
		if left > 0 {
			t.Errorf("after Seal, copies of %v in the forms %v", r.sealed, r.forms)
		}
		t.Logf("GUARANTEE 18 clean-memory: build=%s secrets=%d copies_unsealed=%d copies_sealed=%d by_chance=%d control=found lives=%d",
			build, r.secrets, sum(r.open), left, chance, try)
		return
	}
}

// A search is how often each kind of secret was found.
type search struct {
	secrets      int
	open, sealed map[string]int
	forms        map[string]map[string]int // while sealed
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

func liveAndSearch(t *testing.T) search {
	t.Helper()
	c := newCollector(t)
	p := startLife(t, lifeEnv+"="+hex.EncodeToString(c.mask[:]))
	p.listen(t, "OPEN", c)
	n := newNeedles(c.secrets())
	open, _ := n.count(t, p.cmd.Process.Pid)
	p.proceed(t)
	p.listen(t, "SEALED", nil)
	sealed, forms := n.count(t, p.cmd.Process.Pid)
	p.proceed(t)
	p.listen(t, "WIPED", nil)
	wiped, _ := n.count(t, p.cmd.Process.Pid)
	p.stop(t)
	if open["control"] == 0 || sealed["control"] == 0 || wiped["control"] != 0 || open["root key"] == 0 || open["data key"] == 0 {
		t.Fatalf("the scanner does not work: while open it found %v, after Seal the control %d times, when that was wiped %d times",
			open, sealed["control"], wiped["control"])
	}
	delete(open, "control")
	delete(sealed, "control")
	return search{len(c.kinds) - 1, open, sealed, forms}
}

const lifeEnv = "SEAL_TEST_LIFE"

// TestLife is the process that TestCleanMemory looks at.
func TestLife(t *testing.T) {
	mask, err := hex.DecodeString(os.Getenv(lifeEnv))
	if err != nil || len(mask) != 32 {
		t.Skip("run by TestCleanMemory")
	}
	l := life{t: t, mask: mask}
	pause := func(word string) {
		fmt.Println(word)
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			os.Exit(0)
		}
	}
	control := new([32]byte)
	l.control = control // and so on the heap
	rand.Read(control[:])
	l.tell("control", bytes.Clone(control[:]))
	b := l.live()
	pause("OPEN")
	if err := b.Seal(seal.By{}); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC()
	pause("SEALED")
	clear(control[:])
	pause("WIPED")
}

// A life is what happens to one Barrier.
type life struct {
	t    *testing.T
	b    *seal.Barrier
	mask []byte

	control *[32]byte
}

// tell tells a secret, masked, and loses it.
func (l *life) tell(kind string, secret []byte) {
	subtle.XORBytes(secret, secret, l.mask)
	fmt.Printf("%s=%x\n", kind, secret)
}

// tellingStore tells every record that it is given.
type tellingStore struct{ *seal.MemStore }

func (s tellingStore) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	fmt.Printf("record=%x\n", rec)
	return s.MemStore.Swap(ctx, rec, old)
}

// live has the Barrier do everything that handles keys, and leaves it unsealed.
func (l *life) live() *seal.Barrier {
	t, ctx, by := l.t, l.t.Context(), seal.By{}
	cfg := seal.Config{Store: tellingStore{seal.NewMemStore()}, KMS: map[string]kms.Wrapper{}, Retry: kms.Policy{Attempts: 1}}
	for _, name := range []string{"a", "b"} {
		cfg.KMS[name] = plainKMS(name)
	}
	var err error
	if l.b, err = seal.Open(cfg); err != nil {
		t.Fatal(err)
	}
	b := l.b
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	unseal := func() { // by KMS
		t.Helper()
		_, err := b.Unseal(ctx)
		check(err)
	}
	people := seal.Shamir{Shares: 3, Threshold: 2}
	d, err := b.Init(ctx, map[string]seal.Spec{
		"people": people,
		"cloud":  seal.KMS{Name: "a"},
		"both":   seal.Threshold{K: 2, Of: []seal.Spec{seal.KMS{Name: "b"}, people}},
	}, by)
	l.deliver(d)
	check(err)
	l.use()
	op, _, err := b.Prove(ctx, "both", by)
	check(err)
	l.submit(d, "both", seal.By{Operation: op})
	op, _, err = b.Prove(ctx, "people", by)
	check(err)
	l.submit(d, "people", seal.By{Operation: op})
	check(b.Rotate(ctx, by))
	l.use()
	check(b.RotateRoot(ctx, by))
	check(b.Rewrap(ctx, "cloud", by))
	check(b.Drill(ctx))

	renewed, err := b.Rekey(ctx, "people", people, by)
	l.deliver(renewed)
	check(err)
	op, _, err = b.Prove(ctx, "people", by)
	check(err)
	l.submit(renewed, "people", seal.By{Operation: op})
	l.use()
	check(b.Seal(by))
	unseal()
	check(b.Seal(by))
	l.submit(renewed, "people", by)
	l.use()
	check(b.Retire(ctx, 1, by))
	_, done, err := b.Drop(ctx, []string{"both"}, by)
	if check(err); !done {
		t.Fatal("the drop waits for people")
	}
	d.Wipe()
	renewed.Wipe()
	check(b.Seal(by))
	unseal()
	l.use()
	return b
}

// use encrypts and decrypts.
func (l *life) use() {
	l.t.Helper()
	ciphertext, err := l.b.Keyring().Encrypt(nil, []byte("plaintext"), []byte("aad"))
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.b.Keyring().Decrypt(nil, ciphertext, []byte("aad")); err != nil {
		l.t.Fatal(err)
	}
}

// submit gives the first two shares of a slot.
func (l *life) submit(d seal.Delivery, slot string, by seal.By) {
	l.t.Helper()
	for _, set := range d.Sets {
		if set.Slot != slot {
			continue
		}
		for _, s := range set.Shares[:2] {
			if _, err := l.b.Submit(l.t.Context(), s, by); err != nil {
				l.t.Fatal(err)
			}
		}
	}
	if st := l.b.Status(); st.Sealed || st.Operation != nil {
		l.t.Fatalf("%s: sealed %v, operation %v", slot, st.Sealed, st.Operation)
	}
}

// deliver tells the shares.
func (l *life) deliver(d seal.Delivery) {
	for _, set := range d.Sets {
		for _, s := range set.Shares {
			raw := s.RevealRaw()
			l.tell(fmt.Sprintf("share %d %d", set.Set, s.X()), raw[:32])
		}
	}
}

// plainKMS wraps keys under one made of its name, and keeps none.
type plainKMS string

func (w plainKMS) key() []byte { return bytes.Repeat([]byte(w), 32)[:32] }

func (w plainKMS) Wrap(_ context.Context, key []byte, b kms.Binding) (*kms.Blob, error) {
	box, err := aead.SealBox(w.key(), "plain", key, nil)
	return &kms.Blob{Type: "plain", KeyID: string(w), Ciphertext: box}, err
}

func (w plainKMS) Unwrap(_ context.Context, blob *kms.Blob, b kms.Binding) ([]byte, error) {
	return aead.OpenBox(w.key(), "plain", blob.Ciphertext, nil)
}

func (w plainKMS) Authenticated() bool { return true }

// A collector works out the secrets from what a life tells.
type collector struct {
	t       *testing.T
	mask    [32]byte
	kinds   map[string]string // by secret
	shares  map[uint32][][]byte
	records [][]byte
}

func newCollector(t *testing.T) *collector {
	c := &collector{t: t, kinds: map[string]string{}, shares: map[uint32][][]byte{}}
	rand.Read(c.mask[:])
	return c
}

func (c *collector) hear(kind, value string) {
	b, err := hex.DecodeString(value)
	if err != nil {
		c.t.Fatal(err)
	}
	if kind == "record" {
		c.records = append(c.records, b)
		return
	}
	subtle.XORBytes(b, b, c.mask[:])
	var set uint32
	var x byte
	if n, _ := fmt.Sscanf(kind, "share %d %d", &set, &x); n == 2 {
		c.shares[set] = append(c.shares[set], append(b, x))
		kind = "share"
	}
	c.know(kind, b[:32])
}

func (c *collector) know(kind string, secret []byte) { c.kinds[string(secret)] = kind }

// secrets returns the kinds of all secrets, by secret.
func (c *collector) secrets() map[string]string {
	for _, stored := range c.records {
		rec, _, _, err := record.Parse(stored)
		if err != nil {
			c.t.Fatal(err)
		}
		for i := range rec.Slots {
			slot := &rec.Slots[i]
			seed := c.value(rec.Store, slot.Name, &slot.Tree, "", 1, 1)
			c.know("seed", seed)
			if err := seal.SecretsOf(stored, slot.ID, seed, c.know); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	return c.kinds
}

// value computes what a node of a tree protects.
func (c *collector) value(store, slot string, n *record.Node, path string, k, of int) []byte {
	var parts [][]byte
	switch {
	case n.KMS != nil:
		w, err := plainKMS(n.KMS.Name).Unwrap(c.t.Context(), &n.KMS.Blob, kms.Binding{})
		if err != nil {
			c.t.Fatal(err)
		}
		c.know("w", w[:32])
		value, err := seal.LeafValue(store, slot, path, k, of, n.KMS, w[:32])
		if err != nil {
			c.t.Fatal(err)
		}
		return value
	case n.Shamir != nil:
		parts = c.shares[n.Shamir.Set]
	default:
		for i := range n.Threshold.Of {
			part := c.value(store, slot, &n.Threshold.Of[i], record.ChildPath(path, i), n.Threshold.Threshold, len(n.Threshold.Of))
			c.know("part", part)
			parts = append(parts, append(part, byte(i+1)))
		}
	}
	value, err := shamir.Combine(parts)
	if err != nil {
		c.t.Fatal(err)
	}
	return value
}

// A process is a child that lives a life.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startLife(t *testing.T, env string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0], "-test.run=^TestLife$")}
	p.cmd.Env = append(os.Environ(), env)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewScanner(out)
	p.out.Buffer(nil, 1<<20)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// listen has c hear what the process tells, until it says the word.
func (p *process) listen(t *testing.T, word string, c *collector) {
	t.Helper()
	var other []string
	for p.out.Scan() {
		line := p.out.Text()
		if line == word {
			return
		}
		if kind, value, ok := strings.Cut(line, "="); ok && c != nil {
			c.hear(kind, value)
		} else {
			other = append(other, line)
		}
	}
	t.Fatalf("the process never said %s:\n%s", word, strings.Join(other, "\n"))
}

func (p *process) proceed(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		t.Fatal(err)
	}
}

func (p *process) stop(t *testing.T) {
	t.Helper()
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		t.Fatal(err)
	}
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

// count counts the needles in everything that the process can write, by kind,
// and by kind and form.
func (n *needles) count(t *testing.T, pid int) (counts map[string]int, forms map[string]map[string]int) {
	t.Helper()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Skipf("the system does not let a process read its child's memory: %v", err)
	}
	defer mem.Close()
	counts, forms = map[string]int{}, map[string]map[string]int{}
	const chunk, tail = 1 << 20, 32
	buf := make([]byte, chunk+tail)
	for line := range strings.Lines(string(maps)) {
		var lo, hi int64
		var perm string
		if k, _ := fmt.Sscanf(line, "%x-%x %s", &lo, &hi, &perm); k != 3 || !strings.HasPrefix(perm, "rw") {
			continue
		}
		for ; lo < hi; lo += chunk {
			k, _ := mem.ReadAt(buf[:min(chunk+tail, hi-lo)], lo)
			n.search(buf[:k], min(chunk, k), func(found needle) {
				counts[found.kind]++
				if forms[found.kind] == nil {
					forms[found.kind] = map[string]int{}
				}
				forms[found.kind][found.form]++
			})
		}
	}
	return counts, forms
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

package vaultstore_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/sealwright/sealwright/migrate/vaultstore"
)

// exhaustive reports whether all trials are to be made, as internal/testlevel has it
// for modules that are not released apart.
func exhaustive() bool { return os.Getenv("SEALWRIGHT_TESTS") == "whole" }

// step is 1 where all is tried, and some otherwise: what is tried with each byte of a
// file has no other goroutine that the race detector could look at.
func step(some int) int {
	if !exhaustive() {
		return some
	}
	return 1
}

// TestCompressed: streams that other libraries made, and the same cut at every
// byte, which are errors.
func TestCompressed(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("testdata", "compressed", "plain.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"gzip", "lzw", "snappy", "lz4", "lz4-sums"} {
		packed, err := os.ReadFile(filepath.Join("testdata", "compressed", name+".bin"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := vaultstore.Decompress(packed, len(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(got), len(want), err)
		}
		if _, err := vaultstore.Decompress(packed, len(want)-1); err == nil {
			t.Errorf("%s: more than the limit", name)
		}
		for n := 1; n < len(packed); n += 97 * step(8) {
			if got, err := vaultstore.Decompress(packed[:n], len(want)); err == nil && bytes.Equal(got, want) {
				t.Errorf("%s: whole after %d bytes", name, n)
			}
		}
	}
	if got, err := vaultstore.Decompress([]byte(`{"a":1}`), 100); err != nil || string(got) != `{"a":1}` {
		t.Error(string(got), err)
	}
	if _, err := vaultstore.Decompress(nil, 100); err == nil {
		t.Error("nothing is JSON")
	}
}

// TestVaultDBAsBboltWroteIt: trees of several levels, of pages that overflow, of
// any page size, after deletions; against what bbolt itself says.
func TestVaultDBAsBboltWroteIt(t *testing.T) {
	for _, pageSize := range []int{1024, 4096, 65536} {
		for _, n := range []int{0, 1, 3, 5000} {
			if !exhaustive() && n > 1000 && pageSize != 1024 {
				continue // the tree of most levels is enough
			}
			t.Run(fmt.Sprintf("%d/%d", pageSize, n), func(t *testing.T) {
				r := rand.New(rand.NewPCG(uint64(pageSize), uint64(n)))
				entries := raw{}
				large := 100_000 / step(5)
				for i := range n {
					size := r.IntN(200)
					if i%500 == 7 {
						size = large
					}
					entries[fmt.Sprintf("logical/%x/%d", r.Uint32N(50), r.Uint32())] = bytes.Repeat([]byte{byte(i)}, size)
				}
				name := entries.raft(t, &bbolt.Options{PageSize: pageSize, NoFreelistSync: true, NoSync: true})
				db, err := bbolt.Open(name, 0o600, nil)
				if err != nil {
					t.Fatal(err)
				}
				err = db.Update(func(tx *bbolt.Tx) error {
					var err error
					for i, key := range entries.keys() {
						if i%3 == 0 && i < 900 {
							err = errors.Join(err, tx.Bucket([]byte("data")).Delete([]byte(key)))
							delete(entries, key)
						}
					}
					return err
				})
				if err := errors.Join(err, db.Close()); err != nil {
					t.Fatal(err)
				}
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := vaultstore.WalkBytes(b, false); err != nil || got != len(entries) {
					t.Errorf("%d entries of %d, %v", got, len(entries), err)
				}
			})
		}
	}
}

// TestCutVaultDB: a file that ends before a page that it needs is an error, where
// a mapping would end the process.
func TestCutVaultDB(t *testing.T) {
	entries := raw{}
	for i := range 2000 {
		entries[fmt.Sprintf("logical/%d", i)] = bytes.Repeat([]byte("x"), 100)
	}
	b, err := os.ReadFile(entries.raft(t, &bbolt.Options{PageSize: 4096, NoSync: true}))
	if err != nil {
		t.Fatal(err)
	}
	whole := 0
	for n := 0; n < len(b); n += 16384 * step(12) {
		got, err := vaultstore.WalkBytes(b[:n], false)
		if err == nil {
			if whole++; got != len(entries) {
				t.Errorf("cut at %d: %d entries, and no error", n, got)
			}
			continue
		}
		if !errors.Is(err, vaultstore.ErrDamaged) && !errors.Is(err, vaultstore.ErrNoStore) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	t.Logf("the last pages were free in %d of %d cuts", whole, len(b)/16384)
}

// TestHostileVaultDB: a tree that is none: pages that contain themselves.
func TestHostileVaultDB(t *testing.T) {
	b, err := os.ReadFile(raw{"a": bytes.Repeat([]byte("x"), 5000), "b": bytes.Repeat([]byte("x"), 5000)}.raft(t, &bbolt.Options{PageSize: 4096, NoSync: true}))
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	for id := 2; id < len(b)/4096; id++ {
		loop := bytes.Clone(b)
		p := loop[id*4096:]
		if le.Uint64(p) != uint64(id) {
			continue
		}
		le.PutUint16(p[8:], 1) // a branch
		le.PutUint16(p[10:], 100)
		for i := range 100 {
			e := p[16+i*16:]
			le.PutUint32(e, uint32(4000-i*16))
			le.PutUint32(e[4:], 1)
			le.PutUint64(e[8:], uint64(id))
		}
		if _, err := vaultstore.WalkBytes(loop, false); err == nil {
			t.Logf("page %d is not of the tree", id)
		}
		le.PutUint32(p[12:], 1<<31) // overflows by terabytes
		if _, err := vaultstore.WalkBytes(loop, false); err != nil && !errors.Is(err, vaultstore.ErrDamaged) && !errors.Is(err, vaultstore.ErrTooLarge) {
			t.Error(err)
		}
	}
	meta := bytes.Clone(b[:200]) // sound, and of a page size of 2 GiB
	for _, at := range []int{16} {
		le.PutUint32(meta[at+8:], 1<<31)
		sum := fnv.New64a()
		sum.Write(meta[at : at+56])
		le.PutUint64(meta[at+56:], sum.Sum64())
	}
	if _, err := vaultstore.WalkBytes(meta, false); !errors.Is(err, vaultstore.ErrNoStore) {
		t.Error(err)
	}
}

// TestVaultDBOfTooManyPaths: a tree of twenty pages, each of which has the next one
// a hundred times, and a meta that says there are 2^40 pages, took for ever.
func TestVaultDBOfTooManyPaths(t *testing.T) {
	const size, last = 4096, 23
	le := binary.LittleEndian
	b := make([]byte, (last+1)*size)
	header := func(id int, flags, count uint16) []byte {
		p := b[id*size:][:size]
		le.PutUint64(p, uint64(id))
		le.PutUint16(p[8:], flags)
		le.PutUint16(p[10:], count)
		return p
	}
	for id := range 2 {
		m := header(id, 4, 0)[16:]
		le.PutUint32(m, 0xED0CDAED)
		le.PutUint32(m[4:], 2)
		le.PutUint32(m[8:], size)
		le.PutUint64(m[16:], 2)
		le.PutUint64(m[40:], 1<<40)
		le.PutUint64(m[48:], uint64(id))
		sum := fnv.New64a()
		sum.Write(m[:56])
		le.PutUint64(m[56:], sum.Sum64())
	}
	bucket := header(2, 2, 1)[16:]
	for i, n := range []uint32{1, 16, 4, 16} { // flags, offset, sizes
		le.PutUint32(bucket[4*i:], n)
	}
	copy(bucket[16:], "data")
	le.PutUint64(bucket[20:], 3)
	for id := 3; id < last; id++ {
		p := header(id, 1, 100)
		for i := range 100 {
			e := p[16+16*i:]
			le.PutUint32(e, uint32(3000-15*i)) // to the keys, of one byte
			le.PutUint32(e[4:], 1)
			le.PutUint64(e[8:], uint64(id+1))
			p[3016+i] = 1
		}
	}
	header(last, 2, 0)
	done := make(chan error, 1)
	go func() {
		_, err := vaultstore.WalkBytes(b, false)
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, vaultstore.ErrDamaged) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it takes for ever")
	}
}

// TestSparseSnapshot: an archive of some bytes whose state.bin is a hole of a
// terabyte filled the disk.
func TestSparseSnapshot(t *testing.T) {
	var packed bytes.Buffer
	w := tar.NewWriter(&packed)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "state.bin", Mode: 0o600, Format: tar.FormatGNU}), w.Close()); err != nil {
		t.Fatal(err)
	}
	head := packed.Bytes()[:512]
	number := func(at int, n uint64) { // of twelve bytes, in base 256
		clear(head[at : at+12])
		head[at] = 0x80
		binary.BigEndian.PutUint64(head[at+4:], n)
	}
	const hole = 1 << 40
	head[156] = 'S'
	number(386, hole) // one empty piece, at the end
	number(398, 0)
	number(483, hole)
	copy(head[148:156], "        ")
	sum := 0
	for _, c := range head {
		sum += int(c)
	}
	copy(head[148:156], fmt.Sprintf("%06o\x00 ", sum))
	h, err := tar.NewReader(bytes.NewReader(packed.Bytes())).Next()
	if err != nil || h.Size != hole {
		t.Fatal(h, err)
	}
	if _, err := vaultstore.WalkBytes(zipped(t, packed.Bytes()), true); !errors.Is(err, vaultstore.ErrTooLarge) {
		t.Error(err)
	}
}

// TestHostileSnapshots: bombs, lengths and cuts take neither memory nor disk.
func TestHostileSnapshots(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const size = 100 << 20
	var head bytes.Buffer
	if err := tar.NewWriter(&head).WriteHeader(&tar.Header{Name: "state.bin", Mode: 0o600, Size: size}); err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	buf.Write(zipped(t, head.Bytes()))
	buf.Write(bytes.Repeat(zipped(t, make([]byte, 1<<20)), size>>20)) // gzip's members make one file
	if _, err := vaultstore.WalkBytes(buf.Bytes(), true); !errors.Is(err, vaultstore.ErrTooLarge) {
		t.Errorf("a bomb of %d bytes: %v", buf.Len(), err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
		t.Errorf("%d MiB were allocated", got>>20)
	}
	good := raw{"core/keyring": bytes.Repeat([]byte("x"), 500), "core/mounts": []byte("y")}
	for name, c := range map[string]struct {
		state, sums []byte
		kind        error
		words       string
	}{
		"a length of 2^60":     {binary.AppendUvarint(nil, 1<<60), nil, vaultstore.ErrTooLarge, ""},
		"a length too long":    {bytes.Repeat([]byte{0xff}, 20), nil, vaultstore.ErrDamaged, "cannot be one"},
		"an entry that is cut": {good.state()[:40], nil, vaultstore.ErrDamaged, "ends behind the file"},
		"an entry of no key":   {[]byte{2, 0x12, 0}, nil, vaultstore.ErrDamaged, "is none"},
		"other sums":           {good.state(), []byte(strings.Repeat("0", 64) + "  meta.json\n"), vaultstore.ErrDamaged, "SHA256SUMS says"},
		"a key twice":          {append(good.state(), good.state()...), nil, vaultstore.ErrDamaged, "twice"},
	} {
		b, err := os.ReadFile(snapshotOf(t, c.state, c.sums))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := vaultstore.WalkBytes(b, true); !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := os.ReadFile(good.snapshot(t))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(b); n += 3 * step(10) {
		if _, err := vaultstore.WalkBytes(b[:n], true); err == nil {
			t.Errorf("cut at %d of %d bytes: no error", n, len(b))
		}
	}
}

func zipped(t *testing.T, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, err := z.Write(b)
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// TestNamesOnATerminal: what a store's entries are named moved the cursor of whoever
// looked at it, and began lines of its own in a diagnosis.
func TestNamesOnATerminal(t *testing.T) {
	const name = "shamir-5of3"
	dir := readRaw(t, fixture(name)).files(t)
	write(t, filepath.Join(dir, "sys", "policy", "_\x1b[2J\nhealthy \"\u009b"), []byte("no JSON"))
	d := diagnose(t, dir, vaultstore.Options{Keys: keysOf(t, name)})
	if text := d.String(); strings.ContainsAny(text, "\x1b\u009b") || strings.Contains(text, "\nhealthy") || !strings.Contains(text, `\x1b[2J`) {
		t.Errorf("%q", text)
	}
	s, err := vaultstore.Open(t.Context(), dir, keysOf(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Get("sys/policy/\x1b[2J\nhealthy \"\u009b"); !errors.Is(err, vaultstore.ErrDamaged) || strings.ContainsAny(err.Error(), "\x1b\n\u009b") {
		t.Errorf("%q", err)
	}
	if _, err := s.Get("sys/\x1b[2J"); !errors.Is(err, vaultstore.ErrNotFound) || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%q", err)
	}
}

// TestOtherPaths: what holds no store is told apart from what cannot be read.
func TestOtherPaths(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "text"), []byte("what is this"))
	write(t, filepath.Join(dir, "empty"), nil)
	for path, kind := range map[string]error{"": vaultstore.ErrNoStore, "text": vaultstore.ErrNoStore, "empty": vaultstore.ErrNoStore, "gone": os.ErrNotExist} {
		if _, err := vaultstore.Open(t.Context(), filepath.Join(dir, path), vaultstore.Keys{}); !errors.Is(err, kind) {
			t.Errorf("%q: %v", path, err)
		}
	}
	write(t, filepath.Join(dir, "core", "_lock"), []byte(`{"Value":""}`))
	if _, err := vaultstore.Open(t.Context(), dir, vaultstore.Keys{}); !errors.Is(err, vaultstore.ErrNotInitialized) {
		t.Error(err)
	}
}

// TestVaultDBThatIsWrittenTo: what a server writes meanwhile is noticed.
func TestVaultDBThatIsWrittenTo(t *testing.T) {
	name := readRaw(t, fixture("shamir-5of3")).raft(t, nil)
	s, err := vaultstore.Open(t.Context(), name, keysOf(t, "shamir-5of3"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	db, err := bbolt.Open(name, 0o600, nil) // nothing holds a lock
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("data")).Put([]byte("a"), []byte("b")) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get("core/mounts"); !errors.Is(err, vaultstore.ErrChanged) {
		t.Error(err)
	}
	if _, err := s.Mounts(t.Context()); !errors.Is(err, vaultstore.ErrChanged) {
		t.Error(err)
	}
}

package keyring_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/sealwright/sealwright/keyring"
)

const sealedChunk = keyring.ChunkSize + 28

func writeStream(t testing.TB, k *keyring.Keyring, plaintext []byte, aad string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := k.NewWriter(&out, []byte(aad))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(plaintext); err != nil || n != len(plaintext) {
		t.Fatalf("Write = %d, %v", n, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readStream(t testing.TB, k *keyring.Keyring, stream []byte, aad string) []byte {
	t.Helper()
	r, err := k.NewReader(bytes.NewReader(stream), []byte(aad))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// pattern is different in every chunk.
func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i/keyring.ChunkSize*31 + i)
	}
	return b
}

func TestStream(t *testing.T) {
	o := newOwner(t, terms(1, 1))
	k := o.Keyring()
	sizes := []int{0, 1, 65535, 65536, 65537, 131071, 131072, 131073, 300000}
	if testing.Short() {
		sizes = sizes[:5]
	}
	for _, size := range sizes {
		plaintext := pattern(size)
		stream := writeStream(t, k, plaintext, "aad")
		chunks := max(1, (size+65535)/65536)
		if len(stream) != keyring.HeaderSize+size+28*chunks {
			t.Errorf("a stream of %d has %d bytes", size, len(stream))
		}
		wantTerm(t, stream, 1)
		for name, reader := range map[string]func(io.Reader) io.Reader{
			"plain": func(r io.Reader) io.Reader { return r },
			"half":  iotest.HalfReader, "one byte": iotest.OneByteReader, "data with error": iotest.DataErrReader,
		} {
			r, err := k.NewReader(reader(bytes.NewReader(stream)), []byte("aad"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, plaintext) {
				t.Fatalf("%s: size %d: read %d bytes, %v", name, size, len(got), err)
			}
		}
		if err := iotest.TestReader(mustReader(t, k, stream), plaintext); err != nil {
			t.Error(err)
		}

		var slowly bytes.Buffer
		w, err := k.NewWriter(&slowly, []byte("aad"))
		if err != nil {
			t.Fatal(err)
		}
		for part := range slices.Chunk(plaintext, 1000) {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), w.Close()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(readStream(t, k, slowly.Bytes(), "aad"), plaintext) {
			t.Errorf("size %d: written in parts, read otherwise", size)
		}
		_, err = w.Write([]byte("x"))
		if err == nil || err.Error() != "keyring: stream: write after Close" {
			t.Errorf("Write after Close: %v", err)
		}
	}
	o.Seal()
	if n := o.Streams(); n != 0 {
		t.Errorf("%d streams left", n)
	}
}

func mustReader(t testing.TB, k *keyring.Keyring, stream []byte) io.Reader {
	r, err := k.NewReader(bytes.NewReader(stream), []byte("aad"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStreamTampering rearranges a stream in every way by chunks, cuts it, and
// puts parts of others in.
func TestStreamTampering(t *testing.T) {
	k := newOwner(t, terms(2, 2)).Keyring()
	stream := writeStream(t, k, pattern(3*keyring.ChunkSize+100), "aad")
	other := writeStream(t, k, pattern(3*keyring.ChunkSize+100), "aad")
	full := writeStream(t, k, pattern(3*keyring.ChunkSize), "aad")
	head, c := stream[:41], [][]byte{}
	for chunk := range slices.Chunk(stream[41:], sealedChunk) {
		c = append(c, chunk)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	hostile := map[string][]byte{
		"nothing":                      nil,
		"cut in the header":            stream[:40],
		"no chunk":                     head,
		"no last chunk":                stream[:41+3*sealedChunk],
		"one chunk":                    stream[:41+sealedChunk],
		"last chunk alone":             join(head, c[3]),
		"two chunks exchanged":         join(head, c[1], c[0], c[2], c[3]),
		"a chunk twice":                join(head, c[0], c[0], c[1], c[2], c[3]),
		"a chunk left out":             join(head, c[0], c[2], c[3]),
		"last chunk early":             join(head, c[0], c[3], c[2]),
		"last chunk twice":             join(stream, c[3]),
		"a byte more":                  join(stream, []byte{0}),
		"a chunk more":                 join(stream, other[41:41+sealedChunk]),
		"another stream behind":        join(stream, other),
		"a chunk of another stream":    join(head, other[41:41+sealedChunk], c[1], c[2], c[3]),
		"the header of another":        join(other[:41], stream[41:]),
		"end of another stream":        join(head, c[0], c[1], c[2], other[41+3*sealedChunk:]),
		"full chunks, one left out":    full[:41+2*sealedChunk],
		"full chunks, a byte more":     join(full, []byte{0}),
		"full chunks, an empty one":    join(full, c[3][:28]),
		"the key id of another header": join(head[:5], []byte("ABCD"), stream[9:]),
		"a message":                    encrypt(t, k, "plaintext", "aad"),
		"a message as a stream":        join([]byte{2}, encrypt(t, k, "plaintext", "aad")[1:]),
		"a stream of other data":       writeStream(t, k, nil, "other"),
	}
	plaintext := pattern(3*keyring.ChunkSize + 100)
	tried, accepted := 0, 0
	try := func(name string, b []byte) {
		tried++
		r, err := k.NewReader(bytes.NewReader(b), []byte("aad"))
		if err == nil {
			var got []byte
			got, err = io.ReadAll(r)
			if !bytes.HasPrefix(plaintext, got) {
				t.Errorf("%s: released what is not there", name)
			}
			if _, again := r.Read(make([]byte, 1)); again != err {
				t.Errorf("%s: the error changed from %v to %v", name, err, again)
			}
		}
		for _, kind := range []error{keyring.ErrCorrupt, keyring.ErrFormat, keyring.ErrWrongKey, keyring.ErrUnknownTerm} {
			if errors.Is(err, kind) {
				return
			}
		}
		t.Errorf("%s: %v", name, err)
		accepted++
	}
	for name, b := range hostile {
		try(name, b)
	}
	stride := 1
	if testing.Short() {
		stride = 9
	}
	for cut := 1; cut < len(stream); cut += 997 * stride {
		try(fmt.Sprint("cut ", cut), stream[:cut])
	}
	flip := func(bit int) {
		stream[bit/8] ^= 1 << (bit % 8)
		try(fmt.Sprint("flip ", bit), stream)
		stream[bit/8] ^= 1 << (bit % 8)
	}
	for bit := 0; bit < len(stream)*8; bit += 4999 * stride {
		flip(bit)
	}
	for bit := 0; bit < 41*8; bit += min(stride, 3) {
		flip(bit)
	}
	if testing.Short() {
		return // a part, of which there is no figure
	}
	t.Logf("GUARANTEE 14 keyring-streams: hostile=%d accepted=%d", tried, accepted)
}

func TestStreamEndsWithItsKey(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(o *keyring.Owner)
		kind error
		text string
	}{
		"sealed":              {func(o *keyring.Owner) { o.Seal() }, keyring.ErrSealed, "keyring: stream: term 1: sealed: unseal the server first"},
		"retired":             {func(o *keyring.Owner) { install(t, o, terms(2, 2)[1:]) }, keyring.ErrUnknownTerm, "keyring: stream: term 1: unknown term: it was retired, or the keyring is older than the data"},
		"sealed and unsealed": {func(o *keyring.Owner) { o.Seal(); install(t, o, terms(1, 2)) }, keyring.ErrSealed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOwner(t, terms(1, 2))
			k := o.Keyring()
			stream := writeStream(t, k, pattern(3*keyring.ChunkSize), "aad")
			w, err := k.NewWriter(io.Discard, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := mustReader(t, k, stream)
			if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			c.end(o)
			if o.Streams() != 0 {
				t.Error("a stream is left")
			}
			_, err = w.Write(pattern(2 * keyring.ChunkSize))
			wantError(t, err, c.kind, c.text)
			wantError(t, w.Close(), c.kind, c.text)
			rest, err := io.ReadAll(r)
			wantError(t, err, c.kind, c.text)
			if len(rest) != keyring.ChunkSize-10 {
				t.Errorf("%d bytes were read", len(rest))
			}
		})
	}

	// A rotation does not end it.
	o := newOwner(t, terms(1, 2))
	var out bytes.Buffer
	w, err := o.Keyring().NewWriter(&out, nil)
	if err != nil {
		t.Fatal(err)
	}
	install(t, o, terms(2, 2))
	if _, err := w.Write(pattern(2 * keyring.ChunkSize)); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	wantTerm(t, out.Bytes(), 1)
}

type failing struct{ after int }

var errDisk = errors.New("disk full")

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestStreamIOErrors(t *testing.T) {
	o := newOwner(t, terms(1, 1))
	k := o.Keyring()
	if _, err := k.NewWriter(&failing{}, nil); err != errDisk {
		t.Errorf("NewWriter: %v", err)
	}
	w, err := k.NewWriter(&failing{100}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(pattern(keyring.ChunkSize + 1)); err != errDisk || n != keyring.ChunkSize {
		t.Errorf("Write = %d, %v", n, err)
	}
	for range 2 {
		if _, err := w.Write([]byte("x")); err != errDisk {
			t.Errorf("Write after an error: %v", err)
		}
		if err := w.Close(); err != errDisk {
			t.Errorf("Close after an error: %v", err)
		}
	}
	stream := writeStream(t, k, pattern(2*keyring.ChunkSize), "aad")
	for _, at := range []int{0, 20, 41, 1000, 41 + sealedChunk, len(stream)} {
		r, err := k.NewReader(io.MultiReader(bytes.NewReader(stream[:at]), iotest.ErrReader(errDisk)), []byte("aad"))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err != errDisk {
			t.Errorf("reader fails at %d: %v", at, err)
		}
	}
	if n := o.Streams(); n != 0 {
		t.Errorf("%d streams left", n)
	}
}

// TestAbandonedStreams drops streams without closing them.
func TestAbandonedStreams(t *testing.T) {
	o := newOwner(t, terms(1, 1))
	stream := writeStream(t, o.Keyring(), pattern(3*keyring.ChunkSize), "aad")
	for range 20 {
		if _, err := o.Keyring().NewWriter(io.Discard, nil); err != nil {
			t.Fatal(err)
		}
		mustReader(t, o.Keyring(), stream).Read(make([]byte, 1))
	}
	for range 1000 {
		runtime.GC()
		if o.Streams() == 0 {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("%d abandoned streams keep their keys", o.Streams())
}

// TestStreamMemory compares what a short and a long stream allocate.
func TestStreamMemory(t *testing.T) {
	k := newOwner(t, terms(1, 1)).Keyring()
	allocated := func(chunks int) uint64 {
		block := make([]byte, keyring.ChunkSize)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		in, out := io.Pipe()
		go func() {
			w, err := k.NewWriter(out, []byte("aad"))
			for i := 0; err == nil && i < chunks; i++ {
				_, err = w.Write(block)
			}
			if err == nil {
				err = w.Close()
			}
			out.CloseWithError(err)
		}()
		r, err := k.NewReader(in, []byte("aad"))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, r); err != nil || n != int64(chunks*len(block)) {
			t.Fatalf("read %d bytes, %v", n, err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	allocated(1)
	short, long := allocated(2), allocated(200)
	if long > short+200*64 {
		t.Errorf("200 chunks allocate %d bytes, 2 chunks %d", long, short)
	}
}

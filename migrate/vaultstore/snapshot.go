package vaultstore

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// snapshot is what "operator raft snapshot save" wrote: a tar, compressed with
// gzip, of
//
//	meta.json           what raft knew
//	state.bin           {1 key · 2 value} for each entry, behind its length as a varint
//	SHA256SUMS          of the two
//	SHA256SUMS.sealed   the same under the seal, which is not looked at
//
// state.bin is unpacked to a temporary file, encrypted as its entries are. Only
// the keys, and where their entries stand, are kept in memory.
type snapshot struct {
	spans
	state   *os.File
	removed bool
	lost    []error // what was wrong with it, where it was opened all the same
}

const (
	maxSums  = 1 << 20
	maxIndex = 2 << 30 // bytes of keys and spans in memory

	// Ciphertexts do not shrink, and keys do by some tens at most: what grows
	// more than this is a bomb.
	maxGrowth    = 64
	growthOffset = 64 << 20
)

func openSnapshot(f readerAt, size int64, lenient bool) (storage, error) {
	defer f.Close() // all of it is read here
	state, err := os.CreateTemp("", "vaultstore-*.state")
	if err != nil {
		return nil, err
	}
	s := &snapshot{spans: spans{from: state}, state: state}
	s.removed = os.Remove(state.Name()) == nil // where an open file has no need of a name
	err = s.unpack(io.NewSectionReader(f, 0, size), size)
	if err == nil || s.forgive(lenient, err) {
		if err = s.scan(); s.forgive(lenient && len(s.index) > 0, err) {
			err = nil
		}
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *snapshot) kind() Kind { return KindSnapshot }

func (s *snapshot) damage() []error { return s.lost }

// forgive notes damage, and reports whether to go on with what is there.
func (s *snapshot) forgive(lenient bool, err error) bool {
	if !lenient || !errors.Is(err, ErrDamaged) {
		return false
	}
	s.lost = append(s.lost, err)
	return true
}

func (s *snapshot) Close() error {
	err := s.state.Close()
	if !s.removed {
		err = errors.Join(err, os.Remove(s.state.Name()))
	}
	return err
}

// unpack copies state.bin and compares it with the sums. That also tells a
// snapshot that is cut.
func (s *snapshot) unpack(r io.Reader, size int64) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("%w: the file is no gzip", ErrNoStore)
	}
	limit := size*maxGrowth + growthOffset
	all := &bounded{z, limit}
	t := tar.NewReader(all)
	files := &bounded{t, limit} // holes of sparse files take nothing of the archive
	got, sums := map[string][]byte{}, map[string][]byte(nil)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			_, err = io.Copy(io.Discard, all) // to the checksum of gzip
			if err == nil {
				break
			}
		}
		if err != nil {
			return snapshotErr(err)
		}
		switch h.Name {
		case "meta.json":
			got[h.Name], err = digest(io.Discard, files)
		case "state.bin":
			if got[h.Name] != nil {
				return damaged("snapshot", "it has state.bin twice")
			}
			w := bufio.NewWriterSize(s.state, 1<<16)
			got[h.Name], err = digest(w, files)
			if flushed := w.Flush(); err == nil {
				err = flushed
			}
		case "SHA256SUMS":
			sums, err = parseSums(io.LimitReader(files, maxSums))
		}
		if err != nil {
			return snapshotErr(err)
		}
	}
	switch {
	case got["state.bin"] == nil:
		return fmt.Errorf("%w: the archive has no state.bin", ErrNoStore)
	case sums == nil:
		return damaged("snapshot", "it has no SHA256SUMS: it is cut, or was not written to its end")
	}
	for _, name := range []string{"meta.json", "state.bin"} {
		if !bytes.Equal(got[name], sums[name]) {
			return damaged("snapshot", "%s is another than SHA256SUMS says", name)
		}
	}
	return nil
}

func snapshotErr(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, tar.ErrHeader) {
		return damaged("snapshot", "it is cut, or damaged")
	}
	if errors.Is(err, io.EOF) {
		return damaged("snapshot", "it is cut")
	}
	return err
}

// digest copies r and returns the SHA-256 of it.
func digest(w io.Writer, r io.Reader) ([]byte, error) {
	h := sha256.New()
	_, err := io.Copy(io.MultiWriter(w, h), r)
	return h.Sum(nil), err
}

// parseSums reads lines of a sum in hex, two spaces, and a name.
func parseSums(r io.Reader) (map[string][]byte, error) {
	sums := map[string][]byte{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) != 2 {
			return nil, damaged("snapshot", "SHA256SUMS is no list of sums")
		}
		sum, err := hex.DecodeString(fields[0])
		if err != nil || len(sum) != sha256.Size {
			return nil, damaged("snapshot", "SHA256SUMS is no list of sums")
		}
		sums[fields[1]] = sum
	}
	return sums, lines.Err()
}

// scan finds the entries in state.bin.
func (s *snapshot) scan() error {
	info, err := s.state.Stat()
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(io.NewSectionReader(s.state, 0, info.Size()), 1<<16)
	var offset int64
	kept, sorted := 0, true
	for {
		start := offset
		size, err := readUvarint(r, &offset)
		if errors.Is(err, io.EOF) && offset == start {
			break
		}
		if err != nil {
			return damaged("state.bin", "a length at %d cannot be one", start)
		}
		if size > maxValue+2*maxKey {
			return ErrTooLarge
		}
		if int64(size) > info.Size()-offset {
			return damaged("state.bin", "the entry at %d ends behind the file", start)
		}
		message := make([]byte, size)
		if _, err := io.ReadFull(r, message); err != nil {
			return err
		}
		key, at, n, err := parseState(message)
		if err != nil {
			return damaged("state.bin", "the entry at %d is none", start)
		}
		e := span{key, offset + int64(at), n}
		offset += int64(size)
		if i := len(s.index); i > 0 && s.index[i-1].key >= key {
			sorted = false
		}
		if kept += len(key) + 64; kept > maxIndex {
			return ErrTooLarge
		}
		s.index = append(s.index, e)
	}
	if !sorted && !s.sort() {
		return damaged("state.bin", "a key is there twice")
	}
	return nil
}

func readUvarint(r io.ByteReader, offset *int64) (uint64, error) {
	return binary.ReadUvarint(byteCounter{r, offset})
}

type byteCounter struct {
	r io.ByteReader
	n *int64
}

func (c byteCounter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		*c.n++
	}
	return b, err
}

// parseState returns the key of an entry in state.bin, and where in the message
// its value is.
func parseState(message []byte) (key string, at, n int, err error) {
	rest := message
	for len(rest) > 0 {
		f, next, err := nextField(rest)
		if err != nil {
			return "", 0, 0, err
		}
		switch {
		case f.number == 1 && f.kind == 2 && len(f.bytes) <= maxKey:
			key = string(f.bytes)
		case f.number == 2 && f.kind == 2:
			n = len(f.bytes)
			at = len(message) - len(next) - n
		}
		rest = next
	}
	if key == "" {
		return "", 0, 0, errProto
	}
	return key, at, n, nil
}

// bounded reads no more than left bytes, and says so.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: a snapshot unpacks to more than it can", ErrTooLarge)
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

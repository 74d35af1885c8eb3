package vaultstore

import "bytes"

// The parsers, for the targets of fuzzing.

func ParseBlobs(b []byte) ([]*Blob, error)           { return parseBlobs(b) }
func MarshalBlob(b *Blob) []byte                     { return b.marshal() }
func ParseStoredKeys(b []byte) error                 { _, err := parseStoredKeys(b); return err }
func ParseConfig(b []byte) (*SealConfig, error)      { return parseSealConfig("core/seal-config", b) }
func EncodeConfig(c *SealConfig) []byte              { return c.encode() }
func Decompress(b []byte, limit int) ([]byte, error) { return decompress(b, limit) }
func ParseFile(b []byte) ([]byte, error)             { return parseFile("a/b", b) }
func ParseMetadata(b []byte) (*Secret, error)        { return parseMetadata(b) }
func ParseVersion(b []byte) error                    { _, err := parseVersion(b); return err }
func SealEntry(key []byte, term uint32, path string, plain []byte) ([]byte, error) {
	return sealEntry(key, term, path, plain)
}
func OpenEntry(key []byte, path string, value []byte) ([]byte, error) {
	return openEntry(key, path, value)
}

// ParseKeyring returns the terms of a keyring.
func ParseKeyring(b []byte) ([]uint32, error) {
	k, err := parseKeyring(b)
	if err != nil {
		return nil, err
	}
	return k.terms(), nil
}

type memory struct{ *bytes.Reader }

func (memory) Close() error { return nil }

// WalkBytes opens the bytes of vault.db or of a snapshot, and returns how many
// entries are in it. What goes on behind damage must find no fewer.
func WalkBytes(b []byte, snapshot bool) (int, error) {
	n, err := walkBytes(b, snapshot, false)
	salvaged, failed := walkBytes(b, snapshot, true)
	if salvaged < n || err == nil && (failed != nil || salvaged != n) {
		panic("less is salvaged than read")
	}
	return n, err
}

func walkBytes(b []byte, snapshot, lenient bool) (int, error) {
	var s storage
	var err error
	if snapshot {
		s, err = openSnapshot(memory{bytes.NewReader(b)}, int64(len(b)), lenient)
	} else {
		s, err = openBolt(memory{bytes.NewReader(b)}, int64(len(b)), lenient)
	}
	if err != nil {
		return 0, err
	}
	defer s.Close()
	n := 0
	err = s.walk("", func(key string, read func() ([]byte, error)) error {
		n++
		want, err := read()
		if err != nil {
			return err
		}
		if got, ok, err := s.get(key); !lenient && (err != nil || !ok || !bytes.Equal(got, want)) {
			return damaged(key, "walk and get differ")
		}
		return nil
	})
	return n, err
}

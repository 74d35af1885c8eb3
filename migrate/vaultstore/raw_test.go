package vaultstore_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// raw is a storage as it is: what is stored under each key.
type raw map[string][]byte

// readRaw reads a directory of storage "file", with no code of the package.
func readRaw(t testing.TB, dir string) raw {
	t.Helper()
	out := raw{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var in struct{ Value []byte }
		if err := json.Unmarshal(text, &in); err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		key := filepath.ToSlash(filepath.Join(filepath.Dir(rel), strings.TrimPrefix(filepath.Base(rel), "_")))
		out[key] = in.Value
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r raw) keys() []string { return slices.Sorted(maps.Keys(r)) }

func (r raw) clone() raw { return maps.Clone(r) }

// files writes storage "file", and returns the directory.
func (r raw) files(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	for key, value := range r {
		name := filepath.Join(dir, filepath.Dir(key), "_"+filepath.Base(key))
		write(t, name, fmt.Appendf(nil, "{\"Value\":%q}\n", base64.StdEncoding.EncodeToString(value)))
	}
	return dir
}

func write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// noSync is for files that no crash of the machine has to leave whole.
var noSync = &bbolt.Options{NoSync: true, NoGrowSync: true}

// raft writes raft's vault.db with bbolt itself, and returns the file.
func (r raw) raft(t testing.TB, options *bbolt.Options) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "vault.db")
	db, err := bbolt.Open(name, 0o600, options)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		config, err := tx.CreateBucketIfNotExists([]byte("config"))
		if err != nil {
			return err
		}
		if err := config.Put([]byte("latest_indexes"), []byte{8, 3, 16, 40}); err != nil {
			return err
		}
		data, err := tx.CreateBucketIfNotExists([]byte("data"))
		for _, key := range r.keys() {
			if err == nil {
				err = data.Put([]byte(key), r[key])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// state returns state.bin of a snapshot.
func (r raw) state() []byte {
	var state []byte
	for _, key := range r.keys() {
		message := binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(key)))
		message = append(message, key...)
		message = binary.AppendUvarint(append(message, 2<<3|2), uint64(len(r[key])))
		message = append(message, r[key]...)
		state = append(binary.AppendUvarint(state, uint64(len(message))), message...)
	}
	return state
}

// snapshot writes a raft snapshot, and returns the file.
func (r raw) snapshot(t testing.TB) string {
	return snapshotOf(t, r.state(), nil)
}

// snapshotOf writes a snapshot with a state.bin, and with the sums given in place
// of the true ones.
func snapshotOf(t testing.TB, state, sums []byte) string {
	t.Helper()
	meta := []byte(`{"Version":1,"ID":"bolt-snapshot","Index":40,"Term":3,"Size":1}` + "\n")
	if sums == nil {
		sums = fmt.Appendf(nil, "%x  meta.json\n%x  state.bin\n", sha256.Sum256(meta), sha256.Sum256(state))
	}
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	w := tar.NewWriter(z)
	for _, f := range []struct {
		name    string
		content []byte
	}{{"meta.json", meta}, {"state.bin", state}, {"SHA256SUMS", sums}, {"SHA256SUMS.sealed", []byte("under the seal")}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.content)), Format: tar.FormatPAX}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "raft.snap")
	write(t, name, buf.Bytes())
	return name
}

// kinds are the three ways of storing.
var kinds = map[string]func(testing.TB, raw) string{
	"file":     func(t testing.TB, r raw) string { return r.files(t) },
	"raft":     func(t testing.TB, r raw) string { return r.raft(t, noSync) },
	"snapshot": func(t testing.TB, r raw) string { return r.snapshot(t) },
}

// census is what is at a path: names, sizes, times and sums.
func census(t testing.TB, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(path, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		sum := [32]byte{}
		if info.Mode().IsRegular() {
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			sum = sha256.Sum256(content)
		}
		out[name] = fmt.Sprintf("%s %d %s %x", info.Mode(), info.Size(), info.ModTime(), sum)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

package vaultstore

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// copyFiles copies a directory of storage "file", each file as it is, but for the
// edits. Everything is on the disk when it returns.
func copyFiles(ctx context.Context, f *files, target string, edits map[string][]byte) error {
	if err := os.Mkdir(target, 0o700); err != nil {
		return err
	}
	dirs := []string{target}
	err := fs.WalkDir(f.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil || name == "." {
			return err
		}
		to := filepath.Join(target, filepath.FromSlash(name))
		if e.IsDir() {
			if strings.Count(name, "/") > maxDepth {
				return ErrTooLarge
			}
			dirs = append(dirs, to)
			return os.Mkdir(to, 0o700)
		}
		if !e.Type().IsRegular() {
			return nil
		}
		dir, base := name[:strings.LastIndexByte(name, '/')+1], name[strings.LastIndexByte(name, '/')+1:]
		if key, ok := strings.CutPrefix(base, "_"); ok {
			if _, edited := edits[dir+key]; edited {
				return nil
			}
		}
		return copyFile(f.root, name, to)
	})
	if err != nil {
		return err
	}
	for key, value := range edits {
		if value == nil {
			continue
		}
		name, _ := fileName(key)
		to := filepath.Join(target, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		dirs = append(dirs, filepath.Dir(to))
		text := fmt.Appendf(nil, "{\"Value\":%q}\n", base64.StdEncoding.EncodeToString(value))
		if err := writeFile(to, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
			return err
		}
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := syncDir(dirs[i]); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(root *os.Root, name, to string) error {
	from, err := root.Open(name)
	if err != nil {
		return err
	}
	defer from.Close()
	return writeFile(to, func(w io.Writer) error { _, err := io.Copy(w, from); return err })
}

// writeFile writes a new file, to the disk.
func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir makes names in a directory last. Windows, and some file systems, know
// no such thing.
func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	d.Sync()
	return d.Close()
}

// copySnapshot writes a raft snapshot of a storage with the edits.
func copySnapshot(ctx context.Context, s storage, target string, edits map[string][]byte) error {
	state, err := os.CreateTemp(filepath.Dir(target), "vaultstore-*.state") // encrypted, as the storage is
	if err != nil {
		return err
	}
	defer os.Remove(state.Name())
	defer state.Close()
	if err := writeState(ctx, s, state, edits); err != nil {
		return err
	}
	return writeFile(target, func(w io.Writer) error { return writeSnapshot(w, state) })
}

// writeState writes the entries in the order of their keys, as bbolt has them.
func writeState(ctx context.Context, s storage, state io.Writer, edits map[string][]byte) error {
	w := bufio.NewWriterSize(state, 1<<16)
	put := func(key string, value []byte) error {
		message := appendBytes(nil, 1, []byte(key))
		message = appendBytes(message, 2, value)
		_, err := w.Write(append(binary.AppendUvarint(nil, uint64(len(message))), message...))
		return err
	}
	left := slices.Sorted(maps.Keys(edits))
	edit := func(before string, all bool) error {
		for len(left) > 0 && (all || left[0] <= before) {
			key := left[0]
			left = left[1:]
			if edits[key] == nil {
				continue
			}
			if err := put(key, edits[key]); err != nil {
				return err
			}
		}
		return nil
	}
	err := s.walk("", func(key string, read func() ([]byte, error)) error {
		if err := errors.Join(ctx.Err(), edit(key, false)); err != nil {
			return err
		}
		if _, edited := edits[key]; edited {
			return nil
		}
		value, err := read()
		if err != nil {
			return err
		}
		return put(key, value)
	})
	return errors.Join(err, edit("", true), w.Flush())
}

// writeSnapshot packs state.bin as the servers do. What meta.json says of raft is
// of no use to a new cluster, but for the size, which it compares.
func writeSnapshot(w io.Writer, state *os.File) error {
	info, err := state.Stat()
	if err != nil {
		return err
	}
	meta, err := json.Marshal(map[string]any{
		"Version": 1, "ID": "bolt-snapshot", "Index": 1, "Term": 1, "Peers": nil,
		"Configuration": map[string]any{"Servers": nil}, "ConfigurationIndex": 0, "Size": info.Size(),
	})
	if err != nil {
		return err
	}
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	sums := sha256.Sum256(meta)
	var list []byte
	list = fmt.Appendf(list, "%x  meta.json\n", sums)
	if err := addFile(t, "meta.json", int64(len(meta)), strings.NewReader(string(meta))); err != nil {
		return err
	}
	h := sha256.New()
	if err := addFile(t, "state.bin", info.Size(), io.TeeReader(io.NewSectionReader(state, 0, info.Size()), h)); err != nil {
		return err
	}
	list = fmt.Appendf(list, "%x  state.bin\n", h.Sum(nil))
	if err := addFile(t, "SHA256SUMS", int64(len(list)), strings.NewReader(string(list))); err != nil {
		return err
	}
	return errors.Join(t.Close(), z.Close())
}

func addFile(t *tar.Writer, name string, size int64, r io.Reader) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size}); err != nil {
		return err
	}
	_, err := io.Copy(t, r)
	return err
}

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

var (
	errNoStore  = errors.New("no store is named")
	errFlag     = errors.New("a flag of another kind of store")
	errReadOnly = errors.New("a bare record is no store: it can be read, and not changed")
)

// What the command line does not name has these names.
const defaultName, defaultTable, defaultBucket = "default", "sealwright_records", "seal"

// A place is where a record is.
type place struct {
	kind string // one of those below
	name string // for people: a path, or a URL without its password
	dsn  string // of a database; may hold a password
}

// The kinds of places.
const (
	kindFile     = "filestore"
	kindBolt     = "bbolt"
	kindSQLite   = "sqlite"
	kindPostgres = "postgres"
	kindMySQL    = "mysql"
	kindRecord   = "record" // bare
	kindValue    = "value"  // of a key of etcd, or of an object
	kindSecret   = "secret" // of Kubernetes, as JSON
)

// locate reads what --store says. A file that is not there is one of filestore,
// as a restore makes it.
func (a *app) locate(address string) (place, error) {
	if address == "" {
		return place{}, fmt.Errorf("%w: give --store FILE, or set SEALWRIGHT_STORE", errNoStore)
	}
	if name, ok := strings.CutPrefix(address, "@"); ok {
		text, err := os.ReadFile(name)
		if err != nil {
			return place{}, fmt.Errorf("--store @FILE: %w", err)
		}
		address = strings.TrimSpace(string(text))
	}
	if p, ok, err := databaseURL(address); ok || err != nil {
		return p, err
	}
	if path, ok := strings.CutPrefix(address, "value:"); ok {
		return place{kind: kindValue, name: path}, nil
	}
	path := strings.TrimPrefix(strings.TrimPrefix(address, "file:"), "sqlite:")
	kind, err := sniff(path)
	if err != nil {
		return place{}, err
	}
	return place{kind: kind, name: path, dsn: path}, nil
}

// sniff tells what a file is by its beginning.
func sniff(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return kindFile, nil
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%s is a directory: name the file in it%s", path, candidates(path))
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var head [512]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return "", err
	}
	switch begin := head[:n]; {
	case bytes.HasPrefix(begin, []byte("SQLite format 3\x00")):
		return kindSQLite, nil
	case n >= 20 && binary.LittleEndian.Uint32(head[16:]) == 0xED0CDAED, n >= 20 && binary.BigEndian.Uint32(head[16:]) == 0xED0CDAED:
		return kindBolt, nil
	case bytes.HasPrefix(begin, []byte(`{"format":`)):
		return kindRecord, nil
	default:
		if kind, err := sniffTaken(path, begin); kind != "" || err != nil {
			return kind, err
		}
	}
	return kindFile, nil
}

func candidates(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && len(names) < 5 && !strings.HasSuffix(e.Name(), ".lock") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	if names == nil {
		return ""
	}
	return ": " + strings.Join(names, ", ")
}

// named is where --store says that the record is. others are looked at by the same
// command.
func (a *app) named(others ...place) (place, error) {
	p, err := a.locate(a.cli.Store)
	if err != nil {
		return p, err
	}
	all := append(others, p)
	sql := slices.ContainsFunc(all, func(p place) bool { return p.kind == kindSQLite || p.kind == kindPostgres || p.kind == kindMySQL })
	bolt := slices.ContainsFunc(all, func(p place) bool { return p.kind == kindBolt })
	switch {
	case !sql && a.cli.RecordName != defaultName:
		return p, fmt.Errorf("%w: --record names one of the records in a SQL table, and %s is no database (%s)", errFlag, p.name, p.kind)
	case !sql && a.cli.RecordTable != defaultTable:
		return p, fmt.Errorf("%w: --record-table is of a SQL database, and %s is none (%s)", errFlag, p.name, p.kind)
	case !bolt && a.cli.Bucket != defaultBucket:
		return p, fmt.Errorf("%w: --record-bucket is of a bbolt file, and %s is none (%s)", errFlag, p.name, p.kind)
	}
	return p, nil
}

// openStore opens the store for reading, or for changing it too.
func (a *app) openStore(ctx context.Context, change bool) (place, seal.Store, error) {
	p, err := a.named()
	if err != nil {
		return p, nil, err
	}
	s, err := a.storeAt(ctx, p, change)
	return p, s, err
}

func (a *app) storeAt(ctx context.Context, p place, change bool) (seal.Store, error) {
	switch p.kind {
	case kindRecord:
		if change {
			return nil, fmt.Errorf("%w: %s: put it into a store with restore, or see sealwright copy --help", errReadOnly, p.name)
		}
		return readRecord(ctx, p.name)
	case kindValue, kindSecret:
		return &takenStore{p.name, p.kind}, nil
	case kindFile:
		return filestore.Open(p.name)
	case kindBolt:
		b, err := openBolt(p.name, a.cli.Bucket, change)
		if err != nil {
			return nil, err
		}
		a.closers = append(a.closers, b.close)
		return b, nil
	}
	return a.openSQLStore(p)
}

// readRecord has a bare record as a store in memory.
func readRecord(ctx context.Context, path string) (seal.Store, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rec, err := io.ReadAll(io.LimitReader(f, seal.MaxRecordSize+1))
	if err != nil {
		return nil, err
	}
	return copyOf(ctx, lineEnded(rec))
}

// copyOf is a store in memory that holds a record.
func copyOf(ctx context.Context, rec []byte) (*seal.MemStore, error) {
	s := seal.NewMemStore()
	if _, err := s.Swap(ctx, rec, ""); err != nil {
		return nil, err
	}
	return s, nil
}

// snapshot reads the record, and returns it with a copy of the store in memory:
// nothing that is done to that reaches the store.
func (a *app) snapshot(ctx context.Context) (p place, rec []byte, s *seal.MemStore, err error) {
	p, store, err := a.openStore(ctx, false)
	if err != nil {
		return p, nil, nil, err
	}
	rec, _, err = store.Load(ctx)
	if err != nil {
		return p, nil, nil, fmt.Errorf("%s: %w", p.name, err)
	}
	s, err = copyOf(ctx, rec)
	return p, rec, s, err
}

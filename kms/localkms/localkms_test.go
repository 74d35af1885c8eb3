package localkms_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/kms/localkms"
)

var place = kms.Binding{Store: "s", Slot: "file"}

func open(t testing.TB, path string) *localkms.Wrapper {
	t.Helper()
	w, err := localkms.New(localkms.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func create(t *testing.T) (path string, w *localkms.Wrapper) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "key")
	if err := localkms.Create(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return path, open(t, path)
}

// wrap wraps 32 bytes, which must succeed.
func wrap(t testing.TB, w *localkms.Wrapper) *kms.Blob {
	t.Helper()
	blob, err := w.Wrap(t.Context(), bytes.Repeat([]byte{7}, 32), place)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// fails checks the kind and the words of an error.
func fails(t *testing.T, err, kind error, words string) {
	t.Helper()
	e, ok := errors.AsType[*kms.Error](err)
	if !ok || e.Kind != kind || e.Type != localkms.Type || !strings.Contains(err.Error(), words) {
		t.Errorf("%v, want %v with %q", err, kind, words)
	}
}

func unwrapFails(t *testing.T, w *localkms.Wrapper, blob *kms.Blob, kind error, words string) {
	t.Helper()
	key, err := w.Unwrap(t.Context(), blob, place)
	if key != nil {
		t.Error("Unwrap returned a key")
	}
	fails(t, err, kind, words)
}

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	path := func(key string) string { return filepath.Join(dir, key) }
	rewrite := func(change func(path string) error) func(t *testing.T) {
		return func(t *testing.T) {
			before, err := os.ReadFile(path("a"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				os.RemoveAll(path("a"))
				if err := os.WriteFile(path("a"), before, 0o600); err != nil {
					t.Error(err)
				}
			})
			if err := change(path("a")); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(text string) func(t *testing.T) {
		return rewrite(func(path string) error { return os.WriteFile(path, []byte(text), 0o600) })
	}
	faults := []kmstest.FaultCase{
		{Name: "no file", Inject: rewrite(os.Remove), Want: kms.ErrKeyGone},
		{Name: "truncated", Inject: rewrite(func(path string) error { return os.Truncate(path, 60) }), Want: kms.ErrKeyGone},
		{Name: "empty", Inject: write(""), Want: kms.ErrMisconfigured},
		{Name: "another file", Inject: write("-----BEGIN PRIVATE KEY-----\n"), Want: kms.ErrMisconfigured},
		{Name: "newer format", Inject: write("sealwright localkms 2\n"), Want: kms.ErrMisconfigured},
		{Name: "a directory", Inject: rewrite(func(path string) error {
			return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
		}), Want: kms.ErrMisconfigured},
		{Name: "recreated", Inject: rewrite(func(path string) error {
			return errors.Join(os.Remove(path), localkms.Create(context.Background(), path))
		}), Want: kms.ErrWrongKey},
	}
	if runtime.GOOS != "windows" {
		faults = append(faults,
			kmstest.FaultCase{Name: "open to all", Inject: rewrite(func(path string) error { return os.Chmod(path, 0o604) }), Want: kms.ErrMisconfigured},
			kmstest.FaultCase{Name: "open to the group", Inject: rewrite(func(path string) error { return os.Chmod(path, 0o640) }), Want: kms.ErrMisconfigured},
		)
	}
	kmstest.Conformance(t, func(t *testing.T, key string) kms.Wrapper {
		if err := localkms.Create(t.Context(), path(key)); err != nil && !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
		return open(t, path(key))
	}, kmstest.Options{
		Rotate: func(t *testing.T, key string) {
			if err := open(t, path(key)).Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
		},
		Faults: faults,
	})
}

func TestNew(t *testing.T) {
	_, err := localkms.New(localkms.Config{})
	fails(t, err, kms.ErrMisconfigured, "kms: configure localkms: misconfigured: change the configuration: the field Path is empty")

	// A file that is not there yet is no reason not to start.
	path := filepath.Join(t.TempDir(), "later")
	w := open(t, path)
	_, err = w.Probe(t.Context())
	fails(t, err, kms.ErrKeyGone, "is its volume mounted?")
	if err := localkms.Create(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	blob := wrap(t, w)
	if !w.Authenticates(blob) {
		t.Error("its own blob is not authentic")
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := localkms.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if w.Authenticates(wrap(t, open(t, other))) || w.Authenticates(&kms.Blob{Type: "another", KeyID: blob.KeyID}) || w.Authenticates(nil) {
		t.Error("another file's blob, another type's, or none, is authentic")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !w.Authenticates(blob) || w.Authenticates(&kms.Blob{Type: blob.Type}) || w.Authenticates(nil) {
		t.Error("where the file is gone, its blob is not authentic, or one of no key is")
	}
	_, err = w.Unwrap(t.Context(), blob, place)
	fails(t, err, kms.ErrKeyGone, "localkms.Create")
	if strings.Contains(err.Error(), "cancel its deletion") {
		t.Errorf("a cloud's words: %v", err)
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	path, w := create(t)
	blob := wrap(t, w)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	err = localkms.Create(t.Context(), path)
	fails(t, err, kms.ErrMisconfigured, "file already exists")
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create: %v, want fs.ErrExist", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
	if _, err := w.Unwrap(t.Context(), blob, place); err != nil {
		t.Error(err)
	}
	if runtime.GOOS != "windows" {
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink("nowhere", link); err != nil {
			t.Fatal(err)
		}
		fails(t, localkms.Create(t.Context(), link), kms.ErrMisconfigured, "file already exists")
	}
}

// TestCreateRaces lets many create one file: one wins, and the others say so.
func TestCreateRaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = localkms.Create(t.Context(), path) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			fails(t, err, kms.ErrMisconfigured, "file already exists")
		}
	}
	if won != 1 {
		t.Errorf("%d of %d created the file", won, len(errs))
	}
	wrap(t, open(t, path))
}

func TestCreateFails(t *testing.T) {
	fails(t, localkms.Create(t.Context(), ""), kms.ErrMisconfigured, "the path is empty")
	fails(t, localkms.Create(t.Context(), filepath.Join(t.TempDir(), "no", "key")), kms.ErrKeyGone, "is its volume mounted?")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := localkms.Create(ctx, filepath.Join(t.TempDir(), "key"))
	fails(t, err, kms.ErrUnavailable, "context canceled")
	fails(t, open(t, "x").Rotate(ctx), kms.ErrUnavailable, "context canceled")
}

func TestCreatedFile(t *testing.T) {
	path, _ := create(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the mode is %v", info.Mode())
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "key" && e.Name() != "key.lock" {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestRotate(t *testing.T) {
	path, w := create(t)
	blobs := []*kms.Blob{wrap(t, w)}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := w.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		blobs = append(blobs, wrap(t, w))
	}
	for i, blob := range blobs {
		if want := fmt.Sprint(i + 1); blob.Version != want || blob.KeyID != blobs[0].KeyID {
			t.Errorf("blob %d is of key %q version %q", i, blob.KeyID, blob.Version)
		}
		if _, err := w.Unwrap(t.Context(), blob, place); err != nil {
			t.Errorf("blob %d: %v", i, err)
		}
	}

	// A copy made before the rotation says that it is old, and one that was
	// rotated on its own is another key.
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	unwrapFails(t, w, blobs[3], kms.ErrKeyGone, "the file ends with version 1: is it an old copy?")
	if err := w.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	unwrapFails(t, w, blobs[1], kms.ErrWrongKey, "two copies of the file were rotated apart")
	if _, err := w.Unwrap(t.Context(), blobs[0], place); err != nil {
		t.Error(err)
	}
}

func TestRotateAtOnce(t *testing.T) {
	_, w := create(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := w.Rotate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if h, err := w.Probe(t.Context()); err != nil || h.Version != "9" {
		t.Errorf("Probe: %+v, %v, want version 9: a rotation was lost", h, err)
	}
}

func TestRotateFails(t *testing.T) {
	fails(t, open(t, filepath.Join(t.TempDir(), "key")).Rotate(t.Context()), kms.ErrKeyGone, "is its volume mounted?")
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, open(t, path).Rotate(t.Context()), kms.ErrMisconfigured, "no key file of localkms")
	if got, err := os.ReadFile(path); err != nil || string(got) != "hello" {
		t.Errorf("the other file was changed to %q: %v", got, err)
	}
}

// TestKubernetes follows the links of a mounted secret, and sees it replaced.
func TestKubernetes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no links without privileges")
	}
	volume := t.TempDir()
	mount := func(generation string) {
		dir := filepath.Join(volume, generation)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := localkms.Create(t.Context(), filepath.Join(dir, "key")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(generation, filepath.Join(volume, "..tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(volume, "..tmp"), filepath.Join(volume, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	mount("..1")
	if err := os.Symlink(filepath.Join("..data", "key"), filepath.Join(volume, "key")); err != nil {
		t.Fatal(err)
	}
	w := open(t, filepath.Join(volume, "key"))
	blob := wrap(t, w)
	if err := w.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Unwrap(t.Context(), blob, place); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(filepath.Join(volume, "key")); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("Rotate replaced the link: %v", err)
	}
	mount("..2")
	unwrapFails(t, w, blob, kms.ErrWrongKey, "the blob is of key")
}

func TestModes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("access lists govern")
	}
	path, _ := create(t)
	for mode, test := range map[fs.FileMode]struct {
		kind     error
		words    string
		warnable bool
	}{
		0o600: {}, 0o400: {},
		0o440: {kms.ErrMisconfigured, "open to its group (mode 0440): run chmod 600", true},
		0o620: {kms.ErrMisconfigured, "open to its group (mode 0620)", true},
		0o604: {kms.ErrMisconfigured, "open to every user (mode 0604): run chmod 600", false},
		0o602: {kms.ErrMisconfigured, "open to every user", false},
		0o644: {kms.ErrMisconfigured, "open to every user", false},
	} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, path).Probe(t.Context())
		if test.kind == nil {
			if err != nil {
				t.Errorf("mode %04o: %v", mode, err)
			}
		} else {
			fails(t, err, test.kind, test.words)
		}

		var warnings []string
		w, err := localkms.New(localkms.Config{Path: path, Warn: func(s string) { warnings = append(warnings, s) }})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Probe(t.Context())
		if test.kind != nil && !test.warnable {
			fails(t, err, test.kind, test.words)
		} else if err != nil {
			t.Errorf("mode %04o with Warn: %v", mode, err)
		}
		if warned := len(warnings) == 1 && strings.Contains(warnings[0], "open to its group"); warned != test.warnable {
			t.Errorf("mode %04o: warnings %q", mode, warnings)
		}
	}
}

func TestNoPermission(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("everything may be read")
	}
	path, w := create(t)
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	_, err := w.Probe(t.Context())
	fails(t, err, kms.ErrDenied, "permission denied")
}

func TestUnwrapRefuses(t *testing.T) {
	_, w := create(t)
	good := wrap(t, w)
	for name, test := range map[string]struct {
		change func(b *kms.Blob)
		kind   error
		words  string
	}{
		"type":    {func(b *kms.Blob) { b.Type = "awskms" }, kms.ErrWrongKey, `the blob is of type "awskms"`},
		"key":     {func(b *kms.Blob) { b.KeyID = "00" }, kms.ErrWrongKey, `the blob is of key "00"`},
		"no int":  {func(b *kms.Blob) { b.Version = "01" }, kms.ErrKeyGone, `the blob is of version "01"`},
		"zero":    {func(b *kms.Blob) { b.Version = "0" }, kms.ErrKeyGone, `version "0"`},
		"huge":    {func(b *kms.Blob) { b.Ciphertext = make([]byte, 1000) }, kms.ErrCorrupt, "1000 bytes is too long"},
		"salt":    {func(b *kms.Blob) { b.Ciphertext[0]++ }, kms.ErrWrongKey, "the blob was altered"},
		"tag":     {func(b *kms.Blob) { b.Ciphertext[len(b.Ciphertext)-1]++ }, kms.ErrCorrupt, "aead: corrupt"},
		"nothing": {func(b *kms.Blob) { b.Ciphertext = nil }, kms.ErrCorrupt, "aead: corrupt"},
	} {
		t.Run(name, func(t *testing.T) {
			bad := *good
			bad.Ciphertext = bytes.Clone(good.Ciphertext)
			test.change(&bad)
			unwrapFails(t, w, &bad, test.kind, test.words)
		})
	}
	_, err := w.Wrap(t.Context(), make([]byte, 20), place)
	fails(t, err, kms.ErrMisconfigured, "a key of 20 bytes")
	unwrapFails(t, w, nil, kms.ErrCorrupt, "there is no blob")
}

var update = flag.Bool("update", false, "write goldens that are missing")

// TestGolden opens what earlier releases wrote. The files are never edited.
func TestGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	golden := filepath.Join("testdata", "v1")
	if _, err := os.Stat(golden + ".key"); *update && errors.Is(err, fs.ErrNotExist) {
		makeGolden(t, golden)
	}
	key, err := os.ReadFile(golden + ".key")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	var blobs []*kms.Blob
	text, err := os.ReadFile(golden + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &blobs); err != nil || len(blobs) != 2 {
		t.Fatalf("%d blobs: %v", len(blobs), err)
	}
	w := open(t, path)
	for i, blob := range blobs {
		got, err := w.Unwrap(t.Context(), blob, kms.Binding{Store: "golden", Slot: "file", Path: "1"})
		if diff := cmp.Diff(bytes.Repeat([]byte{byte(i)}, 32), got); err != nil || diff != "" {
			t.Errorf("blob %d: %v\n%s", i, err, diff)
		}
	}
	t.Logf("GUARANTEE 10 localkms-goldens: files=1 blobs=%d wrong=0", len(blobs))
}

func makeGolden(t *testing.T, golden string) {
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	path, w := create(t)
	var blobs []*kms.Blob
	for i := range 2 {
		blob, err := w.Wrap(t.Context(), bytes.Repeat([]byte{byte(i)}, 32), kms.Binding{Store: "golden", Slot: "file", Path: "1"})
		if err != nil {
			t.Fatal(err)
		}
		blobs = append(blobs, blob)
		if i == 0 {
			if err := w.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := json.MarshalIndent(blobs, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(golden+".key", key, 0o644), os.WriteFile(golden+".json", append(text, '\n'), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// The content of a key file where its path is meant was quoted by every error.
func TestContentInPlaceOfAPath(t *testing.T) {
	for _, path := range []string{"sealwright localkms 1\n1 canary", strings.Repeat("canary", 20), "env://CANARY", "file://"} {
		w, err := localkms.New(localkms.Config{Path: path})
		if w != nil || !errors.Is(err, kms.ErrMisconfigured) || !strings.Contains(err.Error(), "Path") || strings.Contains(err.Error(), "canary") {
			t.Errorf("%v", err)
		}
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := localkms.Create(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	w, err := localkms.New(localkms.Config{Path: "file://" + path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

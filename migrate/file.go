package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/internal/durable"
	"github.com/sealwright/sealwright/seal"
)

// A File is a file that holds one ciphertext and nothing else: the way for its
// server to read and write it, and a [Source] of one item. It is replaced whole,
// by Path's name: whoever reads it finds the old content or the new one, also
// after a crash. Who writes takes turns, by a lock on a file beside it whose name
// ends in ".lock", also with other processes on this machine.
type File struct {
	Path string
	AAD  []byte // its associated data, such as [seal.Box.AAD]
}

var errNoPath = fmt.Errorf("%w: its Path is empty", seal.ErrConfig)

// maxFile bounds what is read: a message of the keyring stands in memory whole.
const maxFile = 256 << 20

// Read returns what the file holds, nothing where there is none. The bytes are the
// caller's.
func (f File) Read(context.Context) ([]byte, error) {
	data, _, err := f.read()
	return data, f.fail("read", err)
}

// Write replaces what the file holds. When it returns nil that is durable.
func (f File) Write(ctx context.Context, data []byte) error {
	return f.locked(ctx, func(_ []byte, info fs.FileInfo) error { return durable.Replace(durable.OS{}, f.Path, data, info) })
}

// Page returns the item, whose id is the file's name.
func (f File) Page(_ context.Context, after string, _ int) ([]Item, error) {
	if after != "" {
		return nil, nil
	}
	data, _, err := f.read()
	if err != nil {
		return nil, f.fail("read", err)
	}
	return []Item{{f.id(), f.AAD, data}}, nil
}

// Replace implements [Source].
func (f File) Replace(ctx context.Context, id string, old, next []byte) (replaced bool, err error) {
	err = f.locked(ctx, func(stored []byte, info fs.FileInfo) error {
		if info == nil || id != f.id() || !bytes.Equal(stored, old) {
			return nil
		}
		replaced = true
		return durable.Replace(durable.OS{}, f.Path, next, info)
	})
	return replaced && err == nil, err
}

func (f File) id() string { return filepath.Base(f.Path) }

// locked calls do with what the file holds, while nobody else writes it.
func (f File) locked(ctx context.Context, do func([]byte, fs.FileInfo) error) error {
	if f.Path == "" {
		return f.fail("write", errNoPath)
	}
	unlock, err := durable.Lock(ctx, f.Path+".lock")
	if err != nil {
		return f.fail("write", err)
	}
	defer unlock()
	stored, info, err := f.read()
	if err != nil {
		return f.fail("write", err)
	}
	durable.RemoveLeftovers(durable.OS{}, f.Path)
	return f.fail("write", do(stored, info))
}

// read returns what the file holds, and a nil info where there is none.
func (f File) read() ([]byte, fs.FileInfo, error) {
	if f.Path == "" {
		return nil, nil, errNoPath
	}
	in, err := durable.OpenRegular(f.Path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("it has more than %d bytes: keep a stream of the keyring in its place", maxFile)
	}
	return data, info, err
}

func (f File) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("migrate: file: %s: %w", op, err)
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/keyring"
	"github.com/sealwright/sealwright/seal"
)

type exportFilesCmd struct {
	sharesFlags `embed:""`
	placeFlags  `embed:""`
	Out         string   `required:"" placeholder:"DIR" help:"A directory for the plaintexts, which is made if need be; each has its file's name."`
	NoID        bool     `name:"no-id" help:"The files are bound to the place alone, not to their names."`
	Files       []string `arg:"" help:"Files, each one ciphertext or one stream of the keyring."`
}

func (exportFilesCmd) Help() string {
	return `Each file is decrypted to DIR/NAME, 0600. Its id is its name, unless --no-id.

  sealwright export files --store record --place blobs --out plain /var/lib/server/blobs/*`
}

func (c *exportFilesCmd) Run(ctx context.Context, a *app) error {
	if len(c.Place) == 0 {
		return fmt.Errorf("%w: give --place for each part of it", errWhere)
	}
	names := map[string]bool{}
	for _, path := range c.Files {
		name := filepath.Base(path)
		if names[name] {
			return fmt.Errorf("two files are named %q: export their directories one by one", name)
		}
		names[name] = true
	}
	if err := os.Mkdir(c.Out, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	_, b, err := a.openCopy(ctx, &c.sharesFlags)
	if err != nil {
		return err
	}
	e := exported{Out: c.Out}
	for _, path := range c.Files {
		if ctx.Err() != nil {
			return errInterrupted
		}
		switch empty, err := c.file(b, path); {
		case err != nil:
			e.Failed++
			a.say("%s: %v", path, explain(err))
		case empty:
			e.Empty++
		default:
			e.Items++
		}
	}
	return a.tell(e, a.unsealed)
}

// file decrypts one file.
func (c *exportFilesCmd) file(b *seal.Barrier, path string) (empty bool, err error) {
	parts := append([]string{}, c.Place...)
	if !c.NoID {
		parts = append(parts, filepath.Base(path))
	}
	aad := keyring.AAD(parts...)
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, errors.New("it is no file")
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	first, err := in.Peek(1)
	if err == io.EOF {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	out, err := createFile(filepath.Join(c.Out, filepath.Base(path)))
	if err != nil {
		return false, err
	}
	if err := c.write(b, out, in, aad, first[0] == streamByte); err != nil {
		out.file.Close()
		return false, errors.Join(err, os.Remove(out.path)) // half a file is none
	}
	return false, out.finish()
}

// streamByte is what a stream begins with, by keyring/FORMAT.md.
const streamByte = 2

func (c *exportFilesCmd) write(b *seal.Barrier, out *sink, in io.Reader, aad []byte, stream bool) error {
	if stream {
		r, err := b.Keyring().NewReader(in, aad)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, r)
		return err
	}
	stored, err := io.ReadAll(io.LimitReader(in, maxValue+1))
	if err != nil {
		return err
	}
	if len(stored) > maxValue {
		return fmt.Errorf("it has more than %d bytes, and is no stream", maxValue)
	}
	value, err := storedValue(stored)
	if err != nil {
		return err
	}
	plain, err := decrypt(b, value, aad)
	if err != nil {
		return err
	}
	defer clear(plain)
	_, err = out.Write(plain)
	return err
}

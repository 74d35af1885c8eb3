package vaultstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Repair writes a copy of a store in which what can be mended is, and proves it by
// opening it with the same keys. The source stays as it is.
//
// The target must be new. Of storage "file" it is a directory, of mode 0700. Of
// vault.db and of a snapshot it is a snapshot, for "operator raft snapshot restore
// -force" into a new cluster: beside the vault.db of an old one lie the log
// entries that would undo the repair.
//
// The Diagnosis is that of the source. The error is [ErrNoRepair] where nothing
// was found that can be mended, or the keys do not suffice; then there is no target.
func Repair(ctx context.Context, source, target string, o Options) (*Diagnosis, error) {
	if _, err := os.Lstat(target); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrExists, filepath.Base(target))
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	s, err := openStorage(source)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	c, err := examine(ctx, s, o)
	if err != nil {
		return nil, err
	}
	defer c.wipe()
	if err := c.plan(); err != nil {
		return &c.out, err
	}
	return &c.out, c.copy(ctx, s, target)
}

// plan makes sure that there is something to mend, and the keys to do it.
func (c *examination) plan() error {
	if c.m.ring == nil {
		return fmt.Errorf("%w: the store does not open: %s", ErrNoRepair, c.out.Findings[0].State)
	}
	if c.o.ToShamir {
		return c.leaveAuto()
	}
	if !c.out.Repairable() {
		return fmt.Errorf("%w: nothing was found that a copy would mend", ErrNoRepair)
	}
	return nil
}

// copy writes the copy beside the target, proves it, and gives it its name.
func (c *examination) copy(ctx context.Context, s storage, target string) (err error) {
	working := target + ".incomplete"
	if _, err := os.Lstat(working); !errors.Is(err, os.ErrNotExist) { // another repair's, or anybody's: not ours to remove
		return fmt.Errorf("%w: %s: if no repair is at work, remove what one left behind", ErrExists, filepath.Base(working))
	}
	defer func() {
		if err != nil {
			os.RemoveAll(working)
		}
	}()
	if f, ok := s.(*files); ok {
		err = copyFiles(ctx, f, working, c.edits)
	} else {
		err = copySnapshot(ctx, s, working, c.edits)
	}
	if err != nil {
		return err
	}
	if err = c.prove(ctx, s, working); err != nil {
		return err
	}
	if err = os.Rename(working, target); err != nil {
		return err
	}
	return syncDir(filepath.Dir(target))
}

// prove opens the copy with the keys alone, compares every entry with the source
// or with what it was to become, and lets nothing be left to mend.
func (c *examination) prove(ctx context.Context, s storage, path string) error {
	made, err := openStorage(path)
	if err != nil {
		return err
	}
	defer made.Close()
	o := c.o
	o.Backup, o.ToShamir, o.Progress, o.Shares, o.Threshold = "", false, nil, 0, 0
	again, err := examine(ctx, made, o)
	if err != nil {
		return err
	}
	defer again.wipe()
	for _, f := range again.out.Findings {
		before := slices.ContainsFunc(c.out.Findings, func(g Finding) bool { return g.State == f.State && !g.Repairs })
		if f.Repairs || f.Gravity > Note && !before {
			return fmt.Errorf("%w: the copy is not sound: %s", ErrNoRepair, f.State)
		}
	}
	if !again.out.Opens || again.out.Unreadable > c.out.Unreadable {
		return fmt.Errorf("%w: the copy does not open as the source does", ErrNoRepair)
	}
	err = s.walk("", func(key string, read func() ([]byte, error)) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, edited := c.edits[key]; edited {
			return nil
		}
		want, err := read()
		got, ok, same := made.get(key)
		switch {
		case err != nil: // then it is as unreadable as it was
			return nil
		case same != nil || !ok || !bytes.Equal(got, want):
			return fmt.Errorf("%w: the copy has another entry at %s", ErrNoRepair, key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for key, want := range c.edits {
		got, ok, err := made.get(key)
		if err != nil || ok != (want != nil) || !bytes.Equal(got, want) {
			return fmt.Errorf("%w: the copy has another entry at %s", ErrNoRepair, key)
		}
	}
	return nil
}

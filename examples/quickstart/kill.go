package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

// killInTheMiddle has a child process begin the move and kills it, with a real
// kill -9, after its first write of the record; the next one after its second,
// and so on. After every death people open the store.
func (s *story) killInTheMiddle(ctx context.Context) error {
	s.begin("The move begins in another process, which is killed in the middle: kill -9")
	s.b.Close()
	for writes := 1; writes <= 2; writes++ {
		if err := s.killChild(ctx, writes); err != nil {
			return err
		}
		if err := s.open(); err != nil {
			return err
		}
		for _, share := range s.shares[:3] {
			if _, err := s.b.Submit(ctx, share, seal.By{}); err != nil {
				return err
			}
		}
		if err := readNotes(ctx, s.b, s.dir); err != nil {
			return err
		}
		say("killed after write %d:  the people's shares open the store, the notes read.  Slots: %s", writes, slotNames(s.b.Status()))
		s.b.Close()
	}
	return nil
}

func (s *story) killChild(ctx context.Context, writes int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.CommandContext(ctx, self, "-dir", s.dir, "-kill-after", strconv.Itoa(writes))
	child.Stderr = os.Stderr
	var shares strings.Builder
	for _, share := range s.shares[:3] {
		fmt.Fprintln(&shares, share.Reveal())
	}
	child.Stdin = strings.NewReader(shares.String())
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	// The child says when it stands in the middle of the move.
	line, readErr := bufio.NewReader(out).ReadString('\n')
	killErr := child.Process.Kill()
	err = child.Wait()
	if readErr != nil || strings.TrimSpace(line) != standing {
		return fmt.Errorf("the child did not get to write %d: %w", writes, errors.Join(readErr, err))
	}
	if killErr != nil {
		return killErr
	}
	if err == nil {
		return errors.New("the child was not killed")
	}
	return nil
}

const standing = "standing in the middle"

// migrateAsChild unseals with the shares from standard input, and moves to the
// KMS key with a store that never returns from one of its writes.
func migrateAsChild(ctx context.Context, dir string, writes int) error {
	store, err := filestore.Open(filepath.Join(dir, recordFile))
	if err != nil {
		return err
	}
	b, err := openBarrier(dir, &stopper{Store: store, left: writes})
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		share, err := seal.ParseShare(lines.Text())
		if err != nil {
			return err
		}
		if _, err := b.Submit(ctx, share, seal.By{}); err != nil {
			return err
		}
	}
	_, err = migrate.Reconcile(ctx, b, toKMS, migrate.Options{By: operator})
	return errors.Join(err, errors.New("the migration ended, and nobody killed it"))
}

// A stopper is a Store that stands still after a number of writes: the record
// is on disk, and the process does not know yet.
type stopper struct {
	seal.Store
	left int
}

func (s *stopper) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	rev, err := s.Store.Swap(ctx, rec, old)
	if s.left--; s.left == 0 && err == nil {
		fmt.Println(standing)
		select {} // until the kill
	}
	return rev, err
}

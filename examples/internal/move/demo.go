package move

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sealwright/sealwright/examples/internal/cloudstore"
	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
	"github.com/sealwright/sealwright/examples/internal/terminal"
	"github.com/sealwright/sealwright/seal"
)

// People is a stanza of people's shares, and Disabled a line that disables any
// other.
const (
	People   = "seal \"shamir\" {\n  shares    = 5\n  threshold = 3\n}\n"
	Disabled = "disabled              = true"
)

// A Demo is how a program shows itself.
type Demo struct {
	// Before and After return the configurations to migrate from and to.
	Before, After func(*fakeclouds.Clouds) string

	// Check, if set, verifies more of the migrated store; open returns a new
	// sealed Barrier over it.
	Check func(ctx context.Context, c *fakeclouds.Clouds, open func() (*seal.Barrier, error)) error
}

// A stage is one run of a Demo.
type stage struct {
	clouds        *fakeclouds.Clouds
	before, after cloudstore.Place
	shares        string // the file with the shares that open the store now
	note          []byte // a ciphertext
}

const note = "a third party's credential"

func (p Program) demo(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sealwright-"+p.Name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	clouds, err := fakeclouds.Start(dir)
	if err != nil {
		return err
	}
	defer clouds.Close()
	s := &stage{clouds: clouds, shares: filepath.Join(dir, "shares.txt")}
	for _, c := range []struct {
		place *cloudstore.Place
		name  string
		text  string
	}{{&s.before, "before.hcl", p.Demo.Before(clouds)}, {&s.after, "after.hcl", p.Demo.After(clouds)}} {
		*c.place = cloudstore.Place{Config: filepath.Join(dir, c.name), Dir: dir, Fakes: clouds.File}
		if err := os.WriteFile(c.place.Config, []byte(c.text), 0o600); err != nil {
			return err
		}
	}
	fmt.Printf("1. A store, and a note in it, by this configuration:\n\n%s\n", p.Demo.Before(clouds))
	if err := s.initialize(ctx); err != nil {
		return err
	}
	fmt.Printf("\n2. A dry run with this one:\n\n%s\n", p.Demo.After(clouds))
	if err := s.dryRun(ctx, p); err != nil {
		return err
	}
	fmt.Print("\n3. The migration\n\n")
	if err := s.migrate(ctx, p); err != nil {
		return err
	}
	fmt.Print("\n4. What opens the store, tried\n\n")
	if err := s.verify(ctx); err != nil {
		return err
	}
	if p.Demo.Check != nil {
		open := func() (*seal.Barrier, error) {
			b, _, err := s.after.Open(seal.Config{})
			return b, err
		}
		if err := p.Demo.Check(ctx, clouds, open); err != nil {
			return err
		}
	}
	fmt.Println("\nEvery step verified itself: nothing was lost.")
	return nil
}

// initialize makes a store, unseals it, and encrypts the note.
func (s *stage) initialize(ctx context.Context) error {
	b, setup, err := s.before.Open(seal.Config{})
	if err != nil {
		return err
	}
	defer b.Close()
	d, err := b.Init(ctx, setup.Slots, seal.By{Actor: "demo"})
	if err != nil {
		return err
	}
	if len(d.Sets) > 0 {
		if err := (options{out: s.shares}).deliver(d); err != nil {
			return err
		}
		fmt.Printf("The shares of %s are in a file, in place of people.\n", d.Sets[0].Slot)
	}
	if b.Status().Sealed {
		if err := (options{shares: s.shares}).unseal(ctx, b); err != nil {
			return err
		}
	}
	s.note, err = b.Box("notes").Encrypt(ctx, []byte(note), "the move")
	return err
}

func (s *stage) dryRun(ctx context.Context, p Program) error {
	before, err := os.ReadFile(s.after.Record())
	if err != nil {
		return err
	}
	if err := p.run(ctx, options{Place: s.after, shares: s.shares, drop: true, dryRun: true}); err != nil {
		return err
	}
	after, err := os.ReadFile(s.after.Record())
	if err == nil && !bytes.Equal(before, after) {
		err = errors.New("the dry run changed the store")
	}
	if err != nil {
		return err
	}
	fmt.Println("Nothing was changed.")
	return nil
}

func (s *stage) migrate(ctx context.Context, p Program) error {
	o := options{Place: s.after, shares: s.shares, drop: true}
	fresh := filepath.Join(s.after.Dir, "new-shares.txt")
	if _, err := os.Stat(s.shares); err != nil {
		o.shares, o.out = fresh, fresh // people come in, and prove what they were given
	}
	return p.run(ctx, o)
}

// verify opens the store as a server that restarts would, and tries whether what
// opened it before still does.
func (s *stage) verify(ctx context.Context) error {
	if err := s.opens(ctx, s.after); err != nil {
		return err
	}
	fmt.Println("The new configuration opens the store, and the note reads.")
	b, _, err := s.before.Open(seal.Config{})
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Unseal(ctx); err == nil {
		return errors.New("the old configuration still opens the store")
	}
	fmt.Println("The old configuration:", b.Sealed())
	return s.oldShares(ctx, b)
}

// oldShares tries whether the shares that opened the store before are refused by
// name.
func (s *stage) oldShares(ctx context.Context, b *seal.Barrier) error {
	shares, err := terminal.Open(s.shares)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // there were none
	} else if err != nil {
		return err
	}
	defer shares.Close()
	for range 3 {
		share, err := shares.Next("")
		if err != nil {
			return err
		}
		_, err = b.Submit(ctx, share, seal.By{})
		if wrong := (*seal.ShareError)(nil); !errors.As(err, &wrong) {
			return fmt.Errorf("an old share was not refused: %v", err)
		}
		fmt.Println("An old share:", err)
	}
	return nil
}

func (s *stage) opens(ctx context.Context, place cloudstore.Place) error {
	b, _, err := place.Open(seal.Config{})
	if err != nil {
		return err
	}
	defer b.Close()
	if err := (options{shares: filepath.Join(place.Dir, "new-shares.txt")}).unseal(ctx, b); err != nil {
		return err
	}
	text, err := b.Box("notes").Decrypt(ctx, s.note, "the move")
	if err == nil && string(text) != note {
		err = errors.New("the note reads otherwise")
	}
	return err
}

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/sealwright/sealwright/seal"
)

type restoreCmd struct {
	changeFlags `embed:""`
	Backup      string   `arg:"" help:"The backup: a store as --store names one, or a bare record."`
	Admit       []string `placeholder:"FINGERPRINT" help:"A slot of the backup that the present record has not, and that may open the store again."`
	GiveUp      bool     `name:"give-up-present" help:"The present record does not open by what there is: go on without its newer data keys."`
}

func (restoreCmd) Help() string {
	return `Goes on with a record from a backup. It has to open, by shares or a KMS, before anything is changed. Where the store has a record still, that is opened too, and its data keys are kept; numbers of data keys that lost records may have used are left out, and root key and data key replaced. The store gets one swap.

  sealwright restore backup/record.json --store /var/lib/server/seal/record --server-stopped

Of etcd, Kubernetes and object storages the store is a file that their tools take out, and put back; where the record is gone, --store value:FILE names a new one: sealwright copy --help.

A file that is damaged is first moved away: mv record record.damaged.
Next: sealwright open, then the servers.`
}

func (c *restoreCmd) Run(ctx context.Context, a *app) error {
	a.changes = true
	from, backup, err := c.load(ctx, a)
	if err != nil {
		return fmt.Errorf("the backup %s: %w", c.Backup, err)
	}
	p, store, err := c.target(ctx, a, from)
	if err != nil {
		return err
	}
	present, rev, err := store.Load(ctx)
	switch {
	case errors.Is(err, seal.ErrNotFound):
		present, rev, err = nil, "", nil
	case errors.Is(err, seal.ErrCorrupt):
		return fmt.Errorf("%w. Move the file away, with its name changed, and run this again", err)
	case err != nil:
		return err
	}
	next, text, err := c.goOn(ctx, a, backup, present)
	if err != nil {
		return err
	}
	if _, err := store.Swap(ctx, next, rev); errors.Is(err, seal.ErrConflict) {
		return errOthers
	} else if err != nil {
		return fmt.Errorf("store the record: %w: sealwright inspect says whether it was stored", err)
	}
	v := changed{Done: true, Next: "sealwright open, then start the servers", PutBack: p.putBack()}
	if v.PutBack != "" {
		v.Next = "sealwright open"
	}
	if view, err := viewOf(place{}, next); err == nil {
		v.Generation = view.Generation
	}
	return a.answer(v, func(w io.Writer) {
		fmt.Fprintf(w, "%s, at generation %d\nnext: %s\n", text, v.Generation, v.Next)
		if v.PutBack != "" {
			fmt.Fprintf(w, "then: %s\n", v.PutBack)
		}
	})
}

func (c *restoreCmd) load(ctx context.Context, a *app) (place, []byte, error) {
	p, err := a.locate(c.Backup)
	if err != nil {
		return p, nil, err
	}
	s, err := a.storeAt(ctx, p, false)
	if err != nil {
		return p, nil, err
	}
	rec, _, err := s.Load(ctx)
	if err != nil {
		return p, nil, err
	}
	store, err := copyOf(ctx, rec)
	if err != nil {
		return p, nil, err
	}
	b, err := a.barrier(ctx, store, nil)
	if err != nil {
		return p, nil, err
	}
	defer b.Close()
	_, err = b.Admin().Inspect(ctx)
	return p, rec, err
}

// target is the store, of which nobody else may have anything.
func (c *restoreCmd) target(ctx context.Context, a *app, from place) (place, seal.Store, error) {
	p, err := a.named(from)
	if err != nil {
		return p, nil, err
	}
	if c.BesideServer {
		return p, nil, errors.New("stop the servers before a restore: those that saw the lost records would go on with them")
	}
	if p.kind != kindBolt && p.kind != kindRecord && !c.ServerStopped {
		return p, nil, fmt.Errorf("%w: a %s does not tell. Stop it and say --server-stopped", errMaybeLive, p.kind)
	}
	s, err := a.storeAt(ctx, p, true)
	return p, s, err
}

// goOn makes the record that follows, in memory. A Barrier that knows the present
// record, or else the backup alone, restores the backup.
func (c *restoreCmd) goOn(ctx context.Context, a *app, backup, present []byte) (next []byte, text string, err error) {
	if present == nil {
		next, err := c.from(ctx, a, backup, backup)
		return next, "restored to an empty store", err
	}
	if sha256.Sum256(present) == sha256.Sum256(backup) {
		return nil, "", errors.New("the store holds this record already: sealwright open")
	}
	next, err = c.from(ctx, a, present, backup)
	switch {
	case err == nil:
		return next, "restored, with the data keys of the record that was there", nil
	case errors.Is(err, seal.ErrRootMoved) && !c.GiveUp:
		return nil, "", fmt.Errorf("the two records have other root keys, and no KMS opens both: %w: a --config whose KMS opens the backup keeps the newer data keys; or say --give-up-present: what was encrypted under them is then lost", err)
	case c.GiveUp && !errors.Is(err, errInterrupted):
		a.say("the present record: %s", trim(err))
		next, err := c.from(ctx, a, backup, backup)
		return next, "restored, without what only the record that was there knew", err
	case errors.Is(err, errStaysSealed):
		return nil, "", fmt.Errorf("the present record does not open: %w: bring what opens it, so that its newer data keys are kept; or say --give-up-present: what was encrypted under them is then lost", err)
	}
	return nil, "", err
}

// from opens the record known, then restores the backup over it.
func (c *restoreCmd) from(ctx context.Context, a *app, known, backup []byte) ([]byte, error) {
	store, err := copyOf(ctx, known)
	if err != nil {
		return nil, err
	}
	b, err := a.barrier(ctx, store, nil)
	if err != nil {
		return nil, err
	}
	if err := a.unseal(ctx, b, &c.sharesFlags); err != nil {
		return nil, err
	}
	// The people of a store made just now have proved by unsealing: what is held is
	// what is stored.
	_, rev, err := store.Load(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := store.Swap(ctx, backup, rev); err != nil {
		return nil, err
	}
	if err := c.opens(ctx, a, backup); err != nil {
		return nil, fmt.Errorf("the backup: %w", err)
	}
	sum := sha256.Sum256(backup)
	if err := b.Admin().RestoreUnknown(ctx, hex.EncodeToString(sum[:]), c.Admit, a.by()); err != nil {
		return nil, err
	}
	next, _, err := store.Load(ctx)
	return next, err
}

// opens shows that a record opens by what was given.
func (c *restoreCmd) opens(ctx context.Context, a *app, rec []byte) error {
	store, err := copyOf(ctx, rec)
	if err != nil {
		return err
	}
	b, err := a.barrier(ctx, store, nil)
	if err != nil {
		return err
	}
	defer b.Close()
	return a.unseal(ctx, b, &c.sharesFlags)
}

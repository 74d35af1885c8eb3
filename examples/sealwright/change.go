package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sealwright/sealwright/seal"
)

var errMaybeLive = errors.New("a server may run on this store")

// changeFlags are of what changes the store.
type changeFlags struct {
	sharesFlags   `embed:""`
	ServerStopped bool          `help:"Your word that no server runs on the store. A change by anybody else meanwhile ends the run."`
	BesideServer  bool          `help:"Change the store beside its servers, as one more replica."`
	Propagation   time.Duration `default:"1m" help:"With --beside-server: how long those take to notice a change."`
}

// openToChange returns an unsealed Barrier over the store itself. Of a bbolt file it
// is certain that no server has it, since that would hold its lock, as this program
// does from here on. Of other stores nothing tells a server that is idle: so its
// operator has to say that it is stopped, and what can be seen is looked at, a lease
// and changes by others.
func (a *app) openToChange(ctx context.Context, f *changeFlags) (*seal.Barrier, error) {
	a.changes = true
	if f.ServerStopped && f.BesideServer {
		return nil, errors.New("--server-stopped and --beside-server exclude each other")
	}
	p, err := a.named()
	if err != nil {
		return nil, err
	}
	if p.putBack() != "" && f.BesideServer {
		return nil, fmt.Errorf("no server sees the file %s, and what one stores meanwhile is lost when that is put back: stop the servers, and say --server-stopped", p.name)
	}
	if p.kind != kindBolt && p.kind != kindRecord && !f.ServerStopped && !f.BesideServer {
		return nil, fmt.Errorf("%w: a %s does not tell. Stop it and say --server-stopped, or say --beside-server: servers that no KMS unseals must then be given shares again after a drop, a rekey or a restore", errMaybeLive, p.kind)
	}
	store, err := a.storeAt(ctx, p, true)
	if err != nil {
		return nil, err
	}
	a.putBack = p.putBack()
	if f.ServerStopped || p.kind == kindBolt {
		alone := &aloneStore{Store: store}
		if err := a.watchLease(ctx, alone); err != nil {
			return nil, err
		}
		store = alone
	}
	b, err := a.barrier(ctx, store, func(cfg *seal.Config) {
		if f.BesideServer {
			cfg.Propagation = f.Propagation
		}
	})
	if err != nil {
		return nil, err
	}
	return b, a.unseal(ctx, b, &f.sharesFlags)
}

// An aloneStore is a store that nobody else may change while this program runs.
type aloneStore struct {
	seal.Store

	mu   sync.Mutex
	last string // the revision that this program read first, or stored
}

var errOthers = fmt.Errorf("%w, and changed it while this ran: nothing more is done here: stop it, or say --beside-server", errLive)

func (s *aloneStore) Load(ctx context.Context) ([]byte, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec, rev, err := s.Store.Load(ctx)
	switch {
	case err != nil:
		return nil, "", err
	case s.last != "" && s.last != rev:
		return nil, "", errOthers
	}
	s.last = rev
	return rec, rev, nil
}

func (s *aloneStore) Swap(ctx context.Context, rec []byte, old string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rev, err := s.Store.Swap(ctx, rec, old)
	switch {
	case err == nil:
		s.last = rev
	case errors.Is(err, seal.ErrConflict):
		return "", err // and the Load that follows says why
	default:
		s.last = "" // whether it was stored is what the next Load finds out
	}
	return rev, err
}

// leaseLooks is how often a lease gives a sign of life that is waited for, and
// leaseMost how long at most.
const (
	leaseLooks = 2
	leaseMost  = 2 * time.Minute
)

// watchLease looks whether a replica that has the lease is alive: it changes the
// record every so often. What was left by one that died stays.
func (a *app) watchLease(ctx context.Context, s seal.Store) error {
	rec, _, err := s.Load(ctx)
	if err != nil {
		return err
	}
	var c clearPart
	if json.Unmarshal(rec, &c) != nil || c.Lease == nil || c.Lease.Replica == replica() {
		return nil
	}
	wait := leaseLooks * time.Duration(c.Lease.Every) * time.Second
	if wait > leaseMost {
		a.say("%s has the lease, with a sign of life every %v: whether it lives is not waited for", c.Lease.Replica, time.Duration(c.Lease.Every)*time.Second)
		return nil
	}
	a.say("%s has the lease: looking for %v whether it lives", c.Lease.Replica, wait)
	end := time.After(wait)
	for {
		select {
		case <-end:
			return nil
		case <-ctx.Done():
			return errInterrupted
		case <-time.After(min(wait/4, time.Second)):
		}
		if _, _, err := s.Load(ctx); err != nil {
			return err
		}
	}
}

// A changed is what --json prints of a change.
type changed struct {
	Done       bool            `json:"done"`
	Slots      []string        `json:"slots,omitempty"` // which it was about
	Generation uint64          `json:"generation"`
	Delivered  []deliveredView `json:"delivered,omitempty"`
	Pins       []string        `json:"pins,omitempty"` // what must stand in the servers' configuration
	Next       string          `json:"next,omitempty"`
	PutBack    string          `json:"put_back,omitempty"` // of a record that was taken out of a cluster
}

// tellChange says what was done, and what to do next.
func (a *app) tellChange(b *seal.Barrier, text string, v changed) error {
	s := b.Status()
	v.Generation, v.PutBack = s.Generation, a.putBack
	for _, slot := range s.Slots {
		if slot.NeedsPin {
			v.Pins = append(v.Pins, slot.Fingerprint)
		}
	}
	if a.cli.JSON {
		return a.print(v)
	}
	fmt.Fprintln(a.out, text)
	for _, w := range s.Warnings {
		a.say("warning: %s", w)
	}
	if v.Next != "" {
		fmt.Fprintln(a.out, "next:", v.Next)
	}
	if v.PutBack != "" {
		fmt.Fprintln(a.out, "then:", v.PutBack)
	}
	return nil
}

// finishOperation gathers the shares that an operation asks for.
func (a *app) finishOperation(ctx context.Context, b *seal.Barrier, op seal.OperationID, what string, f *sharesFlags) error {
	by := a.by()
	by.Operation = op
	how := func() string {
		s := b.Status()
		if s.Operation == nil || len(s.Operation.Progress) == 0 {
			return what
		}
		return what + ": " + progress(s.Operation.Progress)
	}
	err := a.gather(ctx, f, how, func(s seal.Share) (bool, error) { return b.Submit(ctx, s, by) })
	switch {
	case errors.Is(err, errNoMore):
		return fmt.Errorf("%w: %s; the operation waits: run the same command again with all of them, or sealwright cancel", errWaits, how())
	case errors.Is(err, seal.ErrElsewhere):
		return fmt.Errorf("%w: end it with sealwright cancel, and run this again", err)
	}
	return err
}

// errWaits: an operation needs more shares. Nothing is lost.
var errWaits = errors.New("not enough shares were given")

type cancelCmd struct {
	changeFlags `embed:""`
}

func (cancelCmd) Help() string {
	return `Ends the operation in progress. What it did so far stays: a slot that it added and that is not proven goes by drop-slot --pending.

  sealwright cancel --store … --server-stopped`
}

func (c *cancelCmd) Run(ctx context.Context, a *app) error {
	b, err := a.openToChange(ctx, &c.changeFlags)
	if err != nil {
		return err
	}
	op := b.Status().Operation
	if op == nil {
		return a.tellChange(b, "nothing is in progress", changed{Done: true})
	}
	by := a.by()
	by.Operation = op.ID
	if err := b.Admin().Cancel(ctx, by); err != nil {
		return err
	}
	return a.tellChange(b, fmt.Sprintf("ended: %s %s", op.Kind, op.Slot), changed{Done: true, Slots: named(op.Slot)})
}

func named(slot string) []string {
	if slot == "" {
		return nil
	}
	return []string{slot}
}

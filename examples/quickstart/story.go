package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/localkms"
	"github.com/sealwright/sealwright/migrate"
	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/filestore"
)

var operator = seal.By{Actor: "quickstart"}

// A story is what one run of the quickstart goes through.
type story struct {
	dir     string
	b       *seal.Barrier
	shares  []seal.Share // that the custodians hold now
	chapter int
}

func newStory(ctx context.Context, dir string) (*story, error) {
	s := &story{dir: dir}
	if err := localkms.Create(ctx, filepath.Join(dir, kmsFile)); err != nil {
		return nil, err
	}
	return s, s.open()
}

const (
	recordFile = "record.json"
	kmsFile    = "kms.key"
	notesFile  = "notes.json"
)

// open makes a Barrier as a server does at its start: sealed.
func (s *story) open() (err error) {
	if s.b != nil {
		s.b.Close()
	}
	store, err := filestore.Open(filepath.Join(s.dir, recordFile))
	if err != nil {
		return err
	}
	s.b, err = openBarrier(s.dir, store)
	return err
}

func openBarrier(dir string, store seal.Store) (*seal.Barrier, error) {
	key, err := localkms.New(localkms.Config{Path: filepath.Join(dir, kmsFile)})
	if err != nil {
		return nil, err
	}
	return seal.Open(seal.Config{
		Store:   store,
		KMS:     map[string]kms.Wrapper{"local": key},
		Replica: "quickstart",
	})
}

func (s *story) begin(title string) {
	s.chapter++
	fmt.Printf("\n%d. %s\n", s.chapter, title)
}

func say(format string, args ...any) { fmt.Printf("   "+format+"\n", args...) }

func (s *story) initialize(ctx context.Context) error {
	s.begin("A new store, its key in five shares of which three open it")
	d, err := s.b.Init(ctx, map[string]seal.Spec{"people": seal.Shamir{Shares: 5, Threshold: 3}}, operator)
	if err != nil {
		return err
	}
	s.shares = d.Sets[0].Shares
	for i, share := range s.shares {
		// A real server sends each share to its custodian. This one is a toy.
		say("share %d  %s", i+1, share.Reveal())
	}
	if _, err := s.b.Keyring().Encrypt(nil, []byte("too early"), nil); !errors.Is(err, seal.ErrSealed) {
		return fmt.Errorf("a sealed store encrypted: %v", err)
	}
	say("The store is sealed: nothing can be encrypted before people have shown that they hold it.")
	return s.showDisk()
}

func (s *story) unsealByPeople(ctx context.Context) error {
	s.begin("Three people unseal it, and one mistypes")
	text := []byte(s.shares[0].Reveal())
	text[40] ^= 1 // a neighbour in ASCII, as a slip of the pen
	if _, err := seal.ParseShare(string(text)); err == nil {
		return errors.New("a mistyped share was accepted")
	} else {
		say("refused at once:  %v", err)
	}
	if err := s.submit(ctx, s.shares[:3], seal.By{}); err != nil {
		return err
	}
	if err := writeNotes(ctx, s.b, s.dir, notes); err != nil {
		return err
	}
	say("%d notes are written, encrypted, to %s.", len(notes), notesFile)
	return s.showDisk()
}

func (s *story) restart(ctx context.Context) error {
	s.begin("The server restarts: it comes up sealed, and people are called again")
	if err := s.open(); err != nil {
		return err
	}
	if err := readNotes(ctx, s.b, s.dir); !errors.Is(err, seal.ErrSealed) {
		return fmt.Errorf("a sealed store decrypted: %v", err)
	}
	if err := s.b.Unseal(ctx); err == nil {
		return errors.New("it unsealed without people")
	}
	say("%v", s.b.Sealed())
	if err := s.submit(ctx, s.shares[2:], seal.By{}); err != nil {
		return err
	}
	return s.verify(ctx, "the notes read as before")
}

// toKMS is where the story goes: a KMS key instead of the people's shares.
var toKMS = migrate.Plan{
	Slots: map[string]seal.Spec{"auto": seal.KMS{Wrapper: "local"}},
	Drop:  []string{"people"},
}

func (s *story) checkTheMove(ctx context.Context) error {
	s.begin("A dry run of the move to a KMS key, so that nobody is called at night")
	before := s.b.Status().Generation
	report, err := migrate.Check(ctx, s.b, toKMS)
	if err != nil {
		return err
	}
	for _, m := range report.Moves {
		say("would %v", m)
	}
	for _, w := range report.Warnings {
		say("note: %s", w)
	}
	if !report.OK() {
		return errors.Join(report.Problems...)
	}
	if s.b.Status().Generation != before {
		return errors.New("the dry run changed the store")
	}
	say("The KMS wrapped and unwrapped a test key. Nothing was changed.")
	return nil
}

func (s *story) moveToKMS(ctx context.Context) error {
	s.begin("The move is taken up where it was killed, and finished")
	if err := s.open(); err != nil {
		return err
	}
	if err := s.submit(ctx, s.shares[1:4], seal.By{}); err != nil {
		return err
	}
	r, err := migrate.Reconcile(ctx, s.b, toKMS, migrate.Options{By: operator, Progress: progress})
	if err != nil {
		return err
	}
	if !r.Done {
		return errors.New("the migration is not done")
	}
	say("migrated: from 3 of 5 people to a KMS key.")
	if err := s.verify(ctx, "the notes read, without a restart"); err != nil {
		return err
	}
	return s.showDisk()
}

func (s *story) comeUpAlone(ctx context.Context) error {
	s.begin("The server restarts, and nobody is called")
	if err := s.open(); err != nil {
		return err
	}
	if err := s.b.Unseal(ctx); err != nil {
		return err
	}
	if err := s.verify(ctx, "unsealed by the KMS key, and the notes read"); err != nil {
		return err
	}
	return s.refused(ctx, "an old share")
}

func (s *story) moveBack(ctx context.Context) error {
	s.begin("And back to people, with new shares, two of three")
	plan := migrate.Plan{
		Slots: map[string]seal.Spec{"custodians": seal.Shamir{Shares: 3, Threshold: 2}},
		Drop:  []string{"auto"},
	}
	old := s.shares
	r, err := migrate.Reconcile(ctx, s.b, plan, migrate.Options{By: operator, Progress: progress, Deliver: s.receive})
	if err != nil {
		return err
	}
	if r.Waiting == nil {
		return errors.New("the new custodians were not asked for a proof")
	}
	say("The KMS key still opens the store: it stays until two of the new custodians have shown theirs.")
	if err := s.submit(ctx, s.shares[:2], seal.By{Operation: r.Operation, Actor: operator.Actor}); err != nil {
		return err
	}
	if r, err = migrate.Reconcile(ctx, s.b, plan, migrate.Options{By: operator, Progress: progress}); err != nil {
		return err
	}
	if !r.Done {
		return errors.New("the migration is not done")
	}
	say("migrated: from a KMS key to 2 of 3 people.")
	if err := s.open(); err != nil {
		return err
	}
	if err := s.b.Unseal(ctx); err == nil {
		return errors.New("the dropped KMS key still opens the store")
	}
	say("the KMS key alone:  %v", s.b.Sealed())
	held := s.shares
	s.shares = old
	if err := s.refused(ctx, "a share of the first set"); err != nil {
		return err
	}
	s.shares = held
	if err := s.submit(ctx, s.shares[1:], seal.By{}); err != nil {
		return err
	}
	if err := s.verify(ctx, "two of the new shares open the store, and the notes read"); err != nil {
		return err
	}
	return s.showDisk()
}

// receive takes new shares to their custodians.
func (s *story) receive(d seal.Delivery) error {
	s.shares = nil
	for _, share := range d.Sets[0].Shares {
		text := share.Reveal()
		say("share %d  %s", share.X(), text)
		kept, err := seal.ParseShare(text)
		if err != nil {
			return err
		}
		s.shares = append(s.shares, kept)
	}
	return nil
}

// refused checks that a share which opens nothing any more is named.
func (s *story) refused(ctx context.Context, what string) error {
	if err := s.b.Seal(operator); err != nil {
		return err
	}
	_, err := s.b.Submit(ctx, s.shares[0], seal.By{})
	if !errors.Is(err, seal.ErrShareStale) {
		return fmt.Errorf("%s: %v", what, err)
	}
	say("%s:  %v", what, err)
	if err := s.b.Unseal(ctx); err != nil && !errors.Is(err, seal.ErrSealed) {
		return err
	}
	return nil
}

func (s *story) submit(ctx context.Context, shares []seal.Share, by seal.By) error {
	for _, share := range shares {
		done, err := s.b.Submit(ctx, share, by)
		if err != nil {
			return err
		}
		switch {
		case by.Operation != "":
			say("share %d is right", share.X())
		case !done:
			say("share %d is right:  %v", share.X(), s.b.Sealed())
		default:
			say("share %d is right:  unsealed", share.X())
		}
	}
	return nil
}

func progress(m migrate.Move, done bool, err error) {
	if done && err == nil {
		say("done: %v", m)
	}
}

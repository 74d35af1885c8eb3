package seal_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// says checks why a Barrier is sealed.
func says(t *testing.T, when string, b *seal.Barrier, is error, words ...string) {
	t.Helper()
	why := b.Sealed()
	if !errors.Is(why, is) {
		t.Errorf("%s: it says %v, want %v", when, why, is)
		return
	}
	for _, w := range words {
		if !strings.Contains(why.Error(), w) {
			t.Errorf("%s: it says %v, without %q", when, why, w)
		}
	}
}

var twoThree = map[string]seal.Spec{"people": seal.Shamir{Shares: 3, Threshold: 2}}

// running starts a process over a store, with its Run.
func running(t *testing.T, cfg seal.Config) *seal.Barrier {
	t.Helper()
	b, err := seal.Open(cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = b.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done; b.Close() })
	return b
}

// TestAnInitIsNoticed: after an init each replica, also the one that had made it, said
// for up to a minute that the store was not initialized, and whether it was a new one.
func TestAnInitIsNoticed(t *testing.T) {
	const poll = 10 * time.Second
	polled := func(s *seal.MemStore) seal.Store { return struct{ seal.Store }{s} }
	watched := func(s *seal.MemStore) seal.Store { return s }
	for name, tt := range map[string]struct {
		store  func(*seal.MemStore) seal.Store
		itself bool
		within time.Duration
	}{
		"the one that did it, watching": {watched, true, 0},
		"the one that did it, polling":  {polled, true, 0},
		"another one, watching":         {watched, false, 0},
		"another one, polling":          {polled, false, poll},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T) {
				s := seal.NewMemStore()
				b := running(t, seal.Config{Store: tt.store(s), Poll: poll})
				time.Sleep(time.Hour)
				says(t, "empty", b, seal.ErrUninitialized)
				maker := b
				if !tt.itself {
					var err error
					maker, err = seal.Open(seal.Config{Store: s})
					must(t, err)
					defer maker.Close()
				}
				_, err := maker.Init(t.Context(), twoThree, seal.By{})
				must(t, err)
				time.Sleep(tt.within)
				synctest.Wait()
				says(t, "initialized", b, seal.ErrSealed, `waiting for people: 0 of 2 shares given for slot "people" (set 1)`)
			})
		})
	}
}

// TestAnInitIsNoticedByKeys: replicas that waited for a store for an hour are unsealed
// as soon as it is made, and not all at once.
func TestAnInitIsNoticedByKeys(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s, fake := seal.NewMemStore(), &kmstest.Fake{}
		cfg := seal.Config{Store: s, KMS: map[string]kms.Wrapper{"cloud": fake.Key("a")}, Spread: 20 * time.Second}
		b := running(t, cfg)
		time.Sleep(time.Hour)
		maker, err := seal.Open(cfg)
		must(t, err)
		defer maker.Close()
		_, err = maker.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{})
		must(t, err)
		synctest.Wait()
		if why := b.Sealed(); why != nil {
			says(t, "at once", b, seal.ErrStarting, "the record is there, and was not tried yet")
		}
		time.Sleep(cfg.Spread + time.Second)
		must(t, b.Sealed())
	})
}

// TestWhoLooksIsToldOfTheInit: the status of a store that had just been initialized
// said so, and beside it that it was not initialized.
func TestWhoLooksIsToldOfTheInit(t *testing.T) {
	for name, tt := range map[string]struct {
		slots map[string]seal.Spec
		is    error
		words string
	}{
		"people": {twoThree, seal.ErrSealed, "waiting for people"},
		"keys":   {map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.ErrStarting, "the record is there"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			cfg := seal.Config{Store: seal.NewMemStore(), KMS: map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("a")}}
			b, err := seal.Open(cfg)
			must(t, err)
			defer b.Close()
			if err := b.Unseal(ctx); !errors.Is(err, seal.ErrUninitialized) {
				t.Fatal(err)
			}
			maker, err := seal.Open(cfg)
			must(t, err)
			defer maker.Close()
			_, err = maker.Init(ctx, tt.slots, seal.By{})
			must(t, err)
			s, err := b.Admin().Inspect(ctx)
			if must(t, err); errors.Is(s.Reason, seal.ErrUninitialized) {
				t.Errorf("%d slots, and it says %v", len(s.Slots), s.Reason)
			}
			says(t, "looked", b, tt.is, tt.words)
		})
	}
}

// TestARestoredRecordIsNoticed: a damaged record was put right, and the replicas that
// wait for people went on for a minute to ask for a backup.
func TestARestoredRecordIsNoticed(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx, s := t.Context(), seal.NewMemStore()
		maker, err := seal.Open(seal.Config{Store: s})
		must(t, err)
		defer maker.Close()
		_, err = maker.Init(ctx, twoThree, seal.By{})
		must(t, err)
		good, rev, err := s.Load(ctx)
		must(t, err)
		rev, err = s.Swap(ctx, append(good, '\n'), rev)
		must(t, err)
		b := running(t, seal.Config{Store: s})
		time.Sleep(time.Hour)
		says(t, "damaged", b, seal.ErrCorrupt)
		_, err = s.Swap(ctx, good, rev)
		must(t, err)
		synctest.Wait()
		says(t, "put right", b, seal.ErrSealed, "waiting for people: 0 of 2")
	})
}

// A slow is a store that does not answer.
type slow struct{ seal.Store }

func (slow) Load(ctx context.Context) ([]byte, string, error) {
	<-ctx.Done()
	return nil, "", ctx.Err()
}

// TestTheFirstSecondsSayWhatIsWaitedFor: for 15 seconds after a start the reason was
// "keyring: sealed: unseal the server first", and then "context deadline exceeded".
func TestTheFirstSecondsSayWhatIsWaitedFor(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b, err := seal.Open(seal.Config{Store: slow{seal.NewMemStore()}})
		must(t, err)
		says(t, "opened", b, seal.ErrStarting, "nothing was tried yet: Run")
		says(t, "opened", b, seal.ErrSealed)
		must(t, b.Close())

		b = running(t, seal.Config{Store: slow{seal.NewMemStore()}, Spread: time.Nanosecond})
		time.Sleep(time.Second)
		says(t, "1 s", b, seal.ErrStarting, "the store is being asked for the record")
		time.Sleep(time.Second + time.Millisecond)
		says(t, "2 s", b, seal.ErrStoreUnavailable, "no answer for 2s so far")
		time.Sleep(13 * time.Second)
		synctest.Wait()
		says(t, "15 s", b, seal.ErrStoreUnavailable, "no answer within 15s (Config.StoreTimeout)")
		time.Sleep(8 * time.Second) // the next attempt hangs too
		says(t, "later", b, seal.ErrStoreUnavailable, "no answer within 15s")
	})
}

// TestTheSpreadIsTold: a replica that waits for its turn was told to be unsealed.
func TestTheSpreadIsTold(t *testing.T) {
	virtual(t, func(t *testing.T) {
		b := running(t, seal.Config{Store: seal.NewMemStore(), Spread: time.Hour})
		synctest.Wait()
		says(t, "at first", b, seal.ErrStarting, "the first attempt comes in", "(Config.Spread)")
	})
}

// TestAKMSThatIsAskedIsNamed before it has answered anything.
func TestAKMSThatIsAskedIsNamed(t *testing.T) {
	virtual(t, func(t *testing.T) {
		s, fake := seal.NewMemStore(), &kmstest.Fake{}
		cfg := seal.Config{Store: s, KMS: map[string]kms.Wrapper{"cloud": fake.Key("a")}, Spread: time.Nanosecond}
		maker, err := seal.Open(cfg)
		must(t, err)
		defer maker.Close()
		_, err = maker.Init(t.Context(), map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{})
		must(t, err)
		fake.Script(kmstest.Always(kmstest.Fault{Failure: kmstest.Hang}))
		b := running(t, cfg)
		time.Sleep(time.Second)
		says(t, "1 s", b, seal.ErrStarting, `the KMS of slot "auto" is being asked`)
		time.Sleep(2 * time.Second)
		says(t, "3 s", b, kms.ErrUnavailable, "no answer for 2s so far")
	})
}

// TestSharesToOneSealedByAnOperator: the first share took the word away that an
// operator had sealed it, and it asked no other replica, which nobody was told.
func TestSharesToOneSealedByAnOperator(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFleet(t)
		f.change = func(_ string, cfg *seal.Config) { cfg.PassShares = true }
		defer f.end()
		f.init()
		a, c := f.start("a"), f.start("c")
		f.unseal(a)
		f.within(time.Minute, "handed over", func(b *seal.Barrier) error { return b.Sealed() })
		must(t, c.Seal(seal.By{Actor: "ops"}))
		says(t, "sealed", c, seal.ErrSealedByOperator, "by an operator: it stays so")
		for _, s := range f.shares[:2] {
			_, err := c.Submit(ctx, s, seal.By{})
			must(t, err)
		}
		time.Sleep(10 * time.Minute)
		says(t, "two shares", c, seal.ErrSealedByOperator, "sealed, by an operator", "shares given here open it", "asks no other replica", `2 of 3 shares given for slot "people"`)
		says(t, "two shares", c, seal.ErrSealed)
		time.Sleep(24 * time.Hour)
		c.Status()
		says(t, "forgotten", c, seal.ErrSealedByOperator, "by an operator", "are forgotten: give them again")
		f.unseal(c) // with Submit they do
	})
}

// TestProgressNamesTheSet: in the middle of a rekey it said "0 of 2 shares given for
// slot "people", 1 of 2 shares given for slot "people"".
func TestProgressNamesTheSet(t *testing.T) {
	r := newRekeyed(t, verify)
	b := r.boot()
	must(t, r.give(b, r.new[:1]))
	says(t, "one new share", b, seal.ErrSealed,
		`waiting for people: 0 of 2 shares given for slot "people" (the old set 1), 1 of 2 shares given for slot "people" (the new set 2)`)
	must(t, r.give(b, r.new[1:2]))
	b = r.boot()
	must(t, r.give(b, r.new[:1]))
	says(t, "afterwards", b, seal.ErrSealed, `waiting for people: 1 of 2 shares given for slot "people" (set 2)`)
}

// TestNoKMSIsNamedWhereNoneIs: each failed unseal of a store without any KMS was told
// as one "by KMS".
func TestNoKMSIsNamedWhereNoneIs(t *testing.T) {
	virtual(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFleet(t)
		defer f.end()
		f.init()
		for name, tt := range map[string]struct {
			store  seal.Store
			peers  func(context.Context) ([]seal.Peer, error)
			detail string
		}{
			"the store is away": {store: slow{f.store}},
			"it is empty":       {store: seal.NewMemStore()},
			"others do not": {store: f.store, detail: "by other replicas", peers: func(context.Context) ([]seal.Peer, error) {
				return nil, errors.New("no such name")
			}},
		} {
			for _, run := range []bool{false, true} {
				var events eventList
				cfg := seal.Config{Store: tt.store, Peers: tt.peers, OnEvent: events.add}
				b, err := seal.Open(cfg)
				must(t, err)
				if run {
					short, cancel := context.WithTimeout(ctx, 20*time.Second)
					_ = b.Run(short)
					cancel()
				} else {
					_ = b.Unseal(ctx)
				}
				b.Close()
				synctest.Wait()
				list := events.of(seal.EventUnseal)
				if len(list) == 0 && tt.peers == nil {
					t.Errorf("%s: no event", name)
				}
				for _, e := range list {
					if e.Detail != tt.detail || e.KMS != "" || e.Err == nil {
						t.Errorf("%s: %q, by %q: %v", name, e.Detail, e.KMS, e.Err)
					}
				}
			}
		}
	})
}

// TestAShareOfALaterSet: a backup from before a rekey was put back, and the new shares
// were called those of another store. The record cannot know; it can say so.
func TestAShareOfALaterSet(t *testing.T) {
	ctx := t.Context()
	r := newRekeyed(t, verify)
	first, _, err := r.store.Load(ctx)
	must(t, err)
	must(t, r.give(r.boot(), r.new))
	b := r.boot()
	must(t, r.give(b, r.new[:2]))
	d, err := b.Admin().Rekey(ctx, "people", seal.Shamir{Shares: 3, Threshold: 2}, seal.By{})
	must(t, err)
	later := d.Sets[0].Shares[0]

	backup := seal.NewMemStore()
	_, err = backup.Swap(ctx, first, "")
	must(t, err)
	b, err = seal.Open(seal.Config{Store: backup})
	must(t, err)
	defer b.Close()
	_, submitted := b.Submit(ctx, later, seal.By{})
	_, checked := b.Admin().CheckShare(ctx, later, seal.By{})
	for name, err := range map[string]error{"submit": submitted, "check": checked} {
		var share *seal.ShareError
		if !errors.Is(err, seal.ErrShareOtherStore) || !errors.As(err, &share) || share.Want != 2 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range []string{"set 3 is later than all that the record knows, which are 2", "of another store", "or this record is older than the share", "a backup from before a rekey"} {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, without %q", name, err, w)
			}
		}
	}
}

// TestAShareOfAStoreThatHadNone: of people who were added after the backup.
func TestAShareOfAStoreThatHadNone(t *testing.T) {
	ctx := t.Context()
	s, keys := seal.NewMemStore(), map[string]kms.Wrapper{"cloud": (&kmstest.Fake{}).Key("a")}
	b, err := seal.Open(seal.Config{Store: s, KMS: keys})
	must(t, err)
	defer b.Close()
	_, err = b.Init(ctx, map[string]seal.Spec{"auto": seal.KMS{Wrapper: "cloud"}}, seal.By{})
	must(t, err)
	rec, _, err := s.Load(ctx)
	must(t, err)
	d, err := b.Admin().Add(ctx, "people", twoThree["people"], seal.By{})
	must(t, err)
	backup := seal.NewMemStore()
	_, err = backup.Swap(ctx, rec, "")
	must(t, err)
	old, err := seal.Open(seal.Config{Store: backup, KMS: keys})
	must(t, err)
	defer old.Close()
	if _, err := old.Submit(ctx, d.Sets[0].Shares[0], seal.By{}); !errors.Is(err, seal.ErrShareOtherStore) || !strings.Contains(err.Error(), "its record no older than the share") {
		t.Error(err)
	}
}

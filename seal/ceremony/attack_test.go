package ceremony_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/ceremony"
)

// A rekeyed site has a store with shares of set 1 in old, and those of set 2, which are
// made and not verified, with three holders who have keys; fresh are what they opened.
type rekeyed struct {
	*table
	old, fresh []string
}

// rekey makes new shares; without a verification where it is so that none can begin.
func rekey(t *testing.T, change ...func(*seal.Config, *ceremony.Config)) *rekeyed {
	t.Helper()
	r := &rekeyed{}
	keys := func(_ *seal.Config, c *ceremony.Config) {
		c.ParseRecipient = func(string) (seal.Recipient, string, error) {
			return recipient(func(share string) { r.fresh = append(r.fresh, share) }), "finger", nil
		}
	}
	s := newSite(t, append(change, keys)...)
	r.old = s.stored(3, 2)
	p := s.want(s.post("/ceremony/begin/rekey", "shares", "3", "threshold", "2", "token", "let-me"), 200)
	r.table = &table{s: s, leader: p.hidden(t, "code"), invitation: p.hidden(t, "invitation")}
	for _, name := range []string{"Dora", "Emil", "Fay"} {
		p := s.want(s.post("/ceremony/join/"+r.invitation, "name", name, "key", "a key"), 200)
		r.tickets = append(r.tickets, p.hidden(t, "code"))
	}
	s.want(r.lead("make"), 200)
	link := "/ceremony/operation/" + string(s.b.Status().Operation.ID)
	s.post(link, "share", r.old[0])
	s.want(s.post(link, "share", r.old[2]), 200, "the new shares are made")
	return r
}

// counting are the sets that open the store, by its record.
func (s *site) counting() (sets []uint32) {
	for _, slot := range s.b.Status().Slots {
		if slot.State == seal.SlotActive {
			sets = append(sets, slot.Sets...)
		}
	}
	return sets
}

// TestOldSharesGivenBack: where the verification is not in progress, a holder with a key
// who typed the share of the same number of the set before was taken for one who has the
// new one: the page said that the new shares count, and forgot them. Nobody could unseal
// with what they had written down.
func TestOldSharesGivenBack(t *testing.T) {
	away := false
	for name, c := range map[string]struct {
		store bool // the store is away when the verification is to begin
		then  func(*testing.T, *rekeyed)
	}{
		"in progress": {then: func(*testing.T, *rekeyed) {}},
		"cancelled": {then: func(t *testing.T, r *rekeyed) {
			if err := r.s.b.Admin().Cancel(t.Context(), seal.By{Operation: r.s.b.Status().Operation.ID}); err != nil {
				t.Fatal(err)
			}
		}},
		"sealed":         {then: func(_ *testing.T, r *rekeyed) { r.s.seal() }},
		"the store away": {store: true, then: func(*testing.T, *rekeyed) {}},
	} {
		t.Run(name, func(t *testing.T) {
			away = false
			r := rekey(t, func(sc *seal.Config, cc *ceremony.Config) {
				sc.Store = swapsNot{sc.Store, &away}
				on := cc.OnEvent
				cc.OnEvent = func(e seal.Event) {
					on(e)
					away = away || c.store && e.Detail == "the shares were made"
				}
			})
			away = false
			c.then(t, r)
			for i := range r.tickets {
				r.s.want(r.place(i, "back", "share", r.old[i]), 200, fmt.Sprintf("number %d of set 1, and your place has number %d of set 2", i+1, i+1))
				r.s.want(r.place(i, "back", "share", bare(t, r.old[i])), 200, "not the one of your place")
				r.s.want(r.place(i, "show"), 200, "locked away") // and not forgotten
			}
			for _, p := range []answer{r.lead("look"), r.place(0, "look")} {
				if strings.Contains(p.text(), "shares count.") || strings.Contains(p.text(), "has written it down") {
					t.Errorf("by the record set %v counts: %s", r.s.counting(), p.text())
				}
			}
			if r.s.b.Sealed() != nil {
				if c.then == nil || r.s.post("/ceremony/unseal", "share", r.old[0]).Code+r.s.post("/ceremony/unseal", "share", r.old[1]).Code != 400 || r.s.b.Sealed() != nil {
					t.Fatal("the old shares do not unseal")
				}
			}
			r.s.want(r.place(0, "back", "share", r.fresh[0]), 200, "Thank you. It is right, and the server has forgotten it")
			for _, p := range []answer{r.lead("look"), r.place(0, "look"), r.place(1, "look")} {
				if strings.Contains(p.text(), "shares count.") {
					t.Errorf("one of two was given back: %s", p.text())
				}
			}
			r.s.want(r.place(1, "back", "share", r.fresh[1]), 200, "the new shares count")
			r.s.want(r.lead("look"), 200, "The new shares count.")
			if got := r.s.counting(); !slices.Equal(got, []uint32{2}) {
				t.Fatalf("the page says that they count, the record has %v", got)
			}
			r.s.seal() // the old ones are destroyed by now
			r.s.post("/ceremony/unseal", "share", r.fresh[1])
			r.s.want(r.s.post("/ceremony/unseal", "share", r.fresh[2]), 200, "the server is unsealed")
		})
	}
}

// swapsNot is a store that can be read, and not changed while it is away.
type swapsNot struct {
	seal.Store
	away *bool
}

func (s swapsNot) Swap(ctx context.Context, record []byte, old string) (string, error) {
	if *s.away {
		return "", errors.New("away")
	}
	return s.Store.Swap(ctx, record, old)
}

// TestStoreAwayAfterInit: where nobody could say which slot was made, its set does.
func TestStoreAwayAfterInit(t *testing.T) {
	away := false
	s := newSite(t, func(sc *seal.Config, c *ceremony.Config) {
		sc.Store = loadsNot{sc.Store, &away}
		on := c.OnEvent
		c.OnEvent = func(e seal.Event) {
			on(e)
			away = away || e.Detail == "the shares were made"
		}
	})
	tb := s.begins("init", "2", "Ada", "Ben")
	s.want(tb.lead("make"), 200, "The shares are made")
	away = false
	tb.show()
	s.want(tb.place(0, "back", "share", tb.shares[0]), 200, "Thank you")
	s.want(tb.place(0, "back", "share", bare(t, tb.shares[0])), 200, "not the one of your place")
	s.want(tb.place(1, "back", "share", tb.shares[1]), 200, "the new shares count")
	replaced(t, s.b)
	if p := tb.lead("look"); strings.Contains(p.text(), "The new shares count.") {
		t.Errorf("set %v counts: %s", s.counting(), p.text())
	}
}

// loadsNot is a store that can't be read while it is away.
type loadsNot struct {
	seal.Store
	away *bool
}

func (s loadsNot) Load(ctx context.Context) ([]byte, string, error) {
	if *s.away {
		return nil, "", errors.New("away")
	}
	return s.Store.Load(ctx)
}

// TestAnotherSetOfThatNumber: after a restore the numbers of sets that only the lost record
// had come again. A set that was made elsewhere then is not the ceremony's.
func TestAnotherSetOfThatNumber(t *testing.T) {
	var store seal.Store
	var record []byte
	var generation uint64
	r := rekey(t, func(sc *seal.Config, c *ceremony.Config) {
		store = sc.Store
		on := c.OnEvent
		c.OnEvent = func(e seal.Event) {
			if on(e); record == nil { // before anything of the ceremony is stored
				record, _, _ = store.Load(t.Context())
				generation = e.Generation
			}
		}
	})
	b, ctx := r.s.b, t.Context()
	_, at, err := store.Load(ctx)
	if err == nil {
		_, err = store.Swap(ctx, record, at)
	}
	if err == nil {
		err = b.Admin().Restore(ctx, generation, seal.By{})
	}
	if err != nil {
		t.Fatal(err)
	}
	d, err := b.Admin().Rekey(ctx, "shamir", seal.Shamir{Shares: 3, Threshold: 2}, seal.By{})
	if err != nil || d.Sets[0].Set != 2 {
		t.Fatalf("%v, %v: no set of that number", d.Sets, err)
	}
	share := d.Sets[0].Shares[0].Reveal()
	r.s.want(r.place(0, "back", "share", share), 200, "not the one of your place")
	op, _, err := b.Admin().Prove(ctx, "shamir", seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	for _, share := range d.Sets[0].Shares[:2] {
		if _, err := b.Submit(ctx, share, seal.By{Operation: op}); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.s.counting(); !slices.Equal(got, []uint32{2}) {
		t.Fatalf("set %v counts", got)
	}
	if p := r.lead("look"); strings.Contains(p.text(), "The new shares count.") {
		t.Error(p.text())
	}
	r.s.want(r.place(0, "back", "share", share), 200, "not the one of your place")
}

// TestGivenBackToWhatWasLost: shares that were given back to a verification that ended
// stay in nobody's memory. The page went on counting them, and took none again.
func TestGivenBackToWhatWasLost(t *testing.T) {
	r := rekey(t)
	r.s.want(r.place(0, "back", "share", r.fresh[0]), 200, "Thank you")
	if err := r.s.b.Admin().Cancel(t.Context(), seal.By{Operation: r.s.b.Status().Operation.ID}); err != nil {
		t.Fatal(err)
	}
	r.s.want(r.place(1, "back", "share", r.fresh[1]), 200, "Thank you")
	if got := r.s.counting(); !slices.Equal(got, []uint32{1}) {
		t.Fatalf("set %v counts: what was lost here?", got)
	}
	r.s.want(r.lead("look"), 200, "the new shares do not count yet")
	p := r.s.want(r.place(0, "look"), 200, "the new shares do not count yet", "Give it once more")
	if !strings.Contains(p.body, "<textarea") {
		t.Fatal("no field to give it")
	}
	r.s.want(r.place(0, "back", "share", r.fresh[2]), 200, "not the one of your place")
	r.s.want(r.place(0, "back", "share", r.old[0]), 200, "number 1 of set 1")
	r.s.want(r.place(0, "back", "share", r.fresh[0]), 200, "the new shares count")
	r.s.want(r.place(0, "back", "share", r.fresh[0]), 200, "given it back already")
	if got := r.s.counting(); !slices.Equal(got, []uint32{2}) {
		t.Errorf("set %v counts", got)
	}
}

// TestEndedWithWords: what is said of a ceremony that is ended is what the record has.
// One whose shares were verified by the link said that the old ones are valid.
func TestEndedWithWords(t *testing.T) {
	r := rekey(t)
	verify := "/ceremony/operation/" + string(r.s.b.Status().Operation.ID)
	r.s.post(verify, "share", r.fresh[0])
	r.s.want(r.s.post(verify, "share", r.fresh[1]), 200, "it is done")
	r.s.want(r.lead("look"), 200, "The new shares count.", "stay valid")
	if p := r.s.want(r.lead("cancel"), 200, "was ended. The new shares count."); strings.Contains(p.text(), "old shares are valid") {
		t.Error(p.text())
	}
	r = rekey(t)
	r.s.seal() // a share that waits for its verification can't be dropped now
	r.s.want(r.lead("cancel"), 503, "unseal it first")
	r.s.want(r.place(0, "show"), 200, "locked away")
	r.s.post("/ceremony/unseal", "share", r.old[0])
	r.s.post("/ceremony/unseal", "share", r.old[1])
	r.s.want(r.lead("cancel"), 200, "was ended. The old shares are valid.")
	s := newSite(t)
	tb := s.begins("init", "2", "Ada", "Ben")
	tb.lead("make")
	tb.show()
	s.want(tb.lead("cancel"), 200, "was ended. Shares that were written down still open the store")
	s.post("/ceremony/unseal", "share", tb.shares[0])
	s.want(s.post("/ceremony/unseal", "share", tb.shares[1]), 200, "the server is unsealed")
}

// TestEndedDropsItsOwn: to end a ceremony drops the shares that it made, and not those
// that were made elsewhere meanwhile under the same name.
func TestEndedDropsItsOwn(t *testing.T) {
	r := rekey(t)
	b := r.s.b
	if err := b.Admin().Cancel(t.Context(), seal.By{Operation: b.Status().Operation.ID}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Admin().Drop(t.Context(), []string{"shamir"}, seal.By{}, seal.SlotPending); err != nil {
		t.Fatal(err)
	}
	op, _, err := b.Admin().Prove(t.Context(), "shamir", seal.By{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range r.old[:2] {
		share, err := seal.ParseShare(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Submit(t.Context(), share, seal.By{Operation: op}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Admin().Rekey(t.Context(), "shamir", seal.Shamir{Shares: 2, Threshold: 2}, seal.By{}); err != nil {
		t.Fatal(err)
	}
	r.s.want(r.place(0, "back", "share", r.fresh[0]), 200, "given up before they counted")
	r.s.want(r.lead("cancel"), 200, "was ended")
	if n := len(b.Status().Slots); n != 2 {
		t.Errorf("%d slots: that of others was dropped", n)
	}
}

// TestUnverifiedIsSaid: a right share of a set that opens nothing yet is called so, and
// not one for something that is over.
func TestUnverifiedIsSaid(t *testing.T) {
	r := rekey(t)
	for _, path := range []string{"check", "unseal"} {
		r.s.want(r.s.post("/ceremony/"+path, "share", r.fresh[0]), 200, "has not been verified yet")
	}
}

// TestSharesMadeTooLate: a ceremony whose time came while its shares were made has none
// to give: they are nobody's, nothing verifies them, and who gave the last share hears it.
func TestSharesMadeTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(_ *seal.Config, c *ceremony.Config) {
			c.Keep = 10 * time.Second
			c.ParseRecipient = func(string) (seal.Recipient, string, error) {
				return recipient(func(string) { time.Sleep(20 * time.Second) }), "slow", nil
			}
		})
		old := s.stored(1, 1)
		p := s.want(s.post("/ceremony/begin/rekey", "shares", "1", "threshold", "1", "token", "let-me"), 200)
		tb := &table{s: s, leader: p.hidden(t, "code"), invitation: p.hidden(t, "invitation")}
		tb.tickets = []string{s.want(s.post("/ceremony/join/"+tb.invitation, "name", "Dora", "key", "a key"), 200).hidden(t, "code")}
		s.want(tb.lead("make"), 200)
		link := "/ceremony/operation/" + string(s.b.Status().Operation.ID)
		s.want(s.post(link, "share", old[0]), 200, "no new shares could be made", "The old ones are valid")
		s.want(tb.place(0, "show"), 404)
		if op := s.b.Status().Operation; op != nil {
			t.Errorf("%s is in progress, for shares that nobody has", op.ID)
		}
		s.begins("rekey", "1", "Emil")
	})
}

// TestEventsReadToTheEnd: a week of events is shown, and what is older is not read to its
// end, nor for who has gone.
func TestEventsReadToTheEnd(t *testing.T) {
	read, old := 0, 365*24*time.Hour
	ctx, gone := context.WithCancel(t.Context())
	s := newSite(t, func(_ *seal.Config, c *ceremony.Config) {
		c.Events = func() iter.Seq[seal.Event] {
			return func(yield func(seal.Event) bool) {
				for range 1_000_000 {
					if read++; read == 50 && old == 0 {
						gone()
					}
					if !yield(seal.Event{Time: time.Now().Add(-old)}) {
						return
					}
				}
			}
		}
	})
	s.want(s.post("/ceremony/events", "token", "let-me"), 200, "There are more")
	if read > 1100 {
		t.Errorf("%d old events were read to show none", read)
	}
	read, old = 0, 0
	s.do(request("POST", "/ceremony/events", url.Values{"token": {"let-me"}}, func(r *http.Request) { *r = *r.WithContext(ctx) }))
	if read > 51 {
		t.Errorf("%d were read for who has gone", read)
	}
}

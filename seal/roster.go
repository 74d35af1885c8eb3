package seal

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sealwright/sealwright/internal/bounded"
	"github.com/sealwright/sealwright/internal/ledger"
	"github.com/sealwright/sealwright/internal/record"
	"github.com/sealwright/sealwright/internal/roster"
)

// What this process knows of the others by the roster; roster_rules.go has what
// follows from it. All that it ever does is to refuse, or to wait: what is decided
// without it has to hold all the same, so that a roster that is lost, forged, put
// back or away takes nothing away.

// A rosterState is the roster, as far as this process has read and written it.
type rosterState struct {
	gate bounded.Gate // to its store

	view    roster.View // guarded by Barrier.mu, as is what follows
	run     []byte      // of this process
	before  [][]byte    // the runs that it was
	after   []byte      // the run before
	beat    uint64
	told    roster.Entry // the entry last written
	toldAt  time.Time    // when; zero: never
	trouble error        // what came of the last attempt
	twice   time.Time    // when an entry of another process was last in the place of this one's
}

// rosterAttempts is how often an entry is written again when others write theirs;
// the next look goes on.
const rosterAttempts = 4

func newRosterState() rosterState {
	return rosterState{gate: bounded.NewGate(), run: newRun()}
}

func newRun() []byte {
	run := make([]byte, 16)
	rand.Read(run)
	return run
}

// MemberStatus is another replica, as the roster has it.
type MemberStatus struct {
	Replica    string
	Generation uint64    // of the record that it holds
	Term       uint32    // that it encrypts under
	Newest     uint32    // the newest that it can read
	Behind     time.Time // since when it cannot take in the stored record, by its clock; zero: it can
	Alone      bool      // it can follow a new root key with nobody present
	Heard      time.Time // when this process last heard of it
	Gone       bool      // it was not heard of for [Config.MemberTTL], and holds nothing up
}

// beatEvery is how often a replica gives a sign of life, and how long a silence
// between two looks may count.
func (b *Barrier) beatEvery() time.Duration { return max(b.cfg.MemberTTL/10, b.cfg.Poll) }

// rosterWanted reports whether the roster is to be looked at now: there is something
// to tell, or it is waited for somebody, or it is time for a sign of life.
func (b *Barrier) rosterWanted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		return false
	}
	under, _ := b.roster.view.Under(b.activeTerm - 1)
	return len(b.observed) > 0 || len(under) > 0 || b.entryDue(b.entry(&b.open().State))
}

// entry is what this process says of itself now; b.mu is held.
func (b *Barrier) entry(s *record.State) roster.Entry {
	e := roster.Entry{
		Replica: b.cfg.Replica, Run: b.roster.run, After: b.roster.after, Beat: b.roster.beat + 1, Generation: s.Generation,
		Term: s.ActiveTerm().Number, Newest: s.Terms[len(s.Terms)-1].Number, At: now(), Alone: b.followsAlone(&s.Record) == "",
	}
	e.Twice = len(b.roster.view.Live(func(m *roster.Member) bool { return m.Replica == e.Replica })) > 0
	if b.behind.why != nil {
		e.Behind = max(1, b.behind.since.Unix())
	}
	return e
}

// entryDue reports whether an entry says something that others wait for, or is a
// sign of life that is due; b.mu is held.
func (b *Barrier) entryDue(e roster.Entry) bool {
	t := b.roster.told
	return b.roster.toldAt.IsZero() || time.Since(b.roster.toldAt) >= b.beatEvery() ||
		e.Term != t.Term || e.Newest != t.Newest || (e.Behind == 0) != (t.Behind == 0) || e.Alone != t.Alone || e.Twice != t.Twice
}

// report reads the roster, and writes this process's entry into it where that is
// due.
func (b *Barrier) report(ctx context.Context) {
	err := ErrConflict
	for i := 0; i < rosterAttempts && errors.Is(err, ErrConflict); i++ {
		err = b.inRoster(ctx, true)
	}
	if errors.Is(err, ErrSealed) || ctx.Err() != nil {
		return
	}
	if errors.Is(err, ErrConflict) {
		err = nil // the others were faster; the next look goes on
	}
	b.toldOfRoster(err)
}

// lookAtRoster reads the roster for a change that it may refuse. Where it cannot be
// read, what is remembered of it counts.
func (b *Barrier) lookAtRoster(ctx context.Context) {
	if b.cfg.Roster == nil {
		return
	}
	if err := b.inRoster(ctx, false); !errors.Is(err, ErrSealed) && !errors.Is(err, ErrClosed) && ctx.Err() == nil {
		b.toldOfRoster(err)
	}
}

// toldOfRoster tells of what came of a look, once.
func (b *Barrier) toldOfRoster(err error) {
	b.mu.Lock()
	news := (err == nil) != (b.roster.trouble == nil)
	b.roster.trouble = err
	b.mu.Unlock()
	if !news {
		return
	}
	detail := "the roster is read and written again"
	if err != nil {
		detail = "the roster cannot be read, or not written: what another replica may not have seen is decided by time alone"
	}
	b.emit(EventRoster, By{}, "", detail, err)
}

// inRoster reads the roster, takes in what it says, and with write adds what this
// process has to say. It holds no lock meanwhile, and ends within the time of a
// call of the store.
func (b *Barrier) inRoster(ctx context.Context, write bool) error {
	defer clean()()
	o, err := b.current()
	if err != nil {
		return err
	}
	defer o.Wipe()
	ctx, cancel := context.WithTimeout(ctx, b.cfg.StoreTimeout)
	defer cancel()
	r, rev, err := b.readRoster(ctx, o.State.Store)
	if err != nil {
		return err
	}
	keys := dataKeys(o)
	e, gone, due := b.takeRoster(r, keys, o)
	if !write || !due {
		return nil
	}
	text, err := r.With(e, keys, gone, rosterLimit(b.cfg.Roster))
	if err != nil {
		return err
	}
	if err := b.swapRoster(ctx, text, rev); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.roster.told, b.roster.toldAt = e, time.Now()
	return nil
}

// rosterDocument is the roster as its store holds it.
type rosterDocument struct {
	text []byte
	rev  string
}

// readRoster reads the roster of a store: an empty one where there is none yet.
func (b *Barrier) readRoster(ctx context.Context, store string) (*roster.Roster, string, error) {
	d, err := bounded.Through(ctx, b.roster.gate, func(ctx context.Context) (d rosterDocument, err error) {
		d.text, d.rev, err = b.cfg.Roster.Load(ctx)
		return d, err
	})
	if errors.Is(err, ErrNotFound) {
		return roster.New(store), "", nil
	}
	if err != nil {
		return nil, "", err
	}
	r, err := roster.Parse(store, d.text)
	if place := placeOf(b.cfg.Roster); err != nil && place != "" {
		err = fmt.Errorf("%s: %w", place, err)
	}
	return r, d.rev, err
}

// swapRoster writes the roster.
func (b *Barrier) swapRoster(ctx context.Context, text []byte, rev string) error {
	_, err := bounded.Through(ctx, b.roster.gate, func(ctx context.Context) (string, error) {
		return b.cfg.Roster.Swap(ctx, text, rev)
	})
	return err
}

// takeRoster takes in what a roster says. It returns this process's own entry,
// whether that is due, and who is gone.
func (b *Barrier) takeRoster(r *roster.Roster, keys roster.Keys, o *ledger.Opened) (e roster.Entry, gone []string, due bool) {
	entries, strangers := r.Entries(keys)
	mine := r.Entry(b.cfg.Replica)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		return e, nil, false // it has left
	}
	if mine != nil && !b.roster.toldAt.IsZero() && !bytes.Equal(mine.Run, b.roster.run) {
		b.roster.twice = time.Now()
	}
	b.comeAfter(mine)
	b.roster.view.Take(entries, strangers, b.entry(&o.State), b.roster.before, time.Now(), b.beatEvery(), b.cfg.MemberTTL)
	e = b.entry(&o.State)
	due = b.entryDue(e) || mine == nil || mine.Beat != b.roster.beat || !bytes.Equal(mine.Run, b.roster.run) // it was put back, or lost
	if due {
		b.roster.beat++ // also for an attempt whose outcome is unknown
	}
	return e, b.roster.view.Gone(), due
}

// dataKeys returns the data keys of an opened record, for as long as that is not
// wiped.
func dataKeys(o *ledger.Opened) roster.Keys {
	return func(number uint32) []byte {
		for i := range o.State.Terms {
			if t := &o.State.Terms[i]; t.Number == number {
				return t.Key[:]
			}
		}
		return nil
	}
}

// rosterLimit is what the store of a roster takes; 0 for one that takes all.
func rosterLimit(s Store) int {
	if l, ok := s.(Limited); ok {
		return l.MaxRecord()
	}
	return 0
}

// members is what Status shows of the other replicas; b.mu is held.
func (b *Barrier) members() []MemberStatus {
	if b.cfg.Roster == nil {
		return nil
	}
	out := []MemberStatus{}
	for _, m := range b.roster.view.Members() {
		s := MemberStatus{
			Replica: m.Replica, Generation: m.Generation, Term: m.Term, Newest: m.Newest, Alone: m.Alone, Heard: m.Heard, Gone: m.Gone,
		}
		if m.Behind != 0 {
			s.Behind = time.Unix(m.Behind, 0).UTC()
		}
		out = append(out, s)
	}
	return out
}

// rosterTrouble is what Status says of the roster itself, and of whom it has;
// b.mu is held.
func (b *Barrier) rosterTrouble(s *record.State) (out []string) {
	if b.cfg.Roster == nil {
		return nil
	}
	if err := b.roster.trouble; err != nil {
		out = append(out, fmt.Sprintf("the roster cannot be read, or not written: what another replica may not have seen is decided by time alone: %v", err))
	}
	if t := b.roster.twice; !t.IsZero() && time.Since(t) < b.cfg.MemberTTL {
		out = append(out, fmt.Sprintf("another process reports as replica %q to the roster: each has its own Config.Replica", b.cfg.Replica))
	}
	if names := b.roster.view.Strangers(time.Now().Add(-b.cfg.Propagation)); len(names) > 0 && b.behind.why == nil {
		out = append(out, fmt.Sprintf("the roster has %d entries that nobody vouches for who has a data key of this store, as of replica %q: who can write to it?", len(names), names[0]))
	}
	return append(out, b.waitedFor(s)...)
}

// named lists replicas, in what is refused for them.
func named(members []roster.Member) string {
	const most = 5
	var parts []string
	for _, m := range members[:min(len(members), most)] {
		text := fmt.Sprintf("replica %q, which holds generation %d", m.Replica, m.Generation)
		if m.Twice {
			text = fmt.Sprintf("replica %q, in whose name two processes report: give each its own Config.Replica", m.Replica)
		}
		if m.Behind != 0 {
			text += fmt.Sprintf(" and cannot follow since %s", stamp(m.Behind))
		}
		parts = append(parts, text)
	}
	if more := len(members) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, ", ")
}

package report

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// A trail is what the events tell, of each thing the last.
type trail struct {
	Trail
	proofs  map[string]map[Evidence]Proof // by the slot's name
	pending map[string]time.Time          // when the slot of that name that waits was made
	right   map[shareID]confirmed
	wrong   map[attemptID]Attempt
	sets    map[uint32]bool // that the store is at
}

// A shareID is a share. Sets are never used twice in a store, unless an older record
// is restored.
type shareID struct {
	set    uint32
	number int
}

type confirmed struct {
	at                     time.Time
	slot, custodian, actor string
}

type attemptID struct {
	verdict seal.Verdict
	share   shareID
}

// maxAttempts is about how many wrong shares are told apart: anybody can bring as many
// as they like.
const maxAttempts = 1000

// What a journal says of itself between the events: that some are not there.
const (
	journalLost    seal.EventKind = "journal-lost"
	journalMissing seal.EventKind = "journal-missing"
)

// read reads the events once, and returns what they tell up to each of the times of a
// store with these slots.
func read(slots []seal.SlotStatus, events iter.Seq2[seal.Event, error], until ...time.Time) (out []*trail) {
	sets := map[uint32]bool{}
	for _, s := range slots {
		for _, leaf := range s.Leaves {
			sets[leaf.Set] = true
		}
	}
	for range until {
		out = append(out, &trail{
			proofs: map[string]map[Evidence]Proof{}, pending: map[string]time.Time{}, right: map[shareID]confirmed{}, wrong: map[attemptID]Attempt{},
			sets: sets,
		})
	}
	if events == nil {
		return out
	}
	for e, err := range events {
		for i, t := range out {
			switch {
			case err != nil && t.Error == "":
				t.Error = line(err.Error())
			case err == nil && !second(e.Time).After(until[i]):
				t.add(e)
			}
		}
	}
	return out
}

// begin forgets what was before a time: what it was about is not there any more.
func (t *trail) begin(at time.Time) {
	for _, of := range t.proofs {
		maps.DeleteFunc(of, func(_ Evidence, p Proof) bool { return !p.At.After(at) })
	}
	maps.DeleteFunc(t.pending, func(_ string, since time.Time) bool { return !since.After(at) })
	maps.DeleteFunc(t.right, func(_ shareID, c confirmed) bool { return !c.at.After(at) })
}

func (t *trail) add(e seal.Event) {
	at := second(e.Time)
	t.Events++
	if t.First.IsZero() || at.Before(t.First) {
		t.First = at
	}
	if at.After(t.Last) {
		t.Last = at
	}
	if e.Kind == seal.EventShare {
		t.share(e, at)
		return
	}
	if e.Err != nil {
		return
	}
	switch e.Kind {
	case journalLost, journalMissing:
		t.Gaps++
	case seal.EventInit, seal.EventRestore: // from an older record on, sets and slots are numbered and named anew
		t.begin(at)
	case seal.EventAdd:
		t.pending[e.Slot] = at
	case seal.EventReissue:
		delete(t.proofs, e.Slot) // of what it was made in place of
		t.pending[e.Slot] = at
	case seal.EventDrop:
		for _, name := range strings.Fields(e.Slot) {
			if _, waits := t.pending[name]; !waits { // of two of one name, the one that waits goes
				delete(t.proofs, name)
			}
			delete(t.pending, name)
		}
	case seal.EventReplace:
		delete(t.proofs, e.Slot)
		delete(t.pending, e.Slot)
		t.proof(ByRekey, e, at)
	case seal.EventProve:
		delete(t.pending, e.Slot)
		t.proof(ByProof, e, at)
	case seal.EventUnseal:
		t.proof(ByUnseal, e, at)
	case seal.EventDrill:
		t.proof(ByDrill, e, at)
	case seal.EventRenew:
		t.proof(ByRenew, e, at)
	}
}

func (t *trail) proof(by Evidence, e seal.Event, at time.Time) {
	if e.Slot == "" {
		return
	}
	if t.proofs[e.Slot] == nil {
		t.proofs[e.Slot] = map[Evidence]Proof{}
	}
	if old, ok := t.proofs[e.Slot][by]; !ok || !at.Before(old.At) {
		t.proofs[e.Slot][by] = Proof{By: by, At: at, Actor: line(e.Actor), Replica: line(e.Replica)}
	}
}

// share takes in that one was given or checked. That it was refused for another
// reason than what it is says nothing of it.
func (t *trail) share(e seal.Event, at time.Time) {
	id := shareID{e.Set, e.Number}
	switch e.Verdict {
	case "":
	case seal.ShareRight:
		if !at.Before(t.right[id].at) {
			t.right[id] = confirmed{at, e.Slot, line(e.Custodian), line(e.Actor)}
		}
	case seal.ShareForeign, seal.ShareMalformed: // its numbers are not of this store
		t.attempt(attemptID{verdict: e.Verdict}, e, at)
	default:
		t.attempt(attemptID{e.Verdict, id}, e, at)
	}
}

func (t *trail) attempt(id attemptID, e seal.Event, at time.Time) {
	old, met := t.wrong[id]
	if met && at.Before(old.At) {
		return
	}
	if !met && len(t.wrong) >= 2*maxAttempts {
		t.thin()
	}
	t.wrong[id] = Attempt{
		At: at, Verdict: seal.Verdict(line(string(e.Verdict))), Set: id.share.set, Number: id.share.number,
		Slot: line(e.Slot), Name: line(e.Custodian), Actor: line(e.Actor),
	}
}

// thin forgets the older half of the stale shares that were never right: anybody can
// write any number on one. The altered ones are no more than the shares there are.
func (t *trail) thin() {
	var ids []attemptID
	for id := range t.wrong {
		if _, ok := t.right[id.share]; !ok && id.verdict != seal.ShareAltered {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b attemptID) int {
		return cmp.Or(t.wrong[a].At.Compare(t.wrong[b].At), cmp.Compare(a.share.set, b.share.set), cmp.Compare(a.share.number, b.share.number))
	})
	for _, id := range ids[:len(ids)/2] {
		delete(t.wrong, id)
	}
}

// attempts lists those since a time, newest first.
func (t *trail) attempts(since time.Time) []Attempt {
	out := []Attempt{}
	for id, a := range t.wrong {
		if a.At.Before(since) {
			continue
		}
		// A stale share's set is gone; who held it, those tell who showed it before.
		if c, ok := t.right[id.share]; ok && !t.sets[id.share.set] && a.Name == "" && a.Verdict == seal.ShareStale {
			a.Name, a.Slot = c.custodian, line(c.slot)
		}
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Attempt) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Set, b.Set), cmp.Compare(a.Number, b.Number))
	})
	return out
}

// few returns the first of a list, and how many more there are.
func few(list []Attempt) ([]Attempt, int) {
	const most = 50
	n := min(len(list), most)
	return list[:n], len(list) - n
}

// slot is what is known of a slot; whoever last confirmed before since is missing.
func (t *trail) slot(s *seal.SlotStatus, since time.Time) Slot {
	out := Slot{
		Name: line(s.Name), Shape: line(s.Spec.String()), State: line(string(s.State)), Opens: s.State != seal.SlotPending, Fingerprint: line(s.Fingerprint),
		Evidence: t.evidence(s), Sets: t.held(s, since),
	}
	if len(out.Evidence) > 0 {
		out.Proven = &out.Evidence[0]
	}
	return out
}

// evidence is the last of each kind that the slot opens the store, newest first.
func (t *trail) evidence(s *seal.SlotStatus) []Proof {
	of := map[Evidence]Proof{}
	if s.State != seal.SlotPending { // events of that name are of the one that it is to replace
		for by, p := range t.proofs[s.Name] {
			of[by] = p
		}
	}
	if !s.Proven.IsZero() {
		of[ByRecord] = Proof{By: ByRecord, At: second(s.Proven)}
	}
	if at := second(s.Drilled); s.DrillError == nil && at.After(of[ByDrill].At) {
		of[ByDrill] = Proof{By: ByDrill, At: at}
	}
	if at := t.quorum(s); !at.IsZero() {
		of[ByShares] = Proof{By: ByShares, At: at}
	}
	out := []Proof{}
	for _, p := range of {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b Proof) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.By, b.By)) })
	return out
}

// held lists the shares of a slot with who holds them.
func (t *trail) held(s *seal.SlotStatus, since time.Time) []Set {
	out, attempts := []Set{}, t.attempts(time.Time{})
	for _, leaf := range s.Leaves {
		if leaf.Set == 0 {
			continue
		}
		set := Set{Path: line(leaf.Path), Set: leaf.Set, Threshold: leaf.Threshold, Shares: leaf.Shares, Custodians: []Custodian{}}
		for n := 1; n <= leaf.Shares; n++ {
			c := Custodian{Number: n}
			if n <= len(leaf.Custodians) {
				c.Name = line(leaf.Custodians[n-1])
			}
			if ok, met := t.right[shareID{leaf.Set, n}]; met {
				c.Confirmed, c.Actor = ok.at, ok.actor
			}
			c.Missing = c.Confirmed.IsZero() || c.Confirmed.Before(since)
			c.Wrong = wrongOf(attempts, leaf.Set, &c)
			if !c.Missing {
				set.Confirmed++
			}
			set.Custodians = append(set.Custodians, c)
		}
		out = append(out, set)
	}
	return out
}

// wrongOf is the last that was brought in place of a custodian's share since it was
// confirmed: another under its name, or one that they held before.
func wrongOf(attempts []Attempt, set uint32, c *Custodian) *Attempt {
	for _, a := range attempts { // newest first
		same := a.Verdict == seal.ShareAltered && a.Set == set && a.Number == c.Number
		before := a.Verdict == seal.ShareStale && a.Name != "" && a.Name == c.Name
		if (same || before) && a.At.After(c.Confirmed) {
			return &a
		}
	}
	return nil
}

// quorum is since when so many shares of the slot have been seen to be right as open
// it, each seen last; zero if they have not, or if it takes a key beside them, of
// which shares say nothing.
func (t *trail) quorum(s *seal.SlotStatus) time.Time {
	leaves := s.Leaves
	var at func(seal.Spec) time.Time
	at = func(spec seal.Spec) time.Time {
		if tree, ok := spec.(seal.Threshold); ok {
			var times []time.Time
			for _, child := range tree.Of {
				times = append(times, at(child))
			}
			return nth(times, tree.K)
		}
		if len(leaves) == 0 {
			return time.Time{}
		}
		leaf := leaves[0]
		leaves = leaves[1:]
		var times []time.Time
		for n := 1; n <= leaf.Shares; n++ {
			times = append(times, t.right[shareID{leaf.Set, n}].at)
		}
		return nth(times, leaf.Threshold)
	}
	return at(s.Spec)
}

// nth is the nth newest; zero if there are fewer.
func nth(times []time.Time, n int) time.Time {
	if n < 1 || n > len(times) {
		return time.Time{}
	}
	slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
	return times[n-1]
}

package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// Kind is what an [Item] is about. The list grows.
type Kind string

// What is overdue.
const (
	Failing    Kind = "failing"   // a slot does not open the store now
	NoPin      Kind = "pin"       // a slot that a process which starts would not believe
	OnlySlot   Kind = "single"    // nothing else opens the store
	Unproven   Kind = "unproven"  // a slot that was never shown to open the store
	OldProof   Kind = "proof"     // a slot that was not for too long
	WrongShare Kind = "share"     // a share that was wrong, with the name of a custodian who has not confirmed since
	Thin       Kind = "quorum"    // fewer custodians have confirmed than it takes to open the slot
	NotHeard   Kind = "custodian" // one who has not confirmed for too long, or never
	Unnamed    Kind = "unnamed"   // shares of which nobody knows who holds them
	Drilling   Kind = "campaign"  // a custody drill that waits for somebody, or is over without them
	LeftBehind Kind = "pending"   // a slot that waits to be proven
	Unended    Kind = "operation" // one that is in progress for too long
	OldTerm    Kind = "term"      // a data key to be rotated
	Untold     Kind = "events"    // the events could not be read, or reach back less than the limits
	Warned     Kind = "warning"   // what the server says of itself
)

// What may be destroyed.
const (
	StaleShares Kind = "stale-shares"
	UnusedTerm  Kind = "unused-term"
	OldVersions Kind = "old-versions"
)

var order = []Kind{Failing, NoPin, OnlySlot, Unproven, WrongShare, Thin, OldProof, Drilling, NotHeard, Unnamed, LeftBehind, Unended, OldTerm, Untold, Warned}

// overdue lists what is, the worst first.
func overdue(r *Report, in *Input, t *trail) []Item {
	d := due{Report: r, in: in, trail: t}
	for i := range r.Slots {
		d.slot(&in.Status.Slots[i], &r.Slots[i])
	}
	if opens := slices.IndexFunc(r.Slots, func(s Slot) bool { return s.Opens }); opens >= 0 &&
		!slices.ContainsFunc(r.Slots[opens+1:], func(s Slot) bool { return s.Opens }) {
		d.add(Item{Kind: OnlySlot, Slot: r.Slots[opens].Name}, "it alone opens the store: whoever loses it loses everything", "add another slot, and prove it")
		d.said = append(d.said, "a single slot opens the store")
	}
	for i := range r.Drills {
		d.drill(&r.Drills[i])
	}
	d.operation()
	d.terms()
	d.events()
	for _, w := range in.Status.Warnings {
		if !slices.ContainsFunc(d.said, func(said string) bool { return strings.HasPrefix(w, said) }) {
			d.add(Item{Kind: Warned}, line(w), "do what it says")
		}
	}
	slices.SortStableFunc(d.items, func(a, b Item) int { return slices.Index(order, a.Kind) - slices.Index(order, b.Kind) })
	return d.items
}

type due struct {
	*Report
	in    *Input
	trail *trail
	items []Item
	said  []string // how warnings begin that say the same
}

func (d *due) add(i Item, what, do string) {
	i.What, i.Do = what, do
	d.items = append(d.items, i)
}

func (d *due) old(at time.Time, limit time.Duration) bool {
	return limit >= 0 && at.Before(d.At.Add(-limit))
}

func (d *due) slot(s *seal.SlotStatus, r *Slot) {
	if !r.Opens {
		d.pending(s, r)
		return
	}
	of := Item{Slot: r.Name}
	if s.DrillError != nil && !errors.Is(s.DrillError, seal.ErrUnpinned) && !errors.Is(s.DrillError, seal.ErrUnexpected) {
		of.Kind = Failing
		d.add(of, "does not open the store now: "+line(s.DrillError.Error()), "do not restart unless another slot opens; mend what is named, or add another slot")
		d.said = append(d.said, fmt.Sprintf("slot %q does not open the store now", s.Name))
	}
	if s.NeedsPin {
		of.Kind = NoPin
		d.add(of, "is not pinned: a process that starts does not believe it", "add "+r.Fingerprint+" to Config.Pins")
		d.said = append(d.said, fmt.Sprintf("slot %q is not pinned", s.Name))
	}
	if errors.Is(s.AtStart, seal.ErrUnexpected) {
		of.Kind = NoPin
		d.add(of, "is not as Config.Shapes has it: a process that starts does not believe it", "add it to Config.Shapes")
		d.said = append(d.said, fmt.Sprintf("slot %q is not among Config.Shapes", s.Name), fmt.Sprintf("slot %q is %v, and Config.Shapes has", s.Name, s.Spec))
	}
	how := "drill it"
	if len(s.Sets) > 0 {
		how = "hold a custody drill, or have a quorum prove it"
	}
	switch {
	case s.State == seal.SlotInitial:
		of.Kind = Unproven
		d.add(of, "was made by init, and has never opened the store", "unseal with it once, or prove it")
		d.said = append(d.said, fmt.Sprintf("slot %q was never proven", s.Name))
	case r.Proven == nil:
		of.Kind = Unproven
		d.add(of, "nothing shows that it opens the store", how)
	case d.old(r.Proven.At, d.in.Limits.Proof):
		of.Kind = OldProof
		d.add(of, fmt.Sprintf("was last shown to open the store on %s (%s), %s ago", stamp(r.Proven.At), r.Proven.By, age(d.At.Sub(r.Proven.At))), how)
	}
	d.custodians(s, r)
}

func (d *due) custodians(s *seal.SlotStatus, r *Slot) {
	of := Item{Slot: r.Name}
	if d.in.Limits.Share >= 0 && len(r.Sets) > 0 && !met(s.Spec, r.Sets) {
		of.Kind = Thin
		d.add(of, "fewer custodians have confirmed their shares than it takes to open it", "hold a custody drill now; where too few are left, rekey while the store is open")
	}
	for _, set := range r.Sets {
		unnamed := 0
		for _, c := range set.Custodians {
			of := Item{Slot: r.Name, Set: set.Set, Number: c.Number, Custodian: c.Name}
			share := fmt.Sprintf("share %d of set %d", c.Number, set.Set)
			if c.Name == "" {
				unnamed++
			} else {
				share += ", of " + c.Name
			}
			if w := c.Wrong; w != nil {
				of.Kind = WrongShare
				d.add(of, fmt.Sprintf("%s: what was brought as it on %s was %s", share, stamp(w.At), w.Verdict), wrongDo(w, c.Name))
			}
			switch of.Kind = NotHeard; {
			case !c.Missing || d.in.Limits.Share < 0:
			case c.Confirmed.IsZero():
				d.add(of, share+": never confirmed, as far as the events reach back", "ask "+orHolder(c.Name)+" to have it checked")
			default:
				d.add(of, fmt.Sprintf("%s: last confirmed on %s, %s ago", share, stamp(c.Confirmed), age(d.At.Sub(c.Confirmed))), "ask "+orHolder(c.Name)+" to have it checked")
			}
		}
		if unnamed > 0 {
			d.add(Item{Kind: Unnamed, Slot: r.Name, Set: set.Set}, fmt.Sprintf("set %d: the record does not name who holds %d of its shares", set.Set, unnamed), "name custodians with the next rekey, and keep a list until then")
		}
	}
}

func wrongDo(w *Attempt, name string) string {
	if w.Verdict == seal.ShareStale {
		return "ask " + orHolder(name) + " whether the newer share is there, and have the old one destroyed; else rekey"
	}
	return "ask " + orHolder(name) + " to compare it with the original and have it checked again; it may have been somebody else's. Where it is lost, rekey"
}

func orHolder(name string) string {
	if name == "" {
		return "its holder"
	}
	return name
}

// pending: of one that waits it is known since when where its event is.
func (d *due) pending(s *seal.SlotStatus, r *Slot) {
	if o := d.in.Status.Operation; o != nil && (o.Slot == s.Name || slices.ContainsFunc(o.Goals, func(g seal.Goal) bool { return g.Name == s.Name && !g.Drop })) {
		return // it is worked on
	}
	since, known := d.trail.pending[s.Name]
	if d.in.Limits.Pending < 0 || known && !d.old(since, d.in.Limits.Pending) {
		return
	}
	when := "nobody knows since when"
	if known {
		when = "since " + stamp(since)
	}
	d.add(Item{Kind: LeftBehind, Slot: r.Name}, "waits to be proven, "+when+", and opens nothing until then", "prove it, or drop it")
}

func (d *due) drill(c *Drill) {
	if c.State == DrillComplete {
		return
	}
	what := fmt.Sprintf("custody drill since %s: %d of %d confirmed", stamp(c.Began), c.Confirmed, c.Asked)
	if !c.Met {
		what += ", fewer than open the slot"
	}
	do := "ask: " + strings.Join(missing(c.Sets), ", ")
	if c.State == DrillOver {
		what += "; it was over on " + stamp(c.Until)
		do = "rekey to people who can be reached, or begin again and ask: " + strings.Join(missing(c.Sets), ", ")
	}
	d.add(Item{Kind: Drilling, Slot: c.Slot}, what, do)
}

// missing names who is, the first of many.
func missing(sets []Set) (out []string) {
	const most = 10
	n := 0
	for _, set := range sets {
		for _, c := range set.Custodians {
			if !c.Missing {
				continue
			}
			if n++; n > most {
				continue
			}
			name := fmt.Sprintf("the holder of share %d of set %d", c.Number, set.Set)
			if c.Name != "" {
				name = c.Name
			}
			out = append(out, name)
		}
	}
	if n > most {
		out = append(out, fmt.Sprintf("and %d more", n-most))
	}
	return out
}

func (d *due) operation() {
	o := d.in.Status.Operation
	if o == nil || o.Began.IsZero() || !d.old(o.Began, d.in.Limits.Pending) {
		return
	}
	what := line(string(o.Kind))
	if o.Slot != "" {
		what += " of slot " + line(o.Slot)
	}
	d.add(Item{Kind: Unended, Slot: line(o.Slot)}, fmt.Sprintf("%s is in progress since %s, begun by %s", what, stamp(o.Began), orNobody(line(o.Actor))), "complete or cancel it")
}

func orNobody(actor string) string {
	if actor == "" {
		return "nobody who was named"
	}
	return actor
}

func (d *due) terms() {
	for _, t := range d.Terms {
		if t.State == string(seal.TermActive) && d.old(t.Created, d.in.Limits.Term) {
			d.add(Item{Kind: OldTerm, Term: t.Number}, fmt.Sprintf("term %d encrypts since %s, %s", t.Number, stamp(t.Created), age(d.At.Sub(t.Created))), "rotate, and rewrap what is under it")
		}
	}
}

// events: where they are missing, that somebody was not heard of is no news of them.
func (d *due) events() {
	longest := max(d.in.Limits.Proof, d.in.Limits.Share)
	switch t := d.trail; {
	case t.Error != "":
		d.add(Item{Kind: Untold}, "the events could not all be read: "+t.Error, "verify the journal, and report again")
	case t.Gaps > 0:
		d.add(Item{Kind: Untold}, fmt.Sprintf("events are missing from the journal, in %d places", t.Gaps), "verify the journal against a head kept elsewhere; ask again whoever is missing here")
	case t.Events == 0:
		d.add(Item{Kind: Untold}, "there are no events: what is said of custodians is that nobody wrote it down", "keep a journal")
	case d.old(t.First, longest):
	case longest >= 0:
		d.add(Item{Kind: Untold}, "the events reach back to "+stamp(t.First)+", less than is asked of them", "nothing, if the store is younger; else find the older ones")
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// age is a time in days, as people say it.
func age(d time.Duration) string {
	switch n := int(d / day); {
	case n == 1:
		return "1 day"
	case n > 1:
		return fmt.Sprintf("%d days", n)
	}
	return "less than a day"
}

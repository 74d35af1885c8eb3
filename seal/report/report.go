package report

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/sealwright/sealwright/internal/foreign"
	"github.com/sealwright/sealwright/seal"
)

// Format is the number of the JSON's shape.
const Format = 1

// ErrInput means that a report cannot be made of what was given.
var ErrInput = errors.New("report: not enough to report on")

// Input is what a report is made of.
type Input struct {
	// Status is the store's, of [seal.Barrier.Status] or, to say more while it is
	// sealed, [seal.Admin.Inspect].
	Status seal.Status

	// Events are those of the past, oldest first. An error among them stands in
	// the report, and what comes after it is read all the same. Nil: none were kept.
	Events iter.Seq2[seal.Event, error]

	// At is when the report is for, and Status was taken; required. Later events
	// are left out.
	At time.Time

	// Title is what people call the store. Empty: its id.
	Title string

	// Limits say what is overdue.
	Limits Limits

	// Unused are the terms under which the host has counted no value any more, as
	// migrate.CountTerms does, in the data and in its backups. Nil: nothing was counted.
	Unused []uint32

	// Campaigns are the custody drills to report on.
	Campaigns []Campaign
}

const day = 24 * time.Hour

// Limits are how old what is reported may be. Zero is the default; less: no limit.
type Limits struct {
	Proof   time.Duration // since a slot was last shown to open the store; 100 days
	Share   time.Duration // since a custodian last confirmed a share; 100 days
	Term    time.Duration // of the data key in use; 400 days
	Pending time.Duration // of a slot that waits to be proven, and of an operation; 7 days
}

func (l Limits) orDefault() Limits {
	for _, f := range []struct {
		limit *time.Duration
		zero  time.Duration
	}{{&l.Proof, 100 * day}, {&l.Share, 100 * day}, {&l.Term, 400 * day}, {&l.Pending, 7 * day}} {
		if *f.limit == 0 {
			*f.limit = f.zero
		}
	}
	return l
}

// A Report is what is known of a store at a time. Its texts are single printable
// lines, whatever the names in the record and the events.
type Report struct {
	Format     int       `json:"format"`
	At         time.Time `json:"at"`
	Title      string    `json:"title"`
	Store      string    `json:"store,omitempty"`      // its id
	Generation uint64    `json:"generation,omitempty"` // of its record
	Replica    string    `json:"replica"`              // that reports
	Sealed     bool      `json:"sealed"`
	Reason     string    `json:"reason,omitempty"` // why it is sealed
	Vouched    bool      `json:"vouched"`          // the record was opened: what is said of it is not what a thief of the store says

	Overdue  []Item    `json:"overdue"` // and what to do, the worst first
	Slots    []Slot    `json:"slots"`
	Keys     []Key     `json:"keys"`  // of a KMS that the store depends on, one for each leaf
	Terms    []Term    `json:"terms"` // oldest first
	Destroy  []Item    `json:"destroy"`
	Drills   []Drill   `json:"drills"`
	Attempts []Attempt `json:"attempts"`       // with shares that were wrong, within Limits.Share, newest first, the last of each share
	More     int       `json:"more,omitempty"` // attempts that are not listed
	Trail    Trail     `json:"trail"`
}

// An Item is something to be done, or that may be.
type Item struct {
	Kind      Kind   `json:"kind"`
	Slot      string `json:"slot,omitempty"`
	Set       uint32 `json:"set,omitempty"`
	Number    int    `json:"number,omitempty"` // of a share in its set
	Custodian string `json:"custodian,omitempty"`
	Term      uint32 `json:"term,omitempty"`
	What      string `json:"what"` // is so
	Do        string `json:"do"`   // next
}

// A Slot protects the store.
type Slot struct {
	Name        string  `json:"name"`
	Shape       string  `json:"shape"`
	State       string  `json:"state"`
	Opens       bool    `json:"opens"`
	Fingerprint string  `json:"fingerprint"`
	Proven      *Proof  `json:"proven,omitempty"` // the last
	Evidence    []Proof `json:"evidence"`         // the last of each kind, newest first
	Sets        []Set   `json:"sets"`             // held by people
}

// Evidence is how a slot was shown to open the store.
type Evidence string

const (
	ByRecord Evidence = "record" // the record has it: it was opened through the slot, and says so
	ByProof  Evidence = "prove"
	ByRekey  Evidence = "rekey" // new shares were proven in the place of others
	ByUnseal Evidence = "unseal"
	ByDrill  Evidence = "drill"
	ByRenew  Evidence = "renew"  // its keys wrapped anew, and opened what they wrapped
	ByShares Evidence = "shares" // so many custodians confirmed as open it, each on their own: nothing was opened
)

// A Proof is that a slot opens the store.
type Proof struct {
	By      Evidence  `json:"by"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor,omitempty"`
	Replica string    `json:"replica,omitempty"`
}

// A Set is shares that people hold.
type Set struct {
	Path       string      `json:"path,omitempty"` // in the slot's tree
	Set        uint32      `json:"set"`
	Threshold  int         `json:"threshold"`
	Shares     int         `json:"shares"`
	Confirmed  int         `json:"confirmed"` // of them, not Missing
	Custodians []Custodian `json:"custodians"`
}

// A Custodian holds a share.
type Custodian struct {
	Number    int       `json:"number"` // of the share in its set
	Name      string    `json:"name,omitempty"`
	Confirmed time.Time `json:"confirmed,omitzero"` // when the share was last seen to be right
	Actor     string    `json:"actor,omitempty"`    // who showed it then
	Missing   bool      `json:"missing"`            // not confirmed within Limits.Share, or in a Drill since it began
	Wrong     *Attempt  `json:"wrong,omitempty"`    // what was brought since Confirmed in place of the share, as far as it says so itself
}

// An Attempt is somebody's with a share that is wrong.
type Attempt struct {
	At      time.Time    `json:"at"`
	Verdict seal.Verdict `json:"verdict"`
	Set     uint32       `json:"set,omitempty"`    // that it says it is of
	Number  int          `json:"number,omitempty"` // that it says it is
	Slot    string       `json:"slot,omitempty"`
	Name    string       `json:"name,omitempty"` // who holds, or held, the share that it says it is
	Actor   string       `json:"actor,omitempty"`
}

// A Key of a KMS protects a leaf of a slot.
type Key struct {
	Slot    string `json:"slot"`
	State   string `json:"state"` // of the slot
	Path    string `json:"path,omitempty"`
	KMS     string `json:"kms"` // as it is named in the configuration
	Type    string `json:"type"`
	KeyID   string `json:"key_id"`
	Version string `json:"version,omitempty"` // empty where the KMS keeps its versions to itself
}

// A Term is a data key.
type Term struct {
	Number  uint32    `json:"number"`
	State   string    `json:"state"`
	Created time.Time `json:"created"`
	Unused  bool      `json:"unused"` // the host has counted no value under it
}

// A Trail is which events the report knows.
type Trail struct {
	Events int       `json:"events"`
	First  time.Time `json:"first,omitzero"`
	Last   time.Time `json:"last,omitzero"`
	Gaps   int       `json:"gaps,omitempty"`  // where the journal says that some were lost
	Error  string    `json:"error,omitempty"` // the first, where they could not all be read
}

// New makes a report. The error is [ErrInput].
func New(in Input) (*Report, error) {
	switch {
	case in.At.IsZero():
		return nil, fmt.Errorf("%w: Input.At is zero: it is when the Status was taken", ErrInput)
	case len(in.Status.Slots) == 0:
		return nil, fmt.Errorf("%w: the Status has no slots: take it from Admin.Inspect, or unseal first", ErrInput)
	}
	for _, c := range in.Campaigns {
		if err := c.check(in.Status, in.At); err != nil {
			return nil, err
		}
	}
	in.At, in.Limits = second(in.At), in.Limits.orDefault()
	ends := []time.Time{in.At}
	for _, c := range in.Campaigns {
		ends = append(ends, c.end(in.At))
	}
	trails := read(in.Status.Slots, in.Events, ends...)
	t := trails[0]
	s := &in.Status
	r := &Report{
		Format: Format, At: in.At, Title: line(in.Title), Store: line(s.Store), Generation: s.Generation, Replica: line(s.Replica),
		Sealed: s.Sealed, Vouched: !s.Sealed,
		Overdue: []Item{}, Slots: []Slot{}, Keys: []Key{}, Terms: []Term{}, Destroy: []Item{}, Drills: []Drill{},
		Trail: t.Trail,
	}
	r.Attempts, r.More = few(t.attempts(since(in.At, in.Limits.Share)))
	if r.Title == "" {
		r.Title = r.Store
	}
	if s.Reason != nil {
		r.Reason = line(s.Reason.Error())
	}
	for i := range s.Slots {
		r.Slots = append(r.Slots, t.slot(&s.Slots[i], since(in.At, in.Limits.Share)))
		r.Keys = append(r.Keys, keysOf(&s.Slots[i])...)
	}
	for _, term := range s.Terms {
		r.Terms = append(r.Terms, termOf(term, in.Unused))
	}
	for i, c := range in.Campaigns {
		r.Drills = append(r.Drills, trails[i+1].drill(s, c, in.At))
	}
	if r.Vouched {
		r.Destroy = destroy(r, s.Former)
	}
	r.Overdue = overdue(r, &in, t)
	return r, nil
}

// since is the beginning of what is not too old; zero where nothing is.
func since(at time.Time, limit time.Duration) time.Time {
	if limit < 0 {
		return time.Time{}
	}
	return at.Add(-limit)
}

// second is a time as reports have it. Clocks of others are not so exact, and a
// fraction of a second is no news to anybody.
func second(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}

// Names come from the record, which a thief of the store may have written, and from
// the events, which may have been edited.
func line(s string) string { return foreign.Line(s, 512) }

package record

import (
	"errors"
	"fmt"
)

// MaxEvery is the most seconds that a lease may say are between two signs of
// life: no lease that nobody has any more stands in the way for longer than a few
// of them.
const MaxEvery = 24 * 60 * 60

// ErrLeased: another replica has the lease, or took it over.
var ErrLeased = errors.New("seal: the lease is another replica's")

// A Lease is the right of one replica to do what several would do twice: to go
// through all data, and then to retire what nothing is under. It stands beside
// the operation in progress and hinders none. Clocks that differ decide nothing:
// whoever has it writes a sign of life every so often, and it is taken over by a
// replica that has watched for several times as long, by a clock of its own,
// while none came. What would do harm names the lease that it is done under, so
// that one who was taken for dead, and is not, changes nothing any more.
type Lease struct {
	ID      string `json:"id"`      // of this taking
	Replica string `json:"replica"` // whose it is
	Beat    uint64 `json:"beat"`    // generation of the record with its last sign of life
	Every   int64  `json:"every"`   // seconds between two of them, as its holder says
	At      int64  `json:"at"`      // when it was taken, in Unix seconds: for people, no rule reads it
}

// TakeLease returns the state in which this replica has the lease st.Lease. One
// that stands in the record goes only as it was seen: over has its id and its
// last sign of life.
func (s State) TakeLease(st Step, every int64, over *Lease) (State, error) {
	switch l := s.Lease; {
	case !s.Proved():
		return State{}, ErrUnproven
	case l != nil && (over == nil || over.ID != l.ID || over.Beat != l.Beat):
		return State{}, ErrLeased
	}
	s = s.clone()
	s.Lease = &Lease{ID: st.Lease, Replica: st.Replica, Beat: s.Generation + 1, Every: every, At: stamp(st.At)}
	if err := s.Lease.validate(&s.Record, s.Generation+1); err != nil {
		s.Secrets.Wipe() // a clone's
		return State{}, fmt.Errorf("record: %w", err)
	}
	return s.commit(st, "lease", "", evicts)
}

// KeepLease returns the state with a sign of life of who has the lease.
func (s State) KeepLease(st Step) (State, error) {
	if err := s.holds(st); err != nil {
		return State{}, err
	}
	s = s.clone()
	s.Lease.Beat = s.Generation + 1
	return s.commit(st, "keep-lease", "", evicts)
}

// EndLease returns the state without the lease.
func (s State) EndLease(st Step) (State, error) {
	if err := s.holds(st); err != nil {
		return State{}, err
	}
	s = s.clone()
	s.Lease = nil
	return s.commit(st, "end-lease", "", evicts)
}

// holds refuses what is done under a lease that is not the one in the record.
func (s *State) holds(st Step) error {
	if s.Lease == nil || s.Lease.ID != st.Lease {
		return ErrLeased
	}
	return nil
}

func (l *Lease) validate(r *Record, newest uint64) error {
	if l.ID == "" || l.Beat < 1 || l.Beat > newest || l.Every < 1 || l.Every > MaxEvery || !isTime(l.At) {
		return errors.New("a lease with impossible values")
	}
	if !r.Proved() {
		return errors.New("a lease before a slot was proven")
	}
	return errors.Join(CheckIdentity(l.ID), CheckIdentity(l.Replica))
}

// setFormat has the record say which code can read it: a lease came with format
// 2, and code of before refuses it as newer, not as damaged.
func (r *Record) setFormat() {
	r.MinReader = 1
	if r.Lease != nil {
		r.MinReader = leaseFormat
	}
	r.Format = max(r.Format, r.MinReader)
}

package seal

import "time"

// A job is something that Run begins.
type job string

const (
	jobUnseal   job = "unseal" // goes on until jobStop
	jobStop     job = "stop unsealing"
	jobRefresh  job = "refresh"
	jobRoster   job = "roster"
	jobDrill    job = "drill"
	jobTidy     job = "tidy" // shares that have expired, a term that is half used up
	jobActivate job = "activate"
)

// timed are the jobs that begin at a time, and end by themselves.
var timed = [...]job{jobRefresh, jobRoster, jobDrill, jobTidy, jobActivate}

// facts are what a schedule goes by of the Barrier.
type facts struct {
	sealed, byOperator, behind bool

	doubts     bool      // a slot failed to unseal, and was not drilled since
	activation time.Time // when a passive term may become active; zero: there is none
}

// A schedule says what Run begins, and when. It is told what happened and what time
// it is, has no clock of its own, and does nothing itself. What is wanted while it
// goes on is begun again after that.
type schedule struct {
	poll, drill time.Duration                     // as in Config
	roster      bool                              // there is one
	draw        func(time.Duration) time.Duration // a random time below that

	sealed    bool // when it was last told
	unsealing bool
	due       map[job]time.Time
	going     map[job]bool
	follow    clock // of a process that could not take in the record
}

func newSchedule(now time.Time, cfg *Config, draw func(time.Duration) time.Duration) *schedule {
	s := &schedule{
		poll: cfg.Poll, drill: cfg.Drill, roster: cfg.Roster != nil, draw: draw,
		sealed: true, due: map[job]time.Time{}, going: map[job]bool{},
	}
	s.want(jobTidy, now.Add(s.poll))
	s.wantDrill(now)
	return s
}

// want has a job begin at a time, or earlier if it is due earlier.
func (s *schedule) want(j job, at time.Time) {
	if due, ok := s.due[j]; !ok || at.Before(due) {
		s.due[j] = at
	}
}

func (s *schedule) wantRoster(at time.Time) {
	if s.roster {
		s.want(jobRoster, at)
	}
}

func (s *schedule) wantDrill(now time.Time) {
	if s.drill > 0 {
		s.want(jobDrill, now.Add(s.drill/2+s.draw(s.drill)))
	}
}

// ended takes in that a job ended, and how.
func (s *schedule) ended(now time.Time, j job, err error) {
	delete(s.going, j)
	switch {
	case j == jobRefresh && err != nil: // store or KMS may come back, and the store tell of nothing
		s.want(j, now.Add(s.draw(s.follow.grow())))
	case j == jobRefresh:
		s.follow = clock{}
	case j == jobRoster:
		s.wantRoster(now.Add(s.poll*3/4 + s.draw(s.poll/2+1)))
	case j == jobDrill:
		s.wantDrill(now)
	case j == jobTidy:
		s.want(j, now.Add(s.poll))
	}
}

// next returns what is to begin now, and when to ask again if nothing happens until
// then; zero: not before something does.
func (s *schedule) next(now time.Time, f facts) (begin []job, again time.Time) {
	switch unseal := f.sealed && !f.byOperator; {
	case unseal && !s.unsealing:
		s.unsealing, begin = true, append(begin, jobUnseal)
	case !unseal && s.unsealing:
		s.unsealing, begin = false, append(begin, jobStop)
	}
	if s.sealed && !f.sealed {
		s.wantRoster(now.Add(s.draw(s.poll/4 + 1))) // not all at once
		if f.doubts {
			s.want(jobDrill, now.Add(s.draw(maxPause)))
		}
	}
	s.sealed = f.sealed
	if at, ok := s.due[jobDrill]; ok && f.sealed && !at.After(now) {
		delete(s.due, jobDrill)
		s.wantDrill(now)
	}
	delete(s.due, jobActivate)
	if !f.sealed && !f.behind && !f.activation.IsZero() {
		s.want(jobActivate, f.activation)
	}
	for _, j := range timed {
		at, ok := s.due[j]
		switch {
		case !ok, s.going[j]:
		case j == jobRefresh && f.sealed: // kept: the change may come just after the unseal
		case !at.After(now):
			begin, s.going[j] = append(begin, j), true
			delete(s.due, j)
		case again.IsZero(), at.Before(again):
			again = at
		}
	}
	return begin, again
}

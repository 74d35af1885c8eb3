package operator

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// requestBound is how long any request may take: less than the minute for which
// the tools wait, so that they show what the server says. Whatever hangs, a KMS
// or the store, hangs for one request.
const requestBound = 50 * time.Second

// keysBound is how long the keys of one init are read: whoever sends them may
// be anybody, and keys can be made to be slow.
const keysBound = 20 * time.Second

// work is what a request is at work on, for whoever cancels that and nothing
// else.
type work string

const (
	onMigration work = "migration"
	onShares    work = "rekey"
	onSeeds     work = "rekey of the KMS slots"
	onToken     work = "root generation"
)

// steps are the requests at work. They are a part of no lock: whoever cancels
// what they work on ends them.
type steps struct {
	mu   sync.Mutex
	next int
	ends map[int]step
}

type step struct {
	on  work
	end context.CancelFunc
}

// join returns a context for a request's work that a cancellation ends, and the
// function to call when it is done.
func (s *steps) join(ctx context.Context, on work) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends == nil {
		s.ends = map[int]step{}
	}
	s.next++
	n := s.next
	s.ends[n] = step{on, cancel}
	return ctx, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.ends, n)
	}
}

// end ends what is at work on this.
func (s *steps) end(on work) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, step := range s.ends {
		if step.on == on {
			step.end()
		}
	}
}

// steady returns a context for what a client that leaves must not stop in the
// middle: it ends with the request's bound, and when what it is at work on is
// cancelled.
func (h *handler) steady(r *http.Request, on work) (context.Context, func()) {
	ctx := context.WithoutCancel(r.Context())
	if deadline, ok := r.Context().Deadline(); ok {
		bounded, cancel := context.WithDeadline(ctx, deadline)
		ctx, done := h.steps.join(bounded, on)
		return ctx, func() { done(); cancel() }
	}
	return h.steps.join(ctx, on)
}

// claims remembers whose quorum was answered for: the shares that complete one
// can come at the same time, and what they asked for is made once.
type claims struct {
	mu   sync.Mutex
	ids  [64]seal.OperationID
	next int
}

// first reports whether nobody has claimed that id yet.
func (c *claims) first(id seal.OperationID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, have := range c.ids {
		if have == id {
			return false
		}
	}
	c.ids[c.next%len(c.ids)] = id
	c.next++
	return true
}

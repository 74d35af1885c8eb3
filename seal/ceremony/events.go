package ceremony

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync"
	"time"

	"github.com/sealwright/sealwright/seal"
)

// A Ring keeps the newest events in memory: its OnEvent is for [seal.Config], its
// Newest for [Config]. They are gone with the process; a host that keeps events
// elsewhere shows those. It is safe for concurrent use.
type Ring struct {
	mu     sync.Mutex
	events []seal.Event
	next   int // where the oldest stands, once it is full
	size   int
}

// NewRing returns a Ring of that many events, at least 1 and at most 10,000: outside of
// that the nearest.
func NewRing(size int) *Ring { return &Ring{size: min(max(size, 1), 10_000)} }

// OnEvent keeps an event, in place of the oldest one where there is no room. What is
// long in it is cut: strangers can have words in events.
func (r *Ring) OnEvent(e seal.Event) {
	e.Detail, e.Actor, e.Slot, e.KMS = cut(e.Detail), cut(e.Actor), cut(e.Slot), cut(e.KMS)
	if e.Err != nil {
		e.Err = errors.New(cut(e.Err.Error())) // and not what it holds on to
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) < r.size {
		r.events = append(r.events, e)
		return
	}
	r.events[r.next] = e
	r.next = (r.next + 1) % r.size
}

func cut(text string) string {
	const most = 500
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// Newest returns the events, newest first, as they are when it is called.
func (r *Ring) Newest() iter.Seq[seal.Event] {
	r.mu.Lock()
	events := make([]seal.Event, 0, len(r.events))
	for i := range r.events {
		events = append(events, r.events[(r.next+len(r.events)-1-i)%len(r.events)])
	}
	r.mu.Unlock()
	return func(yield func(seal.Event) bool) {
		for _, e := range events {
			if !yield(e) {
				return
			}
		}
	}
}

// What the page shows of the events.
const (
	shownFor    = 7 * 24 * time.Hour
	shownEvents = 200
	readEvents  = 1000 // with those that are older, in between
)

// eventsPage shows the events to whom the host lets see them.
func (h *handler) eventsPage(r *http.Request) (*page, error) {
	if h.Events == nil {
		return nil, errNotFound
	}
	token := r.PostFormValue("token")
	if !h.may(r, Events, token) {
		if r.Method == http.MethodPost || h.NoTokens {
			return nil, errDenied
		}
		return h.page(r, "token"), nil
	}
	p := h.page(r, "events")
	oldest := time.Now().Add(-shownFor)
	read := 0
	for e := range h.Events() {
		if p.More = len(p.Events) == shownEvents || read == readEvents; p.More {
			break
		}
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		if read++; e.Time.Before(oldest) {
			continue
		}
		v := eventView{Time: e.Time.UTC(), Kind: string(e.Kind), Actor: e.Actor, Slot: e.Slot, Detail: cut(e.Detail), Failed: e.Err != nil}
		if e.Err != nil {
			v.Error = cut(fmt.Sprint(e.Err))
		}
		p.Events = append(p.Events, v)
	}
	return p, nil
}

type eventView struct {
	Time                             time.Time
	Kind, Actor, Slot, Detail, Error string
	Failed                           bool
}

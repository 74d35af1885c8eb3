package report

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/sealwright/sealwright/seal"
)

// A Memory keeps the events that a report is made of, of each thing the last, for as
// long as the process lives: for a host without a journal. Give its Add to
// [seal.Config] OnEvent. What it has forgotten a report calls never confirmed. The
// zero Memory is empty. It is safe for concurrent use.
type Memory struct {
	mu     sync.Mutex
	events map[memoryKey]remembered
	added  uint64
}

type memoryKey struct {
	kind    seal.EventKind
	slot    string
	verdict seal.Verdict
	share   shareID
}

type remembered struct {
	seal.Event
	order uint64
}

// maxMemory bounds how many events are kept. Anybody can bring wrong shares; those
// go first.
const maxMemory = 4096

// Add takes in an event.
func (m *Memory) Add(e seal.Event) {
	key := memoryKey{kind: e.Kind, slot: e.Slot}
	switch e.Kind {
	case seal.EventShare:
		key = memoryKey{kind: e.Kind, verdict: e.Verdict, share: shareID{e.Set, e.Number}}
		if e.Verdict == seal.ShareForeign || e.Verdict == seal.ShareMalformed {
			key.share = shareID{}
		}
		if e.Verdict == "" {
			return
		}
	case seal.EventInit, seal.EventRestore, seal.EventAdd, seal.EventReissue, seal.EventDrop, seal.EventReplace, seal.EventProve, seal.EventUnseal, seal.EventDrill, seal.EventRenew:
		if e.Err != nil {
			return
		}
	default:
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.events == nil {
		m.events = map[memoryKey]remembered{}
	}
	switch old, met := m.events[key]; {
	case met && old.Time.After(e.Time):
		return
	case !met && len(m.events) >= maxMemory:
		m.forget()
	}
	m.added++
	m.events[key] = remembered{e, m.added}
}

// forget drops a quarter: the oldest of the shares that anybody can make, then of
// the altered ones, and then of the others; m.mu is held.
func (m *Memory) forget() {
	keys := slices.Collect(maps.Keys(m.events))
	worth := func(k memoryKey) int {
		switch {
		case k.kind != seal.EventShare, k.verdict == seal.ShareRight:
			return 2
		case k.verdict == seal.ShareAltered:
			return 1
		}
		return 0
	}
	slices.SortFunc(keys, func(a, b memoryKey) int {
		return cmp.Or(cmp.Compare(worth(a), worth(b)), cmp.Compare(m.events[a].order, m.events[b].order))
	})
	for _, k := range keys[:len(keys)/4] {
		delete(m.events, k)
	}
}

// Events returns what is kept, oldest first, for [Input] Events.
func (m *Memory) Events() iter.Seq2[seal.Event, error] {
	return func(yield func(seal.Event, error) bool) {
		m.mu.Lock()
		list := make([]remembered, 0, len(m.events))
		for _, e := range m.events {
			list = append(list, e)
		}
		m.mu.Unlock()
		slices.SortFunc(list, func(a, b remembered) int { return cmp.Compare(a.order, b.order) })
		for _, e := range list {
			if !yield(e.Event, nil) {
				return
			}
		}
	}
}

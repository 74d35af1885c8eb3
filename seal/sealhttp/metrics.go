package sealhttp

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/journal"
)

// Metrics counts the events of a barrier, and shows the counts beside its
// status in the text format of Prometheus (version 0.0.4). The zero Metrics is
// ready for use, by one barrier:
//
//	var metrics sealhttp.Metrics
//	cfg.OnEvent = metrics.Event
//	mux.Handle("/metrics", metrics.Handler(barrier))
//
// The labels are slots, kinds and states; nothing of a key is among them but
// the fingerprints of slots, which Status shows as well. Names:
//
//	sealwright_sealed                              1 while sealed
//	sealwright_sealed_reason{reason}               1 for the kind of reason, while sealed
//	sealwright_generation                          of the newest record seen
//	sealwright_unseal_shares_given{slot,set}       and …_needed
//	sealwright_slot_info{slot,state,fingerprint}   1 for each slot
//	sealwright_slot_proven_timestamp_seconds{slot} when it last opened the stored record
//	sealwright_slot_drill_ok{slot}                 what the last drill here gave, if there was one
//	sealwright_slot_drill_timestamp_seconds{slot}  and when
//	sealwright_active_term, sealwright_terms       the term that encrypts; how many there are
//	sealwright_operation_in_progress{kind}         1 while there is one
//	sealwright_lease_info{replica}                 1 for the replica that works on the data, while one does
//	sealwright_memory_locked                       whether keys are never swapped out
//	sealwright_memory_undumpable                   and left out of core dumps
//	sealwright_behind                              1 while unsealed and unable to take in the stored record
//	sealwright_members, sealwright_members_behind  other replicas of the roster that run; that cannot follow
//	sealwright_warnings                            how many Status has
//	sealwright_events_total{kind,result}           result is ok, failed, or waiting: the store waits for its Init
//	sealwright_rewrap_items_total{source,outcome}  where the host counts them, with [Metrics.Rewrap]
//	sealwright_items{source,term}                  and [Metrics.Items]
//	sealwright_keeper_phase{phase}                 1 for what it is at, where a keeper tells by [Metrics.Keeper]
//	sealwright_keeper_failed                       1 while it could not do something, or left items as they are
//	sealwright_keeper_rotated_timestamp_seconds    when the active term was made
//	sealwright_keeper_round_timestamp_seconds      when its last round here ended
//	sealwright_journal_line                        of a journal, by [Metrics.Journal]: the number of its newest line
//	sealwright_journal_waiting, …_lost_total       events that wait in memory; that could not be kept there
//	sealwright_journal_failed{what}                1 while it cannot write, heads (be kept elsewhere), rotate; missing: lines are gone
type Metrics struct {
	mu     sync.Mutex
	events map[[2]string]uint64 // by kind and result

	rewrapped map[[2]string]int64         // by source and outcome
	items     map[string]map[string]int64 // by source and term
	keeper    *keeper                     // nil if there is none
	journal   func() journal.Status       // nil if there is none
}

// Event counts an event. It is meant for [seal.Config.OnEvent], or to be called
// there.
func (m *Metrics) Event(e seal.Event) {
	result := "ok"
	switch {
	case e.Kind == seal.EventUnseal && errors.Is(e.Err, seal.ErrUninitialized):
		result = "waiting" // no failure, as for LogEvents
	case e.Err != nil:
		result = "failed"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.events == nil {
		m.events = map[[2]string]uint64{}
	}
	m.events[[2]string{string(e.Kind), result}]++
}

// Handler answers with the metrics of b, sealed or not. It asks neither the
// store nor any KMS.
func (m *Metrics) Handler(b *seal.Barrier) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var p page
		p.status(b.Status())
		m.mu.Lock()
		events := maps.Clone(m.events)
		p.rewraps(m)
		p.keeper(m.keeper)
		journal := m.journal
		m.mu.Unlock()
		p.journal(journal)
		p.family("events_total", "counter", "Events, by kind and result.")
		for _, k := range slices.SortedFunc(maps.Keys(events), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
			p.sample(events[k], "kind", k[0], "result", k[1])
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(p.Bytes()) // the client is gone
	})
}

// A page is what one scrape gets.
type page struct {
	bytes.Buffer
	name string // of the family being written
}

func (p *page) family(name, kind, help string) {
	p.name = "sealwright_" + name
	fmt.Fprintf(p, "# HELP %s %s\n# TYPE %s %s\n", p.name, help, p.name, kind)
}

// escape is for the value of a label.
var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sample writes a value under labels, which are names and values in turn.
func (p *page) sample(value any, labels ...string) {
	p.WriteString(p.name)
	for i := 0; i < len(labels); i += 2 {
		fmt.Fprintf(p, `%c%s="%s"`, "{,"[min(i, 1)], labels[i], escape.Replace(labels[i+1]))
	}
	if len(labels) > 0 {
		p.WriteByte('}')
	}
	fmt.Fprintf(p, " %v\n", value)
}

func (p *page) gauge(name, help string, value any) {
	p.family(name, "gauge", help)
	p.sample(value)
}

func (p *page) status(s seal.Status) {
	p.gauge("sealed", "Whether the server is sealed.", bit(s.Sealed))
	p.family("sealed_reason", "gauge", "Why the server is sealed.")
	if s.Sealed {
		p.sample(1, "reason", Kind(s.Reason))
	}
	p.gauge("generation", "Generation of the newest record seen.", s.Generation)
	p.family("unseal_shares_given", "gauge", "Shares given so far for unsealing.")
	for _, set := range s.Progress {
		p.sample(set.Given, "slot", set.Slot, "set", fmt.Sprint(set.Set))
	}
	p.family("unseal_shares_needed", "gauge", "Shares needed for unsealing.")
	for _, set := range s.Progress {
		p.sample(set.Threshold, "slot", set.Slot, "set", fmt.Sprint(set.Set))
	}
	p.slots(s.Slots)
	if !s.Sealed {
		for _, t := range s.Terms {
			if t.State == seal.TermActive {
				p.gauge("active_term", "Number of the term that encrypts.", t.Number)
			}
		}
		p.gauge("behind", "Whether this process cannot take in the stored record, and so not read what others write now.", bit(s.Behind != nil))
		p.members(s.Members)
		p.gauge("terms", "Terms that the keyring holds.", len(s.Terms))
		p.gauge("warnings", "What an operator should mend, as Status says in words.", len(s.Warnings))
	}
	p.family("operation_in_progress", "gauge", "The operation in progress.")
	if s.Operation != nil {
		p.sample(1, "kind", string(s.Operation.Kind))
	}
	p.family("lease_info", "gauge", "The replica that works on the data.")
	if s.Lease != nil {
		p.sample(1, "replica", s.Lease.Replica)
	}
	p.gauge("memory_locked", "Whether the keys of this process are never swapped out.", bit(s.Memory.Locked))
	p.gauge("memory_undumpable", "Whether the keys of this process are left out of core dumps.", bit(s.Memory.Undumpable))
}

// members counts the other replicas, where there is a roster.
func (p *page) members(members []seal.MemberStatus) {
	live, behind := 0, 0
	for _, m := range members {
		if m.Gone {
			continue
		}
		live++
		if !m.Behind.IsZero() {
			behind++
		}
	}
	if members != nil {
		p.gauge("members", "Other replicas that run, as the roster has them.", live)
		p.gauge("members_behind", "Those of them that cannot take in the stored record.", behind)
	}
}

func (p *page) slots(slots []seal.SlotStatus) {
	p.family("slot_info", "gauge", "The slots of the record.")
	for _, s := range slots {
		p.sample(1, "slot", s.Name, "state", string(s.State), "fingerprint", s.Fingerprint)
	}
	// While a rekey is in progress two slots have one name; the one that is
	// proven is the one that opens.
	p.family("slot_proven_timestamp_seconds", "gauge", "When the slot last opened the stored record.")
	p.times(slots, func(s seal.SlotStatus) time.Time { return s.Proven })
	p.family("slot_drill_timestamp_seconds", "gauge", "When this process last tried the slot.")
	p.times(slots, func(s seal.SlotStatus) time.Time { return s.Drilled })
	p.family("slot_drill_ok", "gauge", "Whether the slot opened the record then.")
	for _, s := range slots {
		if s.State != seal.SlotPending && !s.Drilled.IsZero() {
			p.sample(bit(s.DrillError == nil), "slot", s.Name)
		}
	}
}

func (p *page) times(slots []seal.SlotStatus, of func(seal.SlotStatus) time.Time) {
	for _, s := range slots {
		if t := of(s); s.State != seal.SlotPending && !t.IsZero() {
			p.sample(t.Unix(), "slot", s.Name)
		}
	}
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

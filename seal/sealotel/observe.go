package sealotel

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// gauges and counters are what Observe shows: by name, what it is. Those of package
// sealhttp are the same there.
var (
	gauges = map[string]string{
		"vault.core.unsealed":                         "Whether the server is unsealed.",
		"vault.seal.unreachable.time":                 "Milliseconds since when no call of the KMS has succeeded; 0 after one that has.",
		"sealwright.sealed":                           "Whether the server is sealed.",
		"sealwright.sealed_reason":                    "Why the server is sealed.",
		"sealwright.generation":                       "Generation of the newest record seen.",
		"sealwright.unseal_shares_given":              "Shares given so far for unsealing.",
		"sealwright.unseal_shares_needed":             "Shares needed for unsealing.",
		"sealwright.slot_info":                        "The slots of the record.",
		"sealwright.slot_proven_timestamp_seconds":    "When the slot last opened the stored record.",
		"sealwright.slot_drill_timestamp_seconds":     "When this process last tried the slot.",
		"sealwright.slot_drill_ok":                    "Whether the slot opened the record then.",
		"sealwright.active_term":                      "Number of the term that encrypts.",
		"sealwright.behind":                           "Whether this process cannot take in the stored record, and so not read what others write now.",
		"sealwright.members":                          "Other replicas that run, as the roster has them.",
		"sealwright.members_behind":                   "Those of them that cannot take in the stored record.",
		"sealwright.terms":                            "Terms that the keyring holds.",
		"sealwright.warnings":                         "What an operator should mend, as Status says in words.",
		"sealwright.operation_in_progress":            "The operation in progress.",
		"sealwright.lease_info":                       "The replica that works on the data.",
		"sealwright.memory_locked":                    "Whether the keys of this process are never swapped out.",
		"sealwright.memory_undumpable":                "Whether the keys of this process are left out of core dumps.",
		"sealwright.items":                            "Items under each term at the last census, by source.",
		"sealwright.keeper_phase":                     "What the keeper of this process is at.",
		"sealwright.keeper_failed":                    "Whether the keeper could not do something lately, or left items as they are.",
		"sealwright.keeper_rotated_timestamp_seconds": "When the active term was made.",
		"sealwright.keeper_round_timestamp_seconds":   "When the last round of the keeper of this process ended.",
		"sealwright.journal_line":                     "Number of the newest line that is known to be written to the journal.",
		"sealwright.journal_waiting":                  "Events in memory that wait to be written to the journal.",
		"sealwright.journal_failed":                   "Whether the journal cannot be written, lacks lines that were there, its newest head cannot be kept elsewhere, or its file not be renamed.",
	}
	counters = map[string]string{
		"vault.seal.encrypt":           "Calls that wrap a key.",
		"vault.seal.encrypt.error":     "Those that failed.",
		"vault.seal.decrypt":           "Calls that unwrap a key.",
		"vault.seal.decrypt.error":     "Those that failed.",
		"sealwright.events":            "Events, by kind and result.",
		"sealwright.journal_lost":      "Events that this process could neither write to the journal nor keep.",
		"sealwright.rewrap_items":      "Items that a rewrap has dealt with, by source and outcome.",
		"sealwright.telemetry_dropped": "What the providers of spans and metrics did not take.",
	}
)

// Observe shows the metrics of b from now on, sealed or not, whenever the provider
// collects them. The function that it returns ends that; call it when b is closed.
// It asks neither the store nor any KMS.
func (t *Telemetry) Observe(b *seal.Barrier) (stop func() error, err error) {
	m := map[string]metric.Int64Observable{}
	var all []metric.Observable
	for name, what := range gauges {
		if m[name], err = t.meter.Int64ObservableGauge(name, metric.WithDescription(what)); err != nil {
			return nil, fmt.Errorf("sealotel: %w", err)
		}
		all = append(all, m[name])
	}
	for name, what := range counters {
		if m[name], err = t.meter.Int64ObservableCounter(name, metric.WithDescription(what)); err != nil {
			return nil, fmt.Errorf("sealotel: %w", err)
		}
		all = append(all, m[name])
	}
	r, err := t.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		var v view
		v.status(b.Status())
		v.counted(t)
		v.journal(t)
		for _, r := range v { // with no lock held: the provider may take its time
			o.ObserveInt64(m[r.name], r.value, metric.WithAttributes(r.labels...))
		}
		return nil
	}, all...)
	if err != nil {
		return nil, fmt.Errorf("sealotel: %w", err)
	}
	return r.Unregister, nil
}

// A view is what one collection gets.
type view []shown

type shown struct {
	name   string
	value  int64
	labels []attribute.KeyValue
}

// show shows a value under labels, which are names and values in turn.
func (v *view) show(name string, value int64, labels ...string) {
	var attrs []attribute.KeyValue
	for i := 0; i < len(labels); i += 2 {
		attrs = append(attrs, attribute.String(labels[i], labels[i+1]))
	}
	*v = append(*v, shown{name, value, attrs})
}

// members counts the other replicas, where there is a roster.
func (v *view) members(members []seal.MemberStatus) {
	live, behind := int64(0), int64(0)
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
		v.show("sealwright.members", live)
		v.show("sealwright.members_behind", behind)
	}
}

func (v *view) status(s seal.Status) {
	v.show("vault.core.unsealed", bit(!s.Sealed))
	v.show("sealwright.sealed", bit(s.Sealed))
	if s.Sealed {
		v.show("sealwright.sealed_reason", 1, "reason", sealhttp.Kind(s.Reason))
	}
	v.show("sealwright.generation", int64(s.Generation))
	for _, set := range s.Progress {
		labels := []string{"slot", set.Slot, "set", strconv.FormatUint(uint64(set.Set), 10)}
		v.show("sealwright.unseal_shares_given", int64(set.Given), labels...)
		v.show("sealwright.unseal_shares_needed", int64(set.Threshold), labels...)
	}
	for _, slot := range s.Slots {
		v.slot(slot)
	}
	if !s.Sealed {
		for _, term := range s.Terms {
			if term.State == seal.TermActive {
				v.show("sealwright.active_term", int64(term.Number))
			}
		}
		v.show("sealwright.behind", bit(s.Behind != nil))
		v.members(s.Members)
		v.show("sealwright.terms", int64(len(s.Terms)))
		v.show("sealwright.warnings", int64(len(s.Warnings)))
	}
	if s.Operation != nil {
		v.show("sealwright.operation_in_progress", 1, "kind", string(s.Operation.Kind))
	}
	if s.Lease != nil {
		v.show("sealwright.lease_info", 1, "replica", s.Lease.Replica)
	}
	v.show("sealwright.memory_locked", bit(s.Memory.Locked))
	v.show("sealwright.memory_undumpable", bit(s.Memory.Undumpable))
}

// slot shows one; of a rekey's two of one name the times of the one that opens.
func (v *view) slot(s seal.SlotStatus) {
	v.show("sealwright.slot_info", 1, "slot", s.Name, "state", string(s.State), "fingerprint", s.Fingerprint)
	if s.State == seal.SlotPending {
		return
	}
	v.time("sealwright.slot_proven_timestamp_seconds", s.Proven, "slot", s.Name)
	if v.time("sealwright.slot_drill_timestamp_seconds", s.Drilled, "slot", s.Name) {
		v.show("sealwright.slot_drill_ok", bit(s.DrillError == nil), "slot", s.Name)
	}
}

// time shows a time, if it is one.
func (v *view) time(name string, at time.Time, labels ...string) bool {
	if at.IsZero() {
		return false
	}
	v.show(name, at.Unix(), labels...)
	return true
}

// counted shows what was counted, and what a keeper told.
func (v *view) counted(t *Telemetry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v.show("sealwright.telemetry_dropped", t.side.dropped.Load())
	for name, c := range t.wrappers {
		v.calls(name, c)
	}
	for k, n := range t.events {
		v.show("sealwright.events", n, "kind", k[0], "result", k[1])
	}
	for k, n := range t.rewraps {
		v.show("sealwright.rewrap_items", n, "source", k[0], "outcome", k[1])
	}
	for source, counts := range t.items {
		for term, n := range counts {
			v.show("sealwright.items", n, "source", source, "term", term)
		}
	}
	if k := t.keeper; k != nil {
		v.show("sealwright.keeper_phase", 1, "phase", k.phase)
		v.show("sealwright.keeper_failed", bit(k.failed))
		v.time("sealwright.keeper_rotated_timestamp_seconds", k.rotated)
		v.time("sealwright.keeper_round_timestamp_seconds", k.round)
	}
}

func (v *view) journal(t *Telemetry) {
	t.mu.Lock()
	status := t.journal
	t.mu.Unlock()
	if status == nil {
		return
	}
	s := status()
	v.show("sealwright.journal_line", int64(s.Head.Seq))
	v.show("sealwright.journal_waiting", int64(s.Waiting))
	v.show("sealwright.journal_lost", int64(s.Lost))
	v.show("sealwright.journal_failed", bit(s.Heads != nil), "what", "heads")
	v.show("sealwright.journal_failed", bit(s.Missing != nil), "what", "missing")
	v.show("sealwright.journal_failed", bit(s.Rotation != nil), "what", "rotate")
	v.show("sealwright.journal_failed", bit(s.Err != nil), "what", "write")
}

func (v *view) calls(name string, c *calls) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for op, word := range vaultWords {
		v.show("vault.seal."+word, c.count[op], "seal_wrapper_name", name)
		v.show("vault.seal."+word+".error", c.failed[op], "seal_wrapper_name", name)
	}
	v.show("vault.seal.unreachable.time", c.unreachable().Milliseconds(), "seal_wrapper_name", name)
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

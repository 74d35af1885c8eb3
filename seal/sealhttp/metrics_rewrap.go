package sealhttp

import (
	"cmp"
	"maps"
	"slices"
)

// Rewrap begins to count a run of migrate.Rewrap over a source. The function that
// it returns is called with the outcomes of each progress, which are those of the
// run so far:
//
//	count := metrics.Rewrap("tokens.secret")
//	for p, err := range migrate.Rewrap(ctx, kr, tokens, opt) {
//		count(p.Outcomes())
//
// It shows sealwright_rewrap_items_total{source,outcome}.
func (m *Metrics) Rewrap(source string) func(outcomes map[string]int64) {
	last := map[string]int64{}
	return func(outcomes map[string]int64) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.rewrapped == nil {
			m.rewrapped = map[[2]string]int64{}
		}
		for outcome, items := range outcomes {
			m.rewrapped[[2]string{source, outcome}] += max(0, items-last[outcome])
			last[outcome] = items
		}
	}
}

// Items takes a census of a source, its Counts of items by term:
//
//	census, err := migrate.Count(ctx, kr, tokens)
//	…
//	metrics.Items("tokens.secret", census.Counts())
//
// It shows sealwright_items{source,term}, in place of the census before.
func (m *Metrics) Items(source string, counts map[string]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.items == nil {
		m.items = map[string]map[string]int64{}
	}
	m.items[source] = maps.Clone(counts)
}

// rewraps writes what there is of both. Metrics.mu is held.
func (p *page) rewraps(m *Metrics) {
	if len(m.rewrapped) > 0 {
		p.family("rewrap_items_total", "counter", "Items that a rewrap has dealt with, by source and outcome.")
		for _, k := range slices.SortedFunc(maps.Keys(m.rewrapped), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
			p.sample(m.rewrapped[k], "source", k[0], "outcome", k[1])
		}
	}
	if len(m.items) > 0 {
		p.family("items", "gauge", "Items under each term at the last census, by source.")
		for _, source := range slices.Sorted(maps.Keys(m.items)) {
			// Numbers in their order: the longer is the higher.
			terms := slices.SortedFunc(maps.Keys(m.items[source]), func(a, b string) int {
				return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
			})
			for _, term := range terms {
				p.sample(m.items[source][term], "source", source, "term", term)
			}
		}
	}
}

package sealhttp

import "time"

// keeper is what a keeper told last.
type keeper struct {
	phase          string
	rotated, round time.Time
	err            error
}

// Keeper takes what a Keeper of package migrate is at, which calls it: the phase,
// when the active term was made, when its last round here ended, and what went
// wrong. Metrics is a KeeperMetrics of that package:
//
//	migrate.NewKeeper(b, migrate.KeeperConfig{Metrics: &metrics, …})
func (m *Metrics) Keeper(phase string, rotated, round time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keeper = &keeper{phase, rotated, round, err}
}

func (p *page) keeper(k *keeper) {
	if k == nil {
		return
	}
	p.family("keeper_phase", "gauge", "What the keeper of this process is at.")
	p.sample(1, "phase", k.phase)
	p.gauge("keeper_failed", "Whether the keeper could not do something lately, or left items as they are.", bit(k.err != nil))
	for _, t := range []struct {
		name, help string
		at         time.Time
	}{
		{"keeper_rotated_timestamp_seconds", "When the active term was made.", k.rotated},
		{"keeper_round_timestamp_seconds", "When the last round of the keeper of this process ended.", k.round},
	} {
		if !t.at.IsZero() {
			p.gauge(t.name, t.help, t.at.Unix())
		}
	}
}

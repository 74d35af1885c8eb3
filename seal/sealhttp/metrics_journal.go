package sealhttp

import "github.com/sealwright/sealwright/seal/journal"

// Journal shows how a journal is, which is asked at each scrape, and waits for nothing:
//
//	metrics.Journal(j.Status)
func (m *Metrics) Journal(status func() journal.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.journal = status
}

func (p *page) journal(status func() journal.Status) {
	if status == nil {
		return
	}
	s := status()
	p.gauge("journal_line", "Number of the newest line that is known to be written to the journal.", s.Head.Seq)
	p.gauge("journal_waiting", "Events in memory that wait to be written to the journal.", s.Waiting)
	p.family("journal_lost_total", "counter", "Events that this process could neither write to the journal nor keep.")
	p.sample(s.Lost)
	p.family("journal_failed", "gauge", "Whether the journal cannot be written, lacks lines that were there, its newest head cannot be kept elsewhere, or its file not be renamed.")
	for _, f := range []struct {
		what string
		err  error
	}{{"heads", s.Heads}, {"missing", s.Missing}, {"rotate", s.Rotation}, {"write", s.Err}} {
		p.sample(bit(f.err != nil), "what", f.what)
	}
}

package report

import (
	"iter"

	"github.com/sealwright/sealwright/seal"
)

// Merge returns the events of several sources, such as each replica's journal, by
// their times. Each source has its own oldest first.
func Merge(sources ...iter.Seq2[seal.Event, error]) iter.Seq2[seal.Event, error] {
	return func(yield func(seal.Event, error) bool) {
		type source struct {
			next func() (seal.Event, error, bool)
			seal.Event
			err error
			ok  bool
		}
		list := make([]*source, 0, len(sources))
		for _, from := range sources {
			if from == nil {
				continue
			}
			next, stop := iter.Pull2(from)
			defer stop()
			s := &source{next: next}
			s.Event, s.err, s.ok = next()
			list = append(list, s)
		}
		for {
			var first *source
			for _, s := range list {
				if s.ok && (first == nil || s.err != nil && first.err == nil || s.err == nil && first.err == nil && s.Time.Before(first.Time)) {
					first = s
				}
			}
			if first == nil || !yield(first.Event, first.err) {
				return
			}
			first.Event, first.err, first.ok = first.next()
		}
	}
}

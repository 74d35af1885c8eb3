package record_test

import (
	"slices"

	"github.com/sealwright/sealwright/internal/record"
)

// skipTerms is how many term numbers a restore leaves out, as in package seal.
const skipTerms = 1024

func (k *maker) restore(st record.Step, with rec) (record.State, id, error) {
	s, knew := &k.state, &k.at(with).state
	if !k.shareTerm(k.entry, k.at(with)) {
		return record.State{}, 0, errNot
	}
	kept := knew.Terms
	number := max(s.LastTerm, knew.LastTerm) + skipTerms + 1
	switch {
	case k.faults.restoreReuses:
		kept, number = nil, s.LastTerm+1
	case k.faults.restoreForgets:
		kept = slices.DeleteFunc(slices.Clone(kept), func(t record.Term) bool { return t.Number <= s.LastTerm })
	}
	r, root := k.branch(number)
	next, err := s.Restore(st, &knew.Record, kept, r)
	if k.faults.restoreKeepsRoot && err == nil {
		next, root = oldRoot(next, s), k.root
	}
	return next, root, err
}

// branch makes what a restore or a join comes with: a root key and a term.
func (k *maker) branch(number uint32) (record.NewRoot, id) {
	r, root := k.rewrap(nil, false)
	t := k.term(number, record.TermActive)
	r.Term = &t
	return r, root
}

func (k *maker) join(st record.Step, with rec) (record.State, id, error) {
	s, fork := &k.state, &k.at(with).state
	if !k.shareTerm(k.entry, k.at(with)) {
		return record.State{}, 0, errNot
	}
	r, root := k.branch(max(s.LastTerm, fork.LastTerm) + 1)
	if k.faults.joinTrusts {
		// The fork's key wins wherever both have one of a number.
		own := s.Clone()
		for i := range own.Terms {
			for _, theirs := range fork.Terms {
				if theirs.Number == own.Terms[i].Number {
					own.Terms[i].Key = theirs.Key
				}
			}
		}
		s = &own
	}
	next, err := s.Join(st, &fork.Record, fork.Terms, r)
	if k.faults.joinKeepsRoot && err == nil {
		next, root = oldRoot(next, s), k.root
	}
	return next, root, err
}

func (m *model) shareTerm(a, b *entry) bool {
	return slices.ContainsFunc(a.terms, func(x id) bool { return slices.Contains(b.terms, x) })
}

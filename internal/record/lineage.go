package record

import "slices"

// After reports whether the state comes after the record of that generation and
// digest. Its digests say so; its journal says how far back they reach, since a
// restore leaves generations out. Where they do not reach that record, sure is
// false, and nobody can tell.
func (s *State) After(generation uint64, digest Digest) (after, sure bool) {
	switch {
	case s.Generation <= generation:
		return false, true
	case slices.Contains(s.Digests, digest):
		return true, true
	case s.Generation-generation <= uint64(len(s.Digests)), len(s.Journal) > 0 && s.Journal[0].Generation <= generation:
		return false, true
	}
	return true, false
}

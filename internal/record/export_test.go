package record

// AtMost is the bound on Size that spares encoding.
func (s *State) AtMost() int { return s.atMost() }

package main

// selection is what is kept for a target, and all that it reaches.
type selection struct {
	reached map[feature]bool
	files   int
	bytes   int
}

func (s *selection) take(all []feature) {
	for _, f := range all {
		s.reached[f] = true
	}
}

func (s *selection) add(in *input) {
	s.take(in.reaches)
	s.files++
	s.bytes += len(in.text)
}

// gain is how much of what an input reaches is reached by nothing kept so far.
func (s *selection) gain(in *input) (n int) {
	for _, f := range in.reaches {
		if !s.reached[f] {
			n++
		}
	}
	return n
}

// choose adds the inputs that reach the most, one after the other and the shorter one of two alike, until
// none reaches anything new or there is no room.
func (s *selection) choose(candidates []*input) (chosen []*input) {
	for s.files < maxFiles {
		var best *input
		most := 0
		for _, in := range candidates {
			n := s.gain(in)
			if s.bytes+len(in.text) <= maxBytes && (n > most || n == most && n > 0 && len(in.text) < len(best.text)) {
				best, most = in, n
			}
		}
		if best == nil {
			break
		}
		s.add(best)
		chosen = append(chosen, best)
	}
	return chosen
}

package balance

import (
	"math/bits"
	"math/rand/v2"
)

// set is the part of the targets that may be chosen.
type set struct {
	targets []Target // all of them
	open    []int32  // the indices of those that may be chosen
	ends    []uint64 // ends[i] is the sum of the weights of open[:i+1]
}

func newSet(targets []Target) set {
	s := set{targets: targets}
	total := uint64(0)
	for i, t := range targets {
		if t.Out || t.Weight <= 0 {
			continue
		}
		total += uint64(t.Weight)
		s.open = append(s.open, int32(i))
		s.ends = append(s.ends, total)
	}
	return s
}

func (s *set) total() uint64 {
	if len(s.ends) == 0 {
		return 0
	}
	return s.ends[len(s.ends)-1]
}

// at returns the position in open that a fraction of 2^64 of the weights' sum falls on.
func (s *set) at(fraction uint64) int {
	point, _ := bits.Mul64(fraction, s.total())
	low, high := 0, len(s.ends)-1
	for low < high {
		if mid := (low + high) / 2; point < s.ends[mid] {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// random returns a position in open by weight. The set must not be empty.
func (s *set) random() int { return s.at(rand.Uint64()) }

// admit turns a part of what targets in slow start would get over to others, at random: it returns
// position i of open or another one. The set must not be empty.
func (s *set) admit(i int) int {
	for range 4 {
		l := s.targets[s.open[i]].Load
		if l == nil || !l.ramping() || rand.Float64() < l.Share() {
			break
		}
		i = s.random()
	}
	return i
}

// less reports whether a has less in flight than b, each by its weight.
func less(a, b *Target) bool {
	return float64(a.Load.InFlight())*b.strength() < float64(b.Load.InFlight())*a.strength()
}

// strength is the weight a target has now, slow start considered.
func (t *Target) strength() float64 { return float64(t.Weight) * t.Load.Share() }

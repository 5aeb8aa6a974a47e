package circuitbreaker

import "math/bits"

// What is looked back on: ten slots of a second.
const (
	slots   = 10
	slotLen = int64(1e9)
)

// window counts requests and their latency over the last ten seconds.
type window struct {
	slots [slots]slot
	begin int64
	last  int64 // the second, since begin, of the newest slot
}

// slot is a second.
type slot struct {
	total, network uint32
	codes          [maxCode]uint32
	latency        [buckets]uint32
}

// maxCode is above all statuses.
const maxCode = 600

// record counts a request that was answered with a status after a time.
func (w *window) record(now int64, status int, took int64) {
	second := (now - w.begin) / slotLen
	for ; w.last < second; w.last++ {
		if second-w.last > slots {
			w.last = second - slots
		}
		w.slots[(w.last+1)%slots] = slot{}
	}
	s := &w.slots[second%slots]
	s.total++
	if status == 502 || status == 504 {
		s.network++
	}
	if status >= 0 && status < maxCode {
		s.codes[status]++
	}
	s.latency[bucketOf(took)]++
}

func (w *window) reset() { w.slots = [slots]slot{} }

// networkErrors is the share of requests that no server could be reached for, or in time.
func (w *window) networkErrors() float64 {
	var total, network uint32
	for i := range w.slots {
		total += w.slots[i].total
		network += w.slots[i].network
	}
	return ratio(network, total)
}

// codes is the share of the statuses from a to under b among those from c to under d.
func (w *window) codes(a, b, c, d int) float64 {
	var these, those uint32
	for i := range w.slots {
		for code, n := range w.slots[i].codes {
			if code >= a && code < b {
				these += n
			}
			if code >= c && code < d {
				those += n
			}
		}
	}
	return ratio(these, those)
}

func ratio(a, b uint32) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// latency is the time, in milliseconds, that a share of requests, in per cent, took at most.
func (w *window) latency(quantile float64) float64 {
	var total uint64
	var all [buckets]uint64
	for i := range w.slots {
		for b, n := range w.slots[i].latency {
			all[b] += uint64(n)
			total += uint64(n)
		}
	}
	rank, seen := quantile/100*float64(total), uint64(0)
	for b, n := range all {
		if seen += n; n > 0 && float64(seen) >= rank {
			return float64(topOf(b)) / 1000
		}
	}
	return 0
}

// Latencies are counted by microseconds, in 32 buckets for each power of two, so that what is told of
// them is at most a thirty-second too much.
const (
	subBits = 5
	buckets = (40 - subBits + 1) << subBits
)

func bucketOf(ns int64) int {
	us := uint64(max(ns, 0)) / 1000
	if us < 1<<subBits {
		return int(us)
	}
	e := bits.Len64(us) - 1
	return min((e-subBits+1)<<subBits+int(us>>(e-subBits)&(1<<subBits-1)), buckets-1)
}

// topOf is the largest number of microseconds that a bucket holds.
func topOf(bucket int) uint64 {
	if bucket < 1<<subBits {
		return uint64(bucket)
	}
	e := bucket>>subBits - 1
	return (uint64(1<<subBits+bucket&(1<<subBits-1))+1)<<e - 1
}

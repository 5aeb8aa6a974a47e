package tidy

import "runtime/metrics"

// heap is the state of the heap, in bytes.
type heap struct {
	allocated uint64 // since the process began
	live      uint64 // found in use by the last collection
	objects   uint64 // allocated and not freed, garbage included
	free      uint64 // free, and not given back
}

// spare is at most how much a collection would give back.
func (h heap) spare() uint64 { return h.free + h.objects - min(h.objects, h.live) }

// reader reads the state of the heap.
type reader struct{ samples [4]metrics.Sample }

func newReader() *reader {
	r := &reader{}
	for i, name := range []string{"/gc/heap/allocs:bytes", "/gc/heap/live:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes"} {
		r.samples[i].Name = name
	}
	return r
}

func (r *reader) read() heap {
	metrics.Read(r.samples[:])
	value := func(i int) uint64 {
		if v := r.samples[i].Value; v.Kind() == metrics.KindUint64 {
			return v.Uint64()
		}
		return 0 // another version of Go, which does not tell
	}
	return heap{allocated: value(0), live: value(1), objects: value(2), free: value(3)}
}

package telemetry

import (
	"sync"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/meter"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// streamBounds are the upper bounds of the durations of streams, in nanoseconds: connections live longer
// than requests.
var streamBounds = [...]int64{int64(time.Second), int64(10 * time.Second), int64(time.Minute), int64(10 * time.Minute), int64(time.Hour)}

// The counters of a stream scope. A stream that has ended is counted in the bucket of its duration alone.
const (
	streamOpened = iota
	streamReceived
	streamSent
	streamNanoseconds
	streamBuckets
	streamWidth = streamBuckets + len(streamBounds) + 1
)

// streamProtocols are the values of the label protocol.
var streamProtocols = [...]string{"tcp", "udp"}

func streamProtocol(s *exchange.Stream) int {
	if s.Protocol == "udp" {
		return 1
	}
	return 0
}

// streams are the scopes of layer 4.
type streams struct {
	mu     sync.RWMutex
	scopes map[streamID]*streamScope
	live   atomic.Pointer[func(kind Kind, name, service string) bool]
}

type streamID struct {
	kind          Kind
	name, service string
}

// streamScope counts the streams of one entry point, router, service or server. It is an
// exchange.StreamScope.
type streamScope struct {
	streamID
	counted bool
	used    atomic.Int64 // when it was last asked for or known to be in use; package clock
	cells   [len(streamProtocols)]atomic.Pointer[meter.Block]
	errors  *[exchange.Draining + 1]atomic.Pointer[meter.Counter] // of entry points
}

// StreamEntryPoint returns the scope of an entry point on layer 4.
func (m *Metrics) StreamEntryPoint(name string) exchange.StreamScope {
	return m.streamScope(streamID{EntryPoint, name, ""}, m.options.EntryPoints)
}

// StreamRouter returns the scope of a router of TCP or UDP and the service it leads to, by qualified names.
func (m *Metrics) StreamRouter(name, service string) exchange.StreamScope {
	return m.streamScope(streamID{Router, name, service}, m.options.Routers)
}

// StreamService returns the scope of a service of TCP or UDP.
func (m *Metrics) StreamService(name string) exchange.StreamScope {
	return m.streamScope(streamID{Service, name, ""}, m.options.Services)
}

// StreamEndpoint returns the scope of one server of such a service. Its Name is the address.
func (m *Metrics) StreamEndpoint(service, address string) exchange.StreamScope {
	return m.streamScope(streamID{Server, address, service}, m.options.Servers)
}

// streamScope returns the one scope of an object for as long as it is live.
func (m *Metrics) streamScope(id streamID, counted bool) exchange.StreamScope {
	m.streams.mu.Lock()
	defer m.streams.mu.Unlock()
	s := m.streams.scopes[id]
	if s == nil {
		s = &streamScope{streamID: id, counted: counted}
		if id.kind == EntryPoint {
			s.errors = new([exchange.Draining + 1]atomic.Pointer[meter.Counter])
		}
		if m.streams.scopes == nil {
			m.streams.scopes = map[streamID]*streamScope{}
		}
		m.streams.scopes[id] = s
	}
	s.used.Store(clock.Now())
	return s
}

// SetLiveStreams is SetLive for the objects of TCP and UDP.
func (m *Metrics) SetLiveStreams(live func(kind Kind, name, service string) bool) {
	m.streams.live.Store(&live)
}

// Name is the qualified name, or the address of a server.
func (s *streamScope) Name() string { return s.name }

func (s *streamScope) cell(of *exchange.Stream) *meter.Block {
	p := &s.cells[streamProtocol(of)]
	if b := p.Load(); b != nil {
		return b
	}
	p.CompareAndSwap(nil, meter.NewBlock(streamWidth))
	return p.Load()
}

// Opened counts a stream.
func (s *streamScope) Opened(of *exchange.Stream) {
	if s.counted {
		s.cell(of).Add(of.Conn.Shard, streamOpened, 1)
	}
}

// Moved counts bytes.
func (s *streamScope) Moved(of *exchange.Stream, received, sent int64) {
	if s.counted {
		c := s.cell(of)
		c.Add(of.Conn.Shard, streamReceived, uint64(received))
		c.Add(of.Conn.Shard, streamSent, uint64(sent))
	}
}

// Closed counts a stream as over.
func (s *streamScope) Closed(of *exchange.Stream) {
	if !s.counted {
		return
	}
	bucket := 0
	for bucket < len(streamBounds) && of.Duration > streamBounds[bucket] {
		bucket++
	}
	c := s.cell(of)
	c.Add(of.Conn.Shard, streamBuckets+bucket, 1)
	c.Add(of.Conn.Shard, streamNanoseconds, uint64(max(of.Duration, 0)))
	if s.errors != nil && of.Failed {
		p := &s.errors[min(of.Kind, exchange.Draining)]
		if p.Load() == nil {
			p.CompareAndSwap(nil, meter.NewCounter())
		}
		p.Load().Add(of.Conn.Shard, 1)
	}
}

// streams sends the series of layer 4, and drops those of what has long been gone and has no stream left.
func (o *output) streams() {
	m := &o.metrics.streams
	live := m.live.Load()
	now := clock.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, s := range m.scopes {
		open := o.stream(s)
		switch {
		case live == nil || id.kind == EntryPoint:
		case (*live)(id.kind, id.name, id.service):
			s.used.Store(now)
		case open == 0 && now-s.used.Load() > int64(o.metrics.options.Linger):
			delete(m.scopes, id)
		}
	}
}

// stream sends the series of a scope and returns how many streams it has.
func (o *output) stream(s *streamScope) (open uint64) {
	fs := &o.metrics.families
	own := []string{valid(s.name)}
	if s.kind == Router || s.kind == Server {
		own = append(own, valid(s.service))
	}
	for i := range s.cells {
		cell := s.cells[i].Load()
		if cell == nil {
			continue
		}
		var sums [streamWidth]uint64
		cell.Sum(sums[:])
		labels := fs.streamsTotal[s.kind].pairs(append([]string{streamProtocols[i]}, own...)...)
		histogram, ended := streamHistogram(sums[:])
		now := max(sums[streamOpened], ended) - ended // additions under way may be seen in part
		open += now
		o.counter(&fs.streamsTotal[s.kind], labels, float64(sums[streamOpened]))
		o.gauge(&fs.streamsOpen[s.kind], labels, float64(now))
		o.counter(&fs.streamReceived[s.kind], labels, float64(sums[streamReceived]))
		o.counter(&fs.streamSent[s.kind], labels, float64(sums[streamSent]))
		o.send(&fs.streamDuration[s.kind], series{labels: labels, histogram: histogram})
	}
	if s.errors != nil {
		for kind := range s.errors {
			if c := s.errors[kind].Load(); c != nil {
				o.counter(&fs.streamErrors, fs.streamErrors.pairs(own[0], exchange.Kind(kind).Error()), float64(c.Value()))
			}
		}
	}
	return open
}

func streamHistogram(sums []uint64) (*dto.Histogram, uint64) {
	seconds := float64(sums[streamNanoseconds]) / 1e9
	h := &dto.Histogram{SampleSum: &seconds, Bucket: make([]*dto.Bucket, len(streamBounds))}
	total := uint64(0)
	for i, bound := range streamBounds {
		total += sums[streamBuckets+i]
		count, upper := total, float64(bound)/1e9
		h.Bucket[i] = &dto.Bucket{CumulativeCount: &count, UpperBound: &upper}
	}
	total += sums[streamBuckets+len(streamBounds)]
	h.SampleCount = &total
	return h, total
}

package telemetry

import (
	"crypto/tls"
	"math"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/meter"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Kind is what a scope stands for.
type Kind uint8

// The kinds.
const (
	EntryPoint Kind = iota
	Router
	Service
	Server
	kindCount
)

// maxCells bounds the combinations of code, method and protocol that one scope tells apart; the rest
// is counted under code 0.
const maxCells = 1024

// The counters of a cell. A request is counted in the bucket of its duration alone: the sum of the
// buckets is the number of requests.
const (
	cellNanoseconds = iota
	cellRequestBytes
	cellResponseBytes
	cellBuckets
)

// label is a scope that counts nothing.
type label string

func (l *label) Name() string               { return string(*l) }
func (l *label) Observe(*exchange.Exchange) {}

// scope counts the requests of one entry point, router, service or server.
type scope struct {
	kind    Kind
	name    string // of a server, its URL
	service string // of a router or server
	metrics *Metrics
	used    atomic.Int64 // when it was last asked for or known to be in use; package clock

	cells   meter.Table[meter.Block]   // by keyOf; of a server by status alone
	tls     meter.Table[meter.Counter] // by tlsKey; not of servers
	headers *headerTable               // nil without header labels
	retries *meter.Counter             // of services
	errors  *[exchange.Draining + 1]atomic.Pointer[meter.Counter]
}

// Name is the qualified name, or the URL of a server.
func (s *scope) Name() string { return s.name }

// Observe counts a finished exchange.
func (s *scope) Observe(x *exchange.Exchange) {
	r := &x.Record
	if r.Uncounted {
		return
	}
	shard := x.Conn.Shard
	if s.kind == Server {
		s.add(shard, pack(statusCode(r.UpstreamStatus), 0, 0), r.UpstreamDuration, 0, 0)
		return
	}
	if r.Labels == 0 {
		r.Labels = keyOf(x)
	}
	key := r.Labels
	s.add(shard, key, r.Duration, r.RequestBytes, r.ResponseBytes)
	if s.headers != nil {
		s.headers.add(shard, key, &x.Request.Header)
	}
	if x.Conn.TLS != nil {
		s.addTLS(shard, x.Conn.TLS)
	}
	switch s.kind {
	case Service:
		if r.Attempts > 1 {
			s.retries.Add(shard, uint64(r.Attempts-1))
		}
	case EntryPoint:
		if r.Failed {
			s.addError(shard, r.Kind)
		}
	}
}

func (s *scope) add(shard, key uint32, duration, received, sent int64) {
	cell := s.cells.Get(key)
	if cell == nil {
		cell = s.newCell(key)
	}
	bounds := s.metrics.bounds
	bucket := 0
	for bucket < len(bounds) && duration > bounds[bucket] {
		bucket++
	}
	cell.Add(shard, cellBuckets+bucket, 1)
	cell.Add(shard, cellNanoseconds, uint64(max(duration, 0)))
	if received > 0 {
		cell.Add(shard, cellRequestBytes, uint64(received))
	}
	if sent > 0 {
		cell.Add(shard, cellResponseBytes, uint64(sent))
	}
}

func (s *scope) newCell(key uint32) *meter.Block {
	fresh := func() *meter.Block { return meter.NewBlock(cellBuckets + len(s.metrics.bounds) + 1) }
	if cell := s.cells.Make(key, maxCells, fresh); cell != nil {
		return cell
	}
	return s.cells.Make(pack(0, 0, 0), math.MaxInt, fresh)
}

// maxSuites bounds the combinations of TLS version and cipher suite; crypto/tls has far fewer.
const maxSuites = 128

func (s *scope) addTLS(shard uint32, state *tls.ConnectionState) {
	key := tlsKey(state)
	c := s.tls.Get(key)
	if c == nil {
		if c = s.tls.Make(key, maxSuites, meter.NewCounter); c == nil {
			return
		}
	}
	c.Add(shard, 1)
}

func (s *scope) addError(shard uint32, kind exchange.Kind) {
	if int(kind) >= len(s.errors) {
		kind = exchange.Internal
	}
	p := &s.errors[kind]
	c := p.Load()
	if c == nil {
		p.CompareAndSwap(nil, meter.NewCounter())
		c = p.Load()
	}
	c.Add(shard, 1)
}

// nanoseconds turns bucket bounds in seconds into nanoseconds.
func nanoseconds(seconds []float64) []int64 {
	bounds := make([]int64, len(seconds))
	for i, s := range seconds {
		bounds[i] = int64(math.Round(s * float64(time.Second)))
	}
	return bounds
}

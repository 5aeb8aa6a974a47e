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
	// What every request needs comes first, in one cache line.
	kind     Kind
	shortest int64        // the first of metrics.bounds
	headers  *headerTable // nil without header labels
	metrics  *Metrics
	cells    meter.Table[meter.Row] // by keyOf; of a server by status alone

	name    string                 // of a server, its URL
	service string                 // of a router or server
	used    atomic.Int64           // when it was last asked for or known to be in use; package clock
	tls     meter.Table[meter.Row] // by tlsKey; not of servers
	retries *meter.Counter         // of services
	errors  *[exchange.Draining + 1]atomic.Pointer[meter.Counter]
}

// Name is the qualified name, or the URL of a server.
func (s *scope) Name() string { return s.name }

// Observe counts a finished exchange.
func (s *scope) Observe(x *exchange.Exchange) { Observe(x, s) }

// Observe counts a finished exchange in one turn in each of scopes that a Metrics counts by. Others, and nil, are
// passed over.
func Observe(x *exchange.Exchange, scopes ...exchange.Scope) {
	r := &x.Record
	if r.Uncounted {
		return
	}
	received, sent := uint64(max(r.RequestBytes, 0)), uint64(max(r.ResponseBytes, 0))
	special := r.Failed || r.Attempts > 1 || x.Conn.TLS != nil
	turn := meter.Begin(x.Conn.Shard)
	defer turn.End() // after a panic as well, or a scrape would wait for ever
	for _, of := range scopes {
		s, ok := of.(*scope)
		if !ok {
			continue
		}
		key, duration := r.Labels, r.Duration
		switch {
		case s.kind == Server:
			key, duration = pack(statusCode(r.UpstreamStatus), 0, 0), r.UpstreamDuration
		case key == 0:
			key = keyOf(x)
			r.Labels = key
		}
		cell := s.cells.Near(key)
		if cell == nil {
			cell = s.cell(key)
		}
		bucket := uint(0)
		if duration > s.shortest {
			bucket = s.metrics.bucket(duration)
		}
		row := *cell
		row.Add(turn, cellNanoseconds, uint64(max(duration, 0)))
		row.Add(turn, cellBuckets+bucket, 1)
		if s.kind != Server {
			row.Add(turn, cellRequestBytes, received)
			row.Add(turn, cellResponseBytes, sent)
			if special || s.headers != nil {
				s.countMore(x, turn)
			}
		}
	}
}

// cell is where requests with the labels of key are counted.
func (s *scope) cell(key uint32) *meter.Row {
	if cell := s.cells.Get(key); cell != nil {
		return cell
	}
	fresh := func() meter.Row { return meter.NewRow(cellBuckets + len(s.metrics.bounds) + 1) }
	if cell := s.cells.Make(key, maxCells, fresh); cell != nil {
		return cell
	}
	return s.cells.Make(pack(0, 0, 0), math.MaxInt, fresh)
}

// bucket is the number of the one that a duration is counted in.
func (m *Metrics) bucket(duration int64) uint {
	for i, bound := range m.bounds {
		if duration <= bound {
			return uint(i)
		}
	}
	return uint(len(m.bounds))
}

// countMore counts what not every exchange has; of servers there is nothing.
func (s *scope) countMore(x *exchange.Exchange, turn meter.Turn) {
	r := &x.Record
	if s.headers != nil {
		s.headers.add(x.Conn.Shard, r.Labels, &x.Request.Header)
	}
	if x.Conn.TLS != nil {
		s.addTLS(turn, x.Conn.TLS)
	}
	switch s.kind {
	case Service:
		if r.Attempts > 1 {
			s.retries.Add(x.Conn.Shard, uint64(r.Attempts-1))
		}
	case EntryPoint:
		if r.Failed {
			s.addError(x.Conn.Shard, r.Kind)
		}
	}
}

// maxSuites bounds the combinations of TLS version and cipher suite; crypto/tls has far fewer.
const maxSuites = 128

func (s *scope) addTLS(turn meter.Turn, state *tls.ConnectionState) {
	key := tlsKey(state)
	c := s.tls.Get(key)
	if c == nil {
		if c = s.tls.Make(key, maxSuites, func() meter.Row { return meter.NewRow(1) }); c == nil {
			return
		}
	}
	c.Add(turn, 0, 1)
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

package telemetry

import (
	"crypto/tls"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/pergola-mesh/pergola/internal/meter"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Describe describes nothing: series come and go with the configuration.
func (m *Metrics) Describe(chan<- *prometheus.Desc) {}

// Collect sends all series, then drops those of what has long been gone.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	out := output{ch: ch, metrics: m}
	out.process()
	for kind := EntryPoint; kind < kindCount; kind++ {
		for _, s := range m.all(kind) {
			out.scope(s)
		}
	}
	out.streams()
	out.servers()
	out.certificates()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
}

// output turns sums into series.
type output struct {
	ch      chan<- prometheus.Metric
	metrics *Metrics
}

// series is one metric at one moment. The values are shared between its names.
type series struct {
	desc      *prometheus.Desc
	labels    []*dto.LabelPair
	counter   *dto.Counter
	gauge     *dto.Gauge
	histogram *dto.Histogram
}

func (s *series) Desc() *prometheus.Desc { return s.desc }

func (s *series) Write(out *dto.Metric) error {
	out.Label, out.Counter, out.Gauge, out.Histogram = s.labels, s.counter, s.gauge, s.histogram
	return nil
}

func (o *output) send(f *family, s series) {
	for _, desc := range f.descs {
		s.desc = desc
		o.ch <- new(s)
	}
}

func (o *output) counter(f *family, labels []*dto.LabelPair, v float64) {
	o.send(f, series{labels: labels, counter: &dto.Counter{Value: &v}})
}

func (o *output) gauge(f *family, labels []*dto.LabelPair, v float64) {
	o.send(f, series{labels: labels, gauge: &dto.Gauge{Value: &v}})
}

// process sends what has no scope.
func (o *output) process() {
	fs, c := &o.metrics.families, &o.metrics.counts
	o.counter(&fs.reloads, nil, float64(c.reloads.Load()))
	o.gauge(&fs.lastReload, nil, float64(c.lastReload.Load()))
	o.gauge(&fs.problems, nil, float64(c.problems.Load()))
	o.gauge(&fs.kept, nil, float64(c.kept.Load()))
	if dropped := c.accessLogDropped.Load(); dropped != nil {
		o.counter(&fs.accessLogDropped, nil, float64((*dropped)()))
	}
	o.metrics.connections.each(func(entryPoint, protocol string, v float64) {
		o.gauge(&fs.connections, fs.connections.pairs(entryPoint, protocol), v)
	})
	o.metrics.rejected.each(func(entryPoint, rule string, v float64) {
		o.counter(&fs.rejected, fs.rejected.pairs(entryPoint, rule), v)
	})
	if expiries := o.metrics.expiries.Load(); expiries != nil {
		for _, e := range (*expiries)() {
			labels := fs.expiry.pairs(valid(e.CommonName), e.Serial, valid(e.SANs))
			o.gauge(&fs.expiry, labels, float64(e.NotAfter.Unix()))
		}
	}
}

// servers sends the state of servers.
func (o *output) servers() {
	servers := o.metrics.servers.Load()
	if servers == nil {
		return
	}
	fs := &o.metrics.families
	seen := map[scopeID]bool{}
	for _, s := range (*servers)() {
		if id := (scopeID{s.URL, s.Service}); seen[id] {
			continue
		} else {
			seen[id] = true
		}
		up := 0.0
		if s.Up {
			up = 1
		}
		if o.metrics.options.Services {
			o.gauge(&fs.serverUp, fs.serverUp.pairs(valid(s.Service), valid(s.URL)), up)
		}
		if o.metrics.options.Servers {
			o.gauge(&fs.serverInFlight, fs.serverInFlight.pairs(valid(s.Service), valid(s.URL)), float64(s.InFlight))
		}
	}
}

// scope sends everything of one scope.
func (o *output) scope(s *scope) {
	fs := &o.metrics.families
	own := []string{valid(s.name)}
	if s.kind == Router || s.kind == Server {
		own = append(own, valid(s.service))
	}
	s.cells.All(func(key uint32, cell *meter.Row) { o.cell(s, own, key, cell) })
	s.tls.All(func(key uint32, c *meter.Row) {
		var sum [1]uint64
		c.Sum(sum[:])
		f := &fs.tls[s.kind]
		values := append([]string{TLSVersion(uint16(key >> 16)), tls.CipherSuiteName(uint16(key))}, own...)
		o.counter(f, f.pairs(values...), float64(sum[0]))
	})
	if s.headers != nil {
		f := &fs.requests[s.kind]
		for _, c := range s.headers.all() {
			values := append(append(keyValues(s.kind, c.key), own...), c.values...)
			o.counter(f, f.pairs(values...), float64(c.count.Value()))
		}
	}
	if s.retries != nil {
		o.counter(&fs.retries, fs.retries.pairs(own...), float64(s.retries.Value()))
	}
	if s.errors != nil {
		for kind := range s.errors {
			if c := s.errors[kind].Load(); c != nil {
				o.counter(&fs.errors, fs.errors.pairs(own[0], exchange.Kind(kind).Error()), float64(c.Value()))
			}
		}
	}
}

// keyValues are the label values that a key packs.
func keyValues(kind Kind, key uint32) []string {
	code, method, protocol := unpack(key)
	if kind == Server {
		return []string{codeText(code)}
	}
	return []string{codeText(code), methods[method], protocols[protocol]}
}

// cell sends the series of one combination of labels.
func (o *output) cell(s *scope, own []string, key uint32, cell *meter.Row) {
	fs := &o.metrics.families
	sums := make([]uint64, cell.Width())
	cell.Sum(sums)
	labels := fs.duration[s.kind].pairs(append(keyValues(s.kind, key), own...)...)
	histogram, total := o.histogram(sums)
	if s.headers == nil {
		o.counter(&fs.requests[s.kind], labels, float64(total))
	}
	o.send(&fs.duration[s.kind], series{labels: labels, histogram: histogram})
	if s.kind != Server {
		o.counter(&fs.received[s.kind], labels, float64(sums[cellRequestBytes]))
		o.counter(&fs.sent[s.kind], labels, float64(sums[cellResponseBytes]))
	}
}

// histogram makes a histogram of a cell's sums, and the number of requests.
func (o *output) histogram(sums []uint64) (*dto.Histogram, uint64) {
	seconds := float64(sums[cellNanoseconds]) / 1e9
	h := &dto.Histogram{SampleSum: &seconds, Bucket: make([]*dto.Bucket, len(o.metrics.seconds))}
	total := uint64(0)
	for i := range h.Bucket {
		total += sums[cellBuckets+i]
		count := total
		h.Bucket[i] = &dto.Bucket{CumulativeCount: &count, UpperBound: &o.metrics.seconds[i]}
	}
	total += sums[cellBuckets+len(h.Bucket)]
	h.SampleCount = &total
	return h, total
}

// valid makes a label value of s: labels must be UTF-8.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

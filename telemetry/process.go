package telemetry

import (
	"crypto/x509"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/meter"
)

// counts are those that have no labels.
type counts struct {
	reloads          atomic.Uint64
	lastReload       atomic.Int64 // Unix seconds; 0 is never
	problems, kept   atomic.Int64
	accessLogDropped atomic.Pointer[func() uint64]
}

// Reloaded counts a configuration that took effect, with the number of problems that are left in it, and of
// objects in error whose last good version is in force.
func (m *Metrics) Reloaded(problems, kept int) {
	m.counts.reloads.Add(1)
	m.counts.lastReload.Store(time.Now().Unix())
	m.counts.problems.Store(int64(problems))
	m.counts.kept.Store(int64(kept))
}

// Connections is the number of open connections of an entry point and protocol ("TCP", "UDP"). The
// caller keeps the gauge and adds 1 and -1.
func (m *Metrics) Connections(entryPoint, protocol string) *meter.Gauge {
	return m.connections.get(entryPoint, protocol)
}

// Rejected counts a request that an entry point refused before it had a router, by the name of the
// rule that it broke. Rule names are few: they are the codec's.
func (m *Metrics) Rejected(entryPoint, rule string) { m.rejected.get(entryPoint, rule).Add(0, 1) }

// SetAccessLogDropped tells where the number of access log lines lost is to be had.
func (m *Metrics) SetAccessLogDropped(dropped func() uint64) {
	m.counts.accessLogDropped.Store(&dropped)
}

// ServerState is how a server of a service fares.
type ServerState struct {
	Service, URL string
	// Up is false while health checks keep requests away.
	Up bool
	// InFlight is the number of requests it is working on.
	InFlight int64
}

// SetServers tells where the state of all servers is to be had, at scrape.
func (m *Metrics) SetServers(servers func() []ServerState) { m.servers.Store(&servers) }

// Expiry is when a certificate ends.
type Expiry struct {
	CommonName, Serial string
	// SANs are the names, and then the URIs, joined by commas.
	SANs     string
	NotAfter time.Time
}

// ExpiryOf is the expiry of a certificate.
func ExpiryOf(c *x509.Certificate) Expiry {
	names := slices.Clone(c.DNSNames)
	for _, uri := range c.URIs { // such as a SPIFFE ID
		names = append(names, uri.String())
	}
	return Expiry{c.Subject.CommonName, c.SerialNumber.String(), strings.Join(names, ","), c.NotAfter}
}

// SetExpiries tells where the certificates in use are to be had, at scrape.
func (m *Metrics) SetExpiries(expiries func() []Expiry) { m.expiries.Store(&expiries) }

// meterMap holds a gauge for each pair of labels.
type meterMap struct {
	mu     sync.RWMutex
	gauges map[[2]string]*meter.Gauge
}

func (m *meterMap) get(a, b string) *meter.Gauge {
	id := [2]string{a, b}
	m.mu.RLock()
	g := m.gauges[id]
	m.mu.RUnlock()
	if g != nil {
		return g
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if g = m.gauges[id]; g == nil {
		if m.gauges == nil {
			m.gauges = map[[2]string]*meter.Gauge{}
		}
		g = meter.NewGauge()
		m.gauges[id] = g
	}
	return g
}

func (m *meterMap) each(f func(a, b string, v float64)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for id, g := range m.gauges {
		f(id[0], id[1], float64(g.Value()))
	}
}

package upstream

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Mirroring is the configuration of a service that sends copies of a share of its requests to other
// services, whose answers are dropped. What becomes of a copy never changes, delays or fails the
// request: copies that would take too much are not made. Not copied are requests to upgrade, and those
// whose answer begins before their body has ended.
type Mirroring struct {
	Service Child
	Mirrors []Mirror
	// MirrorBody copies bodies too; else copies have none.
	MirrorBody bool
	// MaxBodySize in bytes is the longest body that is copied; a request with a longer one is not
	// mirrored. -1 means that only the memory for all copies together is a limit: 64 MiB.
	MaxBodySize int64
	// HealthCheck makes the health of Service known upwards; it must have health checks then.
	HealthCheck bool
}

// Mirror is a mirror and the percentage of requests it gets, 0 to 100.
type Mirror struct {
	Child
	Percent int
}

// Bounds of what a mirroring service spends on copies.
const (
	maxCopies     = 256      // in flight at a time, each on a goroutine
	maxCopyBytes  = 64 << 20 // of bodies kept at a time
	maxMirrors    = 64
	mirrorTimeout = 30 * time.Second // for a copy to be answered in full
)

type mirroring struct {
	name    string
	logger  *slog.Logger
	main    Child
	mirrors []Mirror
	bodies  bool
	maxBody int64
	checked bool
	closed  atomic.Bool

	total   atomic.Uint64 // requests
	copies  atomic.Int64  // in flight
	ledger  ledger
	dropped atomic.Uint64
	warned  atomic.Int64 // when drops were last logged, by package clock; 0 for never
}

// Mirroring makes a service called name.
func (r *Registry) Mirroring(name string, c Mirroring) (Service, error) {
	m := &mirroring{
		name: name, logger: r.options.Logger, main: c.Service, mirrors: c.Mirrors, bodies: c.MirrorBody,
		maxBody: c.MaxBodySize, checked: c.HealthCheck, ledger: ledger{limit: maxCopyBytes},
	}
	if len(c.Mirrors) > maxMirrors {
		return nil, fmt.Errorf("service %s: %d mirrors, but %d is the most", name, len(c.Mirrors), maxMirrors)
	}
	for _, mirror := range c.Mirrors {
		if mirror.Percent < 0 || mirror.Percent > 100 {
			return nil, fmt.Errorf("service %s: mirror %s: percent is %d, not between 0 and 100", name, mirror.Name, mirror.Percent)
		}
	}
	if c.HealthCheck {
		if err := mustCheck(name, &m.main); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Handle sends x to the main service, and copies of it to mirrors.
func (m *mirroring) Handle(x *exchange.Exchange) error {
	due := m.due()
	body := x.Request.Body
	bodies := m.bodies && body != nil
	if due == 0 || x.Request.Upgrade != nil || m.closed.Load() ||
		bodies && m.maxBody >= 0 && x.Request.Length > m.maxBody {
		return m.main.Handler.Handle(x)
	}
	if m.copies.Load() >= maxCopies {
		m.drop(bits.OnesCount64(due))
		return m.main.Handler.Handle(x)
	}
	copies := newCopies(x, due)
	if !bodies {
		m.launch(copies, nil)
		return m.main.Handler.Handle(x)
	}
	if whole, ok := exchange.WholeOf(body); ok {
		if (m.maxBody < 0 || int64(len(whole)) <= m.maxBody) && m.ledger.take(len(whole)) {
			m.launch(copies, &shared{bytes: bytes.Clone(whole), ledger: &m.ledger})
		}
		return m.main.Handler.Handle(x)
	}
	return m.record(x, copies)
}

// record sends x to the main service and launches the copies with what that read as the body.
func (m *mirroring) record(x *exchange.Exchange, copies []*requestCopy) error {
	t := &tape{body: x.Request.Body, limit: m.maxBody, ledger: &m.ledger}
	// It stays there: the server may still be reading it when Handle has returned.
	x.Request.Body = t
	defer t.stop()
	err := m.main.Handler.Handle(x)
	if x.Life.Err() != nil {
		return err
	}
	if content, ok := t.take(); ok {
		for _, c := range copies {
			c.x.Request.Trailer.CopyFrom(&x.Request.Trailer)
		}
		m.launch(copies, &shared{bytes: content, ledger: &m.ledger})
	}
	return err
}

// due returns a bit for each mirror that is to get a copy of this request. Each gets its share evenly
// spread.
func (m *mirroring) due() (mirrors uint64) {
	n := m.total.Add(1)
	for i := range m.mirrors {
		if p := uint64(m.mirrors[i].Percent); n*p/100 != (n-1)*p/100 {
			mirrors |= 1 << i
		}
	}
	return mirrors
}

// launch sends each copy on its way. Content is their body; nil for none.
func (m *mirroring) launch(copies []*requestCopy, content *shared) {
	content.use(1)
	defer content.done()
	for _, c := range copies {
		if m.copies.Add(1) > maxCopies {
			m.copies.Add(-1)
			m.drop(1)
			continue
		}
		content.use(1)
		go m.send(c, content)
	}
}

func (m *mirroring) send(c *requestCopy, content *shared) {
	defer func() {
		if r := recover(); r != nil {
			m.logger.Error("a mirror panicked", "service", m.name, "mirror", m.mirrors[c.mirror].Name, "panic", r)
		}
		content.done()
		m.copies.Add(-1)
	}()
	c.send(m.mirrors[c.mirror].Handler, content)
}

// drop counts copies that are not made.
func (m *mirroring) drop(copies int) {
	n := m.dropped.Add(uint64(copies))
	now, last := clock.Now(), m.warned.Load()
	if (last == 0 || now-last > int64(10*time.Second)) && m.warned.CompareAndSwap(last, now|1) {
		m.logger.Warn("copies of requests are dropped because mirrors are too slow", "service", m.name, "dropped", n)
	}
}

// Checked reports whether the main service's health is known.
func (m *mirroring) Checked() bool { return m.checked }

// Healthy reports whether the main service is.
func (m *mirroring) Healthy() bool { return m.main.healthy() }

// Status is nil: there are no servers of its own.
func (m *mirroring) Status() map[string]string { return nil }

// Close ends mirroring. Copies on their way end by themselves.
func (m *mirroring) Close() { m.closed.Store(true) }

package h2

import (
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// silence is how long a connection may have said nothing to be used again without being pinged: a network
// may have forgotten it.
const silence = 5 * time.Second

// ping asks whether the server is still there. With the lock. RFC 9113 §6.7.
func (u *upConn) ping() {
	u.pinged = clock.Now()
	u.out = frame.AppendPing(u.out, false, [8]byte{'p', 'e', 'r', 'g', 'o', 'l', 'a', '?'})
}

// earnSent is what data we send earns a server: it may open windows again.
const earnSent = 4

func soon() time.Time { return time.Now().Add(time.Second) }

// Sweep is the connection's timer.
func (u *upConn) Sweep(now int64) {
	if u.io.PeerGone() { // an end that came together with data is not noticed otherwise
		u.io.Interrupt()
	}
	c := &u.pool.config
	u.mu.Lock()
	if u.over != nil {
		if u.flushing && u.writing.still(u.wrote, false, now) > time.Second {
			u.io.InterruptWrite()
		}
		u.mu.Unlock()
		return
	}
	quiet := time.Duration(now - u.read.Load())
	taken := u.flushing && u.io.Taken()
	switch {
	case u.flushing && beyond(u.writing.still(u.wrote, taken, now), c.SendTimeout):
		u.io.InterruptWrite()
		u.end(exchange.UpstreamTimeout.Withf("the server did not take anything for %v", c.SendTimeout))
		return
	case u.muted != nil && beyond(time.Duration(now-u.mutedAt), maxMuted):
		u.end(u.muted)
		return
	case u.unacked != 0 && time.Duration(now-u.unacked) > ackWithin:
		u.out = frame.AppendGoAway(u.out, 0, frame.SettingsTimeout, ruleUnacked.Rule)
		u.end(exchange.UpstreamReset.Withf("the server did not acknowledge our SETTINGS within %v", ackWithin))
		return
	case u.pinged != 0 && time.Duration(now-max(u.pinged, u.read.Load())) > c.PingTimeout:
		u.end(exchange.UpstreamReset.Withf("the server did not answer a ping within %v", c.PingTimeout))
		return
	case u.pinged == 0 && beyond(quiet, c.PingAfter):
		u.ping()
	}
	if len(u.streams) == 0 && u.load.Load() == 0 {
		if u.since == 0 {
			u.since = now
		}
		if beyond(time.Duration(now-u.since), c.IdleTimeout) || u.leaving || u.pool.closed.Load() {
			u.kept = false
			u.limit.Store(0)
			u.out = frame.AppendGoAway(u.out, 0, frame.NoError, "")
			u.end(errRetired)
			return
		}
	}
	for _, k := range u.streams {
		k.sweep(now, taken)
	}
	u.leave()
}

// sweep is a stream's timer. taken says that the server takes what the connection has sent it. With the lock.
func (k *call) sweep(now int64, taken bool) {
	c := &k.pool.config
	received := k.receiving.still(k.got, false, now)
	room := k.blocked && k.window > 0 && k.u.window > 0 // it waits for room alone
	sent := k.sending.still(k.put, taken && room, now)
	switch {
	case k.tunnelled:
	case (k.sent || k.changes) && !k.head && beyond(received, c.HeadTimeout) && beyond(sent, c.HeadTimeout):
		k.u.reset(k, frame.Cancel, exchange.UpstreamTimeout.Withf("no response head within %v", c.HeadTimeout))
	case k.head && k.waits && beyond(received, c.BodyTimeout):
		k.u.reset(k, frame.Cancel, exchange.UpstreamTimeout.Withf("no more of the response for %v", c.BodyTimeout))
	case k.blocked && !k.sent && beyond(sent, c.SendTimeout):
		k.u.reset(k, frame.Cancel, exchange.UpstreamTimeout.Withf("the server did not take more of the request for %v", c.SendTimeout))
	}
}

func beyond(still, limit time.Duration) bool { return limit > 0 && still > limit }

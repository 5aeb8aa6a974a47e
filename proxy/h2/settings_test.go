package h2

import (
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// after has the timers look as if d had passed since now.
func after(d time.Duration, entries ...sweep.Entry) {
	for _, e := range entries {
		e.Sweep(clock.Now() + int64(d))
	}
}

// A client that never acknowledges our SETTINGS is cut, though it goes on asking. RFC 9113 §6.5.3.
func TestServerCutsWhoDoesNotAcknowledge(t *testing.T) {
	r := newRig(t, echo)
	p := greetBlind(r.dial())
	p.want("SETTINGS", "WINDOW_UPDATE 0 983041", "SETTINGS ack")
	var conns []sweep.Entry
	r.server.sweeper.Each(func(e sweep.Entry) { conns = append(conns, e) })
	after(ackWithin/2, conns...)
	p.send(frame.AppendPing(nil, false, [8]byte{1}))
	if got := p.next(); !strings.HasPrefix(got, "PING") {
		t.Fatalf("it is cut too early: %s", got)
	}
	after(ackWithin+time.Second, conns...)
	p.want("GOAWAY 0 SETTINGS_TIMEOUT settings_timeout", "closed")
	if got := strings.Join(r.rules(), " "); got != "settings_timeout" {
		t.Errorf("refused by %q", got)
	}
}

// One that does is not, and may be idle.
func TestServerWaitsForAcknowledgement(t *testing.T) {
	r := newRig(t, echo)
	p := r.greet()
	p.send(p.request(1, "GET", true)).until("DATA")
	var conns []sweep.Entry
	r.server.sweeper.Each(func(e sweep.Entry) { conns = append(conns, e) })
	after(2*ackWithin, conns...)
	p.send(p.request(3, "GET", true)).until("DATA")
	if rules := r.rules(); len(conns) != 1 || len(rules) > 0 {
		t.Errorf("%d connections, refused by %q", len(conns), rules)
	}
}

// A server that never acknowledges ours is given up, with the requests that are under way.
func TestPoolCutsWhoDoesNotAcknowledge(t *testing.T) {
	for name, acknowledges := range map[string]bool{"does not": false, "does": true} {
		t.Run(name, func(t *testing.T) {
			said := make(chan frame.Code, 1)
			s := newRaw(t, func(c *rawConn) {
				c.greet()
				if acknowledges {
					c.send(frame.AppendSettingsAck(nil))
				}
				if f, ok := c.until(frame.Headers); ok {
					c.send(c.head(f.Stream, 200, false))
				}
				if f, ok := c.until(frame.GoAway); ok {
					said <- f.Code()
				}
				close(said)
			})
			p := newTestPool(t, PoolConfig{Dial: s.dial})
			x := exchangetest.Request("GET", "/")
			defer x.Free()
			if err := p.Handle(x); err != nil {
				t.Fatal(err)
			}
			u := (*p.conns.Load())[0]
			after(ackWithin/2, u)
			if n := len(*p.conns.Load()); n != 1 {
				t.Fatalf("%d connections before the time is over", n)
			}
			after(ackWithin+time.Second, u)
			if acknowledges {
				if n := len(*p.conns.Load()); n != 1 {
					t.Errorf("%d connections", n)
				}
				x.Response.Close()
				return
			}
			if _, err := x.Response.Body.Next(); exchange.KindOf(err) != exchange.UpstreamReset || !strings.Contains(err.Error(), "did not acknowledge") {
				t.Errorf("%v", err)
			}
			x.Response.Close()
			if code := <-said; code != frame.SettingsTimeout {
				t.Errorf("the server is told %v", code)
			}
			waittest.Until(t, "the connection goes", func() bool { return len(*p.conns.Load()) == 0 })
		})
	}
}

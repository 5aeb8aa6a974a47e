package h2

import (
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// windows is an answer that a server sends as fast as it may, without a network in between.
type windows struct {
	t *testing.T
	k *call
}

func newWindows(t *testing.T, trip time.Duration) *windows {
	u := &upConn{trip: int64(trip), streams: map[uint32]*call{}}
	u.read.Store(clock.Now())
	k := newCall(nil, u, nil)
	k.asked = clock.Now() - int64(trip)
	k.head = true
	k.headed()
	return &windows{t, k}
}

// fill sends all that the server may send, and tells how much of it nobody has taken.
func (w *windows) fill() int {
	w.t.Helper()
	for w.k.recv > 0 {
		p := make([]byte, min(w.k.recv, frame.MinMaxSize))
		if e := w.k.receive(&frame.Frame{Type: frame.Data, Stream: 1, Payload: p, Size: len(p)}); e != nil {
			w.t.Fatal(e)
		}
	}
	return w.k.body.size
}

// take takes all there is.
func (w *windows) take() {
	for !w.k.body.empty() {
		w.k.body.take()
		w.k.body.takeBack()
		w.k.allow()
	}
}

// pass has that many windowfuls sent and taken.
func (w *windows) pass(n int) *windows {
	for range n {
		w.fill()
		w.take()
	}
	return w
}

// A stream holds little for a client that takes nothing more, however long it has taken all as it came, where a
// round trip does not bring more than that.
func TestAStreamHoldsWhatARoundTripBrings(t *testing.T) {
	const near, far = 1, time.Hour
	if held := newWindows(t, near).pass(100).fill(); held > upStreamWindow {
		t.Errorf("a stream of a server that is near holds %d bytes", held)
	}
	w := newWindows(t, far).pass(4)
	if held := w.fill(); held < maxUpWindow/2 || held > maxUpWindow {
		t.Errorf("of one that is far away %d bytes may be under way", held)
	}
	w.k.u.trip = near // which is as well as a client that has become slow
	if held := w.pass(100).fill(); held > upStreamWindow {
		t.Errorf("a stream of a client that is slow holds %d bytes", held)
	}
	if w = newWindows(t, far); w.fill() != upStreamWindow {
		t.Error("more may be sent at first")
	}
	for range 100 { // always something is left
		w.k.body.take()
		w.k.body.takeBack()
		w.k.allow()
		w.fill()
	}
	if held := w.fill(); held > upStreamWindow {
		t.Errorf("a stream of a client that waits for nothing holds %d bytes", held)
	}
}

// A round trip takes no longer than the shortest wait for anything.
func TestPoolMeasuresTheRoundTrip(t *testing.T) {
	const slow = 20 * time.Millisecond
	s := newRaw(t, func(c *rawConn) {
		c.greet()
		for n := 0; ; n++ {
			f, ok := c.until(frame.Headers)
			if !ok {
				return
			}
			if n == 0 {
				time.Sleep(slow)
			}
			c.send(c.head(f.Stream, 204, true))
		}
	})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	trip := func() time.Duration {
		if _, err := ask(p, exchangetest.Request("GET", "/")); err != nil {
			t.Fatal(err)
		}
		u := (*p.conns.Load())[0]
		u.mu.Lock()
		defer u.mu.Unlock()
		return time.Duration(u.trip)
	}
	if first := trip(); first < slow {
		t.Errorf("an answer that took %v makes a round trip %v", slow, first)
	}
	began := clock.Now()
	second := trip()
	if most := time.Duration(clock.Now() - began); second <= 0 || second > most {
		t.Errorf("it takes %v, where an answer has come within %v", second, most)
	}
}

package h2

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

const (
	attackers = 8
	growth    = 64 << 20  // how much memory attackers may cost together, in bytes
	allowance = 512 << 10 // how much an attacker may send, in bytes, what waits in sockets included
)

// allowances are how many times the allowance attacks have whose smallest piece is large.
var allowances = map[string]int{"HPACK bomb": 4, "cookie crumbs": 2}

// bombs is how often a header block has a long field: as often as a frame takes, or as the race detector
// lets one wait for.
var bombs = map[bool]int{false: 16000, true: 1000}[exchangetest.UnderRace]

// memory is what the process holds now.
func memory() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// TestServerCutsFloods: who asks for work that serves nothing is cut before much of it is sent, costs little
// memory, and a client that behaves waits no longer than one of a server beside it that nobody attacks.
func TestServerCutsFloods(t *testing.T) {
	beside := newRig(t, func(x *exchange.Exchange) error {
		x.Respond(200, "", nil)
		return nil
	})
	empty := func(typ frame.Type, flags frame.Flags, stream uint32, n int) []byte {
		return bytes.Repeat(frame.AppendHead(nil, 0, typ, flags, stream), n)
	}
	for name, tt := range map[string]struct {
		rule   string
		attack func(p *peer, turn int) []byte // what is sent in a turn
	}{
		"rapid reset": {"flood", func(p *peer, turn int) (out []byte) {
			for i := range 50 {
				id := uint32(100*turn + 2*i + 1)
				out = frame.AppendRSTStream(append(out, p.request(id, "GET", true)...), id, frame.Cancel)
			}
			return out
		}},
		"rapid reset of bodies": {"flood", func(p *peer, turn int) (out []byte) {
			for i := range 50 {
				id := uint32(100*turn + 2*i + 1)
				out = append(out, p.request(id, "POST", false)...)
				out = frame.AppendData(out, id, make([]byte, 100), false)
				out = frame.AppendRSTStream(out, id, frame.Cancel)
			}
			return out
		}},
		"made you reset": {"flood", func(p *peer, turn int) (out []byte) {
			for i := range 50 {
				id := uint32(100*turn + 2*i + 1)
				out = frame.AppendWindowUpdate(append(out, p.request(id, "POST", false)...), id, 0)
			}
			return out
		}},
		"malformed requests": {"flood", func(p *peer, turn int) (out []byte) {
			for i := range 50 {
				out = append(out, p.request(uint32(100*turn+2*i+1), "GET", true, "connection=x")...)
			}
			return out
		}},
		"too many streams": {"flood", func(p *peer, turn int) (out []byte) {
			for i := range 50 {
				out = append(out, p.request(uint32(100*turn+2*i+1), "POST", false)...)
			}
			return out
		}},
		"empty continuations": {"flood", func(p *peer, turn int) []byte {
			if turn == 0 {
				return frame.AppendHead(nil, 0, frame.Headers, 0, 1)
			}
			return empty(frame.Continuation, 0, 1, 100)
		}},
		"endless header block": {"header_block_size", func(p *peer, turn int) []byte {
			block := p.header("x=" + strings.Repeat("y", 8000))
			if turn == 0 {
				return append(frame.AppendHead(nil, len(block), frame.Headers, 0, 1), block...)
			}
			return append(frame.AppendHead(nil, len(block), frame.Continuation, 0, 1), block...)
		}},
		"HPACK bomb": {"flood", func(p *peer, turn int) (out []byte) {
			if turn == 0 {
				return p.request(1, "GET", true, "bomb="+strings.Repeat("b", 3900))
			}
			for i := range 10 {
				out = append(out, headersFrame(uint32(20*turn+2*i+1), true, bytes.Repeat([]byte{0x80 | 62}, bombs))...)
			}
			return out
		}},
		"cookie crumbs": {"flood", func(p *peer, turn int) (out []byte) {
			crumbs := append([]byte{0x82, 0x86, 0x84, 0x01, 1, 'h'}, bytes.Repeat([]byte{0x0f, 0x11, 0}, 2000)...)
			for i := range 10 {
				out = append(out, headersFrame(uint32(20*turn+2*i+1), true, crumbs)...)
			}
			return out
		}},
		"nameless fields": {"flood", func(p *peer, turn int) (out []byte) {
			for i := range 50 {
				out = append(out, headersFrame(uint32(100*turn+2*i+1), true, []byte{0x82, 0x86, 0x84, 0, 0, 0})...)
			}
			return out
		}},
		"settings":         {"flood", func(*peer, int) []byte { return empty(frame.Settings, 0, 0, 100) }},
		"acknowledgements": {"flood", func(*peer, int) []byte { return empty(frame.Settings, frame.Ack, 0, 100) }},
		"large settings": {"flood", func(*peer, int) []byte {
			return frame.AppendSettings(nil, slices.Repeat([]frame.Setting{{ID: frame.InitialWindowSize, Value: 7}}, 2700)...)
		}},
		"pings": {"flood", func(*peer, int) []byte { return bytes.Repeat(frame.AppendPing(nil, false, [8]byte{}), 100) }},
		"priorities": {"flood", func(*peer, int) []byte {
			return bytes.Repeat(append(frame.AppendHead(nil, 5, frame.Priority, 0, 3), 0, 0, 0, 1, 1), 100)
		}},
		"unknown": {"flood", func(*peer, int) []byte { return empty(0x42, 0, 0, 100) }},
		"goaways": {"flood", func(*peer, int) []byte { return bytes.Repeat(frame.AppendGoAway(nil, 0, frame.NoError, ""), 100) }},
		"empty data": {"flood", func(p *peer, turn int) []byte {
			if turn == 0 {
				return p.request(1, "POST", false)
			}
			return empty(frame.Data, 0, 1, 100)
		}},
		"windows": {"flood", func(*peer, int) []byte { return bytes.Repeat(frame.AppendWindowUpdate(nil, 0, 1), 100) }},
		"window by window": {"flood", func(p *peer, turn int) []byte {
			if turn == 0 {
				return append(frame.AppendSettings(nil, frame.Setting{ID: frame.InitialWindowSize, Value: 0}), p.request(1, "PUT", true)...)
			}
			return bytes.Repeat(frame.AppendWindowUpdate(nil, 1, 1), 100)
		}},
		"resets of what has ended": {"flood", func(p *peer, turn int) []byte {
			if turn == 0 {
				return p.request(1, "GET", true)
			}
			return bytes.Repeat(frame.AppendRSTStream(nil, 1, frame.Cancel), 100)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for try := 1; ; try++ {
				attacked, spared := flood(t, beside, tt.rule, allowance*max(1, allowances[name]), tt.attack)
				t.Logf("the client that behaves waited %v at p99, that of the other server %v", attacked, spared)
				if attacked <= tolerated*spared || t.Failed() {
					return
				}
				if try == 3 {
					t.Fatal("which is too long, three times over")
				}
			}
		})
	}
}

// tolerated is how many times as long a client that behaves may wait as that of a server beside it.
const tolerated = 10

// flood attacks a server, which must end each attacker by rule before it has sent more than most bytes. It
// returns the p99 of what a client that behaves waited, and one of another server in the same time.
func flood(t *testing.T, beside *rig, rule string, most int, attack func(p *peer, turn int) []byte) (attacked, spared time.Duration) {
	var working, together atomic.Int64
	r := newRig(t, func(x *exchange.Exchange) error {
		n := working.Add(1)
		defer working.Add(-1)
		for old := together.Load(); n > old && !together.CompareAndSwap(old, n); old = together.Load() {
		}
		switch x.Request.Method {
		case "POST":
			<-x.Context().Done()
			return x.Life.Err()
		case "PUT":
			x.Respond(200, "", make([]byte, 1<<20))
			return nil
		}
		x.Respond(200, "", []byte("hello"))
		return nil
	})
	good := newVisitor(r)
	other := newVisitor(beside)
	before := memory()
	var peak atomic.Int64
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				peak.Store(max(peak.Load(), memory()))
			}
		}
	})
	var all sync.WaitGroup
	began := time.Now()
	for range attackers {
		p := r.greet()
		all.Go(func() {
			p.conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
			cut, sent := make(chan struct{}), 0
			go func() {
				defer close(cut)
				io.Copy(io.Discard, p.conn)
			}()
			for turn := 0; ; turn++ {
				n, err := p.conn.Write(attack(p, turn))
				if sent += n; err != nil {
					break
				}
				select {
				case <-cut:
				default:
					continue
				}
				break
			}
			<-cut
			if sent > most {
				t.Errorf("cut after %d bytes", sent)
			}
		})
	}
	all.Wait()
	t.Logf("the last of the attackers was cut %v after it began", time.Since(began))
	close(stop)
	watch.Wait()
	attacked, spared = good.leave(t), other.leave(t)
	n := 0
	for _, refused := range r.rules() {
		if refused == rule {
			n++
		}
	}
	if n != attackers {
		t.Errorf("%d of %d attackers were refused by %q", n, attackers, rule)
	}
	if got := peak.Load() - before; got > growth {
		t.Errorf("%d MiB more memory", got>>20)
	}
	if n := together.Load(); n > attackers*DefaultMaxStreams+1 {
		t.Errorf("%d requests were worked on at a time", n)
	}
	return attacked, spared
}

// visitor is a client that behaves.
type visitor struct {
	c     *http.Client
	stop  chan struct{}
	done  sync.WaitGroup
	times []time.Duration
	err   error
}

func newVisitor(r *rig) *visitor {
	v := &visitor{c: r.client(), stop: make(chan struct{})}
	v.done.Go(func() {
		for v.err == nil {
			select {
			case <-v.stop:
				return
			default:
			}
			began := time.Now()
			p, err := v.c.Get("http://h/")
			if err == nil {
				_, err = io.Copy(io.Discard, p.Body)
				p.Body.Close()
			}
			v.err = err
			v.times = append(v.times, time.Since(began))
		}
	})
	return v
}

// leave ends the visit, in which nothing must have gone wrong, and returns how long requests took at p99.
func (v *visitor) leave(t *testing.T) time.Duration {
	t.Helper()
	close(v.stop)
	v.done.Wait()
	v.c.CloseIdleConnections()
	if v.err != nil {
		t.Errorf("the client that behaves: %v", v.err)
	}
	if len(v.times) == 0 {
		return 0
	}
	slices.Sort(v.times)
	return v.times[len(v.times)*99/100]
}

// TestServerEndsStalls: clients that open all the streams they may and then take nothing cost little
// memory, and are cut when their time is up.
func TestServerEndsStalls(t *testing.T) {
	r := newRig(t, func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Length = 200, -1
		x.Response.Body = bodyFunc(func() ([]byte, error) { return big[:], nil })
		return nil
	}, func(s *Server) { s.Timeouts.Write = time.Second })
	before := memory()
	for range attackers {
		p := r.greet(frame.Setting{ID: frame.InitialWindowSize, Value: 0})
		for i := range DefaultMaxStreams {
			p.send(p.request(uint32(2*i+1), "GET", true))
		}
		cut := 0
		for answered := 0; answered < DefaultMaxStreams; {
			switch got := p.next(); {
			case strings.HasPrefix(got, "HEADERS"):
				answered++
			case strings.HasPrefix(got, "RST_STREAM"):
				cut++ // the first one's time was up before the last was answered
			default:
				t.Fatal(got)
			}
		}
		defer func() {
			for ; cut < DefaultMaxStreams; cut++ {
				p.until("RST_STREAM")
			}
		}()
	}
	if got := memory() - before; got > growth {
		t.Errorf("%d MiB more memory", got>>20)
	}
}

var big [64 << 10]byte

// A client that is busy may also do what alone would be a flood.
func TestServerSparesTheBusy(t *testing.T) {
	r := newRig(t, echo)
	p := r.greet()
	p.conn.SetDeadline(time.Now().Add(2 * time.Minute))
	for i := range 3000 {
		id := uint32(4*i + 1)
		p.send(bytes.Join([][]byte{p.request(id, "GET", true), p.request(id+2, "GET", true),
			frame.AppendRSTStream(nil, id+2, frame.Cancel), frame.AppendWindowUpdate(nil, 0, 14), frame.AppendPing(nil, false, [8]byte{})}, nil))
		p.until("DATA ")
	}
	if got := r.rules(); got != nil {
		t.Errorf("refused: %q", got)
	}
}

package h2

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/nettest"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// shortly is longer than a loaded machine takes between two lines of a test.
const shortly = 500 * time.Millisecond

func TestServerTimeouts(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(s *Server)
		send   func(p *peer)
		want   []string
		rule   string
	}{
		"no preface": {func(s *Server) { s.Timeouts.Header = shortly },
			func(p *peer) { p.send([]byte(frame.Preface[:9])) },
			[]string{"SETTINGS", "WINDOW_UPDATE 0 983041", "GOAWAY 0 ENHANCE_YOUR_CALM header_timeout", "closed"}, "header_timeout"},
		"no settings": {func(s *Server) { s.Timeouts.Header = shortly },
			func(p *peer) { p.send([]byte(frame.Preface)) },
			[]string{"SETTINGS", "WINDOW_UPDATE 0 983041", "GOAWAY 0 ENHANCE_YOUR_CALM header_timeout", "closed"}, "header_timeout"},
		"half a frame": {func(s *Server) { s.Timeouts.Header = shortly },
			func(p *peer) { greetBlind(p).send(p.request(1, "GET", true)[:11]) },
			[]string{"SETTINGS", "WINDOW_UPDATE 0 983041", "SETTINGS ack", "GOAWAY 0 ENHANCE_YOUR_CALM header_timeout", "closed"}, "header_timeout"},
		"half a header block": {func(s *Server) { s.Timeouts.Header = shortly },
			func(p *peer) {
				block := p.header(":method=GET", ":path=/")
				greetBlind(p).send(append(frame.AppendHead(nil, len(block), frame.Headers, 0, 1), block...))
			},
			[]string{"SETTINGS", "WINDOW_UPDATE 0 983041", "SETTINGS ack", "GOAWAY 0 ENHANCE_YOUR_CALM header_timeout", "closed"}, "header_timeout"},
		"half a body": {func(s *Server) { s.Timeouts.Body = shortly },
			func(p *peer) { greetBlind(p).send(p.request(1, "POST", false)) },
			[]string{"SETTINGS", "WINDOW_UPDATE 0 983041", "SETTINGS ack", "HEADERS 1 :status=408 content-type=text/plain; charset=utf-8 content-length=16",
				`DATA 1 "Request Timeout\n" end`, "RST_STREAM 1 NO_ERROR"}, ""},
		"half a DATA frame": {func(s *Server) { s.Timeouts.Body = shortly },
			func(p *peer) {
				greetBlind(p).send(append(p.request(1, "POST", false), frame.AppendData(nil, 1, []byte("abc"), true)[:10]...))
			},
			nil, ""},
		"no window": {func(s *Server) { s.Timeouts.Write = shortly },
			func(p *peer) {
				greetBlind(p, frame.Setting{ID: frame.InitialWindowSize, Value: 3}).send(p.request(1, "GET", true))
			},
			[]string{"SETTINGS", "WINDOW_UPDATE 0 983041", "SETTINGS ack", "HEADERS 1 :status=200 content-type=text/plain content-length=7",
				`DATA 1 "GET"`, "RST_STREAM 1 CANCEL"}, ""},
		"idle": {func(s *Server) { s.Timeouts.Idle = shortly },
			func(p *peer) { greetBlind(p) },
			[]string{"SETTINGS", "WINDOW_UPDATE 0 983041", "SETTINGS ack", "GOAWAY 0 NO_ERROR", "closed"}, ""},
		"idle and parked": {func(s *Server) { s.Timeouts.Idle = 2500 * time.Millisecond },
			func(p *peer) { greetBlind(p).send(frame.AppendSettingsAck(nil)) },
			[]string{"SETTINGS", "WINDOW_UPDATE 0 983041", "SETTINGS ack", "GOAWAY 0 NO_ERROR", "closed"}, ""},
		"old": {func(s *Server) { s.MaxAge = shortly },
			func(p *peer) { greetBlind(p) },
			[]string{"SETTINGS", "WINDOW_UPDATE 0 983041", "SETTINGS ack", "GOAWAY 2147483647 NO_ERROR", "GOAWAY 0 NO_ERROR", "closed"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, echo, tt.change)
			p := r.dial()
			tt.send(p)
			if tt.want == nil {
				for got := p.next(); got != "closed"; got = p.next() {
					if strings.Contains(got, "i/o timeout") {
						t.Fatal(got)
					}
				}
			}
			p.want(tt.want...)
			if got := strings.Join(r.rules(), " "); got != tt.rule && tt.want != nil {
				t.Errorf("refused by %q, want %q", got, tt.rule)
			}
		})
	}
}

// greetBlind says what a client says at first, and leaves it to others to read the answer.
func greetBlind(p *peer, settings ...frame.Setting) *peer {
	return p.send(append([]byte(frame.Preface), frame.AppendSettings(nil, settings...)...))
}

// A client that takes nothing from its socket holds nobody else up, and is cut.
func TestServerCutsWhoDoesNotRead(t *testing.T) {
	r := newRig(t, func(x *exchange.Exchange) error {
		x.Respond(200, "", make([]byte, 8<<20))
		return nil
	}, func(s *Server) { s.Timeouts.Write = shortly })
	p := r.greet(frame.Setting{ID: frame.InitialWindowSize, Value: 1 << 30})
	p.send(frame.AppendWindowUpdate(nil, 0, 1<<30))
	for id := uint32(1); id < 100; id += 2 {
		p.send(p.request(id, "GET", true))
	}
	waittest.Until(t, "it is cut", func() bool { return r.server.Active() == 0 })
	if got := strings.Join(r.rules(), " "); got != "write_timeout" {
		t.Errorf("refused by %q", got)
	}
}

// An idle connection has no goroutine and no buffer, and wakes up.
func TestServerParks(t *testing.T) {
	if portable || runtime.GOOS != "linux" {
		return // there is nothing to park with
	}
	r := newRig(t, echo)
	p := r.greet()
	isParked := false
	look := func(e sweep.Entry) {
		c := e.(*downConn)
		c.mu.Lock()
		defer c.mu.Unlock()
		isParked = c.phase == parked
	}
	for id := uint32(1); id < 5; id += 2 {
		waittest.Until(t, "the connection parks", func() bool {
			r.server.sweeper.Each(look)
			return isParked
		})
		p.send(p.request(id, "GET", true)).until("DATA")
	}
}

func TestServerDrains(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, func(x *exchange.Exchange) error {
		<-release
		x.Respond(200, "", nil)
		return nil
	})
	busy, idle := r.greet(), r.greet()
	busy.send(busy.request(1, "GET", true))
	waittest.Until(t, "both are served", func() bool { return r.server.Active() == 2 })
	ended := make(chan error)
	go func() { ended <- r.server.Drain(context.Background()) }()
	busy.want("GOAWAY 2147483647 NO_ERROR")
	busy.send(busy.request(3, "GET", true)) // on its way before the client knew
	busy.want("GOAWAY 3 NO_ERROR")
	idle.want("GOAWAY 2147483647 NO_ERROR", "GOAWAY 0 NO_ERROR", "closed")
	busy.send(busy.request(5, "GET", true)) // too late: to be asked elsewhere
	close(release)
	got := []string{busy.next(), busy.next()}
	if got[0] > got[1] {
		got[0], got[1] = got[1], got[0]
	}
	if got[0] != "HEADERS 1 :status=200 content-length=0 end" || got[1] != "HEADERS 3 :status=200 content-length=0 end" {
		t.Errorf("%q", got)
	}
	busy.want("closed")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestServerKills(t *testing.T) {
	r := newRig(t, func(x *exchange.Exchange) error {
		<-x.Context().Done()
		return x.Life.Err()
	})
	p := r.greet()
	p.send(p.request(1, "GET", true))
	waittest.Until(t, "it is served", func() bool { return r.server.Active() == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if r.server.Drain(ctx) == nil {
		t.Error("drained")
	}
	if err := r.server.Kill(context.Background()); err != nil {
		t.Error(err)
	}
	if got := r.records(); len(got) == 1 && got[0].Kind != exchange.Draining {
		t.Errorf("%+v", got)
	}
}

func TestServerMaxRequests(t *testing.T) {
	r := newRig(t, echo, func(s *Server) { s.MaxRequests = 2 })
	p := r.greet()
	p.send(p.request(1, "GET", true)).until("DATA 1")
	p.send(p.request(3, "GET", true))
	p.until("GOAWAY 2147483647 NO_ERROR")
	p.until("GOAWAY 3 NO_ERROR")
	p.until("closed")
}

// One that takes little at a time, but does, is not cut, nor are its streams.
func TestServerWaitsForWhoIsSlow(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what a client takes")
	}
	r := newRig(t, func(x *exchange.Exchange) error {
		x.Respond(200, "", make([]byte, 100<<20))
		return nil
	}, func(s *Server) { s.Timeouts.Write = 3 * shortly })
	p := r.greet(frame.Setting{ID: frame.InitialWindowSize, Value: 1 << 30})
	p.send(frame.AppendWindowUpdate(nil, 0, 1<<30)).send(p.request(1, "GET", true))
	tick := time.NewTicker(shortly / 10)
	defer tick.Stop()
	reset := frame.AppendRSTStream(nil, 1, frame.Cancel)
	piece := make([]byte, 12<<10)
	for range 90 {
		<-tick.C
		if _, err := io.ReadFull(p.conn, piece); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(piece, reset) {
			t.Fatal("the stream was reset")
		}
	}
	if got := strings.Join(r.rules(), " "); got != "" {
		t.Errorf("refused by %q", got)
	}
}

// The time in which there was nothing to write is none in which nothing was taken.
func TestSilenceIsNoStall(t *testing.T) {
	const limit = time.Second
	near, _ := nettest.Pair(t)
	now := clock.Now()
	later, end := now+int64(time.Hour), now+int64(time.Hour+2*limit)
	c := &downConn{srv: &Server{}, io: listen.NewConn(near, nil), working: 1, since: now, began: now}
	c.srv.Timeouts.Write = limit
	c.Sweep(now)
	c.Sweep(later)
	c.flushing = true
	if c.Sweep(later); c.phase == ending {
		t.Error("a client that was sent nothing for long is cut when it is")
	}
	if c.Sweep(end); c.phase != ending {
		t.Error("a client that takes nothing is not cut")
	}
	u := &upConn{pool: &Pool{config: PoolConfig{SendTimeout: limit}}, io: listen.NewConn(near, nil), streams: map[uint32]*call{}}
	u.read.Store(now)
	u.load.Store(1)
	k := &call{pool: u.pool, u: u, id: 1, head: true, room: make(chan struct{}, 1)}
	u.streams[1] = k
	u.Sweep(now)
	u.Sweep(later)
	go k.send([]byte("late"), true) // there is no window
	waittest.Until(t, "it waits", func() bool {
		u.mu.Lock()
		defer u.mu.Unlock()
		return k.blocked
	})
	u.flushing = true
	if u.Sweep(later); u.over != nil || u.streams[1] == nil {
		t.Error("a server that was sent nothing for long is given up on when it is")
	}
	if u.Sweep(end); u.over == nil {
		t.Error("a server that takes nothing is not given up on")
	}
}

package h2

import (
	"errors"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/h2/hpack"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// maxStream is the highest number a stream can have.
const maxStream = 1<<31 - 1

// downConn is a client's connection. One goroutine reads it; the streams' goroutines, and now and then
// that one, write to it.
type downConn struct {
	srv    *Server
	io     *listen.Conn
	info   *exchange.Conn
	done   func()
	ticket *sweep.Ticket
	began  int64

	// Of the goroutine that reads.
	in      *inBuffer // nil while nothing is unread
	r, w    int       // in[r:w] is unread
	greeted greeting
	frames  frame.Reader
	dec     *hpack.Decoder
	open    openBlock     // a header block that has not all come
	ready   []*downStream // requests that came whole, to be answered once all has been read
	lost    error         // why it cannot be read any more, on the portable path

	mu         sync.Mutex // guards what follows
	highest    uint32     // the last stream the client has begun
	final      uint32     // the last that is answered: what GOAWAY said
	requests   int
	streams    map[uint32]*downStream // those not yet over for the client; nil once parked
	working    int                    // those whose goroutine has not ended, over or not: each holds a slot
	past       past
	unwanted   *[]unwanted // in the order they came; nil until there is one
	budget     budget
	said       bool // a part of a response was sent since the last ping: clients measure by such pings
	enc        *hpack.Encoder
	out        *outBuffer    // output that nobody is writing; nil for none
	flushing   bool          // somebody is writing
	window     int           // how much data the client takes on the connection
	peerWindow int           // and at first on each stream
	peerFrame  int           // the largest payload it takes
	recvWindow int           // how much data it may send on the connection
	drained    int           // that was taken, and that it was not told of
	blocked    []*downStream // wait for window, or for room in the output
	phase      phase
	over       bool // nothing is to be sent any more
	failed     *frame.Error
	quiet      sync.Cond    // of over: working or flushing has changed
	partial    int64        // since when the client has owed the rest of something; 0 when it owes nothing
	unacked    int64        // since when the client has not acknowledged our SETTINGS; 0 when it has
	breach     *frame.Error // what it will have broken if it goes on owing it
	since      int64        // since when there has been no stream; 0 when that is to be found out
	leftAt     int64        // since when the client has known that the connection ends
	wrote      uint32       // counts writes, for the sweeper
	writing    stall
}

// phase is where a connection is in its life.
type phase uint8

const (
	serving phase = iota
	leaving       // the client was told to begin nothing new; what it has begun already is answered
	left          // and told what the last stream is
	parking       // without a stream for long: the goroutine is to end
	parked        // and has
	ending        // the connection is to end
)

type greeting uint8

const (
	nothing  greeting = iota
	preface           // the preface has come
	settings          // and SETTINGS
)

// inBuffer is a connection's read buffer while frames arrive: a whole frame fits, and what comes behind.
type inBuffer [2 * (frame.MinMaxSize + frame.HeaderLen)]byte

var inBuffers = sync.Pool{New: func() any { return new(inBuffer) }}

// greet sends what a server begins with. RFC 9113 §3.4.
func (c *downConn) greet() {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.output()
	s := []frame.Setting{
		{ID: frame.MaxConcurrentStreams, Value: uint32(c.srv.maxStreams())},
		{ID: frame.InitialWindowSize, Value: streamWindow},
		{ID: frame.MaxHeaderListSize, Value: uint32(c.srv.Limits.HeaderBytes)},
		{ID: frame.EnableConnectProtocol, Value: 1},
	}
	if n := c.srv.decoderTable(); n != hpack.DefaultTableSize {
		s = append(s, frame.Setting{ID: frame.HeaderTableSize, Value: uint32(n)})
	}
	b.p = frame.AppendSettings(b.p, s...)
	b.p = frame.AppendWindowUpdate(b.p, 0, connWindow-frame.InitialWindow)
}

// serve runs the connection until it ends or parks.
func (c *downConn) serve() {
	done := false // parked: c is another goroutine's
	defer func() {
		if p := recover(); p != nil {
			c.srv.Logger.Error("panic outside a handler", "panic", p, "stack", string(debug.Stack()))
			c.fail(breach(frame.InternalError, "panic"))
		}
		if !done {
			c.end()
		}
	}()
	for {
		err := c.io.Loop(c.step)
		if err == nil {
			err = c.lost
		}
		switch c.woken(err) {
		case serving:
		case parking:
			if done = c.io.Park(c); done {
				return
			}
			c.unparked()
		case ending:
			return
		}
	}
}

// woken tells why the loop was left, and what is to be done: go on serving, park, or end.
func (c *downConn) woken(err error) phase {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil || c.over || c.phase == ending || !interrupted(err):
		return ending
	case c.phase != parking:
		return ending // interrupted, and not by the sweeper
	}
	c.io.Resume()
	c.lost = nil
	if len(c.streams) > 0 || c.working > 0 || c.in != nil || c.out != nil || c.flushing {
		c.phase = serving
		return serving
	}
	c.phase = parked
	c.streams, c.ready, c.blocked = nil, nil, nil
	c.enc.Rest()
	return parking
}

func (c *downConn) unparked() {
	c.mu.Lock()
	if c.phase == parked {
		c.phase = serving
	}
	c.since = clock.Now()
	c.mu.Unlock()
}

// Wake is listen.Parked: there is something to read.
func (c *downConn) Wake() {
	c.unparked()
	c.serve()
}

// step runs whenever there may be something to read: it takes every frame that has arrived. It returns
// true to leave the loop for good.
func (c *downConn) step() bool {
	c.flushNow()
	for {
		if c.in == nil {
			c.in, c.r, c.w = inBuffers.Get().(*inBuffer), 0, 0
		}
		ahead := c.io.Ahead() // the socket behind it may have something too
		n, err := c.io.Read(c.in[c.w:])
		if err == listen.ErrWouldBlock {
			break
		}
		if err != nil {
			c.lost = err
			return true
		}
		c.w += n
		full := c.w == len(c.in)
		if e := c.take(); e != nil {
			c.fail(e)
			return true
		}
		c.begin()
		c.flushNow()
		if !ahead && !full && !c.io.Ahead() {
			break
		}
	}
	if c.r == c.w {
		c.giveBack()
	}
	return false
}

// take handles the frames in the buffer and moves what is left of an unfinished one to its beginning.
func (c *downConn) take() *frame.Error {
	if c.greeted == nothing {
		if ok, e := c.preface(); !ok {
			return e
		}
	}
	whole := false
	for c.r < c.w {
		f, n, _, err := c.frames.Next(c.in[c.r:c.w])
		var bad *frame.Error
		if err != nil {
			if bad = err.(*frame.Error); bad.Stream == 0 {
				return bad
			}
		} else if n == 0 {
			break
		}
		if e := c.handle(&f, bad); e != nil {
			if e.Stream == 0 {
				return e
			}
			if e = c.fault(e); e != nil {
				return e
			}
		}
		c.r += n
		whole = true
	}
	c.owed(whole)
	if c.r > 0 {
		c.w = copy(c.in[:], c.in[c.r:c.w])
		c.r = 0
	}
	return nil
}

// owed notes since when the client has owed the rest of a frame, a header block or its greeting. whole
// says that a frame has just been finished.
func (c *downConn) owed(whole bool) {
	rest := c.in[c.r:c.w]
	data := len(rest) > 3 && frame.Type(rest[3]) == frame.Data
	switch head := c.open.stream != 0 || c.greeted != settings; {
	case !head && len(rest) == 0:
		if c.partial == 0 {
			return
		}
		c.owe(0, nil)
	case !head && data: // a body: what counts is that it goes on
		c.owe(clock.Now(), ruleSlowBody)
	case c.partial == 0 || whole && !head:
		c.owe(clock.Now(), ruleSlowHead)
	}
}

func (c *downConn) owe(since int64, breach *frame.Error) {
	c.mu.Lock()
	c.partial, c.breach = since, breach
	c.mu.Unlock()
}

// preface takes the client's preface; false when it has not all come.
func (c *downConn) preface() (bool, *frame.Error) {
	n := min(c.w-c.r, len(frame.Preface))
	if string(c.in[c.r:c.r+n]) != frame.Preface[:n] {
		return false, ruleGreeting
	}
	if n < len(frame.Preface) {
		return false, nil
	}
	c.r += n
	c.greeted = preface
	return true, nil
}

func (c *downConn) giveBack() {
	if c.in != nil {
		inBuffers.Put(c.in)
		c.in = nil
	}
}

// fail makes an error of the connection its end. RFC 9113 §5.4.1.
func (c *downConn) fail(e *frame.Error) {
	c.srv.refused(e.Rule)
	c.srv.Logger.Debug("connection refused", "client", c.info.PeerText, "rule", e.Rule, "code", e.Code.String())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || c.failed != nil {
		return
	}
	c.failed = e
	c.goAway(c.highest, e.Code, e.Rule)
}

// end closes the connection and waits until its streams' goroutines have ended. Not from inside a sweep.
func (c *downConn) end() {
	c.mu.Lock()
	gone := c.lost != nil && !interrupted(c.lost)
	polite := !gone && !c.srv.killed.Load()
	if polite && c.failed == nil && c.final == maxStream {
		c.goAway(c.highest, frame.NoError, "")
	}
	c.over = true
	if gone {
		c.giveUp(exchange.ClientAbort)
	} else {
		c.giveUp(exchange.Draining)
	}
	if polite {
		c.io.Net().SetWriteDeadline(time.Now().Add(listen.LingerTime))
	} else {
		c.io.InterruptWrite()
	}
	c.unblock()
	for c.flushing {
		c.quiet.Wait()
	}
	out := c.out
	c.out = nil
	c.mu.Unlock()
	c.begin() // what had come is told so
	if polite && (out == nil || c.io.Send(out.p) == nil) {
		c.io.Linger()
	}
	c.giveBack()
	c.srv.sweeper.Remove(c.ticket)
	c.io.Close()
	c.mu.Lock()
	for c.working > 0 {
		c.quiet.Wait()
	}
	c.mu.Unlock()
	c.done() // before whoever waits for the last connection may go on
	c.srv.active.Add(-1)
}

// giveUp cancels all streams. With the lock.
func (c *downConn) giveUp(reason error) {
	for _, s := range c.streams {
		s.drop(byUs, reason)
	}
}

func interrupted(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

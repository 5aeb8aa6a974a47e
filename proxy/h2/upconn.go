package h2

import (
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/h2/hpack"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// upConn is a connection to a server. One goroutine reads it; whoever has something to send writes, one
// at a time, what everybody had.
type upConn struct {
	pool   *Pool
	io     *listen.Conn
	ticket *sweep.Ticket
	load   atomic.Int32 // requests under way or about to be
	limit  atomic.Int32 // how many may be
	shut   atomic.Bool  // the server allows none, for now
	// connects says that the server takes extended CONNECTs. RFC 8441 §3.
	connects atomic.Bool
	// greeting is closed once the server's SETTINGS have come, or never will.
	greeting chan struct{}
	read     atomic.Int64 // when something was last read

	// Of the goroutine that reads.
	in      *inBuffer // nil while nothing is unread
	r, w    int       // in[r:w] is unread
	frames  frame.Reader
	dec     *hpack.Decoder
	greeted bool            // SETTINGS have come
	skipped fields.Block    // what header blocks of streams that are over are decoded into
	open    upBlock         // a header block that has not all come
	woken   []chan struct{} // of those to be woken once all has been read

	mu         sync.Mutex // guards what follows
	kept       bool       // it may take requests, now or later
	leaving    bool       // the server takes no more
	over       error      // why nothing is sent or received any more
	muted      error      // why nothing can be sent any more, while there may be something to be received
	mutedAt    int64      // since when
	next       uint32     // the next stream
	streams    map[uint32]*call
	budget     budget
	enc        *hpack.Encoder
	out, spare []byte
	flushing   bool
	quiet      sync.Cond // of over: flushing has changed
	wrote      uint32    // counts writes
	window     int       // how much the server takes on the connection
	first      int       // and at first on a stream
	maxFrame   int       // and in a frame
	trip       int64     // how long a round trip takes at most; 0: not known yet
	owed       int       // what it may send again on the connection, and was not told
	left       int       // what it may send on the connection
	blocked    []*call   // wait for window, or for room in out
	served     int       // answers that came whole
	unacked    int64     // since when the server has not acknowledged our SETTINGS; 0 when it has
	pinged     int64     // when, as long as there is no answer; 0 for not
	since      int64     // since when nothing is under way; 0 while something is
	writing    stall     // of the sweeper
}

var errRetired = errors.New("the connection is not kept")

// newUpConn begins a connection.
func newUpConn(p *Pool, c net.Conn) *upConn {
	u := &upConn{
		pool: p, io: listen.NewConn(c, nil), kept: true, next: 1, streams: map[uint32]*call{},
		dec: hpack.NewDecoder(hpack.DefaultTableSize), enc: hpack.NewEncoder(hpack.DefaultTableSize),
		window: frame.InitialWindow, first: frame.InitialWindow, maxFrame: frame.MinMaxSize,
		left: upConnWindow, budget: budget{left: maxBudget, at: clock.Now()},
	}
	u.quiet.L = &u.mu
	u.limit.Store(assumed)
	u.greeting = make(chan struct{})
	u.read.Store(p.now.Load())
	u.out = append(u.out, frame.Preface...)
	u.out = frame.AppendSettings(u.out, frame.Setting{ID: frame.EnablePush, Value: 0},
		frame.Setting{ID: frame.MaxHeaderListSize, Value: uint32(fields.ResponseLimits.HeaderBytes)})
	u.out = frame.AppendWindowUpdate(u.out, 0, upConnWindow-frame.InitialWindow)
	u.unacked = clock.Now()
	u.flushing = true // before the sweeper sees it, which would begin to flush too
	u.ticket = poolSweeper.Add(u)
	go u.flush(false)
	go u.serve()
	return u
}

// reserve makes room for one request; false when there is none.
func (u *upConn) reserve() bool {
	if u.load.Add(1) <= u.limit.Load() {
		return true
	}
	u.load.Add(-1)
	return false
}

// retire ends the connection as soon as nothing is under way on it.
func (u *upConn) retire() {
	u.mu.Lock()
	if u.kept {
		u.kept = false
		u.limit.Store(0)
		go u.pool.remove(u) // not from inside a sweep of the pool
	}
	if len(u.streams) == 0 && u.load.Load() == 0 && u.over == nil {
		u.out = frame.AppendGoAway(u.out, 0, frame.NoError, "")
		u.end(errRetired)
		return
	}
	u.mu.Unlock()
}

// end makes err the connection's end: what is yet to be sent is, then the reader finds out. With the
// lock, which it gives up. Not to be called when it is over already.
func (u *upConn) end(err error) {
	u.over = err
	u.limit.Store(0)
	for _, k := range u.streams {
		k.fail(err)
	}
	u.unblock()
	switch {
	case u.startFlush():
		go u.flush(false) // which interrupts the reader when it is done
	case !u.flushing:
		u.io.Interrupt()
	}
	u.mu.Unlock()
}

// kill is end for whoever holds no lock.
func (u *upConn) kill(err error) {
	u.mu.Lock()
	if u.over != nil {
		u.mu.Unlock()
		return
	}
	u.end(err)
}

// startFlush reports whether the caller is to flush. With the lock.
func (u *upConn) startFlush() bool {
	if u.muted != nil {
		u.out = u.out[:0]
	}
	if u.flushing || len(u.out) == 0 {
		return false
	}
	u.flushing = true
	return true
}

// unlock gives the lock up and writes what there is to be sent, unless somebody does already.
func (u *upConn) unlock() {
	flush := u.startFlush()
	u.mu.Unlock()
	if flush {
		u.flush(true)
	}
}

// leave is unlock for who must not wait for the server: the reader, which a server that does not read must
// not stop, and whoever cancels.
func (u *upConn) leave() {
	flush := u.startFlush()
	u.mu.Unlock()
	if flush {
		go u.flush(false)
	}
}

// flush writes what there is to be sent. One who has better to do writes once and has somebody else go on.
func (u *upConn) flush(hurry bool) {
	if hurry && u.load.Load() > 1 {
		runtime.Gosched() // whoever else can run may have something to send too: one write for all
	}
	for {
		u.mu.Lock()
		out := u.out
		if len(out) == 0 {
			u.flushed()
			u.mu.Unlock()
			return
		}
		u.out, u.spare = u.spare[:0], nil
		u.mu.Unlock()
		err := u.io.Send(out)
		u.mu.Lock()
		u.wrote++
		if cap(out) <= maxSpare {
			u.spare = out[:0]
		}
		u.unblock()
		if err != nil {
			u.out = nil
			u.flushed()
			switch {
			case u.over == nil && len(u.streams) == 0:
				u.end(exchange.UpstreamReset.With(err))
				return
			case u.over == nil:
				u.mute(exchange.UpstreamReset.With(err))
			}
			u.mu.Unlock()
			return
		}
		if hurry && len(u.out) > 0 {
			u.mu.Unlock()
			go u.flush(false)
			return
		}
		u.mu.Unlock()
	}
}

// flushed notes that nobody writes any more. With the lock.
func (u *upConn) flushed() {
	u.flushing = false
	if u.over != nil {
		u.io.Interrupt()
		u.quiet.Broadcast()
	}
}

const (
	maxSpare = 64 << 10 // how much memory for output is kept
	maxOut   = 64 << 10 // how much output may wait before bodies wait too
)

// unblock wakes all that wait for window or room. With the lock.
func (u *upConn) unblock() {
	for i, k := range u.blocked {
		k.blocked = false
		wake(k.room)
		u.blocked[i] = nil
	}
	u.blocked = u.blocked[:0]
}

// drop takes a stream off the connection: it is over for both ends, or for us. With the lock.
func (u *upConn) drop(k *call) {
	if u.streams[k.id] != k {
		return
	}
	delete(u.streams, k.id)
	if k.blocked {
		k.blocked = false
		i := slices.Index(u.blocked, k)
		u.blocked = slices.Delete(u.blocked, i, i+1)
	}
	u.unload()
}

// unload gives a stream's, or a reservation's, place up. With the lock.
func (u *upConn) unload() {
	if u.load.Add(-1) == 0 {
		u.since = u.pool.now.Load()
		if !u.kept || u.pool.closed.Load() || u.pool.config.MaxIdle < 0 {
			go u.retire()
		}
	}
}

// reset ends a stream before its time and tells the server. With the lock.
func (u *upConn) reset(k *call, code frame.Code, err error) {
	if u.streams[k.id] != k {
		return
	}
	u.drop(k)
	if u.over == nil {
		u.out = frame.AppendRSTStream(u.out, k.id, code)
	}
	k.fail(err)
}

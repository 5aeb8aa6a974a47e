package h1

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// PoolConfig says how a pool reaches its server.
type PoolConfig struct {
	// Dial makes a connection, TLS included. It is given DialTimeout by its context.
	Dial func(ctx context.Context) (net.Conn, error)
	// Host is sent instead of the request's own; nil sends the request's. DefaultHost is sent when
	// there is neither (HTTP/1.0).
	Host, DefaultHost []byte
	// Prefix is put before every path; nil for none.
	Prefix []byte

	DialTimeout time.Duration // to make a connection
	HeadTimeout time.Duration // from the end of a request to the end of the response head; 0: none
	BodyTimeout time.Duration // between two pieces of a response body; 0: none
	SendTimeout time.Duration // until the server takes the next piece of a request body; 0: none
	IdleTimeout time.Duration // how long an unused connection is kept; 0: for ever
	MaxIdle     int           // unused connections kept; 0: no limit, negative: none
	MaxConns    int           // connections in all; 0: no limit. A request over it is Overloaded
}

// Pool is the client half: a handler that answers an exchange by asking one server over HTTP/1.1.
// It is safe for concurrent use.
//
// A request that died on a kept connection before any byte of an answer is sent once more on a new
// one if it was not sent, or is idempotent with its body in memory. RFC 9110 §9.2.2.
type Pool struct {
	config PoolConfig
	shards []poolShard
	conns  atomic.Int64
	now    atomic.Int64 // coarse time, of the sweeper
	ticket *sweep.Ticket
	closed atomic.Bool
}

// poolShard holds unused connections, the last used on top.
type poolShard struct {
	mu   sync.Mutex
	free []*upConn
	_    [32]byte
}

// upConn is a connection to a server.
type upConn struct {
	pool     *Pool
	conn     *listen.Conn
	progress progress // of the goroutine that asks
	sending  progress // of a body that is sent meanwhile
	expired  atomic.Bool
	since    int64  // when it was last used
	uses     uint8  // how often it was asked, modulo 256
	suspect  bool   // the server may have sent more than one answer to what it was last asked
	looked   uint64 // of the sweeper: the wait for an answer in which it last looked for an end
	ticket   *sweep.Ticket
}

var poolSweeper sweep.Sweeper

// NewPool makes a pool. Close ends it.
func NewPool(config PoolConfig) *Pool {
	n := 1
	for n < runtime.GOMAXPROCS(0) {
		n *= 2
	}
	p := &Pool{config: config, shards: make([]poolShard, n)}
	p.now.Store(clock.Now())
	p.ticket = poolSweeper.Add(p)
	return p
}

// Close closes the connections that are not in use. Those that are close when they are done.
func (p *Pool) Close() error {
	if !p.closed.Swap(true) {
		poolSweeper.Remove(p.ticket)
		p.closeIdle(func(*upConn) bool { return true })
	}
	return nil
}

// Sweep closes unused connections that are too old or that the server has closed.
func (p *Pool) Sweep(now int64) {
	p.now.Store(now)
	limit := int64(p.config.IdleTimeout)
	p.closeIdle(func(u *upConn) bool { return limit > 0 && now-u.since > limit || u.conn.Dirty() })
}

func (p *Pool) closeIdle(unfit func(*upConn) bool) {
	var out []*upConn
	for i := range p.shards {
		s := &p.shards[i]
		s.mu.Lock()
		kept := s.free[:0]
		for _, u := range s.free {
			if unfit(u) {
				out = append(out, u)
			} else {
				kept = append(kept, u)
			}
		}
		clear(s.free[len(kept):])
		s.free = kept
		s.mu.Unlock()
	}
	if len(out) > 0 {
		go func() { // a ticket may not be removed from inside a sweep
			for _, u := range out {
				u.close()
			}
		}()
	}
}

// idleCheck is how long a connection must have been unused to be looked at before it is used.
const idleCheck = int64(time.Second)

// get returns a connection for x: one that was kept, if fresh does not forbid it, else a new one.
func (p *Pool) get(x *exchange.Exchange, fresh bool) (u *upConn, kept bool, err error) {
	for !fresh {
		if u = p.take(x.Conn.Shard); u == nil {
			break
		}
		if p.doubts(u, x) && u.conn.Dirty() {
			u.close()
			continue
		}
		return u, true, nil
	}
	u, err = p.dial(x)
	return u, false, err
}

// sample is how many uses of a connection there are to each that looks at it for no other reason.
const sample = 8

// doubts reports whether u must be looked at before x is sent on it: what the server sent unasked would
// be taken for the answer, and be somebody else's. A look costs a system call, as much as a twentieth of
// a request; so it is taken where an extra answer may be expected or would do most harm, and now and then.
func (p *Pool) doubts(u *upConn, x *exchange.Exchange) bool {
	u.uses++
	return u.suspect || u.uses%sample == 0 || p.now.Load()-u.since > idleCheck || !x.Request.Idempotent()
}

// take pops the most recently used connection of the shard, or of another.
func (p *Pool) take(shard uint32) *upConn {
	for i := range p.shards {
		s := &p.shards[(int(shard)+i)&(len(p.shards)-1)]
		s.mu.Lock()
		if n := len(s.free); n > 0 {
			u := s.free[n-1]
			s.free[n-1] = nil
			s.free = s.free[:n-1]
			s.mu.Unlock()
			return u
		}
		s.mu.Unlock()
	}
	return nil
}

// put keeps a clean connection for the next request.
func (p *Pool) put(u *upConn, shard uint32) {
	u.since = p.now.Load()
	u.progress.enter(idle)
	s := &p.shards[int(shard)&(len(p.shards)-1)]
	limit := p.config.MaxIdle
	s.mu.Lock()
	if limit < 0 || limit > 0 && len(s.free) >= max(limit/len(p.shards), 1) || p.closed.Load() {
		s.mu.Unlock()
		u.close()
		return
	}
	s.free = append(s.free, u)
	s.mu.Unlock()
}

// dial makes a new connection, and gives up when the client does.
func (p *Pool) dial(x *exchange.Exchange) (*upConn, error) {
	if n := p.conns.Add(1); p.config.MaxConns > 0 && n > int64(p.config.MaxConns) {
		p.conns.Add(-1)
		return nil, exchange.Overloaded.Withf("the server already has %d connections", n-1)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	if err := x.Life.Bind(dialCanceler(cancel)); err != nil {
		p.conns.Add(-1)
		return nil, err
	}
	if p.config.DialTimeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, p.config.DialTimeout, exchange.DialTimeout)
		defer stop()
	}
	c, err := p.config.Dial(ctx)
	x.Life.Bind(nil)
	if err != nil {
		p.conns.Add(-1)
		if cause := context.Cause(ctx); cause != nil {
			return nil, exchange.KindOf(cause).With(err)
		}
		return nil, listen.DialKind(err).With(err)
	}
	u := &upConn{pool: p, conn: listen.NewConn(c, nil)}
	u.ticket = poolSweeper.Add(u)
	return u, nil
}

type dialCanceler context.CancelCauseFunc

// Cancel gives the dial up.
func (c dialCanceler) Cancel(reason error) { c(reason) }

// close ends the connection. Not from inside a sweep.
func (u *upConn) close() {
	poolSweeper.Remove(u.ticket)
	u.conn.Close()
	u.pool.conns.Add(-1)
}

// interrupt makes reads and writes that wait fail.
func (u *upConn) interrupt() {
	u.conn.Interrupt()
	u.conn.InterruptWrite()
}

// Cancel is called when the client goes away.
func (u *upConn) Cancel(error) { u.interrupt() }

// Sweep is the connection's timer.
func (u *upConn) Sweep(now int64) {
	sending, stalled := u.sending.stuck(now)
	if sending == writing && u.conn.Taken() {
		u.sending.since = now
	} else if sending == writing && over(stalled, u.pool.config.SendTimeout) {
		u.expired.Store(true)
		u.interrupt() // who waits for the answer waits in vain
	}
	ph, still := u.progress.stuck(now)
	switch ph {
	case reading:
		if sending != idle {
			u.progress.since = now // the server has not been asked yet
		} else if over(still, u.pool.config.HeadTimeout) {
			u.expired.Store(true)
			u.conn.Interrupt()
		} else if seen := u.progress.seen; still > 0 && u.looked != seen {
			u.looked = seen
			u.conn.WakeEnded() // once a request: an end that comes later is heard of
		}
	case receiving:
		if over(still, u.pool.config.BodyTimeout) {
			u.expired.Store(true)
			u.conn.Interrupt()
		}
	}
}

func over(still int64, limit time.Duration) bool { return limit > 0 && still > int64(limit) }

// fault names the error that ended a read or write.
func (u *upConn) fault(err error) error {
	var rule *fields.Rule
	switch {
	case errors.As(err, &rule):
		return exchange.UpstreamProtocol.With(err)
	case u.expired.Load() || errors.Is(err, os.ErrDeadlineExceeded):
		return exchange.UpstreamTimeout.With(err)
	}
	return exchange.UpstreamReset.With(err)
}

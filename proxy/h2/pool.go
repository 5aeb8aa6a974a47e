package h2

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// PoolConfig says how a pool reaches its server.
type PoolConfig struct {
	// Dial makes a connection on which HTTP/2 is spoken, TLS included. It is given DialTimeout by its
	// context. What it fails with is handed on as the cause of DialFailed and its like.
	Dial func(ctx context.Context) (net.Conn, error)
	// Scheme is what the server is told: "https" over TLS, else "http".
	Scheme string
	// Host is sent instead of the request's own; nil sends the request's. DefaultHost is sent when
	// there is neither (HTTP/1.0).
	Host, DefaultHost []byte
	// Prefix is put before every path; nil for none.
	Prefix []byte

	DialTimeout time.Duration // to make a connection
	HeadTimeout time.Duration // from the end of a request to the end of the response head; 0: none
	BodyTimeout time.Duration // between two pieces of a response body; 0: none
	SendTimeout time.Duration // until the server takes the next piece of what is sent; 0: none
	IdleTimeout time.Duration // how long an unused connection is kept; 0: for ever
	PingAfter   time.Duration // silence after which a connection is pinged; 0: only when it is used again
	PingTimeout time.Duration // how long that may take; 0: DefaultPingTimeout
	MaxIdle     int           // unused connections kept; 0: no limit, negative: none
	MaxConns    int           // connections in all; 0: no limit. A request over it is Overloaded
}

// DefaultPingTimeout is how long a server may take to answer a ping.
const DefaultPingTimeout = 15 * time.Second

// Pool is the client half: a handler that answers an exchange by asking one server over HTTP/2.
// It is safe for concurrent use.
//
// Requests share connections. There is one while that is enough; under load there are as many as there
// are processors, so that not all work waits for one, and more when the server allows no more streams
// on those.
//
// A request that the server has not looked at, because it refused the stream or was leaving, is sent
// once more on another connection; so is one that is idempotent and died with a kept connection before
// any of the answer came. Its body must be untouched: else who has kept it is told that it was not sent.
// RFC 9113 §8.7, RFC 9110 §9.2.2.
type Pool struct {
	config PoolConfig
	spread int // how many connections are good to have under load
	count  atomic.Int64
	conns  atomic.Pointer[[]*upConn] // those that may take requests
	room   atomic.Int32              // how many requests a new connection is taken to allow: as many as the last
	now    atomic.Int64              // coarse time, of the sweeper
	ticket *sweep.Ticket
	closed atomic.Bool

	mu    sync.Mutex // guards what follows, and changes of conns
	dials []*dialing
}

var poolSweeper sweep.Sweeper

// NewPool makes a pool. Close ends it.
func NewPool(config PoolConfig) *Pool {
	if config.PingTimeout <= 0 {
		config.PingTimeout = DefaultPingTimeout
	}
	p := &Pool{config: config, spread: runtime.GOMAXPROCS(0)}
	p.conns.Store(new([]*upConn))
	p.room.Store(assumed)
	p.now.Store(clock.Now())
	p.ticket = poolSweeper.Add(p)
	return p
}

// Close ends the connections: each as soon as nothing is in flight on it.
func (p *Pool) Close() error {
	if !p.closed.Swap(true) {
		poolSweeper.Remove(p.ticket)
		for _, u := range *p.conns.Load() {
			u.retire()
		}
	}
	return nil
}

// Sweep keeps the time, and no more unused connections than it should.
func (p *Pool) Sweep(now int64) {
	p.now.Store(now)
	if p.config.MaxIdle <= 0 {
		return
	}
	idle := 0
	for _, u := range *p.conns.Load() {
		if u.load.Load() == 0 {
			if idle++; idle > p.config.MaxIdle {
				u.retire()
			}
		}
	}
}

const (
	// busy is how many requests a connection has under way when another is worth having.
	busy = 16
	// assumed is how many streams a server is taken to allow before it has said so.
	assumed = 100
)

// get returns a connection with room for one more request, which is reserved. not is one that is not
// wanted again.
func (p *Pool) get(x *exchange.Exchange, not *upConn) (*upConn, error) {
	for range maxDials {
		u, least := p.pick(x.Conn.Shard, not)
		if u != nil {
			if least >= busy && len(*p.conns.Load()) < p.spread {
				p.grow()
			}
			return u, nil
		}
		d, err := p.dial()
		if err == nil {
			err = d.wait(x)
		} else if not != nil {
			not, err = nil, nil // it is all there is
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, exchange.Overloaded.Withf("the server takes no more requests on any connection")
}

// maxDials is how often a request waits for a connection, only to find that others were faster.
const maxDials = 5

// pick reserves room on a connection: the shard's own, if it is not busy, else the one that is least so.
// It returns how much that one has under way.
func (p *Pool) pick(shard uint32, not *upConn) (*upConn, int) {
	for range 3 { // room may go between the look and the reservation
		conns := *p.conns.Load()
		var best *upConn
		least := int(^uint(0) >> 1)
		for i := range conns {
			u := conns[(int(shard)+i)%len(conns)]
			if load := int(u.load.Load()); load < least && load < int(u.limit.Load()) && u != not {
				best, least = u, load
				if load < busy {
					break
				}
			}
		}
		if best == nil {
			return nil, 0
		}
		if best.reserve() {
			return best, least
		}
	}
	return nil, 0
}

// add makes u one that takes requests. With the lock.
func (p *Pool) add(u *upConn) {
	conns := append((*p.conns.Load())[:len(*p.conns.Load()):len(*p.conns.Load())], u)
	p.conns.Store(&conns)
}

// remove makes u one that takes no more requests.
func (p *Pool) remove(u *upConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var conns []*upConn
	for _, other := range *p.conns.Load() {
		if other != u {
			conns = append(conns, other)
		}
	}
	p.conns.Store(&conns)
}

var (
	errDead    = errors.New("the connection ended")
	errRefused = errors.New("the server refused the request before it looked at it")
)

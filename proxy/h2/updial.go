package h2

import (
	"context"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// dialing is a connection that is being made.
type dialing struct {
	done    chan struct{}
	err     error // once done
	waiters int   // requests that wait for it
}

// grow begins to make one more connection, if it may and nobody does already.
func (p *Pool) grow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.dials) == 0 && !p.closed.Load() && (p.config.MaxConns <= 0 || p.count.Load() < int64(p.config.MaxConns)) {
		p.begin()
	}
}

// dial joins a connection that is being made, or begins to make one. It does not where the server lets
// nobody ask on those that there are: it would not on more.
func (p *Pool) dial() (*dialing, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.dials {
		if d.waiters < int(p.room.Load()) {
			d.waiters++
			return d, nil
		}
	}
	if n := p.shut(); n >= maxShut {
		return nil, exchange.Overloaded.Withf("the server allows no requests on any of %d connections", n)
	}
	if n := p.count.Load(); p.config.MaxConns > 0 && n >= int64(p.config.MaxConns) {
		return nil, exchange.Overloaded.Withf("the server already has %d connections, and takes no more requests on them", n)
	}
	d := p.begin()
	d.waiters++
	return d, nil
}

// maxShut is how many connections are kept on which the server allows no requests. It may do so for a moment
// while it allows some on others, and another connection may lead to another server behind the same address.
const maxShut = 16

// shut counts the connections on which the server allows no requests.
func (p *Pool) shut() (n int) {
	for _, u := range *p.conns.Load() {
		if u.shut.Load() {
			n++
		}
	}
	return n
}

// begin makes a connection. With the lock.
func (p *Pool) begin() *dialing {
	d := &dialing{done: make(chan struct{})}
	p.dials = append(p.dials, d)
	p.count.Add(1)
	go func() {
		ctx, cancel := context.Background(), context.CancelFunc(func() {})
		if p.config.DialTimeout > 0 {
			ctx, cancel = context.WithTimeoutCause(ctx, p.config.DialTimeout, exchange.DialTimeout)
		}
		u, err := p.connect(ctx)
		cancel()
		p.mu.Lock()
		if d.err = err; err == nil {
			p.add(u)
		}
		for i := range p.dials {
			if p.dials[i] == d {
				p.dials = append(p.dials[:i:i], p.dials[i+1:]...)
				break
			}
		}
		p.mu.Unlock()
		if err == nil {
			p.settle(u)
		}
		close(d.done)
	}()
	return d
}

// settle takes u out again if it has ended, or the server has left, meanwhile.
func (p *Pool) settle(u *upConn) {
	u.mu.Lock()
	gone := !u.kept || u.over != nil
	if p.closed.Load() {
		u.kept = false // it is for who waits for it, and nobody else
	}
	u.mu.Unlock()
	if gone {
		p.remove(u)
	}
}

// connect makes a connection and waits until the server has said how it is to be used: what it does not
// allow is then not tried.
func (p *Pool) connect(ctx context.Context) (*upConn, error) {
	c, err := p.config.Dial(ctx)
	if err != nil {
		p.count.Add(-1)
		if cause := context.Cause(ctx); cause != nil {
			return nil, exchange.KindOf(cause).With(err)
		}
		return nil, listen.DialKind(err).With(err)
	}
	u := newUpConn(p, c)
	ctx, cancel := context.WithTimeoutCause(ctx, maxGreeting, exchange.DialTimeout)
	defer cancel()
	select {
	case <-u.greeting:
	case <-ctx.Done():
		u.kill(exchange.KindOf(context.Cause(ctx)).Withf("the server did not begin to speak HTTP/2 in time"))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if limit := u.limit.Load(); limit > 0 {
		p.room.Store(limit)
	}
	return u, u.over
}

// maxGreeting is how long a server may take to send its SETTINGS.
const maxGreeting = 30 * time.Second

// wait waits until the connection is made, or x's client gives up.
func (d *dialing) wait(x *exchange.Exchange) error {
	gone := make(gaveUp, 1)
	if err := x.Life.Bind(gone); err != nil {
		return err
	}
	defer x.Life.Bind(nil)
	select {
	case <-d.done:
		return d.err
	case reason := <-gone:
		return reason
	}
}

// gaveUp is told why a client has gone.
type gaveUp chan error

// Cancel is exchange.Canceler.
func (g gaveUp) Cancel(reason error) { g <- reason }

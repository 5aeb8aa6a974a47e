package h2

import (
	"bytes"
	"errors"
	"io"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// serve reads until the connection ends, and ends what is left then.
func (u *upConn) serve() {
	for {
		var lost error
		err := u.io.Loop(func() bool {
			lost = u.step()
			return lost != nil
		})
		if lost == nil {
			lost = err
		}
		u.mu.Lock()
		if u.over == nil && interrupted(lost) { // the sweeper wants it looked at
			u.mu.Unlock()
			u.io.Resume()
			continue
		}
		u.lost(lost)
		break
	}
	u.pool.remove(u)
	poolSweeper.Remove(u.ticket)
	u.io.Close()
	if u.in != nil {
		inBuffers.Put(u.in)
		u.in = nil
	}
	u.pool.count.Add(-1)
}

// lost ends everything that is under way. With the lock, which it gives up.
func (u *upConn) lost(err error) {
	if u.over != nil {
		err = u.over
	} else if u.muted != nil {
		err = u.muted
		u.over = err
	} else {
		var fault *frame.Error
		switch {
		case err == io.EOF:
			err = exchange.UpstreamReset.With(errDead)
		case errors.As(err, &fault):
			err = exchange.UpstreamProtocol.With(err)
			u.out = frame.AppendGoAway(u.out, 0, fault.Code, fault.Rule)
		case exchange.KindOf(err) == exchange.Internal:
			err = exchange.UpstreamReset.With(err)
		}
		u.over = err
	}
	if !u.greeted {
		u.greeted = true
		close(u.greeting)
	}
	u.limit.Store(0)
	u.kept = false
	for _, k := range u.streams {
		k.fail(err)
	}
	clear(u.streams)
	u.unblock()
	u.io.Net().SetWriteDeadline(soon())
	if u.startFlush() {
		go u.flush(false)
	}
	for u.flushing {
		u.quiet.Wait()
	}
	u.mu.Unlock()
}

// step takes every frame that has arrived. An error ends the connection.
func (u *upConn) step() error {
	for {
		if u.in == nil {
			u.in, u.r, u.w = inBuffers.Get().(*inBuffer), 0, 0
		}
		ahead := u.io.Ahead()
		n, err := u.io.Read(u.in[u.w:])
		if err == listen.ErrWouldBlock {
			break
		}
		if err != nil {
			return err
		}
		u.w += n
		full := u.w == len(u.in)
		err = u.take()
		u.wakeAll()
		if err != nil {
			return err
		}
		if !ahead && !full && !u.leaving && !u.io.Ahead() {
			break
		}
	}
	if u.r == u.w && u.io.Fused() {
		inBuffers.Put(u.in)
		u.in = nil
	}
	return nil
}

// wakeAll wakes those for whom something came: once each, however much it was.
func (u *upConn) wakeAll() {
	for _, came := range u.woken {
		wake(came)
	}
	u.woken = u.woken[:0]
}

var errOldServer = errors.New("the server speaks HTTP/1.1 and not HTTP/2: use http:// instead of h2c:// in its URL")

// take handles the frames in the buffer and moves what is left of an unfinished one to its beginning.
func (u *upConn) take() error {
	u.read.Store(clock.Now())
	if !u.greeted && bytes.HasPrefix(u.in[u.r:u.w], []byte("HTTP/")) {
		return exchange.UpstreamProtocol.With(errOldServer)
	}
	u.mu.Lock()
	defer u.leave()
	for u.r < u.w {
		f, n, _, err := u.frames.Next(u.in[u.r:u.w])
		if err == nil && n == 0 {
			break
		}
		var bad *frame.Error
		if err != nil {
			if bad = err.(*frame.Error); bad.Stream == 0 {
				return bad
			}
		}
		if e := u.handle(&f, bad); e != nil {
			if e.Stream == 0 {
				return e
			}
			if k := u.streams[e.Stream]; k != nil {
				u.reset(k, e.Code, exchange.UpstreamProtocol.With(e))
			}
			if !u.budget.spend(costFault) {
				return ruleFlood
			}
		}
		u.r += n
	}
	if u.r > 0 {
		u.w = copy(u.in[:], u.in[u.r:u.w])
		u.r = 0
	}
	return nil
}

package h2

import (
	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// Windows of what servers send, in bytes. That of the connection is opened again as soon as something
// came, so that nobody who is slow to take an answer holds up the others; that of a stream as it is taken.
const (
	upConnWindow   = 1 << 20
	upStreamWindow = frame.InitialWindow // at first, and as long as more would not be faster
	maxUpWindow    = 1 << 20
)

// allow lets the server send again what has been taken, once that is worth a frame. With the lock.
func (k *call) allow() {
	if k.ended || k.stopped || k.u.over != nil {
		return
	}
	if k.total >= k.target {
		k.follow(clock.Now())
	}
	if n := k.target - k.recv - k.body.size; n >= k.target/2 {
		k.u.out = frame.AppendWindowUpdate(k.u.out, k.id, n)
		k.recv += n
	}
}

// follow fits the window to how fast the last windowful was taken. A server sends no more than one in a round trip:
// where that was all the client waited for, it is let send twice as much at once. What a stream of a client that is
// slower holds, or may come to hold once the client takes no more, is what a round trip brings. With the lock.
func (k *call) follow(now int64) {
	switch took := now - k.since; {
	case took > 8*k.u.trip:
		k.target = max(k.target/2, upStreamWindow)
	case took > 3*k.u.trip:
	case k.body.size > 0: // it is not the server that is waited for; but perhaps what came is just being taken
		return
	default:
		k.target = min(2*k.target, maxUpWindow)
	}
	k.total, k.since = 0, now
}

// returned takes that the server answered something that was sent at the time since: a round trip is no longer than
// that, nor than any such time before. With the lock.
func (u *upConn) returned(since int64) {
	if t := u.read.Load() - since; u.trip == 0 || t < u.trip {
		u.trip = max(t, 1)
	}
}

// headed notes that the answer begins: what comes now was sent a round trip after it was allowed. With the lock.
func (k *call) headed() {
	k.u.returned(k.asked)
	k.since = k.u.read.Load() - k.u.trip
}

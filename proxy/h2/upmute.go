package h2

import (
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
)

// maxMuted is how long a server may take to end a connection that nothing can be sent on.
const maxMuted = time.Second

// mute notes why nothing can be sent any more. A server that went may have answered before, or said what it
// will not answer: that is read to its end. With the lock.
func (u *upConn) mute(err error) {
	u.muted, u.mutedAt = err, clock.Now()
	u.shun()
	for _, k := range u.streams {
		k.stopped = true
		wake(k.room)
	}
	u.io.Interrupt() // the reader looks again, and may find the end
}

// shun has no more requests come, which would be in vain. With the lock.
func (u *upConn) shun() {
	u.limit.Store(0)
	if u.kept {
		u.kept = false
		go u.pool.remove(u)
	}
}

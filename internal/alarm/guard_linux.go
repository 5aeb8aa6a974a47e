package alarm

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// guarded is for how long the runtime has a timer after a processor was held.
	guarded = time.Hour
	// turn is how long the monitor of Go's scheduler may then sleep.
	turn = 25 * time.Millisecond
)

// guard keeps goroutines that compute for long from holding up all others, once there is one. It is the monitor of
// Go's scheduler that takes the processor from them, but it sleeps when the process does: until a timer of the
// runtime's is due, or a goroutine makes a system call that the scheduler knows of. Connections make none that it
// knows of. With no timer left, one request that computes for a second has a processor to itself for that long; an
// alarm that finds so has a timer made, and the next such request shares.
type guard struct {
	mu    sync.Mutex
	until time.Time
	on    bool
}

var theGuard guard

// held says that a processor has been held.
func (g *guard) held() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until = time.Now().Add(guarded)
	if !g.on {
		g.on = true
		go g.run()
	}
}

func (g *guard) run() {
	ticker := time.NewTicker(turn)
	defer ticker.Stop()
	unix.Syscall(unix.SYS_GETPID, 0, 0, 0) // wakes the monitor, who may have gone to sleep for a minute, and finds the timer now
	for now := range ticker.C {
		if g.over(now) {
			return
		}
	}
}

func (g *guard) over(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.on = now.Before(g.until)
	return !g.on
}

// Package alarm tells when time has gone by. For what waits as long as the process runs it stands in for the timers
// of package time: while the runtime has any of those, its scheduler reads the clock whenever it goes on to another
// goroutine, and each time that the process sleeps it has the kernel set a timer beside.
package alarm

import (
	"sync"
	"sync/atomic"
	"time"
)

// Alarm tells of moments on C, until Stop. What nobody has taken yet is told once.
type Alarm struct {
	C <-chan struct{}
	source
}

// source is where an alarm comes from.
type source interface {
	// Set has the next moment come first from now, and then one every so often; none does if every is 0. What
	// was set before may still be told of once.
	Set(first, every time.Duration)
	// Stop ends the alarm and frees what it has. It is called once.
	Stop()
}

var kernel atomic.Bool

// UseKernel has the alarms made from now on be timers of the kernel's, where it has some that wait as connections do,
// and sees to what the runtime's did by the way: see guard. The program calls it when it starts; tests whose time is
// not the machine's do without.
func UseKernel() { kernel.Store(true) }

// New is an alarm that is set.
func New(first, every time.Duration) Alarm {
	told := make(chan struct{}, 1)
	tell := func() {
		select {
		case told <- struct{}{}:
		default:
		}
	}
	var s source
	if kernel.Load() {
		s = newKernel(tell)
	}
	if s == nil {
		s = &timer{tell: tell}
	}
	s.Set(first, every)
	return Alarm{told, s}
}

// timer is an alarm by package time.
type timer struct {
	tell func()

	mu    sync.Mutex
	every time.Duration
	next  *time.Timer
}

func (t *timer) Set(first, every time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.every = every
	if t.next == nil {
		t.next = time.AfterFunc(first, t.fire)
	} else {
		t.next.Reset(first)
	}
}

func (t *timer) fire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.every > 0 {
		t.next.Reset(t.every)
	}
	t.tell()
}

func (t *timer) Stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.every = 0
	t.next.Stop()
}

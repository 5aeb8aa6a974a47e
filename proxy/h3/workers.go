package h3

import "time"

// workers are goroutines that serve one request after another: their stacks have grown already.
type workers struct{ jobs chan *stream }

// workerIdle is how long a goroutine waits for its next request.
const workerIdle = 2 * time.Second

func newWorkers() *workers { return &workers{make(chan *stream)} }

// serve has s served by a goroutine that waits for work, or by a new one.
func (w *workers) serve(s *stream) {
	select {
	case w.jobs <- s:
	default:
		go w.work(s)
	}
}

func (w *workers) work(s *stream) {
	timer := time.NewTimer(workerIdle)
	defer timer.Stop()
	for {
		s.run()
		timer.Reset(workerIdle)
		select {
		case s = <-w.jobs:
		case <-timer.C:
			return
		}
	}
}

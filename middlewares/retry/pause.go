package retry

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// pause says how long to wait before a retry: initial before the first, growing to twice that before
// the last, each varied by half either way so that clients that failed together do not come back so.
type pause struct {
	initial  time.Duration
	attempts int
}

// before is the wait after that many attempts.
func (p pause) before(attempts int) time.Duration {
	if p.initial <= 0 {
		return 0
	}
	growth := math.Pow(2, float64(attempts-1)/float64(p.attempts-1))
	return time.Duration(float64(p.initial) * growth * (0.5 + rand.Float64()))
}

// sleep waits; the error is why the client went away meanwhile.
func sleep(life *exchange.Life, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	s := sleeper{make(chan error, 1)}
	if err := life.Bind(s); err != nil {
		return err
	}
	defer life.Bind(nil)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case err := <-s.woken:
		return err
	}
}

// sleeper is woken by the end of a life.
type sleeper struct{ woken chan error }

func (s sleeper) Cancel(reason error) { s.woken <- reason }

package retry

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
)

// The budget in tokens; a retry costs one. A fifth of the requests may be retried, and ten a second
// always, so that a service with little traffic has retries too. A server in trouble is not sent a
// multiple of its load.
const (
	perRequest = 0.2
	perSecond  = 10
	most       = 100 // unused tokens are not hoarded beyond that
)

// micro is the unit tokens are counted in.
const micro = 1_000_000

// budget is safe for concurrent use.
type budget struct {
	earned atomic.Int64 // tokens from requests, in millionths

	mu     sync.Mutex
	second int64 // the running second of the clock
	spent  int   // tokens of perSecond spent in it
}

func newBudget() *budget { return &budget{} }

// deposit is called for every request.
func (b *budget) deposit() { b.earned.Add(perRequest * micro) }

// withdraw takes a token, if there is one.
func (b *budget) withdraw() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if second := clock.Now() / int64(time.Second); second != b.second {
		b.second, b.spent = second, 0
	}
	if b.spent < perSecond {
		b.spent++
		return true
	}
	if over := b.earned.Load() - most*micro; over > 0 {
		b.earned.Add(-over)
	}
	if b.earned.Load() < micro {
		return false
	}
	b.earned.Add(-micro)
	return true
}

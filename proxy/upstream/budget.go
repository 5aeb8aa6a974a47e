package upstream

import "sync/atomic"

// budget bounds the retries of requests that may have reached a server to a fifth of the requests, so
// that retries do not finish off what is struggling. A part is saved up, so that the loss of a server
// with all that is in flight there can be made good at once.
type budget struct{ credit atomic.Int64 } // in requests; a retry takes retryCost

const (
	retryCost     = 5
	startCredit   = 100 * retryCost
	highestCredit = 4096 * retryCost
)

func (b *budget) init() { b.credit.Store(startCredit) }

// inherit takes over what another has saved up, if that is more. Only before b is in use.
func (b *budget) inherit(from *budget) { b.credit.Store(max(b.credit.Load(), from.credit.Load())) }

// earn counts a request.
func (b *budget) earn() {
	if b.credit.Load() < highestCredit {
		b.credit.Add(1)
	}
}

// spend takes a retry and reports whether there was one.
func (b *budget) spend() bool {
	for {
		c := b.credit.Load()
		if c < retryCost {
			return false
		}
		if b.credit.CompareAndSwap(c, c-retryCost) {
			return true
		}
	}
}

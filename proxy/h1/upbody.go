package h1

import (
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Whole is exchange.Whole.
func (k *call) Whole() ([]byte, bool) {
	p, ok := k.incoming.whole()
	if ok {
		k.x.Record.UpstreamBytes = k.taken + int64(len(p))
	}
	return p, ok
}

// Waits is exchange.Waiter: a body of unknown length may be an event stream.
func (k *call) Waits() bool { return k.r == k.w && !k.over && k.mode != byLength }

// Ended is exchange.Ender.
func (k *call) Ended() bool { return k.over }

// Next is exchange.Body.
func (k *call) Next() ([]byte, error) {
	u := k.u
	if u == nil { // given back already: all is in memory
		p, err := k.incoming.next()
		k.count(len(p))
		return p, err
	}
	u.progress.enter(receiving)
	p, err := k.incoming.next()
	u.progress.enter(busy)
	k.count(len(p))
	if err != nil && err != io.EOF {
		if reason := k.x.Life.Err(); reason != nil {
			return nil, exchange.KindOf(reason).With(err)
		}
		if k.pump != nil {
			if cause := k.pump.failure(); cause != nil {
				return nil, cause
			}
		}
		return nil, u.fault(err)
	}
	return p, err
}

// count notes that n bytes of the body were taken.
func (k *call) count(n int) {
	k.taken += int64(n)
	k.x.Record.UpstreamBytes = k.taken
}

// Close is exchange.Body: it gives the connection back if the response ended cleanly, else closes it.
func (k *call) Close() error {
	if k.u == nil {
		return nil
	}
	if !k.over || k.pump != nil && !k.pump.ended() {
		k.giveUp()
		return nil
	}
	k.finish(k.r)
	return nil
}

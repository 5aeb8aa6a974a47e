package h2

import (
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// preciseBelow is the response timeout under which the sweeper is too coarse a timer.
const preciseBelow = 5 * time.Second

// wait waits for the response head, and passes interim responses on.
func (k *call) wait() error {
	u := k.u
	var expired <-chan time.Time
	if limit := k.pool.config.HeadTimeout; limit > 0 && limit < preciseBelow && k.pump == nil {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		expired = timer.C
	}
	for {
		if expired == nil {
			<-k.came
		} else {
			select {
			case <-k.came:
			case <-expired:
				k.expire()
				expired = nil
			}
		}
		u.mu.Lock()
		interims := k.interims
		k.interims = nil
		head, err := k.head, k.err
		u.mu.Unlock()
		for i := range interims {
			if bad := k.interim(&interims[i]); bad != nil {
				return bad
			}
		}
		switch {
		case head:
			return k.answered()
		case err != nil:
			if k.pump != nil {
				if cause := k.pump.failure(); cause != nil {
					return cause // the client's fault, or a limit: the body could not be had
				}
			}
			return err
		}
	}
}

// expire gives up waiting for the head.
func (k *call) expire() {
	u := k.u
	u.mu.Lock()
	u.reset(k, frame.Cancel, exchange.UpstreamTimeout.Withf("no response head within %v", k.pool.config.HeadTimeout))
	u.unlock()
}

// interim passes an interim response on. RFC 9110 §15.2.
func (k *call) interim(b *fields.Block) error {
	x := k.x
	if err := b.Response(&x.Response, x.Request.Method, false); err != nil {
		return exchange.UpstreamProtocol.With(err)
	}
	if x.Informer == nil || x.Response.Status == 100 && !k.asks {
		return nil
	}
	return x.Informer.Inform(x.Response.Status, &x.Response.Header)
}

// answered makes the response of the head.
func (k *call) answered() error {
	p, u := &k.x.Response, k.u
	if err := k.block.Response(p, k.x.Request.Method, k.whole); err != nil {
		return exchange.UpstreamProtocol.With(err)
	}
	p.Proto = exchange.HTTP2
	if k.x.Request.Upgrade != nil && p.Status/100 == 2 {
		return k.changed()
	}
	p.Body = k
	u.mu.Lock()
	k.over = k.ended && (k.sent || k.stopped)
	u.mu.Unlock()
	if k.over {
		k.unbind()
	}
	if k.whole {
		p.Body = nil
		if !k.over {
			return nil // the rest of the request is still sent, until the exchange ends
		}
	}
	return nil
}

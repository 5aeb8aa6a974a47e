package h2

import (
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// receive takes data of the server. With the lock.
func (k *call) receive(f *frame.Frame) *frame.Error {
	p := f.Payload
	if f.Size > k.recv {
		return on(k.id, ruleWindow)
	}
	k.recv -= f.Size
	k.got++
	switch {
	case !k.head:
		return on(k.id, breach(frame.ProtocolError, "data_before_head"))
	case k.ended:
		return on(k.id, ruleClosed)
	case k.bodiless && len(p) > 0 || k.left >= 0 && int64(len(p)) > k.left:
		return on(k.id, breach(frame.ProtocolError, fields.RuleLengthBody.Name))
	}
	if k.left >= 0 {
		k.left -= int64(len(p))
	}
	k.total += len(p)
	k.body.push(p)
	if f.Ends() {
		return k.u.ended(k)
	}
	if len(p) == 0 {
		k.allow() // padding must not use the window up
	}
	return nil
}

// Whole is exchange.Whole.
func (k *call) Whole() ([]byte, bool) {
	if !k.over || k.err != nil || k.trailers {
		return nil, false
	}
	p, whole := k.body.whole()
	if len(p) > 0 {
		k.x.Record.UpstreamBytes = k.taken + int64(len(p))
	}
	return p, whole
}

// Waits is exchange.Waiter: a body of unknown length may be an event stream.
func (k *call) Waits() bool {
	if k.over || k.x.Response.Length >= 0 {
		return false
	}
	k.u.mu.Lock()
	defer k.u.mu.Unlock()
	return k.body.empty() && !k.ended && k.err == nil
}

// Ended is exchange.Ender.
func (k *call) Ended() bool { return k.over && k.err == nil }

// Next is exchange.Body.
func (k *call) Next() ([]byte, error) {
	k.body.takeBack()
	if k.over { // the reader is done with it
		return k.next()
	}
	u := k.u
	u.mu.Lock()
	for k.body.empty() && !k.ended && k.err == nil {
		k.allow()
		k.waits = true
		u.unlock()
		<-k.came
		u.mu.Lock()
		k.waits = false
	}
	k.over = k.ended && k.sent
	p, err := k.next()
	if err == nil {
		k.allow()
	}
	failed := err != nil && err == k.err
	u.unlock()
	if failed { // not with the lock: it may be waited for by who cancels
		err = k.fault()
	}
	return p, err
}

// next returns what is there.
func (k *call) next() ([]byte, error) {
	if !k.body.empty() {
		p := k.body.take()
		k.taken += int64(len(p))
		k.x.Record.UpstreamBytes = k.taken
		return p, nil
	}
	if k.err != nil {
		return nil, k.err
	}
	if k.trailers {
		k.trailers = false
		if err := k.trailer.Trailer(&k.x.Response.Trailer); err != nil {
			k.err = exchange.UpstreamProtocol.With(err)
			return nil, k.err
		}
	}
	return nil, io.EOF
}

// fault says why the answer was cut short.
func (k *call) fault() error {
	if reason := k.x.Life.Err(); reason != nil {
		return exchange.KindOf(reason).With(k.err)
	}
	if k.pump != nil {
		if cause := k.pump.failure(); cause != nil {
			return cause
		}
	}
	return k.err
}

// Close is exchange.Body: what has not come is given up.
func (k *call) Close() error {
	k.quit()
	k.discard()
	return nil
}

// discard frees what nobody has taken. The stream is over.
func (k *call) discard() {
	k.u.mu.Lock()
	defer k.u.mu.Unlock()
	k.body.discard()
	k.body.takeBack()
}

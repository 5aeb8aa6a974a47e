package upstream

import (
	"net/http"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// maxServers is how many servers a request is tried on.
const maxServers = 3

// Handle sends x to a server.
func (l *loadBalancer) Handle(x *exchange.Exchange) error {
	x.Record.Service = l.scope
	l.budget.earn()
	v := l.view.Load()
	stuck := l.sticky.find(x)
	i := stuck
	if i < 0 || !v.reachable[i] {
		if i = v.balancer.Pick(x); i < 0 {
			return l.none
		}
	}
	var err error
	if len(l.members) == 1 {
		err = l.send(x, i)
	} else {
		i, err = l.try(x, i)
	}
	if err == nil && i != stuck && l.sticky != nil {
		l.sticky.set(x, i)
	}
	return err
}

// try sends x to member i, and to others where that may be done after a failure. It returns who
// answered.
func (l *loadBalancer) try(x *exchange.Exchange, i int) (int, error) {
	body := x.Request.Body
	whole, isWhole := exchange.WholeOf(body)
	if repeatable := body != nil && isWhole && !x.Request.Continue && x.Request.Idempotent(); repeatable {
		// What the server's connection consumes, or closes, is then not the original.
		x.Request.Body = exchange.NewBytes(whole)
		defer func() { x.Request.Body = body }()
	}
	err := l.send(x, i)
	if err == nil {
		return i, nil
	}
	tried := [maxServers]int{i}
	for n := 1; n < maxServers && l.mayRetry(x, err, body, whole, isWhole); n++ {
		v := l.view.Load()
		next := v.another(v.balancer.Pick(x), tried[:n])
		if next < 0 {
			break
		}
		x.ResetResponse()
		if x.Request.Body != body {
			x.Request.Body = exchange.NewBytes(whole)
		}
		tried[n] = next
		if err = l.send(x, next); err == nil {
			return next, nil
		}
	}
	return -1, err
}

// mayRetry reports whether x, which failed with err, may go to another server. Body is what the request
// came with, whole its content if that was in memory.
func (l *loadBalancer) mayRetry(x *exchange.Exchange, err error, body exchange.Body, whole []byte, isWhole bool) bool {
	if x.Life.Err() != nil {
		return false
	}
	kind := exchange.KindOf(err)
	switch kind {
	case exchange.DialFailed, exchange.DialTimeout, exchange.UpstreamTLS:
		if !x.Record.Sent {
			return true // no connection: the body is untouched
		}
	case exchange.UpstreamReset, exchange.Overloaded:
	default:
		return false
	}
	if x.Request.Body == body && body != nil {
		// The original was used: it must not have been begun.
		if left, ok := exchange.WholeOf(body); !isWhole || !ok || len(left) != len(whole) {
			return false
		}
	}
	if !x.Record.Sent {
		return true
	}
	return kind == exchange.UpstreamReset && x.Request.Idempotent() && l.budget.spend()
}

// send sends x to member i and keeps the accounts.
func (l *loadBalancer) send(x *exchange.Exchange, i int) (err error) {
	e := l.members[i].endpoint
	x.Record.Endpoint, x.Record.Sent, x.Record.UpstreamBytes = e.scope, false, 0
	x.Record.Attempts++
	e.load.Begin()
	answered := false
	defer func() {
		if !answered { // after a panic as well
			e.Release()
		}
	}()
	start := clock.Now()
	err = e.handler.Handle(x)
	now := clock.Now()
	x.Record.UpstreamDuration = now - start
	if err != nil {
		x.Record.UpstreamStatus = 0
		if serversFault(err) && x.Life.Err() == nil {
			e.failed(l.passive)
		}
		return err
	}
	status := x.Response.Status
	x.Record.UpstreamStatus = status
	x.Response.Releaser, answered = e, true
	if l.timed {
		e.load.Observe(now, now-start)
	}
	if l.passive.statuses && status >= http.StatusInternalServerError {
		e.failed(l.passive)
	} else if e.suspect.Load() {
		e.succeeded(l.passive, start)
	}
	return nil
}

// serversFault reports whether an error speaks against the server.
func serversFault(err error) bool {
	switch exchange.KindOf(err) {
	case exchange.DialFailed, exchange.DialTimeout, exchange.UpstreamTimeout, exchange.UpstreamReset,
		exchange.UpstreamProtocol, exchange.UpstreamTLS:
		return true
	}
	return false
}

package upstream

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Failover is the configuration of a service that uses Fallback while Service is not healthy, or for
// requests that Service answers with one of the listed errors.
type Failover struct {
	Service, Fallback Child
	// HealthCheck makes the health of both known upwards; both must have health checks then.
	HealthCheck bool
	// Errors is nil where health alone decides; Service must have health checks then.
	Errors *FailoverErrors
}

// FailoverErrors says which answers of the main service are not good enough.
type FailoverErrors struct {
	// MaxRequestBodyBytes is how much of a request's body is kept for it to be sent again; a request
	// with more gets the main service's answer whatever it is. -1 means no limit.
	MaxRequestBodyBytes int64
	// Status lists statuses and ranges of them, such as "500-599". A main service that cannot be
	// reached counts with the status the client would get: 502, 503 or 504.
	Status []string
}

// DefaultMaxRequestBodyBytes is what Traefik keeps when nothing else is said.
const DefaultMaxRequestBodyBytes = 2 << 20

type failover struct {
	scope          exchange.Scope
	main, fallback Child
	checked        bool
	statuses       []statusRange
	maxBody        int64
	none           error
}

// Failover makes a service called name.
func (r *Registry) Failover(name string, c Failover) (Service, error) {
	f := &failover{
		scope: r.options.Scopes.Service(name), main: c.Service, fallback: c.Fallback, checked: c.HealthCheck,
		none: exchange.NoEndpoint.Withf("service %s: neither its service nor its fallback is up", name),
	}
	if c.HealthCheck {
		for _, child := range []*Child{&f.main, &f.fallback} {
			if err := mustCheck(name, child); err != nil {
				return nil, err
			}
		}
	}
	if c.Errors == nil {
		if !f.main.checked() {
			return nil, fmt.Errorf("service %s: its service %s has no healthCheck, so that the fallback would never be used: add one there, or errors here", name, c.Service.Name)
		}
		return f, nil
	}
	if len(c.Errors.Status) == 0 {
		return nil, fmt.Errorf("service %s: errors: status lists nothing", name)
	}
	f.maxBody = c.Errors.MaxRequestBodyBytes
	for _, text := range c.Errors.Status {
		s, err := parseStatusRange(text)
		if err != nil {
			return nil, fmt.Errorf("service %s: errors: %w", name, err)
		}
		f.statuses = append(f.statuses, s)
	}
	return f, nil
}

// Handle sends x to the main service or to the fallback, or to one after the other.
func (f *failover) Handle(x *exchange.Exchange) error {
	if f.main.checked() && !f.main.healthy() {
		return f.fall(x)
	}
	if f.statuses == nil {
		return f.main.Handler.Handle(x)
	}
	body := x.Request.Body
	if body == nil {
		err := f.main.Handler.Handle(x)
		if !f.insufficient(x, err) {
			return err
		}
		x.ResetResponse()
		return f.fall(x)
	}
	t := &tape{body: body, limit: f.maxBody, keepOpen: true}
	if x.Request.Continue {
		t.asks = x.Informer
	}
	x.Request.Body = t
	err := f.main.Handler.Handle(x)
	if !f.insufficient(x, err) || !t.hold() {
		// The server may still be reading t, which from now on is like body itself.
		t.stop()
		return err
	}
	x.ResetResponse() // now nobody reads t
	again, ok := t.rewind(x.Request.Trailer.Len() > 0)
	if x.Request.Body = body; !ok {
		return exchange.ClientAbort.Withf("the request's body ended early")
	}
	x.Request.Body = again
	x.Request.Continue = t.asks != nil && !t.began // else the client has been asked
	return f.fall(x)
}

// fall sends x to the fallback.
func (f *failover) fall(x *exchange.Exchange) error {
	if !f.fallback.healthy() {
		x.Record.Service = f.scope
		return f.none
	}
	return f.fallback.Handler.Handle(x)
}

// insufficient reports whether what the main service made of x is one of the errors. An answer is
// judged by its status alone, as the configuration says; where there is none, a request that must not
// be repeated is not.
func (f *failover) insufficient(x *exchange.Exchange, err error) bool {
	status := x.Response.Status
	if err != nil {
		if x.Life.Err() != nil || x.Record.Sent && !x.Request.Idempotent() {
			return false
		}
		switch kind := exchange.KindOf(err); kind {
		case exchange.ClientAbort, exchange.ClientTimeout, exchange.BadRequest:
			return false
		default:
			status = kind.Status()
		}
	}
	for _, s := range f.statuses {
		if s.low <= status && status <= s.high {
			return true
		}
	}
	return false
}

type statusRange struct{ low, high int }

// parseStatusRange reads "503" or "500-599".
func parseStatusRange(text string) (statusRange, error) {
	from, to, isRange := strings.Cut(strings.TrimSpace(text), "-")
	if !isRange {
		to = from
	}
	low, err1 := strconv.Atoi(from)
	high, err2 := strconv.Atoi(to)
	if err1 != nil || err2 != nil || low < 100 || high > 599 || low > high {
		return statusRange{}, fmt.Errorf("status %q is neither a status nor a range such as 500-599", text)
	}
	return statusRange{low, high}, nil
}

// Checked reports whether the health of both is known.
func (f *failover) Checked() bool { return f.checked }

// Healthy reports whether either is.
func (f *failover) Healthy() bool { return f.main.healthy() || f.fallback.healthy() }

// Status is nil: there are no servers of its own.
func (f *failover) Status() map[string]string { return nil }

// Close does nothing: whoever had the services made closes them.
func (f *failover) Close() {}

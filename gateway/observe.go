package gateway

import (
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/telemetry"
)

// NewObserver returns what tells everybody of an entry point's finished exchanges: the entry point's
// scope, the router, service and server that had a part, and then the access log, which may be nil.
func NewObserver(entryPoint exchange.Scope, accessLog exchange.Observer) exchange.Observer {
	return &observer{entryPoint, accessLog}
}

type observer struct {
	entryPoint exchange.Scope
	accessLog  exchange.Observer
}

// Observe is exchange.Observer.
func (o *observer) Observe(x *exchange.Exchange) {
	r := &x.Record
	telemetry.Observe(x, o.entryPoint, r.Router, r.Service, r.Endpoint)
	if o.accessLog != nil {
		o.accessLog.Observe(x)
	}
}

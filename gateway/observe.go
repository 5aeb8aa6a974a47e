package gateway

import "github.com/pergola-mesh/pergola/proxy/exchange"

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
	o.entryPoint.Observe(x)
	if r.Router != nil {
		r.Router.Observe(x)
	}
	if r.Service != nil {
		r.Service.Observe(x)
	}
	if r.Endpoint != nil {
		r.Endpoint.Observe(x)
	}
	if o.accessLog != nil {
		o.accessLog.Observe(x)
	}
}

package exchange

// Record is what telemetry is told of an exchange. Handlers fill what they decide; the codec fills
// the rest and, once the exchange is over, calls the entry point's Observer.
type Record struct {
	// Start is when the request head was complete; Duration until the last byte of the response was
	// written or given up. Nanoseconds, monotonic (package clock).
	Start, Duration int64
	// Router, Service and Endpoint are those that answered; nil when it never came to that.
	Router, Service, Endpoint Scope
	// UpstreamStatus is the status the server gave; 0 when none answered. UpstreamDuration is how
	// long its response head took, in nanoseconds.
	UpstreamStatus   int
	UpstreamDuration int64
	// UpstreamBytes counts the bytes of the server's response body that were taken, before anything made of
	// them: that differs from ResponseBytes where a response is compressed or replaced.
	UpstreamBytes int64
	// Attempts counts the requests made to servers: 1 without a retry.
	Attempts int
	// RequestBytes and ResponseBytes count body bytes on the client's side.
	RequestBytes, ResponseBytes int64
	// Failed says that the response was made up by Rescue, or cut short; Kind and Error why.
	Failed bool
	Kind   Kind
	Error  error
	// User is who authenticated, for the access log.
	User string
	// Sent says that the last attempt may have reached a server: what is not idempotent must not be
	// sent again.
	Sent bool
	// Unlogged keeps the exchange out of the access log, Uncounted out of the metrics: what a router's
	// observability says, and so it is for the gateway's own services unless they are asked for.
	Unlogged, Uncounted bool
	// Labels is telemetry's own: what the exchange is counted under, once that has been worked out.
	Labels uint32
}

// Scope is a router, service or endpoint as telemetry knows it: it outlives reloads.
type Scope interface {
	// Name is the qualified name, such as "web@file"; of an endpoint, its URL.
	Name() string
	// Observe counts a finished exchange. Safe for concurrent use.
	Observe(x *Exchange)
}

// Observer is told of every finished exchange, on the goroutine that served it. It must be quick
// and keep nothing of x.
type Observer interface {
	Observe(x *Exchange)
}

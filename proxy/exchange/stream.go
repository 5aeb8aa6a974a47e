package exchange

import (
	"io"
	"sync/atomic"
)

// Stream is a connection of layer 4, or a session of datagrams, from when it has a router until it has
// ended: what is known of it, and what telemetry is told. Its counters may be read while it runs;
// everything else is its goroutine's until it has ended.
type Stream struct {
	// ID is the stream's own, among those of the process.
	ID uint64
	// Conn is what is known of the client's side.
	Conn *Conn
	// Protocol is "tcp" or "udp".
	Protocol string
	// ServerName is what the client asked for in its ClientHello, in lower case and without a dot at its
	// end; empty without one.
	ServerName string
	// Passthrough says that the TLS of the client is the server's to terminate.
	Passthrough bool
	// Start is when the stream had its router; Duration until both sides had ended. Nanoseconds,
	// monotonic (package clock).
	Start, Duration int64
	// Begin is what is said on a fresh connection to a server before TLS with it, if secure tells of that, or
	// else before anything else; nil for nothing. It reads no byte of what comes after, and is called again
	// for the server that is tried next. Its errors are of a Kind, unless its time was over.
	Begin func(server io.ReadWriter, secure bool) error
	// Router, Service and Endpoint are those that took it; nil when it never came to that.
	Router, Service, Endpoint StreamScope
	// Attempts counts the servers that were tried; DialDuration is how long it took to have one, in
	// nanoseconds.
	Attempts     int
	DialDuration int64
	// Received and Sent count bytes from and to the client.
	Received, Sent atomic.Int64
	// Failed says that the stream did not end in the ordinary way; Kind and Error why.
	Failed bool
	Kind   Kind
	Error  error
	// Unlogged and Uncounted keep it out of the access log and the metrics.
	Unlogged, Uncounted bool
}

// Fail notes why the stream ends as it does. The first reason stands.
func (s *Stream) Fail(err error) {
	if !s.Failed && err != nil {
		s.Failed, s.Kind, s.Error = true, KindOf(err), err
	}
}

// StreamScope is an entry point, router, service or endpoint as telemetry knows it on layer 4: it
// outlives reloads. Its methods are safe for concurrent use.
type StreamScope interface {
	// Name is the qualified name; of an endpoint, its address.
	Name() string
	// Opened counts a stream, which Closed will count as over.
	Opened(s *Stream)
	// Moved counts bytes that came from, and went to, the client since it was last told.
	Moved(s *Stream, received, sent int64)
	Closed(s *Stream)
}

// StreamObserver is told of every stream that has ended. It must be quick and keep nothing of s.
type StreamObserver interface {
	Ended(s *Stream)
}

// Gate is a middleware of layer 4: it lets streams through or not, and sees none of their bytes.
type Gate interface {
	// Enter returns an error (a Kind, or one that wraps it) for a stream that must not go on.
	Enter(c *Conn) error
	// Leave is called once for every stream that entered, when it has ended.
	Leave(c *Conn)
}

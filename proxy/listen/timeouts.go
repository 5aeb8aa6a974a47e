package listen

import "time"

// Timeouts of a server's connections. They measure progress, coarsely (package sweep): the time
// that nothing moved, not the time that a message takes. Zero means never.
type Timeouts struct {
	Header time.Duration // a whole request head, from its first byte: this one is absolute
	Body   time.Duration // the next bytes of a request body
	Write  time.Duration // the client takes the next bytes of a response
	Idle   time.Duration // the next request on a kept connection
}

// DefaultTimeouts are those of an unconfigured entry point.
var DefaultTimeouts = Timeouts{Header: 10 * time.Second, Body: 30 * time.Second, Write: 30 * time.Second, Idle: 60 * time.Second}

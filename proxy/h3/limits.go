package h3

import "time"

const (
	streamWindow     = 64 << 10 // what a client may send ahead on one stream, in bytes, and grow to
	maxStreamWindow  = 1 << 20
	connWindow       = 256 << 10 // on all streams of a connection
	maxConnWindow    = 4 << 20
	maxUniStreams    = 16 // control, two of QPACK, and reserved ones
	maxUnknown       = 64 // reserved streams that a connection may open in all
	maxHandshakes    = 1024
	verifyHandshakes = 64                     // from so many on, addresses are verified first
	deadPeer         = 60 * time.Second       // a peer that says nothing for so long is gone
	probePeer        = 20 * time.Second       // so often is a silent one asked
	handshakeGrace   = 3 * time.Second        // how long handshakes may go on that had begun before the end
	handshakeQuiet   = 200 * time.Millisecond // without any, no more are to come
	drainStep        = time.Second            // between the two GOAWAY of a graceful end
	drainLinger      = 500 * time.Millisecond // after the last response, until the connection is closed
	drainSilent      = 5 * time.Second        // how long a connection may then be without its first request
)

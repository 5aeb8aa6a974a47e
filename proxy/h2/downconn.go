package h2

import (
	"sync"

	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/h2/hpack"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// maxStream is the highest number a stream can have.
const maxStream = 1<<31 - 1

// downConn is a client's connection. One goroutine reads it; the streams' goroutines, and now and then
// that one, write to it.
type downConn struct {
	srv    *Server
	io     *listen.Conn
	info   *exchange.Conn
	done   func()
	ticket *sweep.Ticket
	began  int64

	// Of the goroutine that reads.
	in      *inBuffer // nil while nothing is unread
	r, w    int       // in[r:w] is unread
	greeted greeting
	frames  frame.Reader
	dec     *hpack.Decoder
	open    openBlock     // a header block that has not all come
	ready   []*downStream // requests that came whole, to be answered once all has been read
	lost    error         // why it cannot be read any more, on the portable path

	mu         sync.Mutex // guards what follows
	highest    uint32     // the last stream the client has begun
	final      uint32     // the last that is answered: what GOAWAY said
	requests   int
	streams    map[uint32]*downStream // those not yet over for the client; nil once parked
	working    int                    // those whose goroutine has not ended, over or not: each holds a slot
	past       past
	unwanted   *[]unwanted // in the order they came; nil until there is one
	budget     budget
	said       bool // a part of a response was sent since the last ping: clients measure by such pings
	enc        *hpack.Encoder
	out        *outBuffer    // output that nobody is writing; nil for none
	flushing   bool          // somebody is writing
	window     int           // how much data the client takes on the connection
	peerWindow int           // and at first on each stream
	peerFrame  int           // the largest payload it takes
	recvWindow int           // how much data it may send on the connection
	drained    int           // that was taken, and that it was not told of
	blocked    []*downStream // wait for window, or for room in the output
	phase      phase
	over       bool // nothing is to be sent any more
	failed     *frame.Error
	quiet      sync.Cond    // of over: working or flushing has changed
	partial    int64        // since when the client has owed the rest of something; 0 when it owes nothing
	unacked    int64        // since when the client has not acknowledged our SETTINGS; 0 when it has
	breach     *frame.Error // what it will have broken if it goes on owing it
	since      int64        // since when there has been no stream; 0 when that is to be found out
	leftAt     int64        // since when the client has known that the connection ends
	wrote      uint32       // counts writes, for the sweeper
	writing    stall
}

// phase is where a connection is in its life.
type phase uint8

const (
	serving phase = iota
	leaving       // the client was told to begin nothing new; what it has begun already is answered
	left          // and told what the last stream is
	parking       // without a stream for long: the goroutine is to end
	parked        // and has
	ending        // the connection is to end
)

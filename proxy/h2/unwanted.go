package h2

import (
	"cmp"
	"slices"
	"time"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// unwanted is a stream whose response is complete and whose request is not: nobody wants the rest, and the
// client is to be told so by a reset without an error. RFC 9113 §8.1. Not at once: clients, curl 7 among
// them, take a reset that comes with the response for its failure, and most have sent the rest by then.
type unwanted struct {
	stream uint32
	since  int64
}

const (
	// unwantedFor is after how long the client is told.
	unwantedFor = 300 * time.Millisecond
	// maxUnwanted is how many streams of a connection wait for that; of more it is told at once.
	maxUnwanted = 64
)

// unwant ends a stream of which nobody wants the rest. With the lock.
func (c *downConn) unwant(stream uint32) {
	if c.unwanted == nil {
		c.unwanted = new([]unwanted)
	}
	if len(*c.unwanted) < maxUnwanted {
		*c.unwanted = append(*c.unwanted, unwanted{stream, clock.Now()})
		return
	}
	b := c.output()
	b.p = frame.AppendRSTStream(b.p, stream, frame.NoError)
}

// ended notes that the client has ended a stream of which nobody wanted the rest. With the lock.
func (c *downConn) ended(stream uint32) {
	if c.unwanted != nil {
		*c.unwanted = slices.DeleteFunc(*c.unwanted, func(u unwanted) bool { return u.stream == stream })
	}
}

// tellUnwanted tells the client of those that have waited long enough. With the lock.
func (c *downConn) tellUnwanted(now int64) {
	if c.unwanted == nil {
		return
	}
	due := 0
	for _, u := range *c.unwanted {
		if now-u.since <= int64(cmp.Or(c.srv.unwantedFor, unwantedFor)) {
			break
		}
		b := c.output()
		b.p = frame.AppendRSTStream(b.p, u.stream, frame.NoError)
		due++
	}
	if due > 0 {
		*c.unwanted = slices.Delete(*c.unwanted, 0, due)
		c.kick()
	}
}

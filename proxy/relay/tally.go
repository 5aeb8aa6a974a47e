package relay

import "github.com/pergola-mesh/pergola/proxy/exchange"

// tally is what the sweeper knows of what a stream has moved. It is the sweeper's and, once the ticket is
// removed, the stream's own.
type tally struct {
	seen           int64 // bytes moved when it last looked
	at             int64 // when that was found to have changed; package clock
	received, sent int64 // what the scopes were told
}

func (t *tally) start(now int64) { t.at = now }

// idle is for how long nothing has moved, in nanoseconds.
func (t *tally) idle(s *exchange.Stream, now int64) int64 {
	if moved := s.Received.Load() + s.Sent.Load(); moved != t.seen {
		t.seen, t.at = moved, now
	}
	return now - t.at
}

// moved is what has moved since it was last asked.
func (t *tally) moved(s *exchange.Stream) (received, sent int64) {
	in, out := s.Received.Load(), s.Sent.Load()
	received, sent = in-t.received, out-t.sent
	t.received, t.sent = in, out
	return received, sent
}

// Far is what is known of the server's side.
type Far struct{ Service, Server string }

func farOf(s *exchange.Stream) *Far {
	f := &Far{}
	if s.Service != nil {
		f.Service = s.Service.Name()
	}
	if s.Endpoint != nil {
		f.Server = s.Endpoint.Name()
	}
	return f
}

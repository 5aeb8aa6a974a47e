package upstream

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// tape is a request body that remembers what was read of it, up to a limit, so that the same can be
// sent elsewhere. It delays nothing. The mutex is for upstream connections that read the request from
// a goroutine of their own.
type tape struct {
	body   exchange.Body
	limit  int64   // in bytes; -1 for none
	ledger *ledger // what is kept counts there; nil for nowhere
	// keepOpen has Close end the reading of the tape only, for the rest of body to be read by someone
	// else. A read that waits for the client goes on until that sends more, and is kept.
	keepOpen bool
	// asks is how a client that waits for leave to send the body gets it then; nil for one that does not.
	asks exchange.Informer

	mu      sync.Mutex
	kept    []byte
	lost    bool // kept is not all that was read
	ended   bool
	began   bool // somebody has begun to read
	reading bool // somebody waits for the body
	closed  bool // with keepOpen
	off     bool // nobody wants kept any more
}

// Next returns the body's next bytes.
func (t *tape) Next() ([]byte, error) {
	if !t.begin() {
		return nil, io.ErrClosedPipe
	}
	p, err := t.body.Next()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reading = false
	switch {
	case err == io.EOF:
		t.ended = true
	case t.off || t.lost:
	case err != nil, t.limit >= 0 && int64(len(t.kept)+len(p)) > t.limit, !t.ledger.take(len(p)):
		t.lose()
	default:
		t.kept = append(t.kept, p...)
	}
	return p, err
}

// Whole is the body's.
func (t *tape) Whole() ([]byte, bool) { return exchange.WholeOf(t.body) }

// Close closes the body once nobody else may want it.
func (t *tape) Close() error {
	t.mu.Lock()
	t.closed = t.keepOpen && !t.off
	closed, reading := t.closed, t.reading
	t.mu.Unlock()
	if closed && reading && t.asks != nil {
		return t.asks.Inform(100, nil) // the server did not, and the read must end
	}
	if closed {
		return nil
	}
	return t.body.Close()
}

// begin notes that somebody reads; false when nobody may.
func (t *tape) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.began, t.reading = true, true
	return true
}

// lose forgets what was kept. The mutex is held.
func (t *tape) lose() {
	t.ledger.give(len(t.kept))
	t.kept, t.lost = nil, true
}

// stop ends the recording, for good.
func (t *tape) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.off {
		t.off = true
		t.lose()
	}
}

// take ends the recording and returns all of the body, which then is the caller's to give back to the
// ledger; false when it is not complete.
func (t *tape) take() ([]byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.off = true
	if !t.ended || t.lost {
		t.lose()
		return nil, false
	}
	return t.kept, true
}

// hold reports whether all that was read is kept, and has what is still read kept whatever its length:
// the reader is about to be stopped.
func (t *tape) hold() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = -1
	return !t.lost
}

// rewind returns the body from its beginning: what was read, and then the rest; false when that cannot
// be had. Nobody else reads the tape any more. Trailers says that the body came with some.
func (t *tape) rewind(trailers bool) (exchange.Body, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.lost || t.off:
		return nil, false
	case t.ended && !trailers:
		return exchange.NewBytes(t.kept), true
	case t.ended:
		return &rewound{kept: t.kept}, true
	case len(t.kept) == 0:
		return t.body, true
	}
	return &rewound{kept: t.kept, rest: t.body}, true
}

// rewound is kept followed by rest, which is nil when there is none.
type rewound struct {
	kept []byte
	rest exchange.Body
}

// Next returns what was kept, then what Next of the rest returns.
func (r *rewound) Next() ([]byte, error) {
	if p := r.kept; len(p) > 0 {
		r.kept = nil
		return p, nil
	}
	if r.rest == nil {
		return nil, io.EOF
	}
	return r.rest.Next()
}

// Close closes the rest.
func (r *rewound) Close() error {
	if r.rest == nil {
		return nil
	}
	return r.rest.Close()
}

// ledger bounds what many tapes keep together. A nil ledger does not.
type ledger struct {
	limit int64
	held  atomic.Int64
}

func (l *ledger) take(n int) bool {
	if l == nil {
		return true
	}
	if l.held.Add(int64(n)) > l.limit {
		l.held.Add(-int64(n))
		return false
	}
	return true
}

func (l *ledger) give(n int) {
	if l != nil {
		l.held.Add(-int64(n))
	}
}

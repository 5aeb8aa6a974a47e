package exchange

import "io"

// Body is a message's content, pulled by whoever consumes it.
type Body interface {
	// Next returns the next bytes, valid until the following call of Next or Close. It returns them
	// as soon as there are some. After the last it returns io.EOF, with no bytes; the message's
	// Trailer is then complete. Any other error means that the message was cut short: what was
	// received so far must not be taken, or passed on, as whole.
	Next() ([]byte, error)
	// Close gives up whatever is unread and frees what the body holds. It may be called at any time
	// by the consumer, also after io.EOF, and more than once.
	Close() error
}

// Whole is implemented by bodies that can tell when all of their content is already in memory.
type Whole interface {
	// Whole returns all that Next would still return, without consuming it, and true; or false when
	// some of it has yet to arrive or there will be trailers. The bytes live until Close.
	Whole() ([]byte, bool)
}

// Waiter is implemented by bodies whose first bytes may be long in coming: an event stream's. A codec
// then sends the head without waiting for them.
type Waiter interface {
	// Waits reports whether Next would wait now, for nobody knows how long.
	Waits() bool
}

// Ender is implemented by bodies that can tell when they have come to the end, trailers included. What
// Next returned may then leave with what follows.
type Ender interface {
	// Ended reports whether Next will not wait again.
	Ended() bool
}

// EndedOf reports whether b, which is not nil, is known to have come to the end.
func EndedOf(b Body) bool {
	e, ok := b.(Ender)
	return ok && e.Ended()
}

// WholeOf returns all of b's content when it is in memory already; a nil body has none.
func WholeOf(b Body) ([]byte, bool) {
	if b == nil {
		return nil, true
	}
	if w, ok := b.(Whole); ok {
		return w.Whole()
	}
	return nil, false
}

// Bytes is a body held in memory.
type Bytes struct{ left []byte }

// NewBytes returns a body of b, which is not copied.
func NewBytes(b []byte) *Bytes { return &Bytes{left: b} }

// Next returns everything at once, then io.EOF.
func (b *Bytes) Next() ([]byte, error) {
	p := b.left
	b.left = nil
	if len(p) == 0 {
		return nil, io.EOF
	}
	return p, nil
}

// Whole returns all that is left.
func (b *Bytes) Whole() ([]byte, bool) { return b.left, true }

// Close drops what is left.
func (b *Bytes) Close() error {
	b.left = nil
	return nil
}

// NewReader lets code that wants an io.ReadCloser read a body.
func NewReader(b Body) io.ReadCloser { return &reader{body: b} }

type reader struct {
	body Body
	left []byte
	err  error
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.left) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if r.left, r.err = r.body.Next(); r.err != nil && len(r.left) == 0 {
			return 0, r.err
		}
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *reader) Close() error { return r.body.Close() }

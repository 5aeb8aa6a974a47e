package exchange

import "sync"

// Yielder is a Tunnel that hands out what has come where it lies. Next returns the next piece, which is the caller's
// until the next call; io.EOF is the end of the direction. It holds no memory for what is yet to come. Who calls it
// does not call Read.
type Yielder interface {
	Next() ([]byte, error)
}

// Intake is what comes out of a Tunnel, piece by piece. Free ends it.
type Intake struct {
	t   Tunnel
	y   Yielder // t, if it is one
	buf *[intakeBuffer]byte
}

const intakeBuffer = 32 << 10

var intakeBuffers = sync.Pool{New: func() any { return new([intakeBuffer]byte) }}

// IntakeOf is t's.
func IntakeOf(t Tunnel) Intake {
	if y, ok := t.(Yielder); ok {
		return Intake{t: t, y: y}
	}
	return Intake{t: t, buf: intakeBuffers.Get().(*[intakeBuffer]byte)}
}

// Next is that of Yielder, of a Tunnel that is none too: that one waits with a buffer. There may be a piece besides
// an error.
func (i *Intake) Next() ([]byte, error) {
	if i.y != nil {
		return i.y.Next()
	}
	n, err := i.t.Read(i.buf[:])
	return i.buf[:n], err
}

// Free gives back what Next has returned.
func (i *Intake) Free() {
	if i.buf != nil {
		intakeBuffers.Put(i.buf)
		i.buf = nil
	}
}

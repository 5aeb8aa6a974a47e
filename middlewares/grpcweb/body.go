package grpcweb

import (
	"encoding/base64"
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// encoder is a response body whose trailers are its last frame; in base64 for the text kind, each piece
// by itself.
type encoder struct {
	from  exchange.Body
	x     *exchange.Exchange
	text  bool
	ended bool
	out   []byte
}

// Next is exchange.Body.
func (e *encoder) Next() ([]byte, error) {
	if e.ended {
		return nil, io.EOF
	}
	p, err := e.from.Next()
	if err == io.EOF {
		e.ended = true
		p = e.trailers()
	} else if err != nil {
		return nil, err
	}
	if e.text {
		e.out = base64.StdEncoding.AppendEncode(e.out[:0], p)
		return e.out, nil
	}
	return p, nil
}

// trailers takes the trailers of the response and makes a frame of them.
func (e *encoder) trailers() []byte {
	p := &e.x.Response
	frame := exchange.AppendGRPCWebTrailer(nil, &p.Trailer)
	p.Ended = exchange.EndedWith(&p.Trailer)
	p.Trailer.Reset(nil)
	return frame
}

// Waits is exchange.Waiter.
func (e *encoder) Waits() bool {
	w, ok := e.from.(exchange.Waiter)
	return ok && !e.ended && w.Waits()
}

// Close is exchange.Body.
func (e *encoder) Close() error { return e.from.Close() }

// decoder is a request body out of base64. It may be padded anywhere: pieces are encoded by themselves.
type decoder struct {
	from exchange.Body
	held []byte // up to three bytes of a group that is not complete
	out  []byte
}

// Next is exchange.Body.
func (d *decoder) Next() ([]byte, error) {
	for {
		p, err := d.from.Next()
		if err == io.EOF && len(d.held) > 0 {
			return nil, exchange.BadRequest.Withf("gRPC-Web text that ends within a group of base64")
		}
		if err != nil {
			return nil, err
		}
		d.out = d.out[:0]
		in := append(d.held, p...)
		whole := len(in) &^ 3
		for i := 0; i < whole; i += 4 {
			if d.out, err = base64.StdEncoding.AppendDecode(d.out, in[i:i+4]); err != nil {
				return nil, exchange.BadRequest.Withf("gRPC-Web text that is not base64: %w", err)
			}
		}
		d.held = append([]byte(nil), in[whole:]...)
		if len(d.out) > 0 {
			return d.out, nil
		}
	}
}

// Close is exchange.Body.
func (d *decoder) Close() error { return d.from.Close() }

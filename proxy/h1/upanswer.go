package h1

import (
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// maxInterim is how many interim responses a server may send before the final one.
const maxInterim = 16

// head reads on from the n bytes in k.in until the final response head is complete and parsed.
func (k *call) head(n int) error {
	x, at, seen := k.x, 0, 0
	buf := k.in.b[:cap(k.in.b)]
	for interims := 0; ; {
		end, err := -1, error(nil)
		if seen > 0 {
			end, err = headEnd(buf[at:n], seen)
		}
		if err == nil && (seen == 0 || end >= 0) {
			end, err = parseResponse(&x.Response, &k.f, buf[at:n])
		}
		if err != nil {
			return exchange.UpstreamProtocol.With(err)
		}
		if end > fields.ResponseLimits.HeaderBytes || end < 0 && n-at >= fields.ResponseLimits.HeaderBytes {
			return exchange.UpstreamProtocol.With(fields.RuleHeaderSize)
		}
		if end < 0 {
			seen = n - at
			if at, n, err = k.more(at, n); err != nil {
				return k.noAnswer(err)
			}
			buf = k.in.b[:cap(k.in.b)]
			continue
		}
		if at, seen = at+end, 0; x.Response.Status >= 200 || x.Response.Status == 101 {
			return k.final(at, n)
		}
		if interims++; interims > maxInterim {
			return exchange.UpstreamProtocol.With(fields.RuleInterimFlood)
		}
		if x.Informer != nil && (x.Response.Status != 100 || k.asks) {
			if err := x.Informer.Inform(x.Response.Status, &x.Response.Header); err != nil {
				return err
			}
		}
	}
}

// more reads more of a head into k.in, behind the n bytes that are there, after making room.
func (k *call) more(at, n int) (int, int, error) {
	buf := k.in.b[:cap(k.in.b)]
	if n == len(buf) {
		if at > 0 {
			n, at = copy(buf, buf[at:n]), 0
		} else {
			buf = make([]byte, 2*n)
			copy(buf, k.in.b[:n])
			k.in.b = buf
		}
	}
	m, err := k.u.conn.Read(buf[n:])
	if m > 0 {
		return at, n + m, nil
	}
	return at, n, err
}

// final settles the framing of the response whose head ends at base in k.in and of which n bytes have
// been read. RFC 9112 §6.3.
func (k *call) final(base, n int) error {
	p, f := &k.x.Response, &k.f
	if p.Status == 101 {
		return k.upgraded(base, n)
	}
	mode, length := byClose, f.length
	switch {
	case fields.Bodiless(k.x.Request.Method, p.Status):
		mode = byNothing
	case f.chunked:
		mode = byChunks
	case length >= 0:
		mode = byLength
	}
	if p.Status == 204 {
		length = -1
	}
	p.Length = length
	if mode == byChunks {
		p.Length = -1
	}
	k.incoming.begin(k.u.conn, k.in.b[:cap(k.in.b)], base, n, mode, max(length, 0), &p.Trailer)
	k.keep = mode != byClose && !f.closing && (p.Proto == exchange.HTTP11 || f.keepAlive)
	p.Body = k
	return nil
}

// noAnswer names the error of a connection that ended before the answer began.
func (k *call) noAnswer(err error) error {
	if k.pump != nil {
		if cause := k.pump.failure(); cause != nil {
			return cause // the client's fault, or a limit: the body could not be had
		}
	}
	if err == nil || err == io.EOF {
		err = errShort
	}
	return k.u.fault(err)
}

package h2

import (
	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// open begins the stream and sends the head and as much of a whole body as may be sent at once. It
// returns the rest.
func (k *call) open(body []byte, whole bool) ([]byte, error) {
	u := k.u
	u.mu.Lock()
	switch {
	case u.over != nil || u.muted != nil || u.leaving || u.next > maxStream:
		k.refused = true
		k.err = exchange.UpstreamReset.With(errRefused)
		fallthrough
	case k.err != nil: // cancelled
		u.unload()
		u.mu.Unlock()
		return nil, k.err
	}
	k.id = u.next
	k.fresh = u.served == 0
	u.next += 2
	u.since = 0
	u.streams[k.id] = k
	k.window = u.first
	ends := whole && len(body) == 0
	at := len(u.out)
	u.out = k.appendHead(u.enc.Begin(frame.BeginHeaders(u.out)), body, whole)
	u.out = frame.EndHeaders(u.out, at, k.id, ends, u.maxFrame)
	if n := min(len(body), k.window, u.window, maxPayload); n > 0 && len(u.out) < maxOut {
		ends = n == len(body)
		u.out = frame.AppendData(u.out, k.id, body[:n], ends)
		k.window -= n
		u.window -= n
		body = body[n:]
	}
	k.sent, k.changes = ends, k.x.Request.Upgrade != nil
	k.asked = clock.Now()
	if u.pinged == 0 && u.served > 0 && k.asked-u.read.Load() > int64(silence) {
		u.ping()
	}
	flush := u.startFlush()
	u.mu.Unlock()
	if flush {
		u.flush(true)
	}
	return body, nil
}

// appendHead encodes the request head. RFC 9113 §8.3.1.
func (k *call) appendHead(dst, body []byte, whole bool) []byte {
	r, c, e := &k.x.Request, &k.pool.config, k.u.enc
	k.bodiless = r.Method == "HEAD"
	if r.Upgrade != nil {
		dst = e.Protocol(e.Method(dst, "CONNECT"), r.Upgrade)
	} else {
		dst = e.Method(dst, r.Method)
	}
	dst = e.Scheme(dst, c.Scheme)
	switch {
	case c.Host != nil:
		dst = e.Authority(dst, c.Host)
	case len(r.Host) > 0:
		dst = e.Authority(dst, r.Host)
	default:
		dst = e.Authority(dst, c.DefaultHost)
	}
	path := r.Path
	if len(c.Prefix) > 0 || r.HasQuery {
		k.path = append(append(k.path[:0], c.Prefix...), r.Path...)
		if r.HasQuery {
			k.path = append(append(k.path, '?'), r.Query...)
		}
		path = k.path
	}
	dst = e.Path(dst, path)
	dst = e.Header(dst, &r.Header, notToServers)
	length := r.Length
	if whole {
		length = int64(len(body))
	}
	if length > 0 || length == 0 && (r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH") {
		dst = e.Length(dst, length)
	}
	if r.Continue {
		dst = e.Field(dst, exchange.Expect, "100-continue")
	}
	if takesTrailers(r) {
		dst = e.Field(dst, exchange.TE, "trailers")
	}
	return dst
}

// notToServers are the fields that the codec alone decides on.
var notToServers = fields.HopByHop

// takesTrailers reports whether the server is told that trailers are taken: where the client said so, and
// for gRPC, which does not work without. RFC 9113 §8.2.2.
func takesTrailers(r *exchange.Request) bool {
	return r.Header.Has(exchange.TE) || exchange.IsGRPC(&r.Header)
}

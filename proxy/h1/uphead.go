package h1

import (
	"strconv"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// appendHead builds the request head. RFC 9112 §3.
func (k *call) appendHead(dst, body []byte, whole bool) []byte {
	r, c := &k.x.Request, &k.pool.config
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, c.Prefix...)
	dst = append(dst, r.Path...)
	if r.HasQuery {
		dst = append(append(dst, '?'), r.Query...)
	}
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	switch {
	case c.Host != nil:
		dst = append(dst, c.Host...)
	case len(r.Host) > 0:
		dst = append(dst, r.Host...)
	default:
		dst = append(dst, c.DefaultHost...)
	}
	dst = append(dst, crlf...)
	r.Header.DelSet(requestFramingFields) // a handler's own would contradict ours
	dst = r.Header.AppendTo(dst)
	switch {
	case whole && (len(body) > 0 || r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH"):
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(body)), 10)
		dst = append(dst, crlf...)
	case whole:
	case r.Length >= 0:
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, r.Length, 10)
		dst = append(dst, crlf...)
	default:
		dst = append(dst, "Transfer-Encoding: chunked\r\n"...)
	}
	if r.Continue {
		dst = append(dst, "Expect: 100-continue\r\n"...)
	}
	if r.Upgrade != nil {
		dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
		dst = append(dst, r.Upgrade...)
		dst = append(dst, crlf...)
	}
	return append(dst, crlf...)
}

// requestFramingFields are those that the codec alone decides on, and TE: HTTP/2 has it end to end.
var requestFramingFields = framingFields | exchange.NewNameSet(exchange.Host, exchange.TE)

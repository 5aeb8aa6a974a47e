package route

import (
	"bytes"
	"net/netip"
	"strconv"
	"sync"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// view is a request as the matchers see it. It changes nothing of the exchange. Text that has to be
// changed to be compared goes to scratch memory, which is borrowed only then.
type view struct {
	x *exchange.Exchange
	// fullHost is in lower case and has no port and no brackets; host has no dot at its end either.
	fullHost, host []byte
	path           []byte
	scratch        *scratch
	stream         *Stream // what is looked at instead of x, by rules of TCP
}

// scratch is memory for a host and for other text; every use of text ends the one before.
type scratch struct{ host, text []byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// look makes v, which is zero, a view of x. It must be closed.
func (v *view) look(x *exchange.Exchange) {
	v.x, v.fullHost, v.path = x, x.Request.Hostname(), x.Request.Path
	if hasUpper(v.fullHost) {
		v.lowerHost()
	}
	v.host = v.fullHost
	if n := len(v.host); n > 0 && v.host[n-1] == '.' {
		v.host = v.host[:n-1]
	}
}

func (v *view) lowerHost() {
	s := v.borrow()
	s.host = append(s.host[:0], v.fullHost...)
	for i, c := range s.host {
		if 'A' <= c && c <= 'Z' {
			s.host[i] = c | 0x20
		}
	}
	v.fullHost = s.host
}

// close gives the scratch memory back.
func (v *view) close() {
	if v.scratch != nil {
		scratches.Put(v.scratch)
	}
}

func (v *view) borrow() *scratch {
	if v.scratch == nil {
		v.scratch = scratches.Get().(*scratch)
	}
	return v.scratch
}

// buffer returns scratch memory to append to; what became of it goes to keep.
func (v *view) buffer() []byte { return v.borrow().text[:0] }

func (v *view) keep(b []byte) []byte {
	v.scratch.text = b
	return b
}

func (v *view) client() netip.Addr {
	if v.stream != nil {
		return v.stream.Client.Unmap().WithZone("")
	}
	return v.x.Client.Unmap().WithZone("")
}

// decodedPath is the path as regexps see it: all that is not reserved is decoded. RFC 3986 §2.2.
func (v *view) decodedPath() []byte {
	i := bytes.IndexByte(v.path, '%')
	if i < 0 {
		return v.path
	}
	b := append(v.buffer(), v.path[:i]...)
	for ; i < len(v.path); i++ {
		c := v.path[i]
		if d, ok := urlpath.Unescape(v.path[i:]); c == '%' && ok && !reserved(d) {
			c = d
			i += 2
		}
		b = append(b, c)
	}
	return v.keep(b)
}

func reserved(c byte) bool {
	switch c {
	case ':', '/', '?', '#', '[', ']', '@', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=', '%':
		return true
	}
	return false
}

var (
	upgradeToken  = []byte("Upgrade")
	continueToken = []byte("100-continue")
)

// header calls yield with each value of a field until it returns true, and reports whether it did.
// Fields that the exchange keeps elsewhere are given as the client sent them, as far as that is known.
func (v *view) header(name exchange.Name, yield func([]byte) bool) bool {
	r := &v.x.Request
	switch name.ID() {
	case exchange.Upgrade.ID():
		if r.Upgrade != nil {
			return yield(r.Upgrade)
		}
	case exchange.Connection.ID():
		if r.Upgrade != nil {
			return yield(upgradeToken)
		}
	case exchange.Expect.ID():
		if r.Continue {
			return yield(continueToken)
		}
	case exchange.ContentLength.ID():
		if r.Length > 0 {
			return yield(v.keep(strconv.AppendInt(v.buffer(), r.Length, 10)))
		}
	}
	for value := range r.Header.Values(name) {
		if yield(value) {
			return true
		}
	}
	return false
}

// query calls yield with each decoded value of a query parameter until it returns true, and reports
// whether it did. As in net/url, a pair with a semicolon or a broken escape is no parameter.
func (v *view) query(name string, yield func([]byte) bool) bool {
	for rest := v.x.Request.Query; len(rest) > 0; {
		pair := rest
		if i := bytes.IndexByte(rest, '&'); i >= 0 {
			pair, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		if len(pair) == 0 || bytes.IndexByte(pair, ';') >= 0 {
			continue
		}
		key, value := pair, pair[len(pair):]
		if i := bytes.IndexByte(pair, '='); i >= 0 {
			key, value = pair[:i], pair[i+1:]
		}
		if !equalDecoded(key, name) {
			continue
		}
		value, ok := v.decodeQuery(value)
		if ok && yield(value) {
			return true
		}
	}
	return false
}

// equalDecoded reports whether raw, decoded, is text.
func equalDecoded(raw []byte, text string) bool {
	for len(raw) > 0 {
		c, n := queryByte(raw)
		if n == 0 || text == "" || text[0] != c {
			return false
		}
		raw, text = raw[n:], text[1:]
	}
	return text == ""
}

func (v *view) decodeQuery(raw []byte) ([]byte, bool) {
	if bytes.IndexByte(raw, '%') < 0 && bytes.IndexByte(raw, '+') < 0 {
		return raw, true
	}
	b := v.buffer()
	for len(raw) > 0 {
		c, n := queryByte(raw)
		if n == 0 {
			return nil, false
		}
		b, raw = append(b, c), raw[n:]
	}
	return v.keep(b), true
}

// queryByte decodes what is at the start of raw, of n bytes; of none when it is a broken escape.
func queryByte(raw []byte) (c byte, n int) {
	switch raw[0] {
	case '+':
		return ' ', 1
	case '%':
		if c, ok := urlpath.Unescape(raw); ok {
			return c, 3
		}
		return 0, 0
	}
	return raw[0], 1
}

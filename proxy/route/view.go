package route

import (
	"bytes"
	"net/netip"
	"strconv"
	"sync"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// view is a request as the matchers see it. It changes nothing of the exchange. Text that has to be
// decoded goes to a scratch buffer, which is borrowed only then; every use of it ends the one before.
type view struct {
	x *exchange.Exchange
	// host has no port, no brackets and no dot at its end; case is as received.
	host    []byte
	path    []byte
	scratch *[]byte
}

var scratches = sync.Pool{New: func() any { return new([]byte) }}

func newView(x *exchange.Exchange) view {
	host := x.Request.Hostname()
	if n := len(host); n > 0 && host[n-1] == '.' {
		host = host[:n-1]
	}
	return view{x: x, host: host, path: x.Request.Path}
}

// close gives the scratch buffer back.
func (v *view) close() {
	if v.scratch != nil {
		scratches.Put(v.scratch)
	}
}

func (v *view) buffer() []byte {
	if v.scratch == nil {
		v.scratch = scratches.Get().(*[]byte)
	}
	return (*v.scratch)[:0]
}

// keep remembers the grown buffer.
func (v *view) keep(b []byte) []byte {
	*v.scratch = b
	return b
}

func (v *view) client() netip.Addr { return v.x.Client.Unmap().WithZone("") }

// lowerHost is the host as regexps see it: in lower case, a dot at its end included.
func (v *view) lowerHost() []byte {
	host := v.x.Request.Hostname()
	for _, c := range host {
		if 'A' <= c && c <= 'Z' {
			b := v.keep(append(v.buffer(), host...))
			for i, c := range b {
				if 'A' <= c && c <= 'Z' {
					b[i] = c | 0x20
				}
			}
			return b
		}
	}
	return host
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
		if d, ok := unescape(v.path[i:]); c == '%' && ok && !reserved(d) {
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
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			var ok bool
			if c, ok = unescape(raw[i:]); !ok {
				return false
			}
			i += 2
		}
		if text == "" || text[0] != c {
			return false
		}
		text = text[1:]
	}
	return text == ""
}

func (v *view) decodeQuery(raw []byte) ([]byte, bool) {
	if bytes.IndexByte(raw, '%') < 0 && bytes.IndexByte(raw, '+') < 0 {
		return raw, true
	}
	b := v.buffer()
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			var ok bool
			if c, ok = unescape(raw[i:]); !ok {
				return nil, false
			}
			i += 2
		}
		b = append(b, c)
	}
	return v.keep(b), true
}

// unescape reads the percent escape at the start of s.
func unescape(s []byte) (byte, bool) {
	if len(s) < 3 {
		return 0, false
	}
	hi, lo := unhex(s[1]), unhex(s[2])
	return hi<<4 | lo&0xf, hi|lo < 16
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

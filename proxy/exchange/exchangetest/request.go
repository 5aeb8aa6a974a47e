// Package exchangetest builds exchanges for tests of handlers and middlewares, and runs them the way
// a codec does.
package exchangetest

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Peer and Local are the addresses of the connection that requests come by.
var (
	Peer  = netip.MustParseAddrPort("192.0.2.1:1234")
	Local = netip.MustParseAddrPort("192.0.2.254:80")
)

// Request builds an exchange as a codec hands it to the first handler. The target is an absolute URL,
// or a path on example.com. Each part is one of
//   - a string: a field line such as "Accept: text/html", as received; Host and Upgrade go where they
//     belong, "Expect: 100-continue" sets Continue
//   - a []byte: the body, whole and of known length
//   - an exchange.Body: the body, of unknown length
//   - a func(*exchange.Exchange): whatever else is to be set
//
// It panics on anything else.
func Request(method, target string, parts ...any) *exchange.Exchange {
	u, err := url.Parse(target)
	if err != nil {
		panic(err)
	}
	conn := &exchange.Conn{EntryPoint: "web", Peer: Peer, Local: Local, PeerText: Peer.Addr().String()}
	life := &exchange.Life{}
	life.Begin()
	x := &exchange.Exchange{}
	x.Reset(conn, life, nil)
	x.Response.Length = -1

	r := &x.Request
	r.Method, r.Scheme, r.Proto = method, "http", exchange.HTTP11
	if u.Scheme == "https" {
		r.Scheme, conn.TLS = "https", &tls.ConnectionState{HandshakeComplete: true, ServerName: u.Hostname()}
	}
	r.Host = []byte("example.com")
	if u.Host != "" {
		r.Host = []byte(u.Host)
		target = target[strings.Index(target, u.Host)+len(u.Host):]
	}
	target, _, _ = strings.Cut(target, "#")
	r.Target = []byte(target)
	path, query, hasQuery := strings.Cut(target, "?")
	if path == "" {
		path = "/"
	}
	r.Path, r.Query, r.HasQuery = []byte(path), []byte(query), hasQuery

	var block []string
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			if !setSpecial(r, part) {
				block = append(block, part)
			}
		case []byte:
			r.Body, r.Length = exchange.NewBytes(part), int64(len(part))
		case exchange.Body:
			r.Body, r.Length = part, -1
		case func(*exchange.Exchange):
			part(x)
		default:
			panic(fmt.Sprintf("exchangetest: part of type %T", part))
		}
	}
	Receive(&r.Header, block...)
	return x
}

func setSpecial(r *exchange.Request, line string) bool {
	name, value, _ := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	switch strings.ToLower(name) {
	case "host":
		r.Host = []byte(value)
	case "upgrade":
		r.Upgrade = []byte(value)
	case "expect":
		r.Continue = true
	default:
		return false
	}
	return true
}

// Receive makes h the block of these lines as if a codec had received it.
func Receive(h *exchange.Header, lines ...string) {
	var raw []byte
	for _, line := range lines {
		raw = append(append(raw, line...), "\r\n"...)
	}
	h.Reset(raw)
	at := 0
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			panic(fmt.Sprintf("exchangetest: %q is not a field line", line))
		}
		end := at + len(line)
		start := end - len(strings.TrimLeft(value, " \t"))
		h.AddReceived(exchange.Identify(name), at, len(name), start, end, end+2)
		at = end + 2
	}
}

package gateway

import (
	"bytes"
	"net/netip"
	"os"
	"slices"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// forwarded settles who the client is, and what the server is told of it. It is the one place that
// reads X-Forwarded-*: logs, limits, rules and balancers use Exchange.Client.
//
// What a peer that is not trusted says of itself is removed before anything of ours is added.
type forwarded struct {
	trusted   []netip.Prefix
	everybody bool
	noAppend  bool // do not append the peer to X-Forwarded-For
	scheme    string
	hostname  string
	plain     *exchange.Lines // what every request of the entry point is given
	socket    *exchange.Lines // and every one that asks for a WebSocket
	schemes   bool            // add X-Forwarded-Scheme and X-Scheme too
	spelled   bool            // names with underscores come this far
}

// forwardedNames are the fields by which proxies speak of the client.
var forwardedNames = exchange.NewNameSet(exchange.Forwarded, exchange.XForwardedFor, exchange.XForwardedHost,
	exchange.XForwardedPort, exchange.XForwardedProto, exchange.XForwardedScheme, exchange.XForwardedServer,
	exchange.XForwardedPrefix, exchange.XForwardedURI, exchange.XForwardedMethod, exchange.XForwardedTLSClientCert,
	exchange.XForwardedTLSClientCertInfo, exchange.XRealIP, exchange.XScheme)

func newForwarded(e *static.EntryPoint, noAppend bool, scheme string) (*forwarded, error) {
	c := &e.ForwardedHeaders
	trusted, err := prefixes(c.TrustedIPs)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	noAppend = noAppend || c.NotAppendXForwardedFor
	return &forwarded{
		trusted: trusted, everybody: c.Insecure, noAppend: noAppend, scheme: scheme, hostname: host,
		schemes: c.AddXForwardedSchemeHeaders, spelled: underscore(e.HTTP.UnderscoreHeadersStrategy) == fields.AllowUnderscore,
		plain: newLines(scheme, host, noAppend), socket: newLines(socketSchemes[scheme], host, noAppend),
	}, nil
}

// socketSchemes are what a scheme is called while a WebSocket is asked for. RFC 6455 §3.
var socketSchemes = map[string]string{"http": "ws", "https": "wss"}

// newLines has the peer's address, once or twice, the authority and its port for blanks: an address has no control
// bytes, and the codecs let none through in an authority.
func newLines(scheme, host string, noAppend bool) *exchange.Lines {
	said := []exchange.Field{
		{Name: exchange.XForwardedProto, Value: scheme},
		{Name: exchange.XForwardedServer, Value: host},
		{Name: exchange.XForwardedFor, Blank: true},
		{Name: exchange.XRealIP, Blank: true},
		{Name: exchange.XForwardedHost, Blank: true},
		{Name: exchange.XForwardedPort, Blank: true},
	}
	if noAppend {
		said = slices.Delete(said, 2, 3)
	}
	return exchange.NewLines(said...)
}

// proto is what X-Forwarded-Proto says of a request, after the connection.
func (f *forwarded) proto(r *exchange.Request) (string, *exchange.Lines) {
	if r.WebSocket() {
		return socketSchemes[f.scheme], f.socket
	}
	return f.scheme, f.plain
}

// prefixes parses addresses and CIDR ranges.
func prefixes(list []string) (out []netip.Prefix, err error) {
	for _, s := range list {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, err := netip.ParseAddr(s)
			if err != nil {
				return nil, err
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

func (f *forwarded) trusts(a netip.Addr) bool { return f.everybody || contains(f.trusted, a) }

// apply settles x.Client and the forwarded fields of its request.
func (f *forwarded) apply(x *exchange.Exchange) {
	h := &x.Request.Header
	if (f.everybody || len(f.trusted) > 0) && f.trusts(x.Conn.Peer.Addr()) {
		f.believe(x)
		return
	}
	h.DelSet(forwardedNames)
	if f.spelled {
		h.DelFunc(spellsForwarded)
	}
	proto, lines := f.proto(&x.Request)
	if f.schemes {
		h.Set(exchange.XForwardedScheme, proto)
		h.Set(exchange.XScheme, proto)
	}
	var text [64]byte // an IPv6 address is longer than what the compiler would make room for
	peer, host := append(text[:0], x.Conn.PeerText...), x.Request.Host
	if f.noAppend {
		h.AddLines(lines, peer, host, port(host, f.scheme))
	} else {
		h.AddLines(lines, peer, peer, host, port(host, f.scheme))
	}
	if len(host) == 0 { // HTTP/1.0 may do without
		h.Del(exchange.XForwardedHost)
	}
}

// spellsForwarded reports whether a field is one of forwardedNames to the many servers that make no difference
// between underscores and hyphens.
func spellsForwarded(name, _ []byte) bool {
	return bytes.IndexByte(name, '_') >= 0 && forwardedNames.Has(exchange.Identify(bytes.ReplaceAll(name, []byte("_"), []byte("-"))))
}

// believe takes over what a trusted proxy says, and adds what it left out.
func (f *forwarded) believe(x *exchange.Exchange) {
	h := &x.Request.Header
	x.Client = f.client(x)
	switch proto := h.Get(exchange.XForwardedProto); {
	case exchange.EqualFold(proto, "https"), exchange.EqualFold(proto, "wss"):
		x.Request.Scheme = "https"
	case exchange.EqualFold(proto, "http"), exchange.EqualFold(proto, "ws"):
		x.Request.Scheme = "http"
	default:
		own, _ := f.proto(&x.Request)
		h.Set(exchange.XForwardedProto, own)
	}
	if !h.Has(exchange.XForwardedServer) {
		h.Add(exchange.XForwardedServer, f.hostname)
	}
	if !h.Has(exchange.XForwardedHost) && len(x.Request.Host) > 0 {
		h.AddBytes(exchange.XForwardedHost, x.Request.Host)
	}
	if !h.Has(exchange.XForwardedPort) {
		h.AddBytes(exchange.XForwardedPort, port(x.Request.Host, x.Request.Scheme))
	}
	if !h.Has(exchange.XRealIP) {
		h.Add(exchange.XRealIP, x.Client.String())
	}
	if f.schemes {
		proto := h.Get(exchange.XForwardedProto)
		h.SetBytes(exchange.XForwardedScheme, proto)
		h.SetBytes(exchange.XScheme, proto)
	}
	if f.noAppend {
		return
	}
	var chain []byte
	for v := range h.Values(exchange.XForwardedFor) {
		if len(v) > 0 {
			chain = append(append(chain, v...), ", "...)
		}
	}
	h.SetBytes(exchange.XForwardedFor, append(chain, x.Conn.PeerText...))
}

// client walks X-Forwarded-For from the nearest hop back: the client is the first that is not a
// trusted proxy. An entry that is no address ends the walk: who wrote it is the client.
func (f *forwarded) client(x *exchange.Exchange) netip.Addr {
	client := x.Conn.Peer.Addr()
	var values [8][]byte
	n := 0
	for v := range x.Request.Header.Values(exchange.XForwardedFor) {
		if n == len(values) {
			return client // nobody honest sends that many
		}
		values[n] = v
		n++
	}
	for n--; n >= 0; n-- {
		for v := values[n]; len(v) > 0; {
			i := bytes.LastIndexByte(v, ',')
			entry := bytes.TrimSpace(v[i+1:])
			v = v[:max(i, 0)]
			if len(entry) == 0 {
				continue
			}
			a, err := netip.ParseAddr(string(exchange.Hostname(entry)))
			if err != nil {
				if a, err = netip.ParseAddr(string(entry)); err != nil { // an IPv6 address without brackets
					return client
				}
			}
			if client = a.Unmap(); !f.trusts(client) {
				return client
			}
		}
	}
	return client
}

var port80, port443 = []byte("80"), []byte("443")

// port is that of the authority, or the scheme's.
func port(host []byte, scheme string) []byte {
	if name := exchange.Hostname(host); len(name) < len(host) {
		if i := bytes.LastIndexByte(host, ':'); i >= 0 && i < len(host)-1 && host[len(host)-1] != ']' {
			return host[i+1:]
		}
	}
	if scheme == "https" {
		return port443
	}
	return port80
}

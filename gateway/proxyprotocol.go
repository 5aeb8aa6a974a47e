package gateway

import (
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// proxyPolicy is whose PROXY protocol header is believed.
type proxyPolicy struct {
	trusted   []netip.Prefix
	everybody bool
}

// newProxyPolicy returns nil when the protocol is off.
func newProxyPolicy(c *static.ProxyProtocol) (*proxyPolicy, error) {
	if c == nil {
		return nil, nil
	}
	trusted, err := prefixes(c.TrustedIPs)
	return &proxyPolicy{trusted: trusted, everybody: c.Insecure}, err
}

// errNothing is a connection that ended before it said anything: a health check of the balancer.
var errNothing = errors.New("the connection ended before its first byte")

// read takes the header off the connection, if the peer is one that sends it, and makes info's
// addresses those of the header. It returns what was read behind it.
func (p *proxyPolicy) read(c net.Conn, info *exchange.Conn) ([]byte, error) {
	if !p.everybody && !contains(p.trusted, info.Peer.Addr()) {
		return nil, nil
	}
	first := &firstRead{Reader: c}
	h, rest, err := listen.ReadProxy(first)
	if err != nil {
		if first.n == 0 {
			err = errNothing
		}
		return nil, err
	}
	if h.Source.IsValid() {
		info.Peer, info.Local = h.Source, h.Destination
	}
	return rest, nil
}

func contains(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// firstRead counts what has been read.
type firstRead struct {
	io.Reader
	n int
}

func (r *firstRead) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += n
	return n, err
}

package static

import (
	"net"
	"net/netip"
)

// place is a socket that an entry point listens with.
type place struct {
	entryPoint     string
	protocol       string
	host, port     string
	address        string // as it was written
	every, reusing bool   // on every address of the machine; with SO_REUSEPORT
}

// places are those that are taken.
type places []place

// holder is who has a place that p cannot be beside: the same address, or one of the two is all addresses.
func (t places) holder(p place) *place {
	for i := range t {
		o := &t[i]
		if o.protocol == p.protocol && o.port == p.port && (o.host == p.host || o.every || p.every) &&
			!(o.reusing && p.reusing) {
			return o
		}
	}
	return nil
}

// taken notes where an entry point listens, and that another one does already.
func (l *Loaded) taken(key, name string, e *EntryPoint, taken *places) {
	host, port, err := net.SplitHostPort(e.ListenAddress())
	if err != nil || port == "0" {
		return
	}
	ip, err := netip.ParseAddr(host)
	every := host == "" || err == nil && ip.IsUnspecified()
	claim := func(key, protocol string) {
		p := place{name, protocol, host, port, e.ListenAddress(), every, e.ReusePort}
		if protocol == "udp" {
			p.address += "/udp"
		}
		switch o := taken.holder(p); {
		case o == nil:
		case o.address == p.address:
			l.problem(key, "is %s, which entry point %s listens on already", p.address, o.entryPoint)
		case o.every:
			l.problem(key, "is %s, and entry point %s listens on all addresses already, with %s", p.address, o.entryPoint, o.address)
		default:
			l.problem(key, "is %s, which is all addresses, and entry point %s listens on %s already", p.address, o.entryPoint, o.address)
		}
		*taken = append(*taken, p)
	}
	claim(key+".address", e.Protocol())
	if e.HTTP3 != nil && e.Protocol() == "tcp" {
		claim(key+".http3", "udp")
	}
}

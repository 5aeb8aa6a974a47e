package static

import (
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

// Spiffe is where the gateway's SPIFFE identity comes from.
type Spiffe struct {
	WorkloadAPIAddr string `description:"Where the SPIFFE agent serves the Workload API: unix:///path/of/the/socket or tcp://address:port." json:"workloadAPIAddr"`
}

// Endpoint is the address as it is dialled: network "unix" with a path, or "tcp" with address:port. SPIFFE
// Workload Endpoint §4.
func (s *Spiffe) Endpoint() (network, address string, err error) {
	if path, ok := strings.CutPrefix(s.WorkloadAPIAddr, "unix://"); ok && strings.HasPrefix(path, "/") && len(path) > 1 && !strings.ContainsAny(path, "?#%") {
		return "unix", path, nil
	}
	u, err := url.Parse(s.WorkloadAPIAddr)
	if err != nil || u.Scheme != "tcp" || *u != (url.URL{Scheme: "tcp", Host: u.Host}) {
		return "", "", errAddress
	}
	if a, err := netip.ParseAddrPort(u.Host); err != nil || a.Port() == 0 {
		return "", "", errAddress
	}
	return "tcp", u.Host, nil
}

var errAddress = errors.New("it must be unix:// with the path of a socket, such as unix:///run/spire/agent.sock, or tcp:// with an IP address and a port")

// spiffe checks where identities come from, and that they come from somewhere if a transport needs them.
func (l *Loaded) spiffe() {
	c := l.Config
	if c.Spiffe != nil {
		if _, _, err := c.Spiffe.Endpoint(); c.Spiffe.WorkloadAPIAddr == "" {
			l.problem("spiffe.workloadAPIAddr", "is missing; %v", errAddress)
		} else if err != nil {
			l.problem("spiffe.workloadAPIAddr", "is %q; %v", c.Spiffe.WorkloadAPIAddr, err)
		}
		return
	}
	if c.ServersTransport.Spiffe != nil {
		l.problem("serversTransport.spiffe", needsAgent)
	}
	if t := c.TCPServersTransport; t != nil && t.TLS != nil && t.TLS.Spiffe != nil {
		l.problem("tcpServersTransport.tls.spiffe", needsAgent)
	}
}

const needsAgent = "needs spiffe.workloadAPIAddr, where the SPIFFE agent is reached, such as unix:///run/spire/agent.sock"

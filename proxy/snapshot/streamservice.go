package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/proxy/upstream/layer4"
)

// streamService is a service of TCP or UDP that was built.
type streamService struct{ core layer4.Service }

func (s *streamService) close() { s.core.Close() }

// newTCPService makes a service of TCP.
func (b *Builder) newTCPService(n *node, config *dynamic.TCPService) (*streamService, error) {
	switch {
	case config.LoadBalancer != nil && config.Weighted != nil:
		return nil, errors.New("a service is of one kind, not of loadBalancer and weighted; make one of each")
	case config.LoadBalancer != nil:
		return b.tcpLoadBalancer(n, config.LoadBalancer)
	case config.Weighted != nil:
		return b.weightedStreams(n, aTCPService, config.Weighted.Services, config.Weighted.HealthCheck != nil)
	}
	return nil, errors.New("a service needs one of loadBalancer, weighted")
}

// newUDPService makes a service of UDP.
func (b *Builder) newUDPService(n *node, config *dynamic.UDPService) (*streamService, error) {
	switch {
	case config.LoadBalancer != nil && config.Weighted != nil:
		return nil, errors.New("a service is of one kind, not of loadBalancer and weighted; make one of each")
	case config.LoadBalancer != nil:
		c := layer4.LoadBalancer{Network: "udp"}
		for _, s := range config.LoadBalancer.Servers {
			c.Servers = append(c.Servers, layer4.Server{Address: s.Address})
		}
		return b.streamService(n)(b.options.Layer4.LoadBalancer(n.name, c))
	case config.Weighted != nil:
		return b.weightedStreams(n, aUDPService, config.Weighted.Services, false)
	}
	return nil, errors.New("a service needs one of loadBalancer, weighted")
}

// streamService shows a service that was made.
func (b *Builder) streamService(n *node) func(layer4.Service, error) (*streamService, error) {
	return func(core layer4.Service, err error) (*streamService, error) {
		if err != nil {
			return nil, errors.New(strings.TrimPrefix(err.Error(), "service "+n.name+": "))
		}
		n.shown.status = core.Status
		return &streamService{core}, nil
	}
}

func (b *Builder) tcpLoadBalancer(n *node, config *dynamic.TCPLoadBalancer) (*streamService, error) {
	name := defaultTransport
	if config.ServersTransport != "" {
		name = qualify(config.ServersTransport, n.provider())
	}
	t, err := b.need(aTCPTransport, name)
	if err != nil {
		return nil, err
	}
	c := layer4.LoadBalancer{Network: "tcp", Transport: t.value.(*layer4.Transport)}
	if config.ProxyProtocol != nil || config.TerminationDelay != nil { // where these keys were before
		own := *c.Transport
		c.Transport = &own
		if p := config.ProxyProtocol; p != nil {
			if own.ProxyVersion, err = proxyVersion(p); err != nil {
				return nil, err
			}
		}
		if d := config.TerminationDelay; d != nil {
			own.TerminationDelay = time.Duration(*d) * time.Millisecond
		}
	}
	var plaintext []string
	for _, s := range config.Servers {
		c.Servers = append(c.Servers, layer4.Server{Address: s.Address, TLS: s.TLS})
		if !s.TLS && c.Transport.TLS.SPIFFE != nil {
			plaintext = append(plaintext, s.Address)
		}
	}
	plaintextBesideSPIFFE(n, transportKey(name, "tcpServersTransport"), "give it tls: true", plaintext)
	if h := config.HealthCheck; h != nil {
		c.HealthCheck = &layer4.HealthCheck{
			Protocol: h.Protocol, User: h.User, Port: h.Port, Send: h.Send, Expect: h.Expect, Interval: time.Duration(h.Interval),
			UnhealthyInterval: time.Duration(or(h.UnhealthyInterval, 0)), Timeout: time.Duration(h.Timeout),
		}
	}
	return b.streamService(n)(b.options.Layer4.LoadBalancer(n.name, c))
}

func proxyVersion(p *dynamic.ProxyProtocol) (int, error) {
	if p.Version != 1 && p.Version != 2 {
		return 0, fmt.Errorf("proxyProtocol: version %d is not 1 or 2", p.Version)
	}
	return p.Version, nil
}

// weightedStreams makes a service of services of kind k.
func (b *Builder) weightedStreams(n *node, k kind, services []dynamic.WeightedService, check bool) (*streamService, error) {
	c := layer4.Weighted{HealthCheck: check}
	for _, s := range services {
		if s.Name == "" {
			return nil, errors.New("a service that it is made of has no name")
		}
		child, err := b.need(k, qualify(s.Name, n.provider()))
		if err != nil {
			return nil, err
		}
		c.Services = append(c.Services, layer4.Child{Name: child.name, Service: child.value.(*streamService).core, Weight: or(s.Weight, 1)})
	}
	return b.streamService(n)(b.options.Layer4.Weighted(n.name, c))
}

// newTCPTransport makes what the servers of TCP services are connected to by.
func (b *Builder) newTCPTransport(config *dynamic.TCPServersTransport) (*layer4.Transport, error) {
	t := &layer4.Transport{
		DialTimeout: time.Duration(config.DialTimeout), KeepAlive: time.Duration(config.DialKeepAlive),
		TerminationDelay: time.Duration(config.TerminationDelay),
	}
	var err error
	if p := config.ProxyProtocol; p != nil {
		if t.ProxyVersion, err = proxyVersion(p); err != nil {
			return nil, err
		}
	}
	if c := config.TLS; c != nil {
		t.TLS, err = b.tlsClient(&dynamic.ServersTransport{
			ServerName: c.ServerName, InsecureSkipVerify: c.InsecureSkipVerify, RootCAs: c.RootCAs, Certificates: c.Certificates,
			PeerCertURI: c.PeerCertURI, PeerCertSANs: c.PeerCertSANs, Spiffe: c.Spiffe,
		})
	}
	return t, err
}

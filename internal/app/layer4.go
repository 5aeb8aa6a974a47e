package app

import (
	"slices"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/dashboard/api"
	"github.com/pergola-mesh/pergola/gateway"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
	"github.com/pergola-mesh/pergola/telemetry"
)

// relays are what relays on all entry points.
type relays struct {
	mu        sync.Mutex
	servers   []*relay.Server
	datagrams []*relay.Datagrams
}

// relay makes the layer 4 of an entry point.
func (p *process) relay(name string) gateway.Relay {
	e := p.config.EntryPoints[name]
	s := &relay.Server{
		Routes: p.core.live.Routes(name), EntryPoint: p.core.metrics.StreamEntryPoint(name), Observer: p.streamObserver(),
		Handshake: time.Duration(e.Transport.RespondingTimeouts.HeaderTimeout),
		Idle:      time.Duration(e.TCP.IdleTimeout),
	}
	if e.StartTLS != nil { // of MySQL: there is no other yet
		s.MySQL = &relay.MySQL{ServerVersion: e.StartTLS.ServerVersion}
	}
	r := &p.core.relays
	r.mu.Lock()
	defer r.mu.Unlock()
	r.servers = append(r.servers, s)
	return gateway.NewRelay(s)
}

// datagrams makes what relays the datagrams of an entry point for UDP.
func (p *process) datagrams(name string) *relay.Datagrams {
	e := p.config.EntryPoints[name]
	sessions := p.core.metrics.Connections(name, "UDP")
	d := &relay.Datagrams{
		Name: name, Route: p.core.live.UDPRoute(name), EntryPoint: p.core.metrics.StreamEntryPoint(name),
		Observer: p.streamObserver(),
		Refused:  func(rule string) { p.core.metrics.Rejected(name, rule) },
		Sessions: func(delta int) { sessions.Add(0, int64(delta)) },
		Idle:     time.Duration(e.UDP.Timeout), MaxSessions: e.UDP.MaxSessions, MaxPerClient: e.UDP.MaxSessionsPerClient,
	}
	r := &p.core.relays
	r.mu.Lock()
	defer r.mu.Unlock()
	r.datagrams = append(r.datagrams, d)
	return d
}

// streamObserver is who writes the access log of layer 4; nil when there is none.
func (p *process) streamObserver() exchange.StreamObserver {
	if p.access == nil {
		return nil
	}
	return p.access
}

// openConnections lists the streams of a protocol that run, for the API.
func (k *core) openConnections(protocol string) []api.Connection {
	k.relays.mu.Lock()
	defer k.relays.mu.Unlock()
	var all []relay.Open
	if protocol == "udp" {
		for _, d := range k.relays.datagrams {
			all = append(all, d.List()...)
		}
	} else {
		for _, s := range k.relays.servers {
			all = append(all, s.List()...)
		}
	}
	shown := make([]api.Connection, len(all))
	for i, o := range all {
		shown[i] = api.Connection{
			ID: o.ID, EntryPoint: o.EntryPoint, Client: o.Client.String(), ServerName: o.ServerName, Router: o.Router,
			Service: o.Service, Server: o.Server, BytesReceived: o.Received, BytesSent: o.Sent, Age: api.Seconds(o.Age),
		}
	}
	return shown
}

// isLiveStream is isLive for what is of TCP and UDP.
func (k *core) isLiveStream(kind telemetry.Kind, name, service string) bool {
	view := k.live.Snapshot().View()
	switch kind {
	case telemetry.Router:
		return view.TCPRouters[name] != nil || view.UDPRouters[name] != nil
	case telemetry.Service:
		return view.TCPServices[name] != nil || view.UDPServices[name] != nil
	case telemetry.Server:
		if s := view.TCPServices[service]; s != nil && s.TCPService != nil && s.LoadBalancer != nil {
			return slices.ContainsFunc(s.LoadBalancer.Servers, func(server dynamic.TCPServer) bool { return server.Address == name })
		}
		if s := view.UDPServices[service]; s != nil && s.UDPService != nil && s.LoadBalancer != nil {
			return slices.ContainsFunc(s.LoadBalancer.Servers, func(server dynamic.UDPServer) bool { return server.Address == name })
		}
		return false
	}
	return true
}

// Package gateway is the edge role: entry points, what every request goes through before its router,
// and how they start, drain and stop.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h1"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// Options are what entry points share.
type Options struct {
	Global *static.Global
	// Process bounds the connections of all entry points together.
	Process *listen.Cap
	// Handler returns what answers an entry point's requests.
	Handler func(entryPoint string) exchange.Handler
	// Observer returns who is told of an entry point's finished exchanges.
	Observer func(entryPoint string) exchange.Observer
	// Refused counts what was refused, by entry point and rule.
	Refused func(entryPoint, rule string)
	// Connections counts connections, +1 and -1.
	Connections func(entryPoint string) func(delta int)
	Logger      *slog.Logger
}

// EntryPoint is an address the gateway listens on.
type EntryPoint struct {
	name        string
	config      *static.EntryPoint
	logger      *slog.Logger
	listener    *listen.Listener
	server      *h1.Server
	proxy       *proxyPolicy
	connections func(delta int)
	stopping    atomic.Bool
}

// NewEntryPoint listens on the entry point's address. Nothing is accepted before Serve.
func NewEntryPoint(name string, config *static.EntryPoint, o Options) (*EntryPoint, error) {
	logger := o.Logger.With("entryPoint", name)
	refused := func(rule string) { o.Refused(name, rule) }
	stack, err := newStack(config, o.Global, "http", refused, o.Handler(name))
	if err != nil {
		return nil, fmt.Errorf("entry point %s: %w", name, err)
	}
	proxy, err := newProxyPolicy(config.ProxyProtocol)
	if err != nil {
		return nil, fmt.Errorf("entry point %s: %w", name, err)
	}
	ln, err := bind(config)
	if err != nil {
		return nil, fmt.Errorf("entry point %s: %w", name, err)
	}
	t := &config.Transport.RespondingTimeouts
	return &EntryPoint{
		name: name, config: config, logger: logger, proxy: proxy, connections: o.Connections(name),
		listener: listen.NewListener(ln, listen.Options{
			MaxConns: config.Limits.MaxConnections, MaxPerClient: config.Limits.MaxConnectionsPerClient,
			Process: o.Process, Refused: refused, Logger: logger,
		}),
		server: &h1.Server{
			Handler: stack, Observer: o.Observer(name), Refused: refused, Logger: logger, Scheme: "http",
			Limits: fields.Limits{
				HeaderBytes: config.HTTP.MaxHeaderBytes, Fields: config.HTTP.MaxHeaderFields,
				TargetBytes: config.HTTP.MaxTargetBytes, Underscore: underscore(config.HTTP.UnderscoreHeadersStrategy),
			},
			Timeouts: h1.Timeouts{
				Header: time.Duration(t.HeaderTimeout), Body: time.Duration(t.ReadTimeout),
				Write: time.Duration(t.WriteTimeout), Idle: time.Duration(t.IdleTimeout),
			},
			MaxRequests: config.Transport.KeepAliveMaxRequests,
			MaxAge:      time.Duration(config.Transport.KeepAliveMaxTime),
		},
	}, nil
}

func underscore(strategy string) fields.Underscore {
	switch strings.ToLower(strategy) {
	case "keep":
		return fields.AllowUnderscore
	case "delete":
		return fields.DropUnderscore
	}
	return fields.RejectUnderscore
}

// bind opens the listening socket.
func bind(config *static.EntryPoint) (net.Listener, error) {
	lc := net.ListenConfig{}
	if config.ReusePort {
		lc.Control = reusePort
	}
	ln, err := lc.Listen(context.Background(), "tcp", config.ListenAddress())
	if err == nil {
		return ln, nil
	}
	if remedy := bindRemedy(err); remedy != "" {
		return nil, fmt.Errorf("%w: %s", err, remedy)
	}
	return nil, err
}

// Addr is where the entry point listens.
func (e *EntryPoint) Addr() net.Addr { return e.listener.Addr() }

// Name is the entry point's name.
func (e *EntryPoint) Name() string { return e.name }

// Server is the codec behind the entry point's listener.
func (e *EntryPoint) Server() *h1.Server { return e.server }

// Serve accepts connections until Stop.
func (e *EntryPoint) Serve() { e.listener.Serve(e.serve) }

func (e *EntryPoint) serve(c net.Conn, peer netip.AddrPort, shard uint32, done func()) {
	e.connections(1)
	ended := func() {
		e.connections(-1)
		done()
	}
	info := &exchange.Conn{EntryPoint: e.name, Peer: peer, Local: listen.AddrPort(c.LocalAddr()), Shard: shard}
	var ahead []byte
	if e.proxy != nil {
		var err error
		if ahead, err = e.proxy.read(c, info, time.Duration(e.config.Transport.RespondingTimeouts.HeaderTimeout)); err != nil {
			c.Close()
			ended()
			if !errors.Is(err, errNothing) {
				e.listener.Refused("proxy_protocol", peer)
			}
			return
		}
	}
	info.PeerText = info.Peer.Addr().String()
	e.server.Serve(listen.NewConn(c, ahead), info, ended)
}

// Stop goes on accepting for requestAcceptGraceTimeout, then closes the listener, lets what is in
// flight finish for graceTimeOut, and cuts what is left. It returns when nothing is, or when ctx ends.
func (e *EntryPoint) Stop(ctx context.Context) {
	if e.stopping.Swap(true) {
		return
	}
	life := &e.config.Transport.LifeCycle
	if accept := time.Duration(life.RequestAcceptGraceTimeout); accept > 0 {
		select {
		case <-time.After(accept):
		case <-ctx.Done():
		}
	}
	e.listener.Close()
	grace, cancel := context.WithTimeout(ctx, time.Duration(life.GraceTimeOut))
	defer cancel()
	if e.server.Drain(grace) != nil {
		e.logger.Warn("connections cut at the end of the grace period", "connections", e.server.Active(),
			"graceTimeOut", time.Duration(life.GraceTimeOut))
		e.server.Kill(ctx)
	}
	e.listener.Wait()
}

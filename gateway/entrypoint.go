// Package gateway is the edge role: entry points, what every request goes through before its router,
// and how they start, drain and stop.
package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/handover"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h1"
	"github.com/pergola-mesh/pergola/proxy/h2"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/relay"
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
	// Sockets opens listening sockets, or has been given them by the process before this one.
	Sockets *handover.Sockets
	// Connections counts connections over a protocol, "TCP" or "UDP": +1 and -1.
	Connections func(entryPoint, protocol string) func(delta int)
	// TLS returns the configuration to terminate an entry point's TLS with; it is asked for every
	// connection. nil, or a nil answer when the entry point is made: the entry point speaks no TLS.
	TLS func(entryPoint string) func(info *exchange.Conn) *tls.Config
	// QUIC returns the configuration to make an entry point's handshakes of HTTP/3 with; nil, or a nil
	// answer: none, and an entry point that is to speak HTTP/3 is an error.
	QUIC func(entryPoint string) *tls.Config
	// Relay returns who takes an entry point's connections away from HTTP; nil: nobody.
	Relay func(entryPoint string) Relay
	// Datagrams returns who relays the datagrams of an entry point for UDP.
	Datagrams func(entryPoint string) *relay.Datagrams
	Logger    *slog.Logger
}

// EntryPoint is an address the gateway listens on.
type EntryPoint struct {
	name        string
	config      *static.EntryPoint
	logger      *slog.Logger
	listener    *listen.Listener
	speaks      protocols
	secure      *stack      // of requests over TLS, but not over QUIC; nil: no TLS
	quic        *quicServer // nil: no HTTP/3
	greetings   sweep.Sweeper
	proxy       *proxyPolicy
	refused     func(rule string)
	connections func(delta int)
	stopping    atomic.Bool
	draining    atomic.Bool
	killed      atomic.Bool
}

// NewEntryPoint listens on the entry point's address. Nothing is accepted before Serve.
func NewEntryPoint(name string, config *static.EntryPoint, o Options) (*EntryPoint, error) {
	e := &EntryPoint{
		name: name, config: config, logger: o.Logger.With("entryPoint", name), connections: o.Connections(name, "TCP"),
		refused: func(rule string) { o.Refused(name, rule) },
	}
	if err := e.speak(o); err != nil {
		return nil, fmt.Errorf("entry point %s: %w", name, err)
	}
	var err error
	if e.proxy, err = newProxyPolicy(config.ProxyProtocol); err != nil {
		return nil, fmt.Errorf("entry point %s: %w", name, err)
	}
	ln, err := o.Sockets.Listen(name, config.ListenAddress(), func() (net.Listener, error) { return bind(config) })
	if err != nil {
		return nil, fmt.Errorf("entry point %s: %w", name, err)
	}
	e.listener = listen.NewListener(ln, listen.Options{
		MaxConns: config.Limits.MaxConnections, MaxPerClient: config.Limits.MaxConnectionsPerClient,
		Process: o.Process, Refused: e.refused, Logger: e.logger,
	})
	if config.HTTP3 != nil {
		if err := e.bindQUIC(o); err != nil {
			ln.Close()
			return nil, fmt.Errorf("entry point %s: http3: %w", name, err)
		}
	}
	return e, nil
}

// speak makes the servers of the protocols that the entry point speaks: HTTP, but where startTLS names another.
func (e *EntryPoint) speak(o Options) error {
	if o.Relay != nil {
		e.speaks.relay = o.Relay(e.name)
	}
	if e.config.StartTLS != nil {
		return nil
	}
	one, two, err := e.http("http", o)
	if err != nil {
		return err
	}
	one.Shared = true
	e.speaks.plain = []preface{{[]byte(h2.Preface), two}, {protocol: one}}
	if o.TLS != nil {
		e.speaks.tls = o.TLS(e.name)
	}
	if e.speaks.tls != nil {
		if one, two, err = e.http("https", o); err != nil {
			return err
		}
		e.speaks.secure = map[string]Protocol{"": one, "http/1.1": one, "h2": two}
	}
	return nil
}

// http makes the servers of HTTP/1.1 and HTTP/2 for requests of scheme.
func (e *EntryPoint) http(scheme string, o Options) (*h1.Server, *h2.Server, error) {
	stack, err := newStack(e.config, o.Global, scheme, e.refused, o.Handler(e.name))
	if err != nil {
		return nil, nil, err
	}
	if scheme == "https" {
		e.secure = stack
	}
	observer, limits, timeouts := o.Observer(e.name), e.limits(), e.timeouts()
	maxRequests, maxAge := e.config.Transport.KeepAliveMaxRequests, time.Duration(e.config.Transport.KeepAliveMaxTime)
	one := &h1.Server{
		Handler: stack, Observer: observer, Refused: e.refused, Logger: e.logger, Scheme: scheme,
		Limits: limits, Timeouts: timeouts, MaxRequests: maxRequests, MaxAge: maxAge,
	}
	two := &h2.Server{
		Handler: stack, Observer: observer, Refused: e.refused, Logger: e.logger, Scheme: scheme,
		Limits: limits, Timeouts: timeouts, MaxRequests: maxRequests, MaxAge: maxAge,
		MaxStreams:   e.config.HTTP2.MaxConcurrentStreams,
		DecoderTable: e.config.HTTP2.MaxDecoderHeaderTableSize, EncoderTable: e.config.HTTP2.MaxEncoderHeaderTableSize,
	}
	return one, two, nil
}

func (e *EntryPoint) limits() fields.Limits {
	h := &e.config.HTTP
	return fields.Limits{
		HeaderBytes: h.MaxHeaderBytes, Fields: h.MaxHeaderFields,
		TargetBytes: h.MaxTargetBytes, Underscore: underscore(h.UnderscoreHeadersStrategy),
	}
}

func (e *EntryPoint) timeouts() listen.Timeouts {
	t := &e.config.Transport.RespondingTimeouts
	return listen.Timeouts{
		Header: time.Duration(t.HeaderTimeout), Body: time.Duration(t.ReadTimeout),
		Write: time.Duration(t.WriteTimeout), Idle: time.Duration(t.IdleTimeout),
	}
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
	lc := net.ListenConfig{Control: listen.Unpaced}
	if config.ReusePort {
		lc.Control = func(network, address string, c syscall.RawConn) error {
			if err := reusePort(network, address, c); err != nil {
				return err
			}
			return listen.Unpaced(network, address, c)
		}
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

// Plain is what serves a plaintext connection that begins as one of HTTP/1.1 does, of an entry point that
// speaks HTTP.
func (e *EntryPoint) Plain() Protocol { return e.speaks.plain[len(e.speaks.plain)-1].protocol }

// Serve accepts connections until Stop.
func (e *EntryPoint) Serve() {
	if e.quic != nil {
		e.quic.start()
	}
	e.listener.Serve(e.serve)
}

func (e *EntryPoint) serve(c net.Conn, peer netip.AddrPort, shard uint32, done func()) {
	e.connections(1)
	g := &greeting{e: e, conn: listen.NewConn(c, nil),
		info: &exchange.Conn{EntryPoint: e.name, Peer: peer, Local: listen.AddrPort(c.LocalAddr()), Shard: shard}}
	g.serve(func() {
		e.connections(-1)
		done()
	})
}

// StopAccepting closes the listener: somebody else accepts.
func (e *EntryPoint) StopAccepting() { e.listener.Close() }

// Stop goes on accepting for requestAcceptGraceTimeout, unless somebody else does, then closes the
// listener, lets what is in flight finish for graceTimeOut, and cuts what is left. It returns when
// nothing is, or when ctx ends.
func (e *EntryPoint) Stop(ctx context.Context) {
	if e.stopping.Swap(true) {
		return
	}
	life := &e.config.Transport.LifeCycle
	if !e.listener.Closed() {
		goOnAccepting(ctx, life)
	}
	e.listener.Close()
	grace, cancel := context.WithTimeout(ctx, time.Duration(life.GraceTimeOut))
	defer cancel()
	e.draining.Store(true)
	if e.each(grace, ender.Drain) != nil || !e.listener.Drained(grace) {
		if ctx.Err() != nil {
			e.logger.Warn("connections cut before the end of the grace period", "connections", e.listener.Count())
		} else {
			e.logger.Warn("connections cut at the end of the grace period", "connections", e.listener.Count(),
				"graceTimeOut", time.Duration(life.GraceTimeOut))
		}
		e.killed.Store(true)
		e.each(ctx, ender.Kill)
	}
	e.listener.Wait()
	if e.quic != nil {
		e.quic.wait()
	}
}

// goOnAccepting returns when requestAcceptGraceTimeout is over, or ctx.
func goOnAccepting(ctx context.Context, life *static.LifeCycle) {
	if accept := time.Duration(life.RequestAcceptGraceTimeout); accept > 0 {
		select {
		case <-time.After(accept):
		case <-ctx.Done():
		}
	}
}

// each has all protocols, and the relay, drain, or kill, together. The error is that of one that did not come to its end.
func (e *EntryPoint) each(ctx context.Context, end func(ender, context.Context) error) error {
	all := e.speaks.all()
	if e.speaks.relay != nil {
		all = append(all, e.speaks.relay)
	}
	if e.quic != nil {
		all = append(all, e.quic.server)
	}
	errs := make(chan error, len(all))
	for _, p := range all {
		go func() { errs <- end(p, ctx) }()
	}
	var failed error
	for range all {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	return failed
}

package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/h3"
	"github.com/pergola-mesh/pergola/proxy/relay"
)

// UDPEntryPoint is an address whose datagrams the gateway relays.
type UDPEntryPoint struct {
	name   string
	config *static.EntryPoint
	logger *slog.Logger
	socket *net.UDPConn
	server *relay.Datagrams
	served chan struct{}
	handed atomic.Bool // somebody else reads the datagrams
}

// newUDPEntryPoint opens the entry point's socket. Nothing is read before Serve.
func newUDPEntryPoint(name string, config *static.EntryPoint, o Options) (*UDPEntryPoint, error) {
	e := &UDPEntryPoint{name: name, config: config, logger: o.Logger.With("entryPoint", name), server: o.Datagrams(name), served: make(chan struct{})}
	pc, err := o.Sockets.ListenPacket(name, config.ListenAddress(), e.open)
	if err != nil {
		return nil, fmt.Errorf("entry point %s: %w", name, err)
	}
	e.socket = pc.(*net.UDPConn)
	if err := h3.RaiseBuffers(e.socket); err != nil {
		e.logger.Warn("datagrams may be lost under load", "reason", err)
	}
	return e, nil
}

func (e *UDPEntryPoint) open() (net.PacketConn, error) {
	lc := net.ListenConfig{}
	if e.config.ReusePort {
		lc.Control = reusePort
	}
	pc, err := lc.ListenPacket(context.Background(), "udp", e.config.ListenAddress())
	if remedy := bindRemedy(err); remedy != "" {
		return nil, fmt.Errorf("%w: %s", err, remedy)
	}
	return pc, err
}

// Addr is where the entry point listens.
func (e *UDPEntryPoint) Addr() net.Addr { return e.socket.LocalAddr() }

// Name is the entry point's name.
func (e *UDPEntryPoint) Name() string { return e.name }

func (e *UDPEntryPoint) serve() {
	defer close(e.served)
	e.server.Serve(e.socket)
}

// StopAccepting reads no more datagrams: somebody else does. What servers still answer goes to clients.
func (e *UDPEntryPoint) StopAccepting() {
	e.handed.Store(true)
	e.server.StopAccepting()
}

// stop goes on reading datagrams for requestAcceptGraceTimeout, unless somebody else does, then reads no more,
// lets what servers still answer pass for graceTimeOut, and ends what is left.
func (e *UDPEntryPoint) stop(ctx context.Context) {
	life := &e.config.Transport.LifeCycle
	if !e.handed.Load() {
		goOnAccepting(ctx, life)
	}
	grace, cancel := context.WithTimeout(ctx, time.Duration(life.GraceTimeOut))
	defer cancel()
	if e.server.Drain(grace) != nil {
		e.server.Kill(context.WithoutCancel(ctx))
	}
	<-e.served
	e.socket.Close()
}

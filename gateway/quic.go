package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/internal/handover"
	"github.com/pergola-mesh/pergola/proxy/h3"
)

// quicServer is an entry point's HTTP/3: a UDP socket beside the TCP one.
type quicServer struct {
	server *h3.Server
	socket *handover.QUICConn
	once   sync.Once
	ended  chan struct{} // closed when the server has returned
}

// bindQUIC opens the UDP socket of the port that the entry point's listener has.
func (e *EntryPoint) bindQUIC(o Options) error {
	q := &quicServer{ended: make(chan struct{})}
	if o.QUIC == nil || e.secure == nil {
		return errors.New("there is no TLS to speak it over")
	}
	q.server = e.http3(o)
	stack, err := newStack(e.config, o.Global, "https", e.refused, o.Handler(e.name))
	if err != nil {
		return err
	}
	q.server.Handler = stack
	if q.socket, err = o.Sockets.ListenQUIC(e.name, e.config.ListenAddress(), e.openUDP); err != nil {
		return err
	}
	if err := h3.RaiseBuffers(q.socket.UDPConn); err != nil {
		e.logger.Warn("HTTP/3 may lose packets under load", "reason", err)
	}
	e.quic = q
	e.secure.altSvc = e.altSvc()
	return nil
}

// openUDP opens a UDP socket for the address that the listener has got.
func (e *EntryPoint) openUDP() (net.PacketConn, error) {
	lc := net.ListenConfig{}
	if e.config.ReusePort {
		lc.Control = reusePort
	}
	pc, err := lc.ListenPacket(context.Background(), "udp", e.listener.Addr().String())
	if remedy := bindRemedy(err); remedy != "" {
		return nil, fmt.Errorf("%w: %s", err, remedy)
	}
	return pc, err
}

// http3 makes the server of HTTP/3, but for its handler.
func (e *EntryPoint) http3(o Options) *h3.Server {
	return &h3.Server{
		Observer: o.Observer(e.name), Refused: e.refused, Logger: e.logger, EntryPoint: e.name,
		TLS: o.QUIC(e.name), Limits: e.limits(), Timeouts: e.timeouts(),
		Streams:     e.config.HTTP2.MaxConcurrentStreams,
		MaxRequests: e.config.Transport.KeepAliveMaxRequests, MaxAge: time.Duration(e.config.Transport.KeepAliveMaxTime),
		Gate: e.listener.Gate(), Connections: o.Connections(e.name, "UDP"), Tag: o.Sockets.Tag(),
		Session: func(ctx context.Context) (context.Context, any) { return identity.NewSession(ctx) },
	}
}

// altSvc is what responses over TLS say of HTTP/3. RFC 9114 §3.1.1.
func (e *EntryPoint) altSvc() string {
	port := e.config.HTTP3.AdvertisedPort
	if a, ok := e.listener.Addr().(*net.TCPAddr); ok && port == 0 {
		port = a.Port
	}
	return fmt.Sprintf(`h3=":%d"; ma=%d`, port, altSvcAge)
}

// altSvcAge is how long a client may remember it, in seconds: a month.
const altSvcAge = 2592000

// start serves, in the background.
func (q *quicServer) start() {
	q.once.Do(func() {
		go func() {
			defer close(q.ended)
			if err := q.server.Serve(q.socket); err != nil {
				q.server.Logger.Error("HTTP/3 ended", "error", err)
			}
		}()
	})
}

// wait returns when the server has ended, after Drain or Kill.
func (q *quicServer) wait() {
	q.once.Do(func() {
		q.socket.Close() // it never began
		close(q.ended)
	})
	<-q.ended
}

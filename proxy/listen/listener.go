package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Listener.
type Options struct {
	// MaxConns bounds the listener's connections, MaxPerClient those of one client address (of one
	// /64 for IPv6), Process those of all listeners that share it. Zero or nil: no bound.
	MaxConns, MaxPerClient int
	Process                *Cap
	// Refused is told why a connection was closed unserved: max_connections, max_connections_process,
	// max_connections_per_client or proxy_protocol. May be nil.
	Refused func(rule string)
	Logger  *slog.Logger
}

// Listener accepts connections within caps.
type Listener struct {
	net    net.Listener
	gate   *Gate
	logger *slog.Logger
	next   atomic.Uint32
	wg     sync.WaitGroup
	closed atomic.Bool
}

// NewListener takes ln over: Close closes it.
func NewListener(ln net.Listener, options Options) *Listener {
	return &Listener{net: ln, gate: NewGate(ln.Addr().String(), options), logger: options.Logger}
}

// Gate is what admits the listener's connections: for those that reach the same address in another way.
func (l *Listener) Gate() *Gate { return l.gate }

// Addr is where it listens.
func (l *Listener) Addr() net.Addr { return l.net.Addr() }

// Serve accepts until Close and calls serve for every connection, each on a goroutine of its own.
// Whoever closes the connection then calls done, once. shard differs from one connection to the next.
// Serve returns once Close was called; connections may go on.
func (l *Listener) Serve(serve func(c net.Conn, peer netip.AddrPort, shard uint32, done func())) {
	pause := time.Duration(0)
	for {
		c, err := l.net.Accept()
		if err != nil {
			if l.closed.Load() || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of descriptors or memory: those who are here go on, and may free some.
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			l.logger.Error("accept failed", "address", l.net.Addr().String(), "error", err, "retryIn", pause)
			time.Sleep(pause)
			continue
		}
		pause = 0
		peer := AddrPort(c.RemoteAddr())
		if rule := l.gate.Admit(peer.Addr()); rule != "" {
			l.refuse(c, peer, rule)
			continue
		}
		shard := l.next.Add(1)
		l.wg.Add(1)
		go serve(c, peer, shard, func() {
			l.gate.Leave(peer.Addr())
			l.wg.Done()
		})
	}
}

// refuse closes a connection that there is no place for, at once and at no cost to the others.
func (l *Listener) refuse(c net.Conn, peer netip.AddrPort, rule string) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
	l.Refused(rule, peer)
}

// Refused is Gate.Refused.
func (l *Listener) Refused(rule string, peer netip.AddrPort, attributes ...any) {
	l.gate.Refused(rule, peer, attributes...)
}

// Count is the number of connections that are being served.
func (l *Listener) Count() int { return l.gate.Count() }

// Close stops accepting. Connections that were accepted go on.
func (l *Listener) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	return l.net.Close()
}

// Drained waits until the last connection has ended, after Close, or ctx ends, and reports whether none
// is left.
func (l *Listener) Drained(ctx context.Context) bool {
	gone := make(chan struct{})
	go func() {
		l.wg.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return true
	case <-ctx.Done():
		return false
	}
}

// Closed reports whether Close was called.
func (l *Listener) Closed() bool { return l.closed.Load() }

// Wait returns when the last connection has ended, after Close.
func (l *Listener) Wait() { l.wg.Wait() }

// AddrPort is a's address as a value, without IPv4-in-IPv6; zero when a has none.
func AddrPort(a net.Addr) netip.AddrPort {
	t, ok := a.(interface{ AddrPort() netip.AddrPort }) // of TCP or UDP
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

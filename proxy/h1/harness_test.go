package h1

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/certtest"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/listen/listentest"
)

// portable hides the descriptors of all connections, so that everything runs on the portable path.
// secure has all connections, on both sides, speak TLS.
var portable, secure bool

// way chooses one of the three ways in which the tests run.
var way = flag.String("way", "", "run the tests only this way: fused, portable or tls")

// TestMain runs all tests three times: on the fused path, on the portable one, and over TLS.
func TestMain(m *testing.M) {
	flag.Parse()
	if *way != "" {
		portable, secure = *way == "portable", *way == "tls"
		os.Exit(listentest.Main(m))
	}
	os.Exit(listentest.Main(m, func() { portable = true }, func() { portable, secure = false, true }))
}

// veil makes c, an accepted connection, take the path that is being tested.
func veil(c net.Conn) (net.Conn, error) {
	if portable {
		return listentest.Veil(c), nil
	}
	if _, done := c.(*tls.Conn); done || !secure {
		return c, nil
	}
	t := tls.Server(listen.NewConn(c, nil).Wire(), serverTLS())
	return t, t.Handshake()
}

// veilDialled is veil for a connection to a server.
func veilDialled(ctx context.Context, c net.Conn) (net.Conn, error) {
	if !secure {
		return veil(c)
	}
	t := tls.Client(listen.NewConn(c, nil).Wire(), clientTLS)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

var serverTLS = sync.OnceValue(func() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certtest.SelfSigned([]string{"h"})}}
})

var clientTLS = &tls.Config{ServerName: "h", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(0)}

// peer is the far end of a connection under test: of stock crypto/tls when that is what is tested.
type peer struct {
	net.Conn
	tcp   *net.TCPConn
	reset atomic.Bool
}

// newPeer makes c, of which server tells the role, speak what is tested.
func newPeer(c net.Conn, server bool) *peer {
	p := &peer{Conn: c, tcp: c.(*net.TCPConn)}
	switch {
	case secure && server:
		p.Conn = tls.Server(c, serverTLS())
	case secure:
		p.Conn = tls.Client(c, clientTLS)
	}
	return p
}

// CloseWrite ends the sending direction.
func (p *peer) CloseWrite() error {
	if t, ok := p.Conn.(*tls.Conn); ok {
		t.CloseWrite()
	}
	return p.tcp.CloseWrite()
}

// SetLinger is that of the socket; 0 makes Close a reset without a farewell.
func (p *peer) SetLinger(sec int) error {
	p.reset.Store(sec == 0)
	return p.tcp.SetLinger(sec)
}

// SetReadBuffer is that of the socket.
func (p *peer) SetReadBuffer(n int) error { return p.tcp.SetReadBuffer(n) }

// SetNoDelay is that of the socket.
func (p *peer) SetNoDelay(on bool) error { return p.tcp.SetNoDelay(on) }

// Close closes the connection.
func (p *peer) Close() error {
	if p.reset.Load() {
		return p.tcp.Close()
	}
	return p.Conn.Close()
}

// checkLeaks fails the test if, once all else is cleaned up, there are more goroutines or sockets
// than there are now. It is called first.
func checkLeaks(t *testing.T) {
	t.Helper()
	goroutines, sockets := runtime.NumGoroutine(), openSockets()
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		waittest.Until(t, fmt.Sprintf("%d goroutines and %d sockets, as before", goroutines, sockets), func() bool {
			return runtime.NumGoroutine() <= goroutines && openSockets() <= sockets
		})
	})
}

// openSockets counts the process's sockets; 0 where that cannot be told.
func openSockets() (n int) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

// upstreamFunc is a server under the test's control: it is given every connection.
type upstreamFunc func(c net.Conn)

// rig is a server of ours in front of a pool in front of a scripted server.
type rig struct {
	t        *testing.T
	addr     string
	server   *Server
	pool     *Pool
	mu       sync.Mutex
	refused  []string
	observed []exchange.Record
	accepted int
	dialled  atomic.Int64
	servers  sync.WaitGroup // the goroutines of the scripted server
}

func newRig(t *testing.T, handler exchange.Handler, upstream upstreamFunc, options ...func(*rig, *PoolConfig)) *rig {
	t.Helper()
	checkLeaks(t)
	r := &rig{t: t}
	r.server = &Server{Handler: handler, Observer: r, Limits: fields.DefaultLimits, Timeouts: listen.DefaultTimeouts, Scheme: "http",
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Refused: func(rule string) {
			r.mu.Lock()
			r.refused = append(r.refused, rule)
			r.mu.Unlock()
		}}
	config := PoolConfig{DefaultHost: []byte("upstream")}
	if upstream != nil {
		ln := listenLocal(t)
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				c.SetDeadline(time.Now().Add(20 * time.Second))
				p := newPeer(c, true)
				t.Cleanup(func() { p.Close() })
				r.servers.Go(func() {
					defer p.Close()
					upstream(p)
				})
				r.mu.Lock()
				r.accepted++
				r.mu.Unlock()
			}
		}()
		config.Dial = func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, "tcp", ln.Addr().String())
			if err != nil {
				return nil, err
			}
			r.dialled.Add(1)
			return veilDialled(ctx, c)
		}
	}
	for _, o := range options {
		o(r, &config)
	}
	if upstream != nil {
		r.pool = NewPool(config)
		t.Cleanup(func() { r.pool.Close() })
		if handler == nil {
			r.server.Handler = r.pool
		}
	}
	ln := listenLocal(t)
	r.addr = ln.Addr().String()
	go func() {
		for shard := uint32(0); ; shard++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go r.serve(c, nil, shard)
		}
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.server.Kill(ctx); err != nil {
			t.Errorf("%d connections outlive Kill", r.server.Active())
		}
	})
	return r
}

// serve serves a connection of which ahead has been read already.
func (r *rig) serve(c net.Conn, ahead []byte, shard uint32) {
	peer := netip.MustParseAddrPort(c.RemoteAddr().String())
	v, err := veil(c)
	if err != nil {
		c.Close()
		return
	}
	r.server.Serve(listen.NewConn(v, ahead), &exchange.Conn{EntryPoint: "web", Peer: peer, Shard: shard}, func() {})
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// Observe keeps every record.
func (r *rig) Observe(x *exchange.Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.observed = append(r.observed, x.Record)
}

func (r *rig) records() []exchange.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]exchange.Record(nil), r.observed...)
}

func (r *rig) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.accepted
}

// rules are the names of the rules that refused something.
func (r *rig) rules() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.refused...)
}

func (r *rig) dial() *peer {
	r.t.Helper()
	c, err := r.connect()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// connect is dial for a goroutine of the test's.
func (r *rig) connect() (*peer, error) {
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return newPeer(c, false), nil
}

// send writes raw to a new connection and returns all that comes until the connection ends.
func (r *rig) send(raw string) (string, error) {
	r.t.Helper()
	c := r.dial()
	if _, err := io.WriteString(c, raw); err != nil {
		r.t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

// readHead reads up to and with the empty line.
func readHead(r *bufio.Reader) (string, error) {
	var b bytes.Buffer
	for {
		line, err := r.ReadSlice('\n')
		b.Write(line)
		if err != nil {
			return b.String(), err
		}
		if len(line) == 2 {
			return b.String(), nil
		}
	}
}

// answer is an upstream that reads heads, and answers each with text. It allocates nothing for it.
func answer(text string) upstreamFunc {
	return func(c net.Conn) {
		r, out := bufio.NewReader(c), []byte(text)
		for {
			for {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(line) == 2 {
					break
				}
			}
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}
}

const ok = "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\n\r\nhi"

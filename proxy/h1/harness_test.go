package h1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

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
}

func newRig(t *testing.T, handler exchange.Handler, upstream upstreamFunc, options ...func(*rig, *PoolConfig)) *rig {
	t.Helper()
	r := &rig{t: t}
	r.server = &Server{Handler: handler, Observer: r, Limits: DefaultLimits, Timeouts: DefaultTimeouts, Scheme: "http",
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
				r.mu.Lock()
				r.accepted++
				r.mu.Unlock()
				go func() {
					defer c.Close()
					upstream(c)
				}()
			}
		}()
		config.Dial = func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", ln.Addr().String())
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
			peer := netip.MustParseAddrPort(c.RemoteAddr().String())
			go r.server.Serve(listen.NewConn(c, nil), &exchange.Conn{EntryPoint: "web", Peer: peer, Shard: shard}, func() {})
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

func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
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

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
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

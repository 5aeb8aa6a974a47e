package h1

import (
	"bufio"
	"bytes"
	"context"
	"flag"
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

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// portable hides the descriptors of all connections, so that everything runs on the portable path.
var portable bool

// TestMain runs all tests twice: on the fused path, and on the portable one.
func TestMain(m *testing.M) {
	flag.Parse()
	openPollers()
	code := m.Run()
	if code == 0 && flagIs("test.fuzz", "") && flagIs("test.fuzzworker", "false") && flagIs("test.bench", "") && flagIs("test.list", "") {
		portable = true
		code = m.Run()
	}
	os.Exit(code)
}

func flagIs(name, value string) bool { return flag.Lookup(name).Value.String() == value }

// openPollers has the process open the descriptors that stay for good, before any test counts them.
func openPollers() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		panic(err)
	}
	if lc := listen.NewConn(c, nil); lc.Park(nil) {
		lc.Unpark()
	}
	c.Close()
	ln.Close()
}

// veiled is a connection like that of TLS: it has no descriptor, but tells what it is made of.
type veiled struct{ net.Conn }

func (v veiled) NetConn() net.Conn { return v.Conn }

func (v veiled) CloseWrite() error { return v.Conn.(*net.TCPConn).CloseWrite() }

// veil makes c take the path that is being tested.
func veil(c net.Conn) net.Conn {
	if portable {
		return veiled{c}
	}
	return c
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
		deadline := time.Now().Add(5 * time.Second)
		for runtime.NumGoroutine() > goroutines || openSockets() > sockets {
			if time.Now().After(deadline) {
				stacks := make([]byte, 64<<10)
				t.Errorf("%d goroutines and %d sockets before, %d and %d after:\n%s", goroutines, sockets,
					runtime.NumGoroutine(), openSockets(), stacks[:runtime.Stack(stacks, true)])
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
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
				t.Cleanup(func() { c.Close() })
				r.servers.Go(func() {
					defer c.Close()
					upstream(c)
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
			return veil(c), nil
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
	r.server.Serve(listen.NewConn(veil(c), ahead), &exchange.Conn{EntryPoint: "web", Peer: peer, Shard: shard}, func() {})
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

func (r *rig) dial() *net.TCPConn {
	r.t.Helper()
	d, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	c := d.(*net.TCPConn)
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

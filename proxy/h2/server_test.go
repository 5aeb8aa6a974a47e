//lint:file-ignore SA1019 x/net/http2 is here because it is an engine of its own, not a way into net/http

package h2

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/listen/listentest"
)

// rig is a server of ours under test.
type rig struct {
	t      *testing.T
	addr   string
	server *Server

	mu       sync.Mutex
	refused  []string
	observed []exchange.Record
	statuses []int
	conns    atomic.Int64
}

// Observe is exchange.Observer.
func (r *rig) Observe(x *exchange.Exchange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.observed = append(r.observed, x.Record)
	r.statuses = append(r.statuses, x.Response.Status)
}

func (r *rig) rules() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.refused...)
}

func (r *rig) records() []exchange.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]exchange.Record(nil), r.observed...)
}

func newRig(t *testing.T, handler exchange.HandlerFunc, options ...func(*Server)) *rig {
	t.Helper()
	checkLeaks(t)
	r := &rig{t: t}
	r.server = &Server{Handler: handler, Observer: r, Limits: fields.DefaultLimits, Timeouts: listen.DefaultTimeouts,
		Scheme: "http", Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Refused: func(rule string) {
			r.mu.Lock()
			r.refused = append(r.refused, rule)
			r.mu.Unlock()
		}}
	for _, o := range options {
		o(r.server)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			r.conns.Add(1)
			info := &exchange.Conn{EntryPoint: "test", Peer: netip.MustParseAddrPort(c.RemoteAddr().String()), PeerText: "127.0.0.1"}
			go r.server.Serve(listen.NewConn(veil(c), nil), info, func() { r.conns.Add(-1) })
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.server.Kill(ctx); err != nil {
			t.Errorf("%d connections do not end", r.server.Active())
		}
		if n := r.conns.Load(); n != 0 {
			t.Errorf("done was not called for %d connections", n)
		}
	})
	return r
}

// portable hides the descriptors of all connections, so that everything runs on the portable path.
var portable bool

// TestMain runs all tests twice: on the fused path, and on the portable one.
func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(listentest.Main(m, func() { portable = true }))
}

func veil(c net.Conn) net.Conn {
	if portable {
		return listentest.Veil(c)
	}
	return c
}

// checkLeaks fails the test if, once all else is cleaned up, there are more goroutines or sockets
// than there are now. It is called first.
func checkLeaks(t *testing.T) {
	t.Helper()
	before, sockets := goroutines(), openSockets()
	t.Cleanup(func() {
		if !t.Failed() {
			waittest.Until(t, "goroutines and sockets end", func() bool {
				return openSockets() <= sockets && goroutines() <= before
			})
		}
	})
}

// goroutines counts all but the workers that wait for their next job.
func goroutines() (n int) {
	buf := make([]byte, 1<<20)
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !strings.Contains(stack, "workers.(*Pool).hire") || !strings.Contains(stack, "[chan receive") {
			n++
		}
	}
	return n
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

// client is the HTTP/2 client of x/net, over plaintext.
func (r *rig) client() *http.Client {
	t := &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, _ string, _ *tls.Config) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, r.addr)
	}}
	r.t.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t, Timeout: 20 * time.Second}
}

// echo answers with what it is asked with.
func echo(x *exchange.Exchange) error {
	body, err := exchangetest.ReadAll(nil, x.Request.Body, 64<<20)
	if err != nil {
		return err
	}
	x.Respond(200, "text/plain", fmt.Appendf(body, "%s %s %s", x.Request.Method, x.Request.Host, x.Request.Path))
	return nil
}

func TestPlainRequests(t *testing.T) {
	r := newRig(t, echo)
	c := r.client()
	for range 3 {
		for method, body := range map[string]string{"GET": "", "POST": "hello ", "PUT": strings.Repeat("x", 300<<10)} {
			q, _ := http.NewRequest(method, "http://h.example/p", strings.NewReader(body))
			p, err := c.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(p.Body)
			p.Body.Close()
			if err != nil || p.StatusCode != 200 || p.ProtoMajor != 2 || string(got) != body+method+" h.example /p" {
				t.Fatalf("%v %v %d bytes", err, p, len(got))
			}
		}
	}
	if got := r.rules(); len(got) > 0 {
		t.Errorf("refused: %v", got)
	}
}

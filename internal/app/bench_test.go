package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/gateway"
	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h1"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// memory is a connection without a network: it is asked the same n times, or answers the same to
// everything.
type memory struct {
	net.Conn
	n        int
	text     []byte
	answered chan struct{}
	pending  bool
}

func (m *memory) Read(p []byte) (int, error) {
	if m.answered != nil { // a client's
		if m.n--; m.n < 0 {
			return 0, io.EOF
		}
		return copy(p, m.text), nil
	}
	if !m.pending {
		return 0, errors.New("read before write")
	}
	m.pending = false
	return copy(p, m.text), nil
}

func (m *memory) Write(p []byte) (int, error) {
	m.pending = true
	return len(p), nil
}

func (m *memory) Close() error {
	if m.answered != nil {
		close(m.answered)
	}
	return nil
}
func (m *memory) SetDeadline(time.Time) error      { return nil }
func (m *memory) SetReadDeadline(time.Time) error  { return nil }
func (m *memory) SetWriteDeadline(time.Time) error { return nil }

// memoryPools opens connections to nowhere that answer everything.
type memoryPools struct{ text []byte }

func (p memoryPools) Pool(upstream.PoolKey) (exchange.Handler, io.Closer) {
	pool := h1.NewPool(h1.PoolConfig{Dial: func(context.Context) (net.Conn, error) { return &memory{text: p.text}, nil }})
	return pool, pool
}

const benchStatic = `
[entryPoints.web]
address = "127.0.0.1:0"
[metrics.prometheus]
addRoutersLabels = true
[accessLog]
format = "json"
filePath = "/dev/null"
`

const benchDynamic = `
http:
  routers:
    web: {rule: "Host(` + "`example.com`) && PathPrefix(`/`)" + `", service: web, entryPoints: [web]}
  services:
    web: {loadBalancer: {servers: [{url: "http://10.0.0.1"}]}}
`

const benchRequest = "GET /path/to/page?id=17 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
	"Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en\r\n\r\n"

const benchResponse = "HTTP/1.1 200 OK\r\nServer: test\r\nDate: Tue, 24 Nov 2026 06:00:00 GMT\r\nContent-Type: text/plain\r\n" +
	"Content-Length: 128\r\nConnection: keep-alive\r\n\r\n"

// benchServer is all that a request goes through but the sockets.
func benchServer(t testing.TB, access bool) *h1.Server {
	t.Helper()
	clock.UseCounter()
	path := t.TempDir() + "/pergola.toml"
	if err := os.WriteFile(path, []byte(benchStatic), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded := static.Load([]string{"--configFile=" + path}, nil)
	if len(loaded.Problems) > 0 {
		t.Fatal(loaded.Problems)
	}
	p := &process{config: loaded.Config}
	body := benchResponse + strings.Repeat("x", 128)
	var err error
	if p.core, err = newCoreWith(p.config, slog.New(slog.DiscardHandler), memoryPools{[]byte(body)}); err != nil {
		t.Fatal(err)
	}
	c, problems := load.DynamicFile("bench", []byte(benchDynamic), load.YAML)
	s, r := p.core.builder.Apply(dynamic.Update{Provider: "file", Config: c, Problems: problems})
	if len(r.Problems) > 0 {
		t.Fatal(r.Problems)
	}
	p.core.live.Swap(s)
	if access {
		if err := p.openAccessLog(slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.access.Close() })
	}
	e, err := gateway.NewEntryPoint("web", p.config.EntryPoints["web"], p.options(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	return e.Plain().(*h1.Server)
}

// serve asks server n times over one connection.
func serve(server *h1.Server, n int) {
	client := &memory{n: n, text: []byte(benchRequest), answered: make(chan struct{})}
	peer := netip.MustParseAddrPort("192.0.2.1:1234")
	server.Serve(listen.NewConn(client, nil), &exchange.Conn{EntryPoint: "web", Peer: peer, Local: peer, PeerText: "192.0.2.1"}, func() {})
	<-client.answered
}

// BenchmarkRequest is what one proxied request costs apart from system calls: parsing, entry point,
// routing, balancing, forwarding, metrics.
func BenchmarkRequest(b *testing.B) {
	server := benchServer(b, false)
	serve(server, 10)
	b.ReportAllocs()
	b.ResetTimer()
	serve(server, b.N)
}

// BenchmarkRequestLogged is the same with a JSON access log.
func BenchmarkRequestLogged(b *testing.B) {
	server := benchServer(b, true)
	serve(server, 10)
	b.ReportAllocs()
	b.ResetTimer()
	serve(server, b.N)
}

// A proxied request allocates nothing, whatever of ours it goes through.
func TestRequestAllocatesNothing(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // it empties the pools
	for name, logged := range map[string]bool{"plain": false, "logged": true} {
		server := benchServer(t, logged)
		serve(server, 1000)
		const n = 20000
		got := testing.AllocsPerRun(1, func() { serve(server, n) })
		if got > n/10 && !exchangetest.UnderRace { // those of the connection itself, and of the log's writer when it is kept waiting
			t.Errorf("%s: %.0f allocations in %d requests", name, got, n)
		}
	}
}

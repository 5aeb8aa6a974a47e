package h1

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// The sweeper's timers, in real time but small. Each ends the connection and leaves nothing behind.
func TestTimeouts(t *testing.T) {
	silent := func(c net.Conn) {
		readHead(bufio.NewReader(c))
		io.Copy(io.Discard, c)
	}
	const small = 200 * time.Millisecond
	others := func(r *rig, _ *PoolConfig) {
		r.server.Timeouts = listen.Timeouts{Header: time.Minute, Body: time.Minute, Write: time.Minute, Idle: time.Minute}
	}
	for name, tt := range map[string]struct {
		send     string
		upstream upstreamFunc // nil: one that takes a head, and nothing more until the client has its answer
		set      func(r *rig, p *PoolConfig)
		want     string // beginning of the answer; empty for none
		kind     exchange.Kind
	}{
		"head":               {"GET / HTTP/1.1\r\nHo", silent, func(r *rig, _ *PoolConfig) { r.server.Timeouts.Header = small }, "HTTP/1.1 408 ", exchange.ClientTimeout},
		"body":               {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", silent, func(r *rig, _ *PoolConfig) { r.server.Timeouts.Body = small }, "HTTP/1.1 408 ", exchange.ClientTimeout},
		"idle":               {"", silent, func(r *rig, _ *PoolConfig) { r.server.Timeouts.Idle = small }, "", 0},
		"answer, precise":    {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", silent, func(_ *rig, p *PoolConfig) { p.HeadTimeout = small }, "HTTP/1.1 504 ", exchange.UpstreamTimeout},
		"answer to a stream": {"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", silent, func(_ *rig, p *PoolConfig) { p.HeadTimeout = small }, "HTTP/1.1 504 ", exchange.UpstreamTimeout},
		"rest of the answer": {"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", func(c net.Conn) {
			readHead(bufio.NewReader(c))
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
			io.Copy(io.Discard, c)
		}, func(_ *rig, p *PoolConfig) { p.BodyTimeout = small }, "HTTP/1.1 200 ", exchange.UpstreamTimeout},
		"server does not take the body": {"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 100000000\r\n\r\n" + strings.Repeat("x", 16<<20), nil, func(_ *rig, p *PoolConfig) { p.SendTimeout = small }, "HTTP/1.1 504 ", exchange.UpstreamTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			answered, upstream := make(chan struct{}), tt.upstream
			if upstream == nil {
				upstream = func(c net.Conn) {
					c.(*peer).SetReadBuffer(4096)
					readHead(bufio.NewReader(c))
					<-answered
				}
			}
			r := newRig(t, nil, upstream, others, tt.set)
			began := time.Now()
			c := r.dial()
			go io.WriteString(c, tt.send)
			out, err := io.ReadAll(c)
			close(answered)
			if !strings.HasPrefix(string(out), tt.want) || tt.want == "" && len(out) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %q, %v", out, err)
			}
			if d := time.Since(began); d < small {
				t.Errorf("after %v", d)
			}
			c.Close()
			waittest.Until(t, "the connection ends", func() bool { return r.server.Active() == 0 })
			if rec := r.records(); tt.kind != 0 && (len(rec) != 1 || rec[0].Kind != tt.kind) {
				t.Errorf("recorded %+v", rec)
			}
			waittest.Until(t, "the upstream connection ends", func() bool { return r.pool.conns.Load() == 0 })
		})
	}
}

// long answers a request with more than any socket holds.
func long(c net.Conn) {
	readHead(bufio.NewReader(c))
	io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
	p := make([]byte, 64<<10)
	for {
		if _, err := c.Write(p); err != nil {
			return
		}
	}
}

// A client that takes nothing is cut.
func TestWriteStall(t *testing.T) {
	r := newRig(t, nil, long)
	r.server.Timeouts.Write = 200 * time.Millisecond
	c := r.dial()
	c.SetReadBuffer(4096)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	waittest.Until(t, "the connection is cut", func() bool { return len(r.records()) == 1 && r.server.Active() == 0 })
	if rec := r.records(); rec[0].Kind != exchange.ClientTimeout || !rec[0].Failed {
		t.Errorf("%+v", rec)
	}
}

// A client that takes little at a time, but does, is not cut: not even where a write waits for longer than it may
// take nothing.
func TestSlowClient(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells what a client takes")
	}
	r := newRig(t, nil, long)
	r.server.Timeouts.Write = 1500 * time.Millisecond
	c := r.dial()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	p := make([]byte, 12<<10)
	for range 90 {
		<-tick.C
		if _, err := io.ReadFull(c, p); err != nil {
			t.Fatal(err)
		}
	}
	if rec := r.records(); len(rec) > 0 {
		t.Errorf("%+v", rec)
	}
}

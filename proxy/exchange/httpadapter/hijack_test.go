package httpadapter_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/exchange/httpadapter"
)

// echo switches protocols and sends every line back, until the client ends its side.
func echo(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-A: b\r\n\r\nhello\n", r.Header.Get("Upgrade"))
		rw.Flush()
		for {
			line, err := rw.ReadString('\n')
			if err != nil {
				fmt.Fprintf(rw, "bye, %v\n", err)
				rw.Flush()
				return
			}
			rw.WriteString(line)
			rw.Flush()
		}
	}
}

func TestTunnel(t *testing.T) {
	x := exchangetest.Request("GET", "/", "Upgrade: echo")
	handle(t, echo(t), x)
	r := &x.Response
	if r.Status != 101 || r.Tunnel == nil || string(r.Upgrade) != "echo" || string(r.Header.AppendTo(nil)) != "X-A: b\r\n" {
		t.Fatalf("%d %q %s", r.Status, r.Upgrade, r.Header.AppendTo(nil))
	}
	tunnel := bufio.NewReader(r.Tunnel)
	read := func(want string) {
		t.Helper()
		if line, err := tunnel.ReadString('\n'); err != nil || line != want {
			t.Errorf("%q %v, want %q", line, err, want)
		}
	}
	read("hello\n")
	for _, line := range []string{"one\n", strings.Repeat("x", 100000) + "\n"} {
		go io.WriteString(r.Tunnel, line)
		read(line)
	}
	r.Tunnel.CloseWrite()
	read("bye, EOF\n")
	if _, err := tunnel.ReadString('\n'); err != io.EOF {
		t.Error(err)
	}
	r.Close()
}

func TestClosingATunnelEndsTheHandler(t *testing.T) {
	returned := false
	x := exchangetest.Request("GET", "/", "Upgrade: echo")
	handle(t, func(w http.ResponseWriter, r *http.Request) { echo(t)(w, r); returned = true }, x)
	x.Response.Close()
	if !returned {
		t.Error("Close did not wait for the handler")
	}
}

func TestSwitchingUnasked(t *testing.T) {
	r := exchangetest.Do(httpadapter.Handler(echo(t)), exchangetest.Request("GET", "/"))
	if r.Status != 500 || !errors.Is(r.Err, exchange.Internal) {
		t.Errorf("%d %v", r.Status, r.Err)
	}
}

func TestHijackWithoutResponse(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"closes": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			conn.Close()
		},
		"panics": func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).Hijack()
			panic("boom")
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			io.WriteString(conn, "garbage\r\n\r\n")
			conn.Close()
		},
	} {
		r := exchangetest.Do(httpadapter.Handler(handler), exchangetest.Request("GET", "/"))
		if r.Status != 500 || !errors.Is(r.Err, exchange.Internal) {
			t.Errorf("%s: %d %v", name, r.Status, r.Err)
		}
	}
}

// A client that leaves must not wait for a hijacker that says nothing.
func TestHijackAndSilence(t *testing.T) {
	x := exchangetest.Request("GET", "/", "Upgrade: echo")
	err := httpadapter.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		x.Life.Cancel(exchange.ClientAbort)
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("there is something to read")
		}
		conn.Close()
	})).Handle(x)
	if err == nil {
		t.Error("there is a response")
	}
}

func TestHijackIsRefused(t *testing.T) {
	x := exchangetest.Request("GET", "/", func(x *exchange.Exchange) { x.Request.Proto = exchange.HTTP2 })
	handle(t, func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("on HTTP/2: %v", err)
		}
	}, x)
	handle(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
			t.Error("after WriteHeader")
		}
	}, exchangetest.Request("GET", "/"))
	r := exchangetest.Do(httpadapter.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("twice: %v", err)
		}
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n")
	})), exchangetest.Request("GET", "/"))
	if r.Status != 200 || r.Body != "ok" || r.Cut != nil || string(r.Trailer.AppendTo(nil)) != "X-T: 1\r\n" {
		t.Errorf("%d %q %v %s", r.Status, r.Body, r.Cut, r.Trailer.AppendTo(nil))
	}
}

func TestHijackedConn(t *testing.T) {
	x := exchangetest.Request("GET", "/", "Upgrade: echo")
	done := make(chan struct{})
	handle(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(done)
		conn, _, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		if conn.RemoteAddr().String() != exchangetest.Peer.String() || conn.LocalAddr().String() != exchangetest.Local.String() {
			t.Errorf("%v %v", conn.RemoteAddr(), conn.LocalAddr())
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n")
		conn.SetDeadline(time.Unix(1, 0))
		var timeout net.Error
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("read: %v", err)
		}
		if _, err := conn.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
	}, x)
	<-done
	x.Response.Close()
}

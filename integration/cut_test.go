//go:build linux

package integration

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestWhatIsCutLooksCut: what has not ended when the grace of a process is over is cut, and nobody can take
// that for the end: not of a response, even one that the end of its connection would end, nor of a tunnel.
func TestWhatIsCutLooksCut(t *testing.T) {
	m := startMixed(t, "2s")
	m.AwaitHost("a.test", "/", 200)
	h2 := &http.Transport{TLSClientConfig: m.config("a.test"), ForceAttemptHTTP2: true}
	plain2 := &http.Transport{Protocols: new(http.Protocols)}
	plain2.Protocols.SetUnencryptedHTTP2(true)
	h1 := &http.Transport{TLSClientConfig: m.config("a.test"), Protocols: new(http.Protocols)}
	h1.Protocols.SetHTTP1(true)
	h3 := &http3.Transport{TLSClientConfig: m.config("a.test")}
	defer h3.Close()
	bodies := map[string]io.Reader{}
	for name, by := range map[string]struct {
		transport http.RoundTripper
		scheme    string
		proto     string
	}{
		"HTTP/1.1": {h1, "http", "HTTP/1.1"}, "HTTP/1.1 over TLS": {h1, "https", "HTTP/1.1"}, "HTTP/2": {plain2, "http", "HTTP/2.0"},
		"HTTP/2 over TLS": {h2, "https", "HTTP/2.0"}, "HTTP/3": {h3, "https", "HTTP/3.0"},
	} {
		response, err := by.transport.RoundTrip(m.request("GET", by.scheme, "/stream?count=0&interval=10ms", nil, false))
		if err != nil || response.StatusCode != 200 || response.Proto != by.proto {
			t.Fatalf("%s: %v, %v", name, response, err)
		}
		defer response.Body.Close()
		bodies[name] = response.Body
	}
	// A client of HTTP/1.0 is sent a body that ends with its connection.
	for name, secure := range map[string]*tls.Config{"HTTP/1.0": nil, "HTTP/1.0 over TLS": m.config("a.test")} {
		conn := dialWith(t, m.Web, secure)
		fmt.Fprint(conn, "GET /stream?count=0&interval=10ms HTTP/1.0\r\nHost: a.test\r\n\r\n")
		r := bufio.NewReader(conn)
		response, err := http.ReadResponse(r, nil)
		if err != nil || response.StatusCode != 200 || response.ContentLength != -1 || len(response.TransferEncoding) > 0 {
			t.Fatalf("%s: %v, %v", name, response, err)
		}
		bodies[name] = r
	}
	for name, to := range map[string]string{"TLS that ends here": "ended.test", "TLS that passes through": "passed.test"} {
		conn := dialWith(t, m.Web, m.config(to))
		io.WriteString(conn, "hello")
		if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		bodies[name] = conn
	}
	tunnels := m.openTunnels()
	for _, s := range tunnels {
		s.echo("before")
	}
	m.Signal(syscall.SIGTERM)
	for name, body := range bodies {
		_, err := io.Copy(io.Discard, body)
		if err == nil {
			t.Errorf("%s: cut, and the client takes it for the end", name)
		}
		t.Logf("%s: %v", name, err)
	}
	for i, want := range []string{"reset", "GOAWAY, end", "H3_INTERNAL_ERROR", "reset"} {
		if got := tunnels[i].cut(); got != want {
			t.Errorf("tunnel %d: %s, want %s", i, got, want)
		}
	}
	if code := m.AwaitExit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// dialWith connects, over TLS unless that is nil.
func dialWith(t *testing.T, address string, secure *tls.Config) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(harness.Patience))
	if secure != nil {
		return tls.Client(conn, secure)
	}
	return conn
}

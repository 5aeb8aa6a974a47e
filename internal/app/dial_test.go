package app

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pergola-mesh/pergola/internal/certtest"
	"github.com/pergola-mesh/pergola/internal/nettest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// selfSigned makes a certificate for name and 127.0.0.1, and returns it and its PEM.
func selfSigned(t *testing.T, name string) (tls.Certificate, string) {
	t.Helper()
	c := certtest.SelfSigned([]string{name, "127.0.0.1"})
	chain, _ := certtest.PEM(c)
	return c, string(chain)
}

// whole asks url through a pool and returns the body, read to its end.
func whole(t *testing.T, h exchange.Handler) (string, error) {
	t.Helper()
	x := exchangetest.Request("GET", "/")
	defer x.Free()
	if err := h.Handle(x); err != nil {
		return "", err
	}
	defer x.Response.Close()
	var out []byte
	for x.Response.Body != nil {
		p, err := x.Response.Body.Next()
		out = append(out, p...)
		if err == io.EOF {
			break
		}
		if err != nil {
			return string(out), err
		}
	}
	return string(out), nil
}

func TestServersOverTLS(t *testing.T) {
	certificate, ca := selfSigned(t, "backend.test")
	var handshakes atomic.Int64
	address := nettest.Serve(t, func(c net.Conn) {
		handshakes.Add(1)
		s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}})
		defer s.Close()
		for br := bufio.NewReader(s); ; {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			name := s.ConnectionState().ServerName + " " + s.ConnectionState().NegotiatedProtocol
			io.WriteString(s, "HTTP/1.1 200 OK\r\nContent-Length: "+string(rune('0'+len(name)/10))+string(rune('0'+len(name)%10))+"\r\n\r\n"+name)
		}
	})
	h, closer := pools{}.Pool(upstream.PoolKey{URL: "https://" + address, Transport: &upstream.Transport{
		TLS: upstream.TLS{ServerName: "backend.test", RootCAs: []string{ca}}}})
	defer closer.Close()
	for range 5 {
		if body, err := whole(t, h); err != nil || body != "backend.test http/1.1" {
			t.Fatalf("%v %q", err, body)
		}
	}
	if n := handshakes.Load(); n != 1 {
		t.Errorf("%d handshakes for 5 requests", n)
	}
}

// Whatever a server does before its handshake is over, nothing it says is taken for an answer.
func TestHandshakesThatFail(t *testing.T) {
	certificate, ca := selfSigned(t, "backend.test")
	_, otherCA := selfSigned(t, "backend.test")
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
	good := func(c net.Conn) { tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}}).Handshake() }
	for name, tt := range map[string]struct {
		serve func(c net.Conn)
		tls   upstream.TLS
		says  string
	}{
		"plaintext": {func(c net.Conn) { io.WriteString(c, answer); io.Copy(io.Discard, c) }, upstream.TLS{RootCAs: []string{ca}}, "first record"},
		"plaintext behind the hello": {func(c net.Conn) {
			c.Read(make([]byte, 4096))
			io.WriteString(c, answer)
			io.Copy(io.Discard, c)
		}, upstream.TLS{RootCAs: []string{ca}}, "first record"},
		"plaintext before the handshake": {func(c net.Conn) {
			io.WriteString(c, answer)
			good(c)
		}, upstream.TLS{RootCAs: []string{ca}}, "first record"},
		"plaintext in the handshake": {func(c net.Conn) {
			tls.Server(&interloper{Conn: c, text: answer}, &tls.Config{Certificates: []tls.Certificate{certificate}}).Handshake()
		}, upstream.TLS{RootCAs: []string{ca}}, ""},
		"end":             {func(c net.Conn) { c.Read(make([]byte, 4096)) }, upstream.TLS{RootCAs: []string{ca}}, ""},
		"stranger":        {good, upstream.TLS{RootCAs: []string{otherCA}}, "unknown authority"},
		"other name":      {good, upstream.TLS{ServerName: "other.test", RootCAs: []string{ca}}, "other.test"},
		"other identity":  {good, upstream.TLS{RootCAs: []string{ca}, PeerURIs: []string{"spiffe://x/y"}}, "spiffe://x/y"},
		"no verification": {good, upstream.TLS{InsecureSkipVerify: true, PeerURIs: []string{"spiffe://x/y"}}, "spiffe://x/y"},
	} {
		t.Run(name, func(t *testing.T) {
			h, closer := pools{}.Pool(upstream.PoolKey{URL: "https://" + nettest.Serve(t, tt.serve), Transport: &upstream.Transport{TLS: tt.tls}})
			defer closer.Close()
			body, err := whole(t, h)
			want := exchange.UpstreamTLS
			if name == "plaintext in the handshake" { // which is over for us when it comes
				want = exchange.UpstreamReset
			}
			if exchange.KindOf(err) != want || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v %q", err, body)
			}
		})
	}
}

// interloper writes text behind the first flight.
type interloper struct {
	net.Conn
	text string
}

func (i *interloper) Write(p []byte) (int, error) {
	n, err := i.Conn.Write(p)
	io.WriteString(i.Conn, i.text)
	i.text = ""
	return n, err
}

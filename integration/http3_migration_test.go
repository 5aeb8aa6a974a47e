//go:build linux

package integration

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestHTTP3Migration moves a client to another address while a response is under way: that one ends well, and
// what follows is served on the same connection. RFC 9000 §9.
func TestHTTP3Migration(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	backend := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			io.WriteString(w, "first ")
			w.(http.Flusher).Flush()
			close(begun)
			<-finish
		}
		io.WriteString(w, "complete")
	}))
	archive, _ := http3Archive(t, backend)
	g := harness.Start(t, archive, nil)
	server, err := net.ResolveUDPAddr("udp", g.Web)
	if err != nil {
		t.Fatal(err)
	}
	transports := [2]*quic.Transport{}
	for i := range transports {
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		transports[i] = &quic.Transport{Conn: socket}
		t.Cleanup(func() {
			transports[i].Close()
			socket.Close()
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	var conn *quic.Conn
	harness.Eventually(t, "HTTP/3 to be served", func() bool {
		conn, err = transports[0].Dial(ctx, server, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{http3.NextProtoH3}}, &quic.Config{})
		return err == nil
	})
	defer conn.CloseWithError(0x100, "")
	h3 := &http3.Transport{}
	defer h3.Close()
	client := h3.NewClientConn(conn)
	get := func(path string) string {
		request, err := http.NewRequestWithContext(ctx, "GET", "https://"+g.Web+path, nil)
		if err != nil {
			return err.Error()
		}
		response, err := client.RoundTrip(request)
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err.Error()
		}
		return string(body)
	}
	slow := make(chan string, 1)
	go func() { slow <- get("/slow") }()
	harness.Within(t, "the slow request at the backend", begun)

	path, err := conn.AddPath(transports[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := path.Probe(ctx); err != nil {
		t.Fatalf("the gateway does not answer at the new address: %v", err)
	}
	if err := path.Switch(); err != nil {
		t.Fatal(err)
	}
	if got := get("/"); got != "complete" {
		t.Errorf("after the move: %q", got)
	}
	close(finish)
	if got := harness.Within(t, "the rest of the slow response", slow); got != "first complete" {
		t.Errorf("what was under way ended in %q", got)
	}
	if conn.LocalAddr().String() != transports[1].Conn.LocalAddr().String() {
		t.Errorf("the connection is still at %s", conn.LocalAddr())
	}
}

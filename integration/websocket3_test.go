//go:build linux

package integration

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestWebSocketsSayTheirScheme: X-Forwarded-Proto is ws or wss of a WebSocket, by whichever version of HTTP it is asked for.
func TestWebSocketsSayTheirScheme(t *testing.T) {
	said := make(chan string, 1)
	backend := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/echo" {
			http.NotFound(w, r)
			return
		}
		said <- r.Header.Get("X-Forwarded-Proto")
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err == nil {
			conn.CloseNow()
		}
	}))
	g, authority := startTLSWith(t, strings.NewReplacer("$BACKEND", backend, "address: $WEB\n", "address: $WEB\n    http3: {}\n").Replace(overTLS))
	g.AwaitStatus("/nowhere", 404)
	for name, tt := range map[string]struct {
		dial func()
		want string
	}{
		"HTTP/1.1": {func() { dialOne(t, g.Web) }, "ws"},
		"HTTP/2":   {func() { dialTwo(t, g.Web) }, "ws"},
		"HTTP/3":   {func() { dialThree(t, g.Web, &tls.Config{RootCAs: authority.Pool(), ServerName: "a.test"}) }, "wss"},
	} {
		tt.dial()
		if got := <-said; got != tt.want {
			t.Errorf("%s: X-Forwarded-Proto is %q, want %q", name, got, tt.want)
		}
	}
}

// threeSocket is a WebSocket over HTTP/3, RFC 9220: a stream of a connection of its own.
type threeSocket struct {
	t      *testing.T
	stream *http3.RequestStream
}

func dialThree(t *testing.T, address string, config *tls.Config) socket {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	config = config.Clone()
	config.NextProtos = []string{http3.NextProtoH3}
	conn, err := quic.DialAddr(ctx, address, config, &quic.Config{KeepAlivePeriod: 10 * time.Second})
	if err != nil {
		t.Fatalf("HTTP/3: %v", err)
	}
	t.Cleanup(func() { conn.CloseWithError(0x100, "") })
	transport := &http3.Transport{}
	t.Cleanup(func() { transport.Close() })
	client := transport.NewClientConn(conn)
	harness.Within(t, "the settings of HTTP/3", client.ReceivedSettings())
	if !client.Settings().EnableExtendedConnect {
		t.Fatal("HTTP/3: no extended CONNECT")
	}
	stream, err := client.OpenRequestStream(t.Context())
	if err != nil {
		t.Fatalf("HTTP/3: %v", err)
	}
	request := &http.Request{Method: http.MethodConnect, Proto: "websocket", Host: config.ServerName,
		URL: &url.URL{Scheme: "https", Host: config.ServerName, Path: "/echo"}, Header: http.Header{"Sec-Websocket-Version": {"13"}}}
	if err := stream.SendRequestHeader(request); err != nil {
		t.Fatalf("HTTP/3: %v", err)
	}
	response, err := stream.ReadResponse()
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("HTTP/3: %v, %v", response, err)
	}
	return threeSocket{t, stream}
}

func (s threeSocket) echo(text string) {
	s.t.Helper()
	s.stream.SetDeadline(time.Now().Add(harness.Patience))
	if _, err := s.stream.Write(append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)); err != nil { // masked by a key of zeros
		s.t.Fatalf("HTTP/3: %v", err)
	}
	want := string([]byte{0x81, byte(len(text))}) + text
	got := make([]byte, len(want))
	if n, err := io.ReadFull(s.stream, got); err != nil || string(got) != want {
		s.t.Fatalf("HTTP/3: sent %q, got %q, %v", text, got[:n], err)
	}
}

func (s threeSocket) close() {
	s.stream.Write([]byte{0x88, 0x80, 0, 0, 0, 0})
	if _, err := io.ReadAll(s.stream); err != nil {
		s.t.Errorf("HTTP/3: no clean end of the stream: %v", err)
	}
	s.stream.Close()
}

func (s threeSocket) cut() string {
	s.stream.SetDeadline(time.Now().Add(harness.Patience))
	text, err := io.ReadAll(s.stream)
	var cut *http3.Error
	switch {
	case len(text) > 0:
		return fmt.Sprintf("data: %q", text)
	case errors.As(err, &cut):
		return cut.ErrorCode.String()
	}
	return fmt.Sprint(err)
}

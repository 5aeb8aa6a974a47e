//go:build linux

package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/net/http2"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// A socket is a client's WebSocket, over some version of HTTP.
type socket interface {
	// echo sends a message and fails the test unless it comes back.
	echo(text string)
	// close shakes hands on the end, and fails the test unless the other end does too.
	close()
	// cut waits for an end without a closing handshake and says what it looked like.
	cut() string
}

// oneSocket is one over HTTP/1.1.
type oneSocket struct {
	t    *testing.T
	conn *websocket.Conn
}

func dialOne(t *testing.T, address string) socket {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+address+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	return &oneSocket{t, conn}
}

func (s *oneSocket) echo(text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), harness.Patience)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatalf("HTTP/1.1: %v", err)
	}
	if _, got, err := s.conn.Read(ctx); err != nil || string(got) != text {
		s.t.Fatalf("HTTP/1.1: sent %q, got %q, %v", text, got, err)
	}
}

func (s *oneSocket) close() {
	if err := s.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		s.t.Errorf("HTTP/1.1: %v", err)
	}
}

func (s *oneSocket) cut() string {
	ctx, cancel := context.WithTimeout(s.t.Context(), harness.Patience)
	defer cancel()
	_, got, err := s.conn.Read(ctx)
	switch {
	case err == nil:
		return fmt.Sprintf("a message: %q", got)
	case websocket.CloseStatus(err) != -1:
		return "a closing handshake"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, io.EOF):
		return "end"
	}
	return err.Error()
}

// twoSocket is one over HTTP/2, RFC 8441: the only stream of its connection.
type twoSocket struct{ *h2conn }

func dialTwo(t *testing.T, address string) socket {
	t.Helper()
	c := dialHTTP2(t, address)
	c.head(1, false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a.test", ":path", "/echo",
		"sec-websocket-version", "13")
	if head, ok := c.next(1).(*http2.MetaHeadersFrame); !ok || head.PseudoValue("status") != "200" || head.StreamEnded() {
		t.Fatalf("%v", head)
	}
	for _, stream := range []uint32{0, 1} { // or the windows are used up after some thousand messages
		c.WriteWindowUpdate(stream, 1<<30)
	}
	return twoSocket{c}
}

func (s twoSocket) echo(text string) {
	s.t.Helper()
	s.conn.SetDeadline(time.Now().Add(harness.Patience))
	masked := []byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0} // by a key of zeros
	s.WriteData(1, false, append(masked, text...))
	want := append([]byte{0x81, byte(len(text))}, text...)
	var got []byte
	for len(got) < len(want) {
		switch f := s.next(1).(type) {
		case *http2.WindowUpdateFrame:
		case *http2.DataFrame:
			got = append(got, f.Data()...)
		default:
			s.t.Fatalf("HTTP/2: %v", f)
		}
	}
	if string(got) != string(want) {
		s.t.Fatalf("HTTP/2: sent %q, got %q", text, got)
	}
}

func (s twoSocket) close() {
	s.WriteData(1, false, []byte{0x88, 0x80, 0, 0, 0, 0})
	for {
		data, ok := s.next(1).(*http2.DataFrame)
		if !ok {
			s.t.Errorf("HTTP/2: no clean end of the stream")
			return
		}
		if data.StreamEnded() {
			s.WriteData(1, true, nil)
			return
		}
	}
}

func (s twoSocket) cut() string {
	said := ""
	for {
		switch f, err := s.ReadFrame(); f := f.(type) {
		case *http2.GoAwayFrame:
			if said != "GOAWAY, " {
				said += "GOAWAY, "
			}
		case *http2.DataFrame:
			return fmt.Sprintf("data: %q", f.Data())
		case *http2.RSTStreamFrame:
			return said + "RST_STREAM " + f.ErrCode.String()
		default:
			if errors.Is(err, syscall.ECONNRESET) {
				return said + "reset"
			} else if err != nil {
				return said + "end"
			}
		}
	}
}

// withGrace is a gateway's configuration that lets connections end for so long.
func withGrace(grace string) string {
	return strings.Replace(restartable, "address: $WEB\n", "address: $WEB\n    transport: {lifeCycle: {graceTimeOut: "+grace+"}}\n", 1)
}

// TestWebSocketsOutliveReloads: WebSockets stay as they are while the configuration changes under them,
// even when it loses their router and their server; and through a restart they stay with the old process,
// which ends when the last one is closed.
func TestWebSocketsOutliveReloads(t *testing.T) {
	backend, other := harness.Whoami(t, "one"), harness.Whoami(t, "two")
	g := harness.Start(t, withGrace("1m"), harness.Vars{"BACKEND": backend})
	g.AwaitStatus("/", 200)
	sockets := []socket{dialOne(t, g.Web), dialTwo(t, g.Web)}
	echo := func(text string) {
		t.Helper()
		for _, s := range sockets {
			s.echo(text)
		}
	}
	echo("before")

	for i := range 5 {
		g.Write("dynamic/more.yaml", generation(i+1, backend))
		awaitGeneration(t, g, i+1)
		echo(fmt.Sprintf("generation %d", i+1))
	}
	g.Write("dynamic/more.yaml", generation(6, other))
	g.Signal(syscall.SIGHUP)
	awaitGeneration(t, g, 6)
	echo("hung up")
	// Their service gets another server; then their router goes.
	routes := func(server string) string {
		return "http: {routers: {all: {rule: PathPrefix(~/~), service: backend}}, services: {backend: {loadBalancer: {servers: [{url: \"" + server + "\"}]}}}}\n"
	}
	g.Write("dynamic/routes.yaml", routes(other))
	harness.Eventually(t, "the other server", func() bool { return strings.Contains(bodyOf(g.Web), "two") })
	echo("another server")
	g.Write("dynamic/routes.yaml", "http: {}\n")
	g.AwaitStatus("/", 404)
	echo("no router")

	g.Write("dynamic/routes.yaml", routes(backend))
	g.AwaitStatus("/", 200)
	next := g.Replace()
	next.AwaitStatus("/", 200)
	echo("another process serves")
	young := []socket{dialOne(t, g.Web), dialTwo(t, g.Web)}
	for _, s := range sockets {
		s.echo("still here")
		s.close()
	}
	if code := g.AwaitExit(); code != 0 { // long before the grace has passed
		t.Errorf("the old process ended with %d", code)
	}
	if strings.Contains(g.Log(), "connections cut") {
		t.Error("the old process has cut connections")
	}
	for _, s := range young {
		s.echo("with the new process")
		s.close()
	}
}

// TestWebSocketsAtTheEnd: a process that ends keeps WebSockets for graceTimeOut, then cuts them, so that
// both ends see that the connection broke: it reads no WebSocket frames, and so cannot put one of its own
// between them.
func TestWebSocketsAtTheEnd(t *testing.T) {
	var broken, closed atomic.Int64 // as the server saw its connections end
	backend := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			kind, text, err := conn.Read(context.Background())
			if err != nil {
				if websocket.CloseStatus(err) == -1 {
					broken.Add(1)
				} else {
					closed.Add(1)
				}
				return
			}
			conn.Write(context.Background(), kind, text)
		}
	}))
	const grace = 5 * time.Second
	g := harness.Start(t, withGrace(grace.String()), harness.Vars{"BACKEND": backend})
	sockets := []socket{dialOne(t, g.Web), dialTwo(t, g.Web)}
	told := time.Now()
	g.Signal(syscall.SIGTERM)
	harness.Eventually(t, "new connections to be refused", func() bool {
		conn, err := net.Dial("tcp", g.Web)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	for time.Since(told) < grace/5 {
		for _, s := range sockets {
			s.echo("draining")
		}
	}
	for i, want := range []string{"reset", "GOAWAY, end"} {
		if got := sockets[i].cut(); got != want {
			t.Errorf("HTTP/%d: %s, want %s", i+1, got, want)
		}
	}
	if passed := time.Since(told); passed < grace {
		t.Errorf("they were cut after %v, before the grace of %v had passed", passed, grace)
	}
	if code := g.AwaitExit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	harness.Eventually(t, "the server to see both end", func() bool { return broken.Load()+closed.Load() == 2 })
	if closed.Load() != 0 {
		t.Errorf("%d of the server's connections ended as if the client had closed them", closed.Load())
	}
	if !strings.Contains(g.Log(), "connections cut at the end of the grace period") {
		t.Error("the log does not tell that connections were cut")
	}
}

// bodyOf is what a GET of / on an address is answered with.
func bodyOf(address string) string {
	response, err := http.Get("http://" + address + "/")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

package h3

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/pergola-mesh/pergola/internal/nettest"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h3/frame"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// goAways reads the server's control stream and tells of every GOAWAY.
func (r *raw) goAways() <-chan uint64 {
	r.t.Helper()
	q, err := r.conn.AcceptUniStream(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	in := bufio.NewReader(q)
	if kind, err := quicvarint.Read(in); err != nil || kind != frame.ControlStream {
		r.t.Fatalf("stream of type %d, %v", kind, err)
	}
	told := make(chan uint64, 8)
	go func() {
		defer close(told)
		for {
			h, err := readHead(in)
			if err != nil {
				return
			}
			if h.Type != frame.GoAway {
				in.Discard(int(h.Length))
				continue
			}
			id, err := readID(in, h.Length)
			if err != nil {
				return
			}
			told <- id
		}
	}()
	return told
}

func within[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited %s for %s", patience, what)
	}
	return v
}

// held is a handler that answers once it is let.
type held struct {
	begun   chan struct{}
	release chan struct{}
}

func newHeld() *held { return &held{make(chan struct{}, 100), make(chan struct{})} }

func (h *held) Handle(x *exchange.Exchange) error {
	h.begun <- struct{}{}
	<-h.release
	x.Respond(200, "", []byte("late"))
	return nil
}

func TestDrainLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := start(t, h)
	r := s.raw()
	told := r.goAways()
	q := r.ask(get())
	within(t, "the request", h.begun)
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(context.Background()) }()
	if id := within(t, "GOAWAY", told); id != maxStreamID {
		t.Errorf("first GOAWAY of %d", id)
	}
	if id := within(t, "the last GOAWAY", told); id != streamIDStep {
		t.Errorf("last GOAWAY of %d", id)
	}
	if _, _, err := answer(t, r.ask(get())); !isStreamError(err, codeRequestRejected) {
		t.Errorf("a late request: %v", err)
	}
	close(h.release)
	if _, body, err := answer(t, q); err != nil || body != "late" {
		t.Errorf("%q %v", body, err)
	}
	if code := r.closed(); code != codeNoError {
		t.Errorf("closed with %#x", uint64(code))
	}
	if err := within(t, "Drain", drained); err != nil {
		t.Error(err)
	}
	within(t, "Serve", s.over)
}

func TestKillCutsRequests(t *testing.T) {
	t.Parallel()
	handling := make(chan struct{})
	s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		close(handling)
		<-x.Context().Done()
		return context.Cause(x.Context())
	}))
	r := s.raw()
	r.ask(get())
	within(t, "the request", handling)
	if err := s.Kill(context.Background()); err != nil {
		t.Error(err)
	}
	if code := r.closed(); code != codeInternal {
		t.Errorf("closed with %#x", uint64(code))
	}
	within(t, "Serve", s.over)
}

func TestAConnectionEndsAfterSoManyRequests(t *testing.T) {
	t.Parallel()
	s := start(t, echo, func(s *Server) { s.MaxRequests = 2 })
	r := s.raw()
	told := r.goAways()
	for range 2 {
		if _, _, err := answer(t, r.ask(get())); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "GOAWAY", told)
	if code := r.closed(); code != codeNoError {
		t.Errorf("closed with %#x", uint64(code))
	}
}

func TestTimeouts(t *testing.T) {
	short := func(set func(t *listen.Timeouts)) func(*Server) {
		return func(s *Server) { set(&s.Timeouts) }
	}
	const soon = 50 * time.Millisecond
	const later = 2 * time.Second // half of it bounds the handshake's pauses
	t.Run("header", func(t *testing.T) {
		t.Parallel()
		s := start(t, echo, short(func(t *listen.Timeouts) { t.Header = later }))
		head, _, err := answer(t, s.raw().send([]byte{1, 40, 0, 0}))
		if err != nil || !strings.HasPrefix(head, ":status: 408") {
			t.Errorf("%q %v", head, err)
		}
	})
	t.Run("the end of a GET", func(t *testing.T) {
		t.Parallel()
		s := start(t, echo, short(func(t *listen.Timeouts) { t.Header = later }))
		head, _, err := answer(t, s.raw().send(get()))
		if err != nil || !strings.HasPrefix(head, ":status: 408") {
			t.Errorf("%q %v", head, err)
		}
	})
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		s := start(t, echo, short(func(t *listen.Timeouts) { t.Body = soon }))
		begun := append(post(), 0, 9, 'x') // in one packet: the time runs from the head
		head, _, err := answer(t, s.raw().send(begun))
		if err != nil || !strings.HasPrefix(head, ":status: 408") {
			t.Errorf("%q %v", head, err)
		}
		if rec := s.record(); rec.kind != exchange.ClientTimeout || rec.in != 1 {
			t.Errorf("recorded %+v", rec)
		}
	})
	t.Run("a body of nothing but reserved frames", func(t *testing.T) {
		t.Parallel()
		s := start(t, echo, short(func(t *listen.Timeouts) { t.Body = soon }))
		q := s.raw().send(post())
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := q.Write([]byte{0x21, 1, 'x'}); err != nil {
					return
				}
			}
		}()
		if head, _, err := answer(t, q); err != nil || !strings.HasPrefix(head, ":status: 408") {
			t.Errorf("%q %v", head, err)
		}
	})
	t.Run("write", func(t *testing.T) {
		t.Parallel()
		s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
			x.Respond(200, "", make([]byte, 30<<20)) // more than the client's windows
			return nil
		}), short(func(t *listen.Timeouts) { t.Write = soon }))
		s.raw().ask(get())
		if rec := s.record(); rec.kind != exchange.ClientTimeout || !rec.failed {
			t.Errorf("recorded %+v", rec)
		}
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		s := start(t, echo, short(func(t *listen.Timeouts) { t.Idle = soon }))
		if code := s.raw().closed(); code != codeNoError {
			t.Errorf("closed with %#x", uint64(code))
		}
	})
}

// TestAResetRequestKeepsItsPlace: until its work has ended. Else a client could have work begun without end.
func TestAResetRequestKeepsItsPlace(t *testing.T) {
	t.Parallel()
	h := newHeld()
	s := start(t, h, func(s *Server) { s.Streams = 3 })
	r := s.raw()
	for range 3 {
		q := r.ask(get())
		within(t, "a request", h.begun)
		q.CancelRead(codeRequestCancelled)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := r.conn.OpenStreamSync(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a fourth stream: %v", err)
	}
	close(h.release)
	if _, err := r.conn.OpenStreamSync(t.Context()); err != nil {
		t.Errorf("no stream is to be had when the work has ended: %v", err)
	}
	for range 3 {
		if rec := s.record(); rec.kind != exchange.ClientAbort {
			t.Errorf("recorded %+v", rec)
		}
	}
}

func TestAClientMayMove(t *testing.T) {
	t.Parallel()
	s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Respond(200, "", []byte(x.Conn.Peer.String()))
		return nil
	}))
	transport := func() (*quic.Transport, string) {
		pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		tr := &quic.Transport{Conn: pc}
		t.Cleanup(func() {
			tr.Close()
			pc.Close()
		})
		return tr, pc.LocalAddr().String()
	}
	first, from := transport()
	conn, err := first.Dial(t.Context(), s.addr, clientTLS(), &quic.Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := &raw{t, s, conn}
	if _, body, err := answer(t, r.ask(get())); err != nil || body != from {
		t.Fatalf("%q %v, want %s", body, err, from)
	}
	second, to := transport()
	path, err := conn.AddPath(second)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := path.Probe(ctx); err != nil {
		t.Fatal(err)
	}
	if err := path.Switch(); err != nil {
		t.Fatal(err)
	}
	waittest.Until(t, "the server to know where the client is", func() bool {
		_, body, err := answer(t, r.ask(get()))
		if err != nil {
			t.Fatal(err)
		}
		return body == to
	})
}

func TestInterimResponses(t *testing.T) {
	t.Parallel()
	s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		var h exchange.Header
		h.Add(exchange.NewName("Link"), "</a.css>; rel=preload")
		h.Add(exchange.Connection, "close")
		if err := x.Informer.Inform(103, &h); err != nil {
			return err
		}
		return echo(x)
	}))
	head, body, err := answer(t, s.raw().ask(post("expect", "100-continue"), data("x")))
	if err != nil || body != "POST localhost / x" || !strings.HasPrefix(head, ":status: 103\nlink: </a.css>; rel=preload\n:status: 100\n:status: 200\n") {
		t.Errorf("%q %q %v", head, body, err)
	}
}

// TestEarlyAnswer: the client is told to stop, and that nothing is wrong. RFC 9114 §4.1.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if string(x.Request.Path) == "/bad" {
			return exchange.BadRequest.Withf("the path is not wanted here")
		}
		x.Respond(403, "", nil)
		return nil
	}))
	for _, test := range []struct {
		head   []byte
		status string
	}{
		{post(), "403"},
		{headers(":method", "POST", ":scheme", "https", ":authority", "h", ":path", "/bad"), "400"},
		{post("a_b", "c"), "400"},
	} {
		q := s.raw().send(test.head, data("x"))
		if head, _, err := answer(t, q); err != nil || !strings.HasPrefix(head, ":status: "+test.status) {
			t.Fatalf("%q %v", head, err)
		}
		var err error
		waittest.Until(t, "the request to be stopped", func() bool {
			_, err = q.Write(data("x"))
			return err != nil
		})
		if !isStreamError(err, codeNoError) {
			t.Errorf("%s: stopped with %v", test.status, err)
		}
	}
}

// TestNoEarlyData: a client that resumes a session is made to finish the handshake first.
func TestNoEarlyData(t *testing.T) {
	t.Parallel()
	s := start(t, echo)
	config := clientTLS()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i := range 2 {
		conn, err := quic.DialAddrEarly(t.Context(), s.addr.String(), config, &quic.Config{})
		if err != nil {
			t.Fatal(err)
		}
		within(t, "the handshake", conn.HandshakeComplete())
		if _, _, err := answer(t, (&raw{t, s, conn}).ask(get())); err != nil {
			t.Fatal(err)
		}
		if state := conn.ConnectionState(); state.Used0RTT || state.TLS.DidResume != (i == 1) {
			t.Errorf("connection %d: early data %v, resumed %v", i, state.Used0RTT, state.TLS.DidResume)
		}
		conn.CloseWithError(codeNoError, "")
	}
}

func TestAddressesAreVerifiedUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, echo)
	s.handshakes.Add(verifyHandshakes)
	s.get(s.client(), "/") // after a Retry
	s.handshakes.Add(maxHandshakes)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var refused *quic.TransportError
	if _, err := quic.DialAddr(ctx, s.addr.String(), clientTLS(), nil); !errors.As(err, &refused) || refused.ErrorCode != quic.ConnectionRefused {
		t.Errorf("%v", err)
	}
	if !s.refusedFor("h3_handshakes") {
		t.Errorf("refused for %q", s.rules)
	}
	s.handshakes.Add(-maxHandshakes - verifyHandshakes)
	waittest.Until(t, "the handshakes to be over", func() bool { return s.handshakes.Load() == 0 })
}

func TestConnectionIDsTellTheProcess(t *testing.T) {
	seen := map[quic.ConnectionID]bool{}
	tag := [4]byte{7, 8, 9, 10}
	for range 100 {
		id, err := connectionIDs{tag}.GenerateConnectionID()
		if err != nil || id.Len() != ConnectionIDBytes || [4]byte(id.Bytes()) != tag || seen[id] {
			t.Fatalf("%v %v", id, err)
		}
		seen[id] = true
	}
}

// TestNothingIsLeft: neither goroutines nor places, however requests ended.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	var open atomic.Int64
	s := start(t, echo, func(s *Server) { s.Connections = func(delta int) { open.Add(int64(delta)) } })
	r := s.raw()
	c := s.client()
	for i := range 50 {
		s.get(c, "/")
		q := r.send(post(), data("x"))
		switch i % 3 {
		case 0:
			q.CancelWrite(codeRequestCancelled)
		case 1:
			q.CancelRead(codeRequestCancelled)
		}
		q.Close()
	}
	if open.Load() != 2 || s.Active() != 2 {
		t.Errorf("%d connections counted, %d active", open.Load(), s.Active())
	}
	c.Transport.(*http3.Transport).Close()
	r.conn.CloseWithError(codeNoError, "")
	waittest.Until(t, "the connections to go", func() bool { return open.Load() == 0 && s.Active() == 0 })
	if err := s.Drain(t.Context()); err != nil {
		t.Error(err)
	}
	within(t, "Serve", s.over)
	waittest.Until(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before })
}

func TestWebSocketOverHTTP3(t *testing.T) {
	t.Parallel()
	far := make(chan net.Conn, 1)
	var status atomic.Int32
	s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		r := &x.Request
		if r.Method != "GET" || string(r.Upgrade) != "websocket" || r.Header.Get(exchange.NewName("Sec-WebSocket-Key")) == nil {
			t.Errorf("%s %q %v", r.Method, r.Upgrade, r.Header.Len())
		}
		if status.Load() != 0 {
			x.Respond(int(status.Load()), "", nil)
			return nil
		}
		near, other := nettest.Pair(t)
		far <- other
		x.Response.Status, x.Response.Proto = 200, exchange.HTTP3
		x.Response.Tunnel = near
		return nil
	}))
	r := s.raw()
	connect := headers(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "localhost", ":path", "/chat")
	q := r.send(connect, data("ping"))
	server := within(t, "the tunnel", far)
	buf := make([]byte, 4)
	if _, err := io.ReadFull(server, buf); err != nil || string(buf) != "ping" {
		t.Fatalf("%q %v", buf, err)
	}
	go func(server net.Conn) {
		io.Copy(io.Discard, server) // the client has ended its half
		server.Write([]byte("pong"))
		server.Close()
	}(server)
	q.Close()
	if head, body, err := answer(t, q); err != nil || head[:13] != ":status: 200\n" || body != "pong" || strings.Contains(head, "content-length") {
		t.Errorf("%q %q %v", head, body, err)
	}
	if rec := s.record(); rec.in != 4 || rec.out != 4 || rec.failed {
		t.Errorf("recorded %+v", rec)
	}
	// A server that answers without changing the protocol must not seem to have changed it.
	for was, want := range map[int32]string{200: ":status: 502", 403: ":status: 403"} {
		status.Store(was)
		if head, _, err := answer(t, r.send(connect)); err != nil || !strings.HasPrefix(head, want) {
			t.Errorf("%d: %q %v", was, head, err)
		}
		s.record()
	}
	// A client that goes away takes the tunnel with it.
	status.Store(0)
	q = r.send(connect)
	server = within(t, "the tunnel", far)
	q.CancelRead(codeRequestCancelled)
	q.CancelWrite(codeRequestCancelled)
	if _, err := server.Read(buf); err == nil {
		t.Error("the tunnel goes on")
	}
	s.record()
}

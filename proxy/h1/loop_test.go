package h1

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// The readiness loop waits for edges. These are the places where one could be lost, or the state
// between two reads be wrong.

// pair returns both ends of a loopback connection, the far one not yet served.
func (r *rig) pair() (near *peer, far net.Conn) {
	r.t.Helper()
	ln := listenLocal(r.t)
	d, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	near = newPeer(d, false)
	r.t.Cleanup(func() { near.Close() })
	near.SetDeadline(time.Now().Add(10 * time.Second))
	if far, err = ln.Accept(); err != nil {
		r.t.Fatal(err)
	}
	if t, ok := near.Conn.(*tls.Conn); ok {
		shaken := make(chan error, 1)
		go func() { shaken <- t.Handshake() }()
		if far, err = veil(far); err != nil {
			r.t.Fatal(err)
		}
		if err = <-shaken; err != nil {
			r.t.Fatal(err)
		}
	}
	return near, far
}

func TestWhatWasReadAheadDoesNotHideWhatFollows(t *testing.T) {
	r := newRig(t, nil, answer(ok))
	near, far := r.pair()
	io.WriteString(near, "Host: h\r\nConnection: close\r\n\r\n") // arrives before anybody waits
	go r.serve(far, []byte("GET / HTTP/1.1\r\n"), 0)
	if out, err := io.ReadAll(near); err != nil || !strings.HasSuffix(string(out), "hi") {
		t.Errorf("%v %q", err, out)
	}
}

func TestEndTogetherWithTheRequest(t *testing.T) {
	r := newRig(t, nil, answer(ok))
	near, far := r.pair()
	io.WriteString(near, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	near.CloseWrite()
	go r.serve(far, nil, 0)
	if out, err := io.ReadAll(near); err != nil || !strings.HasSuffix(string(out), "hi") {
		t.Errorf("%v %q", err, out)
	}
}

// sendPieces writes pieces to a new connection, each when the one before has been read, and returns all
// that comes back. The last request must close.
func (r *rig) sendPieces(pieces ...string) string {
	r.t.Helper()
	near, far := net.Pipe() // a write returns when all of it has been read
	defer near.Close()
	go r.server.Serve(listen.NewConn(far, nil), &exchange.Conn{EntryPoint: "web"}, func() {})
	go func() {
		for _, p := range pieces {
			if _, err := io.WriteString(near, p); err != nil {
				return // refused already
			}
		}
	}()
	near.SetReadDeadline(time.Now().Add(10 * time.Second))
	out, err := io.ReadAll(near)
	if err != nil {
		r.t.Errorf("%q: %v after %q", pieces, err, out)
	}
	return string(out)
}

func TestEmptyLineBeforeARequestInPieces(t *testing.T) {
	const get = "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	const post = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
	for _, pieces := range [][]string{
		{"\r\n", get},
		{"\r", "\n" + get},
		{"\r", "\n", get},
		{"\r\nG", get[1:]},
		{post + "\r\n", get},
		{post, "\r\n", get},
		{post, "\r", "\n" + get},
	} {
		r := newRig(t, nil, echoUpstream)
		out := r.sendPieces(pieces...)
		if n := strings.Count(out, "HTTP/1.1 200"); n != 1+strings.Count(pieces[0], "POST") {
			t.Errorf("%q: %q", pieces, out)
		}
	}
}

// A buffer that is full exactly at the beginning of an empty line.
func TestPipelineFillsTheBufferAtAnEmptyLine(t *testing.T) {
	r := newRig(t, nil, answer(ok))
	near, far := r.pair()
	const request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	n := headBuffer/len(request) - 2
	in := strings.Repeat(request, n)
	last := "GET / HTTP/1.1\r\nHost: h\r\nX: "
	in += last + strings.Repeat("x", headBuffer-len(in)-len(last)-5) + "\r\n\r\n"
	if len(in) != headBuffer-1 {
		t.Fatal(len(in))
	}
	io.WriteString(near, in+"\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	go r.serve(far, nil, 0)
	out, err := io.ReadAll(near)
	if got := strings.Count(string(out), "HTTP/1.1 200"); err != nil || got != n+2 {
		t.Errorf("%v, %d answers to %d requests", err, got, n+2)
	}
}

// More requests behind a long body than the connection's own buffer holds.
func TestPipelineBehindALongBody(t *testing.T) {
	r := newRig(t, nil, echoUpstream)
	body := strings.Repeat("b", 300<<10)
	const request, n = "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 2000
	c := r.dial()
	go fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s%sGET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		len(body), body, strings.Repeat(request, n))
	out, err := io.ReadAll(c)
	if got := strings.Count(string(out), "HTTP/1.1 200"); err != nil || got != n+2 {
		t.Errorf("%v, %d answers to %d requests", err, got, n+2)
	}
}

// What is logged of a request is that request's, also when the next has been read already.
func TestRecordIsOfItsOwnRequest(t *testing.T) {
	r := newRig(t, nil, echoUpstream)
	var hosts []string
	r.server.Observer = observer(func(x *exchange.Exchange) {
		hosts = append(hosts, string(x.Request.Host)+string(x.Request.Path)+string(x.Request.Header.Get(exchange.UserAgent)))
	})
	body := strings.Repeat("b", 200<<10)
	c := r.dial()
	go fmt.Fprintf(c, "POST /first HTTP/1.1\r\nHost: first\r\nUser-Agent: first\r\nContent-Length: %d\r\n\r\n%s"+
		"GET /second HTTP/1.1\r\nHost: second\r\nUser-Agent: second\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", len(body), body)
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	waittest.Until(t, "the connection ends", func() bool { return r.server.Active() == 0 })
	if got := strings.Join(hosts, " "); got != "first/firstfirst second/secondsecond" {
		t.Errorf("observed %q", got)
	}
}

type observer func(x *exchange.Exchange)

func (o observer) Observe(x *exchange.Exchange) { o(x) }

// A tunnel whose ends send, and close, before it is relayed.
func TestTunnelStartsWithWhatIsThere(t *testing.T) {
	answered := make(chan struct{})
	r := newRig(t, nil, func(c net.Conn) {
		br := bufio.NewReader(c)
		readHead(br)
		io.WriteString(c, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nearly")
		<-answered
		io.WriteString(c, "late")
		c.(*peer).CloseWrite()
		io.Copy(io.Discard, br)
	})
	near, far := r.pair()
	io.WriteString(near, "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nahead")
	// The answer to the upgrade is held until both servers' bytes have all arrived.
	hold := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		err := r.pool.Handle(x)
		io.WriteString(near, "and more")
		near.CloseWrite()
		close(answered)
		tcp := x.Response.Tunnel.(*upTunnel).call.u.conn
		waittest.Until(t, "late bytes arrive", func() bool { return tcp.PeerGone() || portable })
		return err
	})
	r.server.Handler = hold
	go r.serve(far, nil, 0)
	br := bufio.NewReader(near)
	readHead(br)
	if out, err := io.ReadAll(br); err != nil || string(out) != "earlylate" {
		t.Errorf("%v %q", err, out)
	}
	waittest.Until(t, "the tunnel ends", func() bool { return r.server.Active() == 0 })
	if rec := r.records(); rec[0].RequestBytes != int64(len("aheadand more")) {
		t.Errorf("%+v", rec)
	}
}

// A tunnel that is cancelled between its answer and its first byte.
func TestTunnelCancelledBeforeItBegins(t *testing.T) {
	ended := make(chan error, 1)
	r := newRig(t, nil, func(c net.Conn) {
		readHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
		_, err := io.ReadAll(c)
		ended <- err
	})
	r.server.Handler = exchange.HandlerFunc(func(x *exchange.Exchange) error {
		err := r.pool.Handle(x)
		x.Life.Cancel(exchange.Draining)
		return err
	})
	c := r.dial()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
	if got, err := io.ReadAll(c); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client sees %q %v", got, err)
	}
	if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server sees %v", err)
	}
	waittest.Until(t, "the tunnel ends", func() bool { return r.server.Active() == 0 })
	if rec := r.records(); len(rec) != 1 || !rec[0].Failed || rec[0].Kind != exchange.Draining {
		t.Errorf("recorded as %+v", rec)
	}
}

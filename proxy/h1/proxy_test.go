package h1

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestPlainRequest(t *testing.T) {
	var got string
	r := newRig(t, nil, func(c net.Conn) {
		got, _ = readHead(bufio.NewReader(c))
		io.WriteString(c, ok)
	})
	out, err := r.send("GET /a?b HTTP/1.1\r\nHost: h:80\r\nConnection: close, x-drop\r\nX-Drop: 1\r\nX-Keep:  v \r\nTe: trailers\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := "GET /a?b HTTP/1.1\r\nHost: h:80\r\nX-Keep:  v \r\n\r\n"; got != want {
		t.Errorf("upstream got %q, want %q", got, want)
	}
	if want := "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"; out != want {
		t.Errorf("client got %q, want %q", out, want)
	}
	rec := r.records()
	if len(rec) != 1 || rec[0].ResponseBytes != 2 || rec[0].Failed || rec[0].Duration <= 0 {
		t.Errorf("%+v", rec)
	}
}

func TestKeepAliveReusesOneUpstreamConnection(t *testing.T) {
	r := newRig(t, nil, answer(ok))
	c := r.dial()
	br := bufio.NewReader(c)
	for i := range 50 {
		fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
		if _, err := readHead(br); err != nil {
			t.Fatal(i, err)
		}
		io.ReadFull(br, make([]byte, 2))
	}
	if n := r.connections(); n != 1 {
		t.Errorf("%d upstream connections", n)
	}
}

func TestPipeliningIsAnsweredInOrder(t *testing.T) {
	r := newRig(t, nil, func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			head, err := readHead(br)
			if err != nil {
				return
			}
			path := strings.Fields(head)[1]
			if strings.HasPrefix(path, "/post") {
				io.ReadFull(br, make([]byte, 3))
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: %d\r\n\r\n%s", len(path), path)
		}
	})
	var in, want strings.Builder
	for i := range 400 {
		path := fmt.Sprintf("/%d", i)
		switch i % 3 {
		case 0:
			fmt.Fprintf(&in, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
		case 1:
			path = "/post" + path
			fmt.Fprintf(&in, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", path)
		case 2:
			fmt.Fprintf(&in, "\r\nGET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
		}
		fmt.Fprintf(&want, "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: %d\r\n\r\n%s", len(path), path)
	}
	in.WriteString("GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	want.WriteString("HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 5\r\nConnection: close\r\n\r\n/last")
	out, err := r.send(in.String())
	if err != nil || out != want.String() {
		t.Errorf("%v, %d bytes, want %d", err, len(out), want.Len())
	}
}

// echoUpstream answers every request with its own body.
func echoUpstream(c net.Conn) {
	br := bufio.NewReaderSize(c, 64<<10)
	for {
		head, err := readHead(br)
		if err != nil {
			return
		}
		lower := strings.ToLower(head)
		if i := strings.Index(lower, "content-length: "); i >= 0 {
			var n int64
			fmt.Sscanf(lower[i+16:], "%d", &n)
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n)
			if _, err := io.CopyN(c, br, n); err != nil {
				return
			}
			continue
		}
		if !strings.Contains(lower, "transfer-encoding: chunked") {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(c, line)
			var n int64
			fmt.Sscanf(line, "%x", &n)
			if n == 0 {
				break
			}
			io.CopyN(c, br, n+2)
		}
		for { // the trailer section goes back too
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(c, line)
			if line == "\r\n" {
				break
			}
		}
	}
}

func TestBodiesBothWays(t *testing.T) {
	r := newRig(t, nil, echoUpstream)
	for _, size := range []int{1, 100, 16 << 10, 16<<10 + 1, 200 << 10, 5 << 20} {
		body := make([]byte, size)
		rand.Read(body)
		for _, chunked := range []bool{false, true} {
			c := r.dial()
			br := bufio.NewReader(c)
			for round := range 2 {
				var sent sync.WaitGroup
				sent.Go(func() {
					if !chunked {
						fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", size)
						c.Write(body)
						return
					}
					io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
					for rest := body; len(rest) > 0; {
						n := min(len(rest), 7001)
						fmt.Fprintf(c, "%x;ext=1\r\n%s\r\n", n, rest[:n])
						rest = rest[n:]
					}
					io.WriteString(c, "0\r\nX-Sum: 7\r\nAuthorization: no\r\n\r\n")
				})
				head, err := readHead(br)
				if err != nil {
					t.Fatalf("size %d chunked %v round %d: %v", size, chunked, round, err)
				}
				var got []byte
				if chunked {
					var trailer string
					got, trailer = readChunked(t, br)
					if trailer != "X-Sum: 7\r\n" {
						t.Errorf("trailer %q", trailer)
					}
				} else {
					got = make([]byte, size)
					if _, err := io.ReadFull(br, got); err != nil {
						t.Fatal(err)
					}
				}
				sent.Wait()
				if !bytes.Equal(got, body) {
					t.Fatalf("size %d chunked %v: body differs, head %q", size, chunked, head)
				}
			}
			c.Close()
		}
	}
}

func readChunked(t *testing.T, br *bufio.Reader) (body []byte, trailer string) {
	t.Helper()
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var n int
		fmt.Sscanf(line, "%x", &n)
		if n == 0 {
			break
		}
		p := make([]byte, n+2)
		if _, err := io.ReadFull(br, p); err != nil || string(p[n:]) != "\r\n" {
			t.Fatalf("chunk: %v %q", err, p[n:])
		}
		body = append(body, p[:n]...)
	}
	for {
		line, err := br.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			return body, trailer
		}
		trailer += line
	}
}

func TestResponseFramings(t *testing.T) {
	for name, tt := range map[string]struct{ request, upstream, want string }{
		"head":         {"HEAD / HTTP/1.1", "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 1000\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n"},
		"204":          {"GET / HTTP/1.1", "HTTP/1.1 204 No Content\r\nDate: d\r\n\r\n", "HTTP/1.1 204 No Content\r\nDate: d\r\nConnection: close\r\n\r\n"},
		"304":          {"GET / HTTP/1.1", "HTTP/1.1 304 Not Modified\r\nDate: d\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nDate: d\r\nContent-Length: 10\r\nConnection: close\r\n\r\n"},
		"close":        {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nDate: d\r\n\r\nabc", "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
		"close to 1.0": {"GET / HTTP/1.0", "HTTP/1.1 200 OK\r\nDate: d\r\n\r\nabc", "HTTP/1.1 200 OK\r\nDate: d\r\nConnection: close\r\n\r\nabc"},
		"chunked":      {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nX-T: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: d\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nX-T: 1\r\n\r\n"},
		"early hints":  {"GET / HTTP/1.1", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"},
		"hints to 1.0": {"GET / HTTP/1.0", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok, "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, func(c net.Conn) {
				readHead(bufio.NewReader(c))
				io.WriteString(c, tt.upstream)
			})
			out, err := r.send(tt.request + "\r\nHost: h\r\nConnection: close\r\n\r\n")
			if err != nil || out != tt.want {
				t.Errorf("%v\n got %q\nwant %q", err, out, tt.want)
			}
		})
	}
}

// A response that breaks off must never look whole. Each row is what the server sends before it
// closes, and what the client may see.
func TestBrokenResponses(t *testing.T) {
	for name, tt := range map[string]struct {
		request, upstream, prefix string
		reset                     bool
	}{
		"no answer":       {"GET / HTTP/1.1", "", "HTTP/1.1 502 ", false},
		"part of a head":  {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nA: ", "HTTP/1.1 502 ", false},
		"length, no body": {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", "HTTP/1.1 502 ", false},
		"length":          {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "HTTP/1.1 200 ", true},
		"chunked":         {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "HTTP/1.1 200 ", true},
		"chunked to 1.0":  {"GET / HTTP/1.0", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "HTTP/1.1 200 ", true},
		"bad chunk":       {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX", "HTTP/1.1 200 ", true},
		"TE and length":   {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", "HTTP/1.1 502 ", false},
		"two lengths":     {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "HTTP/1.1 502 ", false},
		"bad field":       {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 502 ", false},
		"bare LF":         {"GET / HTTP/1.1", "HTTP/1.1 200 OK\nA: b\n\n", "HTTP/1.1 502 ", false},
		"not HTTP":        {"GET / HTTP/1.1", "SSH-2.0-x\r\n\r\n", "HTTP/1.1 502 ", false},
		"unasked 101":     {"GET / HTTP/1.1", "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 502 ", false},
		"excess":          {"GET / HTTP/1.1", ok + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 502 ", false},
		"interim flood":   {"GET / HTTP/1.1", strings.Repeat("HTTP/1.1 103 C\r\n\r\n", 50), "HTTP/1.1 103 ", false},
		"endless head":    {"GET / HTTP/1.1", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: "+strings.Repeat("b", 1000)+"\r\n", 80), "HTTP/1.1 502 ", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, func(c net.Conn) {
				readHead(bufio.NewReader(c))
				io.WriteString(c, tt.upstream)
			})
			out, err := r.send(tt.request + "\r\nHost: h\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(out, tt.prefix) && !(tt.reset && out == "") {
				t.Errorf("got %q", out)
			}
			if tt.reset != errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("reset wanted %v, read ended with %v", tt.reset, err)
			}
			if strings.Contains(out, "0\r\n\r\n") && tt.reset {
				t.Errorf("a clean end: %q", out)
			}
		})
	}
}

func TestStaleConnection(t *testing.T) {
	var posts atomic.Int64
	ended := make(chan struct{}, 1)
	r := newRig(t, nil, func(c net.Conn) { // one answer a connection, without a word about closing
		head, err := readHead(bufio.NewReader(c))
		if err != nil {
			return
		}
		if strings.HasPrefix(head, "POST") {
			posts.Add(1)
		}
		io.WriteString(c, ok)
		c.Close()
		ended <- struct{}{}
	})
	c := r.dial()
	br := bufio.NewReader(c)
	for i := range 100 {
		method := []string{"GET", "POST"}[i%2]
		fmt.Fprintf(c, "%s / HTTP/1.1\r\nHost: h\r\n\r\n", method)
		head, err := readHead(br)
		if err != nil || !strings.HasPrefix(head, "HTTP/1.1 200") {
			t.Fatalf("%s %d: %v %q", method, i, err, head)
		}
		io.ReadFull(br, make([]byte, 2))
		<-ended
	}
	if n := posts.Load(); n != 50 {
		t.Errorf("%d POSTs arrived, 50 were sent", n)
	}
}

// A server that only ends its own direction resets nothing: what is sent to it then goes nowhere. As
// behind a relay of TCP, when the server is restarted.
func TestStaleHalfClosedConnection(t *testing.T) {
	ended := make(chan struct{}, 1)
	r := newRig(t, nil, func(c net.Conn) { // one answer a connection
		if _, err := readHead(bufio.NewReader(c)); err != nil {
			return
		}
		io.WriteString(c, ok)
		c.(*peer).CloseWrite()
		ended <- struct{}{}
		io.Copy(io.Discard, c)
	})
	c := r.dial()
	br := bufio.NewReader(c)
	for i := range 6 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		head, err := readHead(br)
		if err != nil || !strings.HasPrefix(head, "HTTP/1.1 200") {
			t.Fatalf("%d: %v %q", i, err, head)
		}
		io.ReadFull(br, make([]byte, 2))
		<-ended
		looks := 0
		waittest.Until(t, "the poller has heard of the end", func() bool { looks++; return looks > 3 })
	}
}

func TestExpectContinueIsForwarded(t *testing.T) {
	r := newRig(t, nil, func(c net.Conn) {
		br := bufio.NewReader(c)
		head, _ := readHead(br)
		if !strings.Contains(head, "Expect: 100-continue") {
			t.Errorf("no Expect in %q", head)
		}
		if strings.HasPrefix(head, "PUT") {
			io.WriteString(c, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		io.ReadFull(br, make([]byte, 5))
		io.WriteString(c, ok)
	})
	c := r.dial()
	br := bufio.NewReader(c)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if head, err := readHead(br); err != nil || head != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("%v %q", err, head)
	}
	io.WriteString(c, "hello")
	if head, err := readHead(br); err != nil || !strings.HasPrefix(head, "HTTP/1.1 200") {
		t.Fatalf("%v %q", err, head)
	}
	io.ReadFull(br, make([]byte, 2))
	io.WriteString(c, "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	head, err := readHead(br)
	if err != nil || !strings.HasPrefix(head, "HTTP/1.1 417") || !strings.Contains(head, "Connection: close") {
		t.Fatalf("%v %q", err, head)
	}
}

// An upload that is answered before it is complete: the answer arrives, and nothing hangs.
func TestEarlyResponse(t *testing.T) {
	r := newRig(t, nil, func(c net.Conn) {
		readHead(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
		io.Copy(io.Discard, c)
	})
	c := r.dial()
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\nbegin")
	out, err := io.ReadAll(c)
	if err != nil || !strings.HasPrefix(string(out), "HTTP/1.1 413") || !strings.HasSuffix(string(out), "no") {
		t.Errorf("%v %q", err, out)
	}
}

func TestStreamingBothWays(t *testing.T) {
	r := newRig(t, nil, echoUpstream)
	c := r.dial()
	br := bufio.NewReader(c)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
	if _, err := readHead(br); err != nil { // before any of the body
		t.Fatal(err)
	}
	for i := range 20 {
		fmt.Fprintf(c, "5\r\nmsg%02d\r\n", i)
		size, _ := br.ReadString('\n')
		p := make([]byte, 5)
		if _, err := io.ReadFull(br, p); err != nil || size != "5\r\n" || string(p) != fmt.Sprintf("msg%02d", i) {
			t.Fatalf("%d: %v %q %q", i, err, size, p)
		}
		if crlf, _ := br.ReadString('\n'); crlf != "\r\n" {
			t.Fatalf("%q", crlf)
		}
	}
	io.WriteString(c, "0\r\n\r\n")
	if end, _ := br.ReadString('\n'); end != "0\r\n" {
		t.Errorf("%q", end)
	}
}

func TestClientAbortCancelsUpstream(t *testing.T) {
	gone := make(chan error, 1)
	asked := make(chan struct{})
	r := newRig(t, nil, func(c net.Conn) {
		br := bufio.NewReader(c)
		readHead(br)
		close(asked)
		_, err := br.ReadByte() // the end of the connection
		gone <- err
	})
	c := r.dial()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	<-asked
	c.Close()
	if err := <-gone; errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the server does not learn it")
	}
	waittest.Until(t, "the exchange is recorded as aborted", func() bool {
		rec := r.records()
		return len(rec) == 1 && rec[0].Kind == exchange.ClientAbort
	})
}

func TestUpgradeTunnel(t *testing.T) {
	r := newRig(t, nil, func(c net.Conn) {
		br := bufio.NewReader(c)
		head, _ := readHead(br)
		if !strings.Contains(head, "Connection: Upgrade\r\nUpgrade: echo\r\n") {
			io.WriteString(c, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n")
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly")
		io.Copy(c, br)
	})
	c := r.dial()
	br := bufio.NewReader(c)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\nahead")
	head, err := readHead(br)
	if err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "Upgrade: echo\r\n") {
		t.Fatalf("%v %q", err, head)
	}
	p := make([]byte, 10)
	if _, err := io.ReadFull(br, p); err != nil || string(p) != "earlyahead" {
		t.Fatalf("%v %q", err, p)
	}
	big := make([]byte, 1<<20)
	rand.Read(big)
	go c.Write(big)
	got := make([]byte, len(big))
	if _, err := io.ReadFull(br, got); err != nil || !bytes.Equal(got, big) {
		t.Fatal("tunnel corrupts", err)
	}
	c.CloseWrite()
	if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
		t.Errorf("%v %q", err, rest)
	}
	waittest.Until(t, "the tunnel ends", func() bool { return r.server.Active() == 0 })
	if rec := r.records(); len(rec) != 1 || rec[0].RequestBytes != 5+1<<20 || rec[0].ResponseBytes != 10+1<<20 {
		t.Errorf("%+v", rec)
	}
}

func TestPlainRequestAllocatesNothing(t *testing.T) {
	r := newRig(t, nil, answer(ok))
	c := r.dial()
	req := []byte("GET /path?q=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	buf := make([]byte, len(ok))
	once := func() {
		c.Write(req)
		if n, err := io.ReadFull(c, buf); err != nil || string(buf) != ok {
			t.Fatalf("%v %q", err, buf[:n])
		}
	}
	for range 100 {
		once()
	}
	r.mu.Lock()
	r.observed = make([]exchange.Record, 0, 10000)
	r.mu.Unlock()
	leave := 0.0
	if secure {
		leave = 4 // crypto/tls makes one for every record it reads: there are four ends here
	}
	exchangetest.Allocations(t, leave, once)
}

// Whichever end of a tunnel breaks, the other does not take that for the end of what was said.
func TestATunnelBreaksAtBothEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		breaks func(client, server net.Conn, s *Server)
		kind   exchange.Kind
	}{
		"the client": {func(client, server net.Conn, s *Server) {
			client.(*peer).SetLinger(0)
			client.Close()
		}, exchange.ClientAbort},
		"the server": {func(client, server net.Conn, s *Server) {
			server.(*peer).SetLinger(0)
			server.Close()
		}, exchange.UpstreamReset},
		"the gateway": {func(client, server net.Conn, s *Server) { s.Kill(t.Context()) }, exchange.Draining},
	} {
		t.Run(name, func(t *testing.T) {
			servers, ended := make(chan net.Conn, 1), make(chan error, 1)
			r := newRig(t, nil, func(c net.Conn) {
				readHead(bufio.NewReader(c))
				io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nx")
				servers <- c
				_, err := io.ReadAll(c)
				ended <- err
			})
			c := r.dial()
			br := bufio.NewReader(c)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			readHead(br)
			if b, err := br.ReadByte(); err != nil || b != 'x' {
				t.Fatalf("%q %v", b, err)
			}
			tt.breaks(c, <-servers, r.server)
			if _, err := io.ReadAll(br); name != "the client" && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client sees %v", err)
			}
			if err := <-ended; name != "the server" && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the server sees %v", err)
			}
			waittest.Until(t, "the tunnel ends", func() bool { return r.server.Active() == 0 })
			if rec := r.records(); len(rec) != 1 || !rec[0].Failed || rec[0].Kind != tt.kind {
				t.Errorf("recorded as %+v", rec)
			}
		})
	}
}

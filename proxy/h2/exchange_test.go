package h2

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// fed is a body under the test's control. It ends when the channel is closed, with err.
type fed struct {
	parts  chan string
	err    error
	waits  bool
	closed chan struct{}
	once   sync.Once
}

func newFed() *fed { return &fed{parts: make(chan string, 16), closed: make(chan struct{})} }

func (b *fed) Next() ([]byte, error) {
	select {
	case p, ok := <-b.parts:
		switch {
		case ok:
			return []byte(p), nil
		case b.err != nil:
			return nil, b.err
		}
		return nil, io.EOF
	case <-b.closed:
		return nil, io.ErrClosedPipe
	}
}

func (b *fed) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}

func (b *fed) Waits() bool { return b.waits }

var aTrailer = exchange.NewName("X-Sum")

func TestServerStreamsResponses(t *testing.T) {
	body := newFed()
	body.waits = true
	r := newRig(t, func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Body, x.Response.Length = 200, body, -1
		x.Response.Trailer.Set(aTrailer, "1")
		return nil
	})
	p := r.greet()
	p.send(p.request(1, "GET", true)).want("HEADERS 1 :status=200") // before there is anything
	body.parts <- "a"
	p.want(`DATA 1 "a"`)
	body.parts <- "b"
	p.want(`DATA 1 "b"`)
	close(body.parts)
	p.want("HEADERS 1 x-sum=1 end")
	waittest.Until(t, "it is recorded", func() bool { return len(r.records()) == 1 })
	if got := r.records()[0]; got.ResponseBytes != 2 || got.Failed {
		t.Errorf("%+v", got)
	}
}

// noted is a body that notes how often the connection was written to before each Next.
type noted struct {
	*fed
	ended bool
	c     *downConn
	wrote []uint32
}

func (b *noted) Ended() bool { return b.ended }

func (b *noted) Next() ([]byte, error) {
	b.c.mu.Lock()
	b.wrote = append(b.wrote, b.c.wrote)
	b.c.mu.Unlock()
	return b.fed.Next()
}

// A response that is all there leaves with its trailer; of any other, what is there leaves at once.
func TestServerSendsEndsTogether(t *testing.T) {
	for _, ended := range []bool{true, false} {
		body := &noted{fed: newFed(), ended: ended}
		body.parts <- "a"
		close(body.parts)
		r := newRig(t, func(x *exchange.Exchange) error {
			body.c = x.Informer.(*downStream).c
			x.Response.Status, x.Response.Body, x.Response.Length = 200, body, -1
			x.Response.Trailer.Set(aTrailer, "1")
			return nil
		})
		p := r.greet()
		p.send(p.request(1, "GET", true)).want("HEADERS 1 :status=200", `DATA 1 "a"`, "HEADERS 1 x-sum=1 end")
		waittest.Until(t, "it is recorded", func() bool { return len(r.records()) == 1 })
		if together := body.wrote[0] == body.wrote[1]; together != ended {
			t.Errorf("ended %v: before each part there had been %d writes", ended, body.wrote)
		}
	}
}

// All that a Content-Length has promised leaves although the server has not said yet that it was the end.
func TestServerHoldsNoWholeBodyBack(t *testing.T) {
	body := newFed()
	r := newRig(t, func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Body, x.Response.Length = 200, body, 1
		return nil
	})
	p := r.greet()
	body.parts <- "a"
	p.send(p.request(1, "GET", true)).want("HEADERS 1 :status=200 content-length=1", `DATA 1 "a"`)
	close(body.parts)
	p.want(`DATA 1 "" end`)
}

func TestServerHeads(t *testing.T) {
	r := newRig(t, func(x *exchange.Exchange) error {
		h := &x.Response.Header
		h.Set(exchange.Connection, "close")
		h.Set(exchange.TransferEncoding, "chunked")
		h.Set(exchange.NewName("X-Name"), "v")
		x.Response.Status, x.Response.Length = 200, 5
		switch string(x.Request.Path) {
		case "/204":
			x.Response.Status, x.Response.Length = 204, -1
		case "/304":
			x.Response.Status = 304
		case "/nothing":
			x.Response.Length = -1
		case "/lost":
			x.Response.Body = nil
		}
		return nil
	})
	p := r.greet()
	for i, tt := range []struct{ method, path, want string }{
		{"HEAD", "/", "200 x-name=v content-length=5 end"},
		{"GET", "/204", "204 x-name=v end"},
		{"GET", "/304", "304 x-name=v content-length=5 end"},
		{"GET", "/nothing", "200 x-name=v end"},
		{"GET", "/lost", "500 content-type=text/plain; charset=utf-8 content-length=22"},
	} {
		id := uint32(2*i + 1)
		p.send(headersFrame(id, true, p.header(":method="+tt.method, ":scheme=http", ":authority=h", ":path="+tt.path)))
		p.want(fmt.Sprintf("HEADERS %d :status=%s", id, tt.want))
	}
}

// A response that breaks off never ends as if it were whole.
func TestServerCutsBrokenResponses(t *testing.T) {
	for name, tt := range map[string]struct {
		parts  []string
		length int64
		err    error
		want   []string
	}{
		"before anything": {nil, -1, exchange.UpstreamReset, []string{"HEADERS 1 :status=502 content-type=text/plain; charset=utf-8 content-length=12", `DATA 1 "Bad Gateway\n" end`}},
		"reset midway":    {[]string{"abc"}, -1, exchange.UpstreamReset, []string{"HEADERS 1 :status=200", `DATA 1 "abc"`, "RST_STREAM 1 INTERNAL_ERROR"}},
		"any error":       {[]string{"abc"}, -1, errors.New("x"), []string{"HEADERS 1 :status=200", `DATA 1 "abc"`, "RST_STREAM 1 INTERNAL_ERROR"}},
		"too short":       {[]string{"abc"}, 5, nil, []string{"HEADERS 1 :status=200 content-length=5", `DATA 1 "abc"`, "RST_STREAM 1 INTERNAL_ERROR"}},
		"too long":        {[]string{"abc", "def"}, 5, nil, []string{"HEADERS 1 :status=200 content-length=5", `DATA 1 "abc"`, "RST_STREAM 1 INTERNAL_ERROR"}},
		"exact":           {[]string{"abc", "de"}, 5, nil, []string{"HEADERS 1 :status=200 content-length=5", `DATA 1 "abc"`, `DATA 1 "de"`, `DATA 1 "" end`}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(x *exchange.Exchange) error {
				body := newFed()
				for _, part := range tt.parts {
					body.parts <- part
				}
				body.err = tt.err
				close(body.parts)
				x.Response.Status, x.Response.Body, x.Response.Length = 200, body, tt.length
				return nil
			})
			p := r.greet()
			p.send(p.request(1, "GET", true)).want(tt.want...)
			waittest.Until(t, "it is recorded", func() bool { return len(r.records()) == 1 })
			if got := r.records()[0]; got.Failed != (name != "exact") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestServerReadsBodies(t *testing.T) {
	r := newRig(t, func(x *exchange.Exchange) error {
		body, err := exchangetest.ReadAll(nil, x.Request.Body, 1<<20)
		if err != nil {
			return err
		}
		x.Respond(200, "", fmt.Appendf(nil, "%s %d %s", body, x.Request.Length, x.Request.Trailer.Get(aTrailer)))
		return nil
	})
	p := r.greet()
	// With padding, in pieces, with a trailer.
	p.send(p.request(1, "POST", false))
	p.send(append(frame.AppendHead(nil, 5, frame.Data, 8, 1), "\x02ab\x00\x00"...))
	p.send(frame.AppendData(nil, 1, []byte("c"), false))
	p.send(headersFrame(1, true, p.header("x-sum=9", "content-length=77")))
	p.want("HEADERS 1 :status=200 content-length=8", `DATA 1 "abc -1 9" end`)
	// With a length, at once.
	p.send(append(p.request(3, "POST", false, "content-length=2"), frame.AppendData(nil, 3, []byte("hi"), true)...))
	p.want("HEADERS 3 :status=200 content-length=5", `DATA 3 "hi 2 " end`)
	// The client waits to be told to go on.
	p.send(p.request(5, "POST", false, "expect=100-continue")).want("HEADERS 5 :status=100")
	p.send(frame.AppendData(nil, 5, []byte("x"), true)).want("HEADERS 5 :status=200 content-length=5", `DATA 5 "x -1 " end`)
	waittest.Until(t, "all is recorded", func() bool { return len(r.records()) == 3 })
	if got := r.records()[0].RequestBytes; got != 3 {
		t.Errorf("%d bytes", got)
	}
}

func TestServerInterimResponses(t *testing.T) {
	r := newRig(t, func(x *exchange.Exchange) error {
		var h exchange.Header
		h.Set(exchange.NewName("Link"), "</a>")
		x.Informer.Inform(103, &h)
		x.Respond(200, "", []byte("done"))
		return nil
	})
	p := r.greet()
	p.send(p.request(1, "GET", true)).want("HEADERS 1 :status=103 link=</a>", "HEADERS 1 :status=200 content-length=4", `DATA 1 "done" end`)
}

// early answers before the request has ended.
func early(x *exchange.Exchange) error {
	x.Respond(401, "", []byte("no"))
	return nil
}

// An answer before the request has ended: what is still on its way is taken without harm, and a client that
// ends its request is never told that nobody wanted it.
func TestServerAnswersEarly(t *testing.T) {
	r := newRig(t, early, func(s *Server) { s.unwantedFor = time.Hour })
	p := r.greet()
	for id := uint32(1); id < 80; id += 2 {
		p.send(p.request(id, "POST", false))
		p.want(fmt.Sprintf("HEADERS %d :status=401 content-length=2", id), fmt.Sprintf(`DATA %d "no" end`, id))
		for range 4 { // 2.5 MiB in all: it is given back to the connection's window
			p.send(frame.AppendData(nil, id, make([]byte, 16<<10), false))
		}
		switch id % 6 {
		case 1:
			p.send(headersFrame(id, true, p.header("late=1")))
		case 3:
			p.send(frame.AppendData(nil, id, nil, true))
		case 5:
			p.send(frame.AppendRSTStream(nil, id, frame.Cancel))
		}
		if id%16 == 15 { // whatever was sent has been taken
			p.send(frame.AppendPing(nil, false, [8]byte{byte(id)}))
			p.until("PING")
		}
	}
	p.send(frame.AppendPing(nil, false, [8]byte{})) // the last of them have ended, too
	p.until("PING")
	r.server.sweeper.Each(func(e sweep.Entry) {
		c := e.(*downConn)
		c.mu.Lock()
		defer c.mu.Unlock()
		if n := len(*c.unwanted); n != 0 {
			t.Errorf("%d are still to be told", n)
		}
	})
	if got := r.rules(); got != nil {
		t.Errorf("refused: %q", got)
	}
}

// Those that do not end their requests are told after a while.
func TestServerTellsThatNobodyWantsTheRest(t *testing.T) {
	r := newRig(t, early)
	p := r.greet()
	told := map[string]bool{}
	const streams = 15
	for id := uint32(1); id < 2*streams; id += 2 {
		p.send(p.request(id, "POST", false))
	}
	for answered := 0; len(told) < streams || answered < streams; {
		switch got := p.next(); {
		case strings.HasPrefix(got, "RST_STREAM ") && strings.HasSuffix(got, " NO_ERROR") && !told[got]:
			told[got] = true
		case strings.HasSuffix(got, ` "no" end`):
			answered++
		case !strings.HasPrefix(got, "HEADERS "):
			t.Fatal(got)
		}
	}
	p.send(frame.AppendData(nil, 1, make([]byte, 100), true)) // sent before the client knew
	p.send(frame.AppendPing(nil, false, [8]byte{}))
	p.until("PING")
	if got := r.rules(); got != nil {
		t.Errorf("refused: %q", got)
	}
}

// More streams than a connection remembers are told at once.
func TestServerAnswersManyEarly(t *testing.T) {
	r := newRig(t, func(x *exchange.Exchange) error {
		x.Respond(401, "", nil)
		return nil
	})
	p := r.greet()
	told := map[string]bool{}
	for id := uint32(1); id < 2*(maxUnwanted+20); id += 2 {
		p.send(p.request(id, "POST", false))
	}
	for len(told) < maxUnwanted+20 {
		text := p.next()
		if strings.HasPrefix(text, "RST_STREAM ") {
			if told[text] || !strings.HasSuffix(text, " NO_ERROR") {
				t.Fatal(text)
			}
			told[text] = true
		} else if !strings.HasPrefix(text, "HEADERS ") {
			t.Fatal(text)
		}
	}
}

// The client gets leave to send more only as the body is taken.
func TestServerPushesBack(t *testing.T) {
	next := make(chan struct{})
	r := newRig(t, func(x *exchange.Exchange) error {
		n := 0
		for range next {
			p, err := x.Request.Body.Next()
			if err != nil {
				return err
			}
			if n += len(p); n == 128<<10 {
				break
			}
		}
		x.Respond(200, "", nil)
		return nil
	})
	p := r.greet()
	p.send(p.request(1, "POST", false))
	for range 4 {
		p.send(frame.AppendData(nil, 1, make([]byte, 16<<10), false))
	}
	p.send(frame.AppendPing(nil, false, [8]byte{1})).until("PING") // no window before anything was read
	for range 3 {
		next <- struct{}{}
	}
	p.want("WINDOW_UPDATE 1 32768")
	for range 2 {
		p.send(frame.AppendData(nil, 1, make([]byte, 16<<10), false))
		next <- struct{}{}
	}
	p.want("WINDOW_UPDATE 1 32768")
	for range 2 {
		p.send(frame.AppendData(nil, 1, make([]byte, 16<<10), false))
	}
	for range 3 {
		next <- struct{}{}
	}
	p.until("HEADERS 1 :status=200")
}

// What the client does not take is not fetched.
func TestServerIsPushedBack(t *testing.T) {
	var mu sync.Mutex
	pulled := 0
	r := newRig(t, func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Length = 200, -1
		x.Response.Body = bodyFunc(func() ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			if pulled == 100 {
				return nil, io.EOF
			}
			pulled++
			return make([]byte, 10<<10), nil
		})
		return nil
	})
	p := r.greet(frame.Setting{ID: frame.InitialWindowSize, Value: 20 << 10})
	p.send(p.request(1, "GET", true)).want("HEADERS 1 :status=200", `DATA 1 "10240 bytes"`, `DATA 1 "10240 bytes"`)
	p.send(frame.AppendPing(nil, false, [8]byte{1})).until("PING")
	mu.Lock()
	if pulled > 3 {
		t.Errorf("%d pieces were fetched for two that were taken", pulled)
	}
	mu.Unlock()
	// The window of the stream shrinks below zero, and grows again.
	p.send(frame.AppendSettings(nil, frame.Setting{ID: frame.InitialWindowSize, Value: 0})).want("SETTINGS ack")
	p.send(frame.AppendWindowUpdate(nil, 1, 20<<10))
	p.send(frame.AppendPing(nil, false, [8]byte{2})).until("PING")
	p.send(frame.AppendWindowUpdate(nil, 1, 1000)).want(`DATA 1 "1000 bytes"`)
	// The window of the connection is what is left of 65535.
	p.send(frame.AppendWindowUpdate(nil, 1, 10<<20))
	for n := 2*10240 + 1000; n < 65535; {
		var size int
		if _, err := fmt.Sscanf(p.next(), "DATA 1 \"%d bytes\"", &size); err != nil {
			t.Fatal(err)
		}
		n += size
	}
	p.send(frame.AppendPing(nil, false, [8]byte{3})).until("PING")
	p.send(frame.AppendWindowUpdate(nil, 0, 10<<20)).until(`DATA 1 "" end`)
}

type bodyFunc func() ([]byte, error)

func (f bodyFunc) Next() ([]byte, error) { return f() }
func (f bodyFunc) Close() error          { return nil }

// A client that takes a stream back, or goes away, ends the work for it.
func TestServerCancels(t *testing.T) {
	for name, cancel := range map[string]func(p *peer){
		"reset":      func(p *peer) { p.send(frame.AppendRSTStream(nil, 1, frame.Cancel)) },
		"disconnect": func(p *peer) { p.conn.Close() },
	} {
		for _, phase := range []string{"handler", "request body", "response body", "window"} {
			t.Run(name+", "+phase, func(t *testing.T) {
				began := make(chan struct{})
				body := newFed()
				r := newRig(t, func(x *exchange.Exchange) error {
					close(began)
					switch phase {
					case "handler":
						<-x.Context().Done()
						return x.Life.Err()
					case "request body":
						_, err := x.Request.Body.Next()
						return err
					case "window":
						x.Respond(200, "", make([]byte, 100<<10))
						return nil
					}
					x.Life.Bind(canceler(func(error) { body.Close() }))
					x.Response.Status, x.Response.Body, x.Response.Length = 200, body, -1
					return nil
				})
				p := r.greet()
				p.send(p.request(1, "POST", phase != "request body"))
				<-began
				cancel(p)
				waittest.Until(t, "it is recorded", func() bool { return len(r.records()) == 1 })
				if got := r.records()[0]; !got.Failed || got.Kind != exchange.ClientAbort {
					t.Errorf("%+v", got)
				}
				if name == "reset" {
					p.send(p.request(3, "TRACE", true, "connection=x")).until("RST_STREAM 3") // the connection goes on
				}
			})
		}
	}
}

type canceler func(error)

func (f canceler) Cancel(reason error) { f(reason) }

// A stream that was taken back holds its slot until the work for it has ended.
func TestServerHoldsSlots(t *testing.T) {
	release, began := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(x *exchange.Exchange) error {
		if x.Request.Method == "GET" {
			began <- struct{}{}
			<-release
		}
		x.Respond(200, "", nil)
		return nil
	}, func(s *Server) { s.MaxStreams = 2 })
	p := r.greet()
	for id := uint32(1); id < 5; id += 2 {
		p.send(p.request(id, "GET", true))
		<-began
		p.send(frame.AppendRSTStream(nil, id, frame.Cancel))
	}
	p.send(p.request(5, "HEAD", true)).want("RST_STREAM 5 REFUSED_STREAM")
	close(release)
	waittest.Until(t, "the work ends", func() bool { return len(r.records()) == 2 })
	p.send(p.request(7, "HEAD", true)).until("HEADERS 7 :status=200")
}

func TestServerSurvivesPanics(t *testing.T) {
	r := newRig(t, func(*exchange.Exchange) error { panic("x") })
	p := r.greet()
	for id := uint32(1); id < 5; id += 2 {
		p.send(p.request(id, "GET", true)).want(fmt.Sprintf("HEADERS %d :status=500 content-type=text/plain; charset=utf-8 content-length=22", id),
			fmt.Sprintf(`DATA %d "Internal Server Error\n" end`, id))
	}
}

// echoTunnel gives back what it gets, and says bye at the end.
type echoTunnel struct {
	io.Reader
	w *io.PipeWriter
}

func newEchoTunnel() *echoTunnel {
	r, w := io.Pipe()
	return &echoTunnel{io.MultiReader(r, strings.NewReader("bye")), w}
}

func (t *echoTunnel) Write(p []byte) (int, error) { return t.w.Write(p) }
func (t *echoTunnel) CloseWrite() error           { return t.w.Close() }
func (t *echoTunnel) Close() error                { return t.w.CloseWithError(io.ErrClosedPipe) }

// An extended CONNECT becomes what HTTP/1.1 does to open a WebSocket. RFC 8441.
func TestServerTunnels(t *testing.T) {
	r := newRig(t, func(x *exchange.Exchange) error {
		if x.Request.Method != "GET" || string(x.Request.Upgrade) != "websocket" || !x.Request.Header.Has(exchange.NewName("Sec-WebSocket-Key")) {
			return exchange.BadRequest
		}
		switch string(x.Request.Path) {
		case "/no":
			x.Respond(403, "", nil)
		case "/200":
			x.Respond(200, "", nil)
		default:
			x.Response.Status, x.Response.Tunnel, x.Response.Proto = 101, newEchoTunnel(), exchange.HTTP2
		}
		return nil
	})
	connect := func(p *peer, id uint32, path string) *peer {
		return p.send(headersFrame(id, false, p.header(":method=CONNECT", ":protocol=websocket", ":scheme=http", ":authority=h", ":path="+path)))
	}
	p := r.greet()
	connect(p, 1, "/").want("HEADERS 1 :status=200")
	p.send(frame.AppendData(nil, 1, []byte("hello"), false)).want(`DATA 1 "hello"`)
	p.send(frame.AppendData(nil, 1, []byte("more"), true)).want(`DATA 1 "more"`, `DATA 1 "bye"`, `DATA 1 "" end`)
	connect(p, 3, "/no").want("HEADERS 3 :status=403 content-length=0 end", "RST_STREAM 3 NO_ERROR")
	// To the client any 2xx would be a tunnel.
	connect(p, 5, "/200").until("HEADERS 5 :status=502")
	p.until("RST_STREAM 5 NO_ERROR")
	connect(p, 7, "/").want("HEADERS 7 :status=200")
	p.send(frame.AppendRSTStream(nil, 7, frame.Cancel))
	waittest.Until(t, "the tunnels end", func() bool { return len(r.records()) == 4 })
}

func TestServerConcurrently(t *testing.T) {
	r := newRig(t, echo)
	var all sync.WaitGroup
	for range 4 {
		c := r.client()
		for i := range 8 {
			all.Go(func() {
				for n := range 40 {
					body := strings.Repeat("x", (i*n*997)%(200<<10))
					p, err := c.Post("http://h/p", "", strings.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(p.Body)
					p.Body.Close()
					if err != nil || string(got) != body+"POST h /p" {
						t.Errorf("%v, %d bytes", err, len(got))
					}
				}
			})
		}
	}
	all.Wait()
}

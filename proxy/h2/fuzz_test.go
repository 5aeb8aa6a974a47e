package h2

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// FuzzServer: whatever a client sends, the connection ends with it, every exchange that began is over, and
// no body ended as if it were whole that was not.
func FuzzServer(f *testing.F) {
	p := &peer{}
	p.enc = hpack.NewEncoder(&p.block)
	f.Add(p.request(1, "GET", true))
	f.Add(append(p.request(1, "POST", false, "content-length=3"), frame.AppendData(nil, 1, []byte("abc"), true)...))
	f.Add(append(p.request(1, "POST", false, "content-length=3"), frame.AppendData(nil, 1, []byte("abcd"), true)...))
	f.Add(append(p.request(1, "PUT", false), headersFrame(1, true, p.header("x-sum=1"))...))
	f.Add(headersFrame(1, false, p.header(":method=CONNECT", ":protocol=websocket", ":scheme=http", ":authority=h", ":path=/")))
	f.Add(frame.AppendRSTStream(p.request(1, "POST", false, "expect=100-continue"), 1, frame.Cancel))
	f.Add(frame.AppendSettings(frame.AppendWindowUpdate(frame.AppendPing(nil, false, [8]byte{1}), 0, 7), frame.Setting{ID: frame.InitialWindowSize, Value: 1}))
	var begun, over atomic.Int64
	wrong := make(chan string, 1)
	s := &Server{Limits: fields.DefaultLimits, Timeouts: listen.DefaultTimeouts, Scheme: "http", Logger: slog.New(slog.DiscardHandler)}
	s.Observer = observerFunc(func(*exchange.Exchange) { over.Add(1) })
	s.Handler = exchange.HandlerFunc(func(x *exchange.Exchange) error {
		begun.Add(1)
		want := x.Request.Length
		body, err := exchangetest.ReadAll(nil, x.Request.Body, 1<<20)
		if err != nil {
			return err
		}
		if want >= 0 && int64(len(body)) != want {
			select {
			case wrong <- fmt.Sprintf("a body of %d bytes ended with %d", want, len(body)):
			default:
			}
		}
		if x.Request.Upgrade != nil {
			x.Response.Status, x.Response.Tunnel, x.Response.Proto = 101, newEchoTunnel(), exchange.HTTP2
			return nil
		}
		x.Respond(200, "", body)
		return nil
	})
	const patience = time.Minute // on a machine that has much else to do
	f.Fuzz(func(t *testing.T, in []byte) {
		begun.Store(0)
		over.Store(0)
		near, far := net.Pipe()
		done := make(chan struct{})
		go s.Serve(listen.NewConn(far, nil), &exchange.Conn{}, func() { close(done) })
		go io.Copy(io.Discard, near)
		near.SetWriteDeadline(time.Now().Add(patience))
		near.Write(append(frame.AppendSettings([]byte(frame.Preface)), in...))
		for range 100 { // or most requests are over before their handler is called
			runtime.Gosched()
		}
		near.Close()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatal("the connection does not end")
		}
		if begun.Load() > over.Load() {
			t.Errorf("%d requests were handled, %d observed", begun.Load(), over.Load())
		}
		select {
		case what := <-wrong:
			t.Error(what)
		default:
		}
	})
}

type observerFunc func(*exchange.Exchange)

func (f observerFunc) Observe(x *exchange.Exchange) { f(x) }

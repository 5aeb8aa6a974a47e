package h2

import (
	"log/slog"
	"net"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// asker sends the same requests again and again, and allocates nothing itself.
type asker struct {
	conn  net.Conn
	next  uint32
	block []byte
	out   []byte
	in    [64 << 10]byte
	have  int
}

var benchBody = make([]byte, 128)

func newAsker(tb testing.TB) *asker {
	s := &Server{Limits: fields.DefaultLimits, Timeouts: listen.DefaultTimeouts, Scheme: "http", Logger: slog.New(slog.DiscardHandler),
		Handler: exchange.HandlerFunc(func(x *exchange.Exchange) error {
			x.Respond(200, "text/plain", benchBody)
			return nil
		})}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	ended := make(chan struct{})
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		s.Serve(listen.NewConn(c, nil), &exchange.Conn{}, func() { close(ended) })
	}()
	a := &asker{next: 1}
	if a.conn, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		a.conn.Close()
		<-ended
	})
	a.block = []byte{0x82, 0x86, 0x84, 0x01, 1, 'h'} // GET http://h/
	out := frame.AppendSettings([]byte(frame.Preface), frame.Setting{ID: frame.InitialWindowSize, Value: 1 << 30})
	a.conn.Write(frame.AppendWindowUpdate(out, 0, 1<<30))
	return a
}

// ask sends n requests at once and reads the answers.
func (a *asker) ask(tb testing.TB, n int) {
	a.out = a.out[:0]
	for range n {
		a.out = frame.AppendHead(a.out, len(a.block), frame.Headers, frame.EndStream|frame.LastHeaders, a.next)
		a.out = append(a.out, a.block...)
		a.next += 2
	}
	if a.next%(1<<20) < 2*uint32(n) { // long before the window is used up
		a.out = frame.AppendWindowUpdate(a.out, 0, 1<<20*len(benchBody)/2)
	}
	if _, err := a.conn.Write(a.out); err != nil {
		tb.Fatal(err)
	}
	for n > 0 {
		m, err := a.conn.Read(a.in[a.have:])
		if err != nil {
			tb.Fatal(err)
		}
		rest := a.in[:a.have+m]
		for len(rest) >= frame.HeaderLen {
			size := frame.HeaderLen + int(rest[0])<<16 + int(rest[1])<<8 + int(rest[2])
			if len(rest) < size {
				break
			}
			if frame.Type(rest[3]) == frame.Data && rest[4]&1 != 0 {
				n--
			}
			rest = rest[size:]
		}
		a.have = copy(a.in[:], rest)
	}
}

func benchmarkServer(b *testing.B, streams int) {
	a := newAsker(b)
	a.ask(b, streams)
	b.ReportAllocs()
	for n := 0; n < b.N; n += streams {
		a.ask(b, streams)
	}
}

func BenchmarkServer10Streams(b *testing.B) { benchmarkServer(b, 10) }
func BenchmarkServer1Stream(b *testing.B)   { benchmarkServer(b, 1) }

// TestServerAllocates: nothing, for a plain request.
func TestServerAllocates(t *testing.T) {
	a := newAsker(t)
	for range 100 {
		a.ask(t, 10)
	}
	exchangetest.NoAllocations(t, func() { a.ask(t, 10) })
}

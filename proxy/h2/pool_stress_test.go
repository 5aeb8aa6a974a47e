//lint:file-ignore SA1019 x/net/http2 is here because it is an engine of its own, not a way into net/http

package h2

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// TestPoolStress: many at once, of every sort, get their own answers, whole, or none.
func TestPoolStress(t *testing.T) {
	s := newReference(t, func(w http.ResponseWriter, r *http.Request) {
		name := r.Header.Get("X-Name")
		switch r.URL.Path {
		case "/early": // answers before it has read, and does not want the rest
			fmt.Fprint(w, name)
		case "/late":
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "%s %d", name, n)
		case "/both":
			w.Header().Set("Trailer", "X-Name")
			w.(http.Flusher).Flush()
			n, _ := io.Copy(w, r.Body)
			fmt.Fprintf(w, "%s %d", name, n)
			w.Header().Set("X-Name", name)
		case "/large":
			for range 40 {
				io.WriteString(w, strings.Repeat(name, 5000))
			}
		case "/panic":
			io.WriteString(w, name)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
	}, &http2.Server{MaxConcurrentStreams: 20})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	var all sync.WaitGroup
	var cancelled atomic.Int32
	rounds := 60
	if exchangetest.UnderRace {
		rounds = 20
	}
	for worker := range 30 {
		all.Go(func() {
			for round := range rounds {
				name := fmt.Sprintf("[%d.%d]", worker, round)
				piece := strings.Repeat("x", rand.IntN(40_000))
				path := []string{"/early", "/late", "/both", "/large", "/panic"}[rand.IntN(5)]
				x := exchangetest.Request("GET", path, "X-Name: "+name)
				sent := 0
				if path != "/large" && rand.IntN(2) == 0 {
					x = exchangetest.Request("POST", path, "X-Name: "+name, exchangetest.Pieces(piece, piece, piece))
					sent = 3 * len(piece)
				}
				x.Conn.Shard = uint32(worker)
				cancel := rand.IntN(10) == 0
				if cancel {
					go x.Life.Cancel(exchange.ClientAbort)
				}
				got, err := ask(p, x)
				want := map[string]string{"/early": name, "/late": fmt.Sprintf("%s %d", name, sent), "/both": fmt.Sprintf("%s%s %d", strings.Repeat("x", sent), name, sent),
					"/large": strings.Repeat(name, 200_000)}[path]
				switch {
				case err != nil && cancel:
					cancelled.Add(1)
				case path == "/panic" && err == nil:
					t.Errorf("a cut answer looks whole: %q", got)
				case path != "/panic" && (err != nil || got != want):
					t.Errorf("%s, %d sent: %d bytes for %d: %v", path, sent, len(got), len(want), err)
				}
			}
		})
	}
	all.Wait()
	for _, u := range *p.conns.Load() {
		if n := u.load.Load(); n != 0 {
			t.Errorf("%d requests are left", n)
		}
	}
	t.Logf("%d connections, %d cancelled", s.conns.Load(), cancelled.Load())
}

// BenchmarkPool is a small request over one connection to a server that costs nothing.
func BenchmarkPool(b *testing.B) {
	for _, streams := range []int{1, 10} {
		b.Run(fmt.Sprint(streams), func(b *testing.B) {
			s := newRaw(b, func(c *rawConn) {
				c.greet()
				var out []byte
				for {
					f, ok := c.until(frame.Headers)
					if !ok {
						return
					}
					out = append(out, c.head(f.Stream, 200, false, "content-type: text/plain", "server: raw")...)
					out = frame.AppendData(out, f.Stream, []byte("hello, world"), true)
					if _, n, _, _ := c.r.Next(c.buf); n == 0 { // no more has come
						c.send(out)
						out = out[:0]
					}
				}
			})
			p := NewPool(PoolConfig{Dial: s.dial, Scheme: "http", MaxConns: 1})
			defer p.Close()
			b.ReportAllocs()
			var left atomic.Int64
			var all sync.WaitGroup
			left.Store(int64(b.N))
			for range streams {
				all.Go(func() {
					x := exchangetest.Request("GET", "http://a.test/path?query", "Accept: */*", "User-Agent: bench")
					for left.Add(-1) >= 0 {
						if _, err := ask(p, x); err != nil {
							b.Error(err)
							return
						}
						x.ResetResponse()
					}
				})
			}
			all.Wait()
		})
	}
}

// A server that resets stream after stream, because it has too much to do, is no attacker: what else it has
// under way on the connection goes on.
func TestPoolEnduresRefusals(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	s := newRaw(t, func(c *rawConn) {
		c.greet()
		f, _ := c.until(frame.Headers)
		first := f.Stream
		close(begun)
		var all sync.WaitGroup
		var mu sync.Mutex
		all.Go(func() {
			<-goOn
			mu.Lock()
			c.send(frame.AppendData(c.head(first, 200, false), first, []byte("first"), true))
			mu.Unlock()
		})
		for f, ok := c.until(frame.Headers); ok; f, ok = c.until(frame.Headers) {
			mu.Lock()
			c.send(frame.AppendRSTStream(nil, f.Stream, frame.EnhanceYourCalm))
			mu.Unlock()
		}
		all.Wait()
	})
	p := newTestPool(t, PoolConfig{Dial: s.dial})
	release := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(release)
	first := make(chan string, 1)
	go func() {
		got, err := ask(p, exchangetest.Request("GET", "/"))
		if err != nil {
			got = err.Error()
		}
		first <- got
	}()
	<-begun
	for range 3 * maxBudget {
		if _, err := ask(p, exchangetest.Request("GET", "/")); exchange.KindOf(err) != exchange.UpstreamReset {
			t.Fatal(err)
		}
	}
	release()
	if got := <-first; got != "first" {
		t.Error(got)
	}
	if s.conns != 1 {
		t.Errorf("%d connections", s.conns)
	}
}

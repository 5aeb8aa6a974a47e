package upstream

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// recorder is a mirror that notes what it gets.
type recorder struct {
	mu   sync.Mutex
	got  []string
	wait chan struct{} // when set, it answers after that is closed
}

func (r *recorder) Handle(x *exchange.Exchange) error {
	body, err := exchangetest.ReadAll(nil, x.Request.Body, 1<<20)
	if r.wait != nil {
		<-r.wait
	}
	q := &x.Request
	r.mu.Lock()
	r.got = append(r.got, fmt.Sprintf("%s %s%s?%s %s %s len=%d %q %v", q.Method, q.Host, q.Path, q.Query,
		q.Header.Get(exchange.NewName("X-One")), x.Client, q.Length, body, err))
	r.mu.Unlock()
	x.Respond(500, "", []byte("never seen"))
	return nil
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

func (b *bench) mirroring(c Mirroring, percents ...int) (Service, []*recorder) {
	var mirrors []*recorder
	for i, p := range percents {
		m := &recorder{}
		mirrors = append(mirrors, m)
		c.Mirrors = append(c.Mirrors, Mirror{handlerChild(fmt.Sprint("mirror", i), m), p})
	}
	if c.Service.Handler == nil {
		c.Service = handlerChild("main", status(201))
	}
	s, err := b.Mirroring("m@file", c)
	if err != nil {
		b.Fatal(err)
	}
	return s, mirrors
}

func TestMirrorGetsTheRequest(t *testing.T) {
	for _, c := range []struct {
		name string
		c    Mirroring
		body any
		want string // "" for nothing
	}{
		{"no body", Mirroring{MirrorBody: true, MaxBodySize: -1}, nil, `len=0 ""`},
		{"whole body", Mirroring{MirrorBody: true, MaxBodySize: -1}, func(x *exchange.Exchange) {
			x.Request.Body, x.Request.Length = exchange.NewBytes([]byte("content")), 7
		}, `len=7 "content"`},
		{"streamed body", Mirroring{MirrorBody: true, MaxBodySize: 7}, exchangetest.Pieces("con", "tent"), `len=7 "content"`},
		{"without the body", Mirroring{MaxBodySize: -1}, []byte("content"), `len=0 ""`},
		{"whole body too long", Mirroring{MirrorBody: true, MaxBodySize: 6}, []byte("content"), ""},
		{"whole body too long, of a length not told before", Mirroring{MirrorBody: true, MaxBodySize: 6}, func(x *exchange.Exchange) {
			x.Request.Body, x.Request.Length = exchange.NewBytes([]byte("content")), -1
		}, ""},
		{"streamed body too long", Mirroring{MirrorBody: true, MaxBodySize: 6}, exchangetest.Pieces("con", "tent"), ""},
		{"upgrade", Mirroring{MaxBodySize: -1}, "Upgrade: websocket", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				s, mirrors := b.mirroring(c.c, 100, 100)
				parts := []any{"X-One: 1"}
				if c.body != nil {
					parts = append(parts, c.body)
				}
				x := exchangetest.Request("POST", "/p?q", parts...)
				whole, _ := exchange.WholeOf(x.Request.Body)
				r := exchangetest.Do(s, x)
				if r.Status != 201 {
					t.Errorf("%d %v", r.Status, r.Err)
				}
				// What the exchange held is gone now.
				for _, p := range [][]byte{x.Request.Host, x.Request.Path, x.Request.Query, whole} {
					clear(p)
				}
				synctest.Wait()
				for _, m := range mirrors {
					got := strings.Join(m.all(), "; ")
					want := c.want
					if want != "" {
						want = "POST example.com/p?q 1 192.0.2.1 " + want + " <nil>"
					}
					if got != want {
						t.Errorf("mirror got %s, want %s", got, want)
					}
				}
				if held := s.(*mirroring).ledger.held.Load(); held != 0 {
					t.Errorf("%d bytes are still held", held)
				}
			})
		})
	}
}

func TestMirrorPercent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s, mirrors := b.mirroring(Mirroring{}, 0, 10, 33, 100)
		for range 100 {
			get(s)
			synctest.Wait()
		}
		for i, want := range []int{0, 10, 33, 100} {
			if got := len(mirrors[i].all()); got != want {
				t.Errorf("mirror %d got %d of 100, want %d", i, got, want)
			}
		}
	})
}

// A mirror that hangs holds up to maxCopies copies, the rest are dropped, requests are answered at once,
// and what hangs is given up after a while.
func TestSlowMirror(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		hung := exchange.HandlerFunc(func(x *exchange.Exchange) error {
			<-x.Context().Done()
			return exchange.UpstreamTimeout
		})
		mirror := Mirror{handlerChild("hung", hung), 100}
		s, _ := b.mirroring(Mirroring{MirrorBody: true, MaxBodySize: -1, Mirrors: []Mirror{mirror, mirror, mirror}})
		m := s.(*mirroring)
		start := time.Now()
		const requests = maxCopies/3 + 50
		for range requests {
			if r := exchangetest.Do(s, exchangetest.Request("PUT", "/", []byte("x"))); r.Status != 201 {
				t.Fatalf("%d %v", r.Status, r.Err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("requests waited %v", took)
		}
		if c, d, held := m.copies.Load(), m.dropped.Load(), m.ledger.held.Load(); c != maxCopies || held != maxCopies/3+1 || d != 3*requests-maxCopies {
			t.Errorf("%d copies in flight, %d dropped, %d bytes held", c, d, held)
		}
		time.Sleep(mirrorTimeout + time.Second)
		if c, held := m.copies.Load(), m.ledger.held.Load(); c != 0 || held != 0 {
			t.Errorf("%d copies in flight, %d bytes held after the time-out", c, held)
		}
	})
}

func TestMirrorsMemoryIsBounded(t *testing.T) {
	b := newBench(t)
	s, mirrors := b.mirroring(Mirroring{MirrorBody: true, MaxBodySize: -1}, 100)
	chunk := strings.Repeat("x", 8<<20)
	body := exchangetest.Pieces(chunk, chunk, chunk, chunk, chunk, chunk, chunk, chunk, chunk)
	held := int64(0)
	body.Before = func(int) { held = max(held, s.(*mirroring).ledger.held.Load()) }
	drain := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		for {
			if _, err := x.Request.Body.Next(); err != nil {
				x.Respond(201, "", nil)
				return nil
			}
		}
	})
	s.(*mirroring).main.Handler = drain
	if r := exchangetest.Do(s, exchangetest.Request("POST", "/", body)); r.Status != 201 {
		t.Errorf("%d %v", r.Status, r.Err)
	}
	if held > maxCopyBytes || s.(*mirroring).ledger.held.Load() != 0 || len(mirrors[0].all()) != 0 {
		t.Errorf("%d bytes were held, %d are, mirror got %d", held, s.(*mirroring).ledger.held.Load(), len(mirrors[0].all()))
	}
}

// A body that has not ended when the answer begins is the request's own again.
func TestEarlyAnswerIsNotMirrored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		early := exchange.HandlerFunc(func(x *exchange.Exchange) error {
			x.Request.Body.Next()
			x.Respond(201, "", nil)
			return nil
		})
		s, mirrors := b.mirroring(Mirroring{MirrorBody: true, MaxBodySize: -1, Service: handlerChild("early", early)}, 100)
		x := exchangetest.Request("POST", "/", exchangetest.Pieces("con", "tent"))
		if err := s.Handle(x); err != nil {
			t.Fatal(err)
		}
		if rest, err := x.Request.Body.Next(); string(rest) != "tent" || err != nil {
			t.Errorf("the rest is %q, %v", rest, err)
		}
		synctest.Wait()
		if got, held := mirrors[0].all(), s.(*mirroring).ledger.held.Load(); len(got) != 0 || held != 0 {
			t.Errorf("mirror got %v, %d bytes held", got, held)
		}
	})
}

// Neither a panic, nor a body that breaks off, nor a closed service disturbs anything.
func TestMirrorAccidents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		bad := exchange.HandlerFunc(func(x *exchange.Exchange) error { panic("mirror") })
		s, mirrors := b.mirroring(Mirroring{MirrorBody: true, MaxBodySize: -1, Mirrors: []Mirror{{handlerChild("bad", bad), 100}}}, 100)
		if got := get(s); got != "201" {
			t.Errorf("got %s", got)
		}
		synctest.Wait()
		if n := len(mirrors[0].all()); n != 1 {
			t.Errorf("the other mirror got %d requests", n)
		}
		cut := exchangetest.Pieces("con")
		cut.Err = exchange.ClientAbort
		exchangetest.Do(s, exchangetest.Request("POST", "/", cut))
		s.Close()
		get(s)
		synctest.Wait()
		if n := len(mirrors[0].all()); n != 1 {
			t.Errorf("a request that was cut short, or one after Close, was mirrored: %v", mirrors[0].all())
		}
		if c, held := s.(*mirroring).copies.Load(), s.(*mirroring).ledger.held.Load(); c != 0 || held != 0 {
			t.Errorf("%d copies in flight, %d bytes held", c, held)
		}
	})
}

func TestMirroringWrongConfigurations(t *testing.T) {
	b := newBench(t)
	blind := handlerChild("blind", status(200))
	for want, c := range map[string]Mirroring{
		"mirror blind: percent is 101": {Service: blind, Mirrors: []Mirror{{blind, 101}}},
		"65 mirrors, but 64":           {Service: blind, Mirrors: make([]Mirror, 65)},
		"its service blind has none":   {Service: blind, HealthCheck: true},
	} {
		if _, err := b.Mirroring("m@file", c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

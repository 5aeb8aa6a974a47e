package upstream

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func handlerChild(name string, h exchange.Handler) Child { return Child{Name: name, Handler: h} }

// A main service that fails, by what it does to the request and by what the fallback gets.
func TestFailoverByErrors(t *testing.T) {
	onlyHead := func(x *exchange.Exchange) error { x.Respond(500, "", nil); return nil }
	half := func(x *exchange.Exchange) error {
		x.Request.Body.Next()
		x.Request.Body.Close()
		x.Respond(599, "", nil)
		return nil
	}
	unreached := func(x *exchange.Exchange) error { return exchange.NoEndpoint }
	aborted := func(x *exchange.Exchange) error { return exchange.ClientAbort }
	for _, c := range []struct {
		name, method string
		body         any
		main         exchange.HandlerFunc
		want         string // what the fallback reads, or the status of the main service's answer
	}{
		{"status", "GET", nil, status(503), "<>"},
		{"status in no range", "GET", nil, status(499), "499"},
		{"good answer", "GET", nil, status(204), "204"},
		{"status, POST with content", "POST", []byte("content"), status(500), "<content>"},
		{"status, POST with a stream", "POST", exchangetest.Pieces("con", "tent"), status(500), "<content>"},
		{"stream not read", "POST", exchangetest.Pieces("con", "tent"), onlyHead, "<content>"},
		{"stream half read and closed", "POST", exchangetest.Pieces("con", "tent"), half, "<content>"},
		{"content too long", "POST", exchangetest.Pieces("con", "tents!"), status(500), "500"},
		{"content too long, not read", "POST", exchangetest.Pieces("con", "tents!"), onlyHead, "<contents!>"},
		{"no server", "POST", []byte("content"), unreached, "<content>"},
		{"reset, GET", "GET", nil, reset, "<>"},
		{"reset, POST", "POST", []byte("content"), reset, "502"},
		{"client gone", "GET", nil, aborted, "499"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			fallback := &exchangetest.Backend{Status: 202}
			s, err := b.Failover("f@file", Failover{
				Service: handlerChild("main", c.main), Fallback: handlerChild("fallback", fallback),
				Errors: &FailoverErrors{MaxRequestBodyBytes: 8, Status: []string{"500-599", "408"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			var parts []any
			if c.body != nil {
				parts = append(parts, c.body)
			}
			x := exchangetest.Request(c.method, "/", parts...)
			r := exchangetest.Do(s, x)
			got := result(r)
			if r.Status == 202 {
				got = "<" + fallback.Received + ">"
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// A server that answers while a goroutine is still sending it the body is stopped, and what it had got
// by then goes to the fallback with the rest.
func TestFailoverWhileTheBodyIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		main := exchange.HandlerFunc(func(x *exchange.Exchange) error {
			body, done := x.Request.Body, make(chan struct{})
			go func() {
				defer close(done)
				for {
					if _, err := body.Next(); err != nil {
						return
					}
				}
			}()
			synctest.Wait() // until that waits for the client
			x.Response.Status, x.Response.Body = 503, &closer{func() { body.Close(); <-done }}
			return nil
		})
		fallback := &exchangetest.Backend{}
		s, err := b.Failover("f@file", Failover{
			Service: handlerChild("main", main), Fallback: handlerChild("fallback", fallback),
			Errors: &FailoverErrors{MaxRequestBodyBytes: 4, Status: []string{"503"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		body := exchangetest.Pieces("con", "tent", " and more")
		body.Before = func(int) { time.Sleep(time.Second) }
		if r := exchangetest.Do(s, exchangetest.Request("POST", "/", body)); r.Status != 200 || fallback.Received != "content and more" {
			t.Errorf("%d %v, the fallback got %q", r.Status, r.Err, fallback.Received)
		}
		// When the client goes away instead, that is the end.
		cut := exchangetest.Pieces()
		cut.Before, cut.Err = body.Before, exchange.ClientAbort
		if r := exchangetest.Do(s, exchangetest.Request("POST", "/", cut)); r.Status != 499 || fallback.Calls != 1 {
			t.Errorf("%d %v, the fallback got %d requests", r.Status, r.Err, fallback.Calls)
		}
	})
}

// A client that waits for leave to send the body gets it when a server answered, or failed, without: the
// fallback is to have the body, and a read is under way that nothing else would end.
func TestFailoverOfABodyThatIsHeldBack(t *testing.T) {
	t.Run("answer", func(t *testing.T) { testHeldBack(t, nil) })
	t.Run("failure", func(t *testing.T) { testHeldBack(t, exchange.UpstreamReset) })
}

func testHeldBack(t *testing.T, failure error) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		main := exchange.HandlerFunc(func(x *exchange.Exchange) error {
			body, done := x.Request.Body, make(chan struct{})
			x.Request.Continue = false // it is for the server to ask
			go func() { body.Next(); close(done) }()
			synctest.Wait()
			stop := func() { body.Close(); <-done }
			if failure != nil {
				stop()
				return failure
			}
			x.Response.Status, x.Response.Body = 503, &closer{stop}
			return nil
		})
		fallback := &exchangetest.Backend{}
		s, err := b.Failover("f@file", Failover{
			Service: handlerChild("main", main), Fallback: handlerChild("fallback", fallback),
			Errors: &FailoverErrors{MaxRequestBodyBytes: 7, Status: []string{"502-503"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		leave := make(leave, 1)
		body := exchangetest.Pieces("content")
		body.Before = func(left int) {
			if left == 0 {
				return
			}
			select {
			case status := <-leave:
				if status != 100 {
					t.Errorf("the client was told %d", status)
				}
			case <-time.After(time.Minute):
				t.Error("the client was never asked for the body")
			}
		}
		x := exchangetest.Request("PUT", "/", body, "Expect: 100-continue")
		x.Informer = leave
		if r := exchangetest.Do(s, x); r.Status != 200 || fallback.Received != "content" {
			t.Errorf("%d %v, the fallback got %q", r.Status, r.Err, fallback.Received)
		}
	})
}

// One that no server has begun to read is still for the fallback to ask for.
func TestFailoverOfABodyThatNobodyAskedFor(t *testing.T) {
	b := newBench(t)
	main := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Request.Continue = false // a server was to ask
		x.Respond(503, "", nil)
		return nil
	})
	asked := false
	fallback := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		asked = x.Request.Continue
		x.Respond(200, "", nil)
		return nil
	})
	s, err := b.Failover("f@file", Failover{
		Service: handlerChild("main", main), Fallback: handlerChild("fallback", fallback),
		Errors: &FailoverErrors{MaxRequestBodyBytes: 7, Status: []string{"503"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	x := exchangetest.Request("PUT", "/", exchangetest.Pieces("content"), "Expect: 100-continue")
	x.Informer = make(leave, 1)
	if r := exchangetest.Do(s, x); r.Status != 200 || !asked {
		t.Errorf("%d, asked %v", r.Status, asked)
	}
}

// leave passes on what interim responses there are.
type leave chan int

func (l leave) Inform(status int, _ *exchange.Header) error { l <- status; return nil }

// closer is a response body without content.
type closer struct{ close func() }

func (*closer) Next() ([]byte, error) { return nil, io.EOF }
func (c *closer) Close() error        { c.close(); return nil }

// Trailers that were read with the body go to the fallback too.
func TestFailoverKeepsTrailers(t *testing.T) {
	b := newBench(t)
	var got string
	fallback := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if _, whole := exchange.WholeOf(x.Request.Body); whole {
			t.Error("a body with trailers says it is whole")
		}
		exchangetest.ReadAll(nil, x.Request.Body, 100)
		got = string(x.Request.Trailer.Get(exchange.NewName("X-Sum")))
		x.Respond(200, "", []byte("http://fallback"))
		return nil
	})
	s, err := b.Failover("f@file", Failover{
		Service: handlerChild("main", status(500)), Fallback: handlerChild("fallback", fallback),
		Errors: &FailoverErrors{MaxRequestBodyBytes: -1, Status: []string{"500"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	x := exchangetest.Request("POST", "/")
	body := exchangetest.Pieces("content")
	body.Before = func(left int) {
		if left == 0 {
			exchangetest.Receive(&x.Request.Trailer, "X-Sum: 7")
		}
	}
	x.Request.Body = body
	if r := exchangetest.Do(s, x); r.Status != 200 || got != "7" {
		t.Errorf("%d, trailer %q", r.Status, got)
	}
}

func TestFailoverByHealth(t *testing.T) {
	b := newBench(t)
	main, fallback := newChild("main"), newChild("fallback")
	s, err := b.Failover("f@file", Failover{Service: main.child(), Fallback: fallback.child()})
	if err != nil {
		t.Fatal(err)
	}
	if got := get(s); got != "200 main" {
		t.Errorf("got %s", got)
	}
	main.health = false
	if got := get(s); got != "200 fallback" || s.Checked() {
		t.Errorf("got %s", got)
	}
	fallback.health = false
	if got := get(s); got != "503" {
		t.Errorf("got %s", got)
	}
}

func TestFailoverWrongConfigurations(t *testing.T) {
	b := newBench(t)
	blind := handlerChild("blind", status(200))
	for want, c := range map[string]Failover{
		"so that the fallback would never be used": {Service: blind, Fallback: blind},
		"its service blind has none":               {Service: newChild("main").child(), Fallback: blind, HealthCheck: true},
		"status lists nothing":                     {Service: blind, Fallback: blind, Errors: &FailoverErrors{}},
		`status "5xx" is neither`:                  {Service: blind, Fallback: blind, Errors: &FailoverErrors{Status: []string{"5xx"}}},
		`status "599-500" is neither`:              {Service: blind, Fallback: blind, Errors: &FailoverErrors{Status: []string{"599-500"}}},
	} {
		if _, err := b.Failover("f@file", c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

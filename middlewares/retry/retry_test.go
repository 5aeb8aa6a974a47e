package retry

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/traefik/paerser/types"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func build(t testing.TB, config Config) exchange.Middleware {
	t.Helper()
	if config.MaxRequestBodyBytes == nil {
		config.SetDefaults()
	}
	m, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// flaky fails a number of times, with an error or a status, and then answers 200.
type flaky struct {
	exchangetest.Backend
	failures int
	err      error
	status   int
	unsent   bool // it fails before it sends anything
	bodies   []string
	uris     []string
}

func (f *flaky) Handle(x *exchange.Exchange) error {
	f.Backend.Err, f.Backend.Status = nil, 200
	if f.Calls < f.failures {
		f.Backend.Err, f.Backend.Status = f.err, f.status
	}
	err := f.Backend.Handle(x)
	f.bodies, f.uris = append(f.bodies, f.Received), append(f.uris, f.URI)
	x.Record.Attempts = 1 // a service sets it
	if f.unsent && err != nil {
		x.Record.Sent = false
	}
	return err
}

func TestWhatIsRetried(t *testing.T) {
	network := Config{Attempts: 3}
	status := Config{Attempts: 3, Status: []string{"500-502"}}
	statusOnly := Config{Attempts: 3, Status: []string{"503"}, DisableRetryOnNetworkError: true}
	anyMethod := Config{Attempts: 3, Status: []string{"500-502"}, RetryNonIdempotentMethod: true}
	for _, c := range []struct {
		name   string
		config Config
		method string
		flaky  flaky
		calls  int
		status int
	}{
		{"refused", network, "GET", flaky{failures: 2, err: exchange.DialFailed, unsent: true}, 3, 200},
		{"refused, POST", network, "POST", flaky{failures: 2, err: exchange.DialFailed, unsent: true}, 3, 200},
		{"reset", network, "PUT", flaky{failures: 1, err: exchange.UpstreamReset.With(io.EOF)}, 2, 200},
		{"reset, POST", network, "POST", flaky{failures: 1, err: exchange.UpstreamReset}, 1, 502},
		{"reset, POST, explicit", anyMethod, "POST", flaky{failures: 1, err: exchange.UpstreamReset}, 2, 200},
		{"too often", network, "GET", flaky{failures: 9, err: exchange.DialTimeout}, 3, 504},
		{"no server", network, "GET", flaky{failures: 1, err: exchange.NoEndpoint}, 1, 503},
		{"malformed", network, "GET", flaky{failures: 1, err: exchange.UpstreamProtocol}, 1, 502},
		{"client gone", status, "GET", flaky{failures: 1, err: exchange.ClientAbort}, 1, 499},
		{"refused by policy", network, "GET", flaky{failures: 1, err: exchange.Forbidden}, 1, 403},
		{"other status", network, "GET", flaky{failures: 1, status: 500}, 1, 500},
		{"status", status, "GET", flaky{failures: 2, status: 500}, 3, 200},
		{"status, POST", status, "POST", flaky{failures: 2, status: 500}, 1, 500},
		{"status, POST, explicit", anyMethod, "POST", flaky{failures: 2, status: 500}, 3, 200},
		{"status, to the end", status, "GET", flaky{failures: 9, status: 502}, 3, 502},
		{"status of an error", statusOnly, "GET", flaky{failures: 1, err: exchange.NoEndpoint}, 2, 200},
		{"no network errors", statusOnly, "GET", flaky{failures: 1, err: exchange.DialFailed}, 1, 502},
		{"one attempt", Config{Attempts: 1}, "GET", flaky{failures: 1, err: exchange.DialFailed}, 1, 502},
	} {
		x := exchangetest.Request(c.method, "/p", "X-A: b")
		r := exchangetest.Do(build(t, c.config)(&c.flaky), x)
		if c.flaky.Calls != c.calls || r.Status != c.status {
			t.Errorf("%s: %d calls, %d; want %d, %d", c.name, c.flaky.Calls, r.Status, c.calls, c.status)
		}
		if x.Record.Attempts != c.calls || (r.Status == 200) == x.Record.Failed && c.flaky.err != nil {
			t.Errorf("%s: record %+v", c.name, x.Record)
		}
	}
}

// A middleware in between may have turned the error into a response already.
func TestRescuedErrors(t *testing.T) {
	f := &flaky{failures: 1, err: exchange.DialFailed}
	rescuing := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if err := f.Handle(x); err != nil {
			exchange.Rescue(x, err)
		}
		return nil
	})
	x := exchangetest.Request("GET", "/")
	if r := exchangetest.Do(build(t, Config{Attempts: 2})(rescuing), x); r.Status != 200 || f.Calls != 2 || x.Record.Failed {
		t.Errorf("%d, %d calls, %+v", r.Status, f.Calls, x.Record)
	}
}

// Middlewares further in edit the request; each attempt must get the original.
func TestEveryAttemptGetsTheSameRequest(t *testing.T) {
	f := &flaky{failures: 2, err: exchange.UpstreamReset}
	editing := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Request.SetPath([]byte("/edited"), x.Request.Path)
		x.Request.Query, x.Request.HasQuery, x.Request.Host = nil, false, []byte("edited")
		x.Request.Header.Add(exchange.XForwardedPrefix, "/edited")
		x.Request.Header.Del(exchange.Accept)
		return f.Handle(x)
	})
	exchangetest.Do(build(t, Config{Attempts: 3})(editing), exchangetest.Request("PUT", "/p?q", "Accept: a", "X-A: b", []byte("whole")))
	if strings.Join(f.uris, " ") != "/edited/p /edited/p /edited/p" || strings.Join(f.bodies, " ") != "whole whole whole" ||
		string(f.Header.AppendTo(nil)) != "X-A: b\r\nX-Forwarded-Prefix: /edited\r\n" {
		t.Errorf("%q %q %q", f.uris, f.bodies, f.Header.AppendTo(nil))
	}
}

func TestBodies(t *testing.T) {
	for _, c := range []struct {
		name   string
		max    int64
		pieces []string
		calls  int
		last   string
	}{
		{"fits", 8, []string{"abcd", "efgh"}, 2, "abcdefgh"},
		{"too long", 7, []string{"abcd", "efgh"}, 1, "abcdefgh"},
		{"none to be kept", 0, []string{"a"}, 1, "a"},
		{"no limit", -1, []string{strings.Repeat("a", 100), "b"}, 2, strings.Repeat("a", 100) + "b"},
	} {
		f := &flaky{failures: 1, err: exchange.UpstreamReset}
		x := exchangetest.Request("PUT", "/", exchangetest.Pieces(c.pieces...), "Expect: 100-continue")
		exchangetest.Do(build(t, Config{Attempts: 2, MaxRequestBodyBytes: &c.max})(f), x)
		if f.Calls != c.calls || f.bodies[len(f.bodies)-1] != c.last {
			t.Errorf("%s: %d calls, %q", c.name, f.Calls, f.bodies)
		}
		if x.Request.Continue != (c.calls == 1) {
			t.Errorf("%s: the client is asked again: %v", c.name, x.Request.Continue)
		}
	}
}

// Nothing is read of a body before the service wants it, so a POST of any size that was never sent
// is retried, and a client that waits for a 100 is not asked.
func TestUnreadBodies(t *testing.T) {
	body := exchangetest.Pieces(strings.Repeat("a", 100))
	calls := 0
	refused := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if calls++; calls == 1 {
			return exchange.DialFailed
		}
		if body.Pulled != 0 || !x.Request.Continue {
			t.Errorf("%d pieces read, Continue %v", body.Pulled, x.Request.Continue)
		}
		got, err := exchangetest.ReadAll(nil, x.Request.Body, 1000)
		if len(got) != 100 || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		x.Respond(200, "", nil)
		return nil
	})
	x := exchangetest.Request("POST", "/", body, "Expect: 100-continue")
	if r := exchangetest.Do(build(t, Config{Attempts: 2, MaxRequestBodyBytes: new(int64(1))})(refused), x); r.Status != 200 || calls != 2 {
		t.Errorf("%d, %d calls", r.Status, calls)
	}
}

// An attempt may have read only the beginning of the body.
func TestHalfReadBodies(t *testing.T) {
	calls := 0
	h := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if calls++; calls == 1 {
			x.Request.Body.Next()
			x.Request.Body.Close()
			return exchange.UpstreamReset
		}
		got, _ := exchangetest.ReadAll(nil, x.Request.Body, 1000)
		x.Respond(200, "", got)
		return nil
	})
	if r := exchangetest.Do(build(t, Config{Attempts: 2})(h), exchangetest.Request("PUT", "/", exchangetest.Pieces("ab", "cd", "ef"))); r.Body != "abcdef" {
		t.Errorf("%q", r.Body)
	}
}

// A service may read the body from a goroutine of its own, and closes the body to stop it. That must
// work while it waits for the client, at the price of the retry, and must not close the body else.
func TestBodiesReadByAnotherGoroutine(t *testing.T) {
	for _, waits := range []bool{true, false} {
		arrived, closed := make(chan struct{}), make(chan struct{})
		inner := &slowBody{waits: waits, arrived: arrived, closed: closed}
		calls := 0
		h := exchange.HandlerFunc(func(x *exchange.Exchange) error {
			if calls++; calls == 2 {
				got, err := exchangetest.ReadAll(nil, x.Request.Body, 100)
				x.Respond(200, "", got)
				return err
			}
			body, done := x.Request.Body, make(chan error)
			body.Next()
			if waits {
				go func() { _, err := body.Next(); done <- err }()
				<-arrived
			}
			body.Close()
			if !waits {
				go func() { _, err := body.Next(); done <- err }()
			}
			if err := <-done; err != io.ErrClosedPipe {
				t.Errorf("a closed body gives %v", err)
			}
			return exchange.UpstreamReset
		})
		r := exchangetest.Do(build(t, Config{Attempts: 2})(h), exchangetest.Request("PUT", "/", inner))
		if waits && (calls != 1 || r.Status != 502) || !waits && (calls != 2 || r.Body != "onetwo") {
			t.Errorf("waits %v: %d calls, %d %q", waits, calls, r.Status, r.Body)
		}
	}
}

// An answer that comes while a body is still on its way is given up for another attempt only if the body can
// be sent again, which it cannot while somebody waits for the client.
func TestAnswersBeforeTheBody(t *testing.T) {
	for _, waits := range []bool{true, false} {
		inner := &slowBody{waits: waits, arrived: make(chan struct{}), closed: make(chan struct{})}
		calls := 0
		h := exchange.HandlerFunc(func(x *exchange.Exchange) error {
			if calls++; calls == 2 {
				got, err := exchangetest.ReadAll(nil, x.Request.Body, 100)
				x.Respond(200, "", got)
				return err
			}
			body, done := x.Request.Body, make(chan struct{})
			body.Next()
			if waits {
				go func() { body.Next(); close(done) }()
				<-inner.arrived
			} else {
				close(done)
			}
			x.Response.Status, x.Response.Body = 503, &answer{func() { body.Close(); <-done }}
			return nil
		})
		r := exchangetest.Do(build(t, Config{Attempts: 2, Status: []string{"503"}})(h), exchangetest.Request("PUT", "/", inner))
		if waits && (calls != 1 || r.Status != 503) || !waits && (calls != 2 || r.Body != "onetwo") {
			t.Errorf("waits %v: %d calls, %d %q", waits, calls, r.Status, r.Body)
		}
	}
}

// answer is a response body without content.
type answer struct{ close func() }

func (*answer) Next() ([]byte, error) { return nil, io.EOF }
func (a *answer) Close() error        { a.close(); return nil }

// slowBody is "one", and then, unless it is closed before, "two".
type slowBody struct {
	n       int
	waits   bool
	arrived chan struct{} // somebody waits for the second piece
	closed  chan struct{}
}

func (b *slowBody) Next() ([]byte, error) {
	switch b.n++; b.n {
	case 1:
		return []byte("one"), nil
	case 2:
		if b.waits {
			b.arrived <- struct{}{}
			<-b.closed
			return nil, io.ErrClosedPipe
		}
		return []byte("two"), nil
	}
	return nil, io.EOF
}

func (b *slowBody) Close() error { close(b.closed); return nil }

// A body that panics, as one that a middleware has wrapped may, does so like any other code.
func TestPanickingBodies(t *testing.T) {
	body := exchangetest.Pieces("ab")
	body.Before = func(int) { panic("broken") }
	h := exchange.HandlerFunc(func(x *exchange.Exchange) (err error) {
		defer func() {
			if recover() != "broken" {
				t.Error("no panic")
			}
			err = exchange.UpstreamReset
		}()
		x.Request.Body.Next()
		return nil
	})
	if r := exchangetest.Do(build(t, Config{Attempts: 3})(h), exchangetest.Request("PUT", "/", body)); r.Status != 502 {
		t.Errorf("%d", r.Status)
	}
}

// A body that the client broke off cannot be sent again.
func TestBrokenBodies(t *testing.T) {
	f := &flaky{failures: 1, err: exchange.UpstreamReset}
	body := &exchangetest.Body{Pieces: []string{"ab"}, Err: exchange.ClientAbort}
	exchangetest.Do(build(t, Config{Attempts: 3})(f), exchangetest.Request("PUT", "/", body))
	if f.Calls != 1 {
		t.Errorf("%d calls", f.Calls)
	}
}

func TestDiscardedResponsesAreClosed(t *testing.T) {
	f := &flaky{failures: 1, status: 500}
	f.Pieces = []string{"error"}
	var first *exchangetest.Body
	h := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if f.Calls == 1 {
			first = f.Last
		}
		return f.Handle(x)
	})
	if r := exchangetest.Do(build(t, Config{Attempts: 2, Status: []string{"500"}})(h), exchangetest.Request("GET", "/")); r.Status != 200 || first.Closed == 0 || r.Body != "error" {
		t.Errorf("%d %q, closed %d", r.Status, r.Body, first.Closed)
	}
}

func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		f := &flaky{failures: 3, err: exchange.DialFailed}
		exchangetest.Do(build(t, Config{Attempts: 4, InitialInterval: types.Duration(time.Second)})(f), exchangetest.Request("GET", "/"))
		// 1 s, 1.26 s and 1.59 s, each half as long to half as long again
		if waited := time.Since(begin); f.Calls != 4 || waited < 1900*time.Millisecond || waited > 5800*time.Millisecond {
			t.Errorf("%d calls in %v", f.Calls, waited)
		}
	})
	p := pause{time.Second, 3}
	for range 100 {
		if first, last := p.before(1), p.before(3); first < time.Second/2 || first > 3*time.Second/2 || last < time.Second || last > 3*time.Second {
			t.Fatalf("%v, %v", first, last)
		}
	}
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{failures: 9, err: exchange.DialTimeout}
		slow := exchange.HandlerFunc(func(x *exchange.Exchange) error {
			time.Sleep(time.Second)
			return f.Handle(x)
		})
		exchangetest.Do(build(t, Config{Attempts: 9, Timeout: types.Duration(2500 * time.Millisecond)})(slow), exchangetest.Request("GET", "/"))
		if f.Calls != 3 {
			t.Errorf("%d calls", f.Calls)
		}
	})
}

func TestClientsThatLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		f := &flaky{failures: 9, err: exchange.DialFailed}
		x := exchangetest.Request("GET", "/")
		go func() {
			time.Sleep(time.Second)
			x.Life.Cancel(io.ErrUnexpectedEOF)
		}()
		err := build(t, Config{Attempts: 9, InitialInterval: types.Duration(time.Hour)})(f).Handle(x)
		if !errors.Is(err, exchange.ClientAbort) || f.Calls != 1 || time.Since(begin) != time.Second {
			t.Errorf("%v, %d calls, %v", err, f.Calls, time.Since(begin))
		}
	})
	f := &flaky{failures: 9, err: exchange.DialFailed}
	x := exchangetest.Request("GET", "/", func(x *exchange.Exchange) { x.Life.Cancel(io.ErrUnexpectedEOF) })
	if build(t, Config{Attempts: 9})(f).Handle(x); f.Calls != 1 {
		t.Errorf("%d calls", f.Calls)
	}
}

// When everything fails, retries add a fifth to the load, and ten a second.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := build(t, Config{Attempts: 3})
		f := &flaky{failures: 1 << 30, err: exchange.DialFailed}
		h := m(f)
		for range 1000 {
			exchangetest.Do(h, exchangetest.Request("GET", "/"))
		}
		if retries := f.Calls - 1000; retries != 210 {
			t.Errorf("%d retries of 1000 requests", retries)
		}
		time.Sleep(2 * time.Second)
		before := f.Calls
		exchangetest.Do(h, exchangetest.Request("GET", "/"))
		if f.Calls-before != 3 {
			t.Errorf("%d calls after a while", f.Calls-before)
		}
	})
	b := newBudget()
	for range 1_000_000 {
		b.deposit()
	}
	n := 0
	for b.withdraw() {
		n++
	}
	if n < most || n > most+2*perSecond {
		t.Errorf("%d tokens were saved up", n)
	}
}

func TestBadConfigurations(t *testing.T) {
	for name, config := range map[string]Config{
		"attempts is 0": {}, "attempts is -1": {Attempts: -1}, "status": {Attempts: 2, Status: []string{"x"}},
		"initialInterval": {Attempts: 2, InitialInterval: -1}, "timeout": {Attempts: 2, Timeout: -1},
		"disableRetryOnNetworkError": {Attempts: 2, DisableRetryOnNetworkError: true},
	} {
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	exchangetest.AllocatesNothing(t, build(t, Config{Attempts: 3}), exchangetest.Request("GET", "/p?q", "Accept: a", "X-A: b"))
}

func BenchmarkRetry(b *testing.B) {
	exchangetest.Bench(b, build(b, Config{Attempts: 3}), exchangetest.Request("GET", "/p?q", "Accept: a", "X-A: b"))
}

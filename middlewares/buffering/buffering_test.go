package buffering

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func build(t *testing.T, config Config, next exchange.Handler) exchange.Handler {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	m, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return m(next)
}

// noFiles fails t if a file of a body has a name.
func noFiles(t *testing.T) {
	t.Helper()
	if entries, err := os.ReadDir(os.TempDir()); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v in the temporary directory", entries, err)
	}
}

// Bodies arrive as they were, wherever they were kept, with their length, before anybody waits for them.
func TestBodiesAreTakenIn(t *testing.T) {
	long := strings.Repeat("0123456789", 10_000)
	for name, pieces := range map[string][]string{
		"in memory": {"ab", "c"}, "at the limit": {"abcd", "efgh"}, "over it": {"abcd", "efgh", "i"},
		"across it": {"abcdefghij", "k"}, "chunks": {long, long, "end"}, "none": {},
	} {
		t.Run(name, func(t *testing.T) {
			whole := strings.Join(pieces, "")
			backend := &exchangetest.Backend{Pieces: pieces}
			request := exchangetest.Pieces(pieces...)
			backend.Before = func(x *exchange.Exchange) {
				if len(request.Pieces) > 0 || x.Request.Length != int64(len(whole)) || x.Request.Continue {
					t.Errorf("asked with %d pieces to come, length %d, Continue %v", len(request.Pieces), x.Request.Length, x.Request.Continue)
				}
				noFiles(t)
			}
			h := build(t, Config{MemRequestBodyBytes: 8, MemResponseBodyBytes: 8}, backend)
			x := exchangetest.Request("POST", "/", request, "Expect: 100-continue")
			r := exchangetest.Do(h, x)
			if backend.Received != whole || backend.ReceivedErr != nil || r.Body != whole || r.Cut != nil {
				t.Errorf("the service got %d bytes, the client %d, of %d", len(backend.Received), len(r.Body), len(whole))
			}
			if len(pieces) > 0 && (r.Length != int64(len(whole)) || backend.Last.Closed == 0) {
				t.Errorf("length %d, closed %d times", r.Length, backend.Last.Closed)
			}
			x.Free()
			noFiles(t)
		})
	}
}

func TestFilesAreClosed(t *testing.T) {
	s := &store{}
	if err := s.fill(exchangetest.Pieces("abc"), 1, 0); err != nil || s.file == nil {
		t.Fatal(err)
	}
	r := &reader{store: s, onClose: s.Free}
	r.Close()
	r.Close()
	if _, err := s.file.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed with its reader: %v", err)
	}
	if _, err := r.Next(); err == nil {
		t.Error("a closed body can be read")
	}
	s = &store{}
	if err := s.fill(&exchangetest.Body{Pieces: []string{"abc"}, Err: exchange.ClientAbort}, 1, 0); err != exchange.ClientAbort {
		t.Error(err)
	}
	if _, err := s.file.Stat(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed after a body that broke off: %v", err)
	}
}

// What does not fit on the disk is not passed on.
func TestNoPlaceForFiles(t *testing.T) {
	backend := &exchangetest.Backend{}
	h := build(t, Config{MemRequestBodyBytes: 1}, backend)
	t.Setenv("TMPDIR", "/nowhere")
	if r := exchangetest.Do(h, exchangetest.Request("POST", "/", exchangetest.Pieces("ab"))); r.Status != 500 || backend.Calls != 0 {
		t.Errorf("%d, %d calls", r.Status, backend.Calls)
	}
}

func TestLimits(t *testing.T) {
	announced := func(x *exchange.Exchange) { x.Request.Length = 5 }
	config := Config{MaxRequestBodyBytes: 4, MaxResponseBodyBytes: 4, MemRequestBodyBytes: 2, MemResponseBodyBytes: 2,
		RetryExpression: "ResponseCode() == 500"}
	for _, c := range []struct {
		name     string
		request  []any
		response []string
		status   int
		calls    int
	}{
		{"fits", []any{exchangetest.Pieces("abc", "d")}, []string{"ab", "cd"}, 200, 1},
		{"request", []any{exchangetest.Pieces("abc", "de")}, nil, 413, 0},
		{"request in memory", []any{[]byte("abcde")}, nil, 413, 0},
		{"response", nil, []string{"abc", "de"}, 500, 1},
	} {
		backend := &exchangetest.Backend{Pieces: c.response}
		r := exchangetest.Do(build(t, config, backend), exchangetest.Request("PUT", "/", c.request...))
		if r.Status != c.status || backend.Calls != c.calls {
			t.Errorf("%s: %d, %d calls", c.name, r.Status, backend.Calls)
		}
		noFiles(t)
	}
	head := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Respond(200, "", nil)
		x.Response.Length = 5 // of what GET would get
		return nil
	})
	x := exchangetest.Request("HEAD", "/")
	if r := exchangetest.Do(build(t, config, head), x); r.Status != 200 || x.Response.Length != 5 {
		t.Errorf("HEAD: %d, a length of %d", r.Status, x.Response.Length)
	}
	unread := exchangetest.Pieces("abcde")
	if r := exchangetest.Do(build(t, config, &exchangetest.Backend{}), exchangetest.Request("PUT", "/", unread, announced)); r.Status != 413 || unread.Pulled > 0 {
		t.Errorf("%d, %d pieces read of what was announced as too long", r.Status, unread.Pulled)
	}
}

func TestRetries(t *testing.T) {
	twice := "IsNetworkError() && Attempts() <= 2"
	for _, c := range []struct {
		name, expression, method string
		failures                 int
		err                      error
		status                   int
		calls, want              int
	}{
		{"network", twice, "PUT", 2, exchange.UpstreamReset, 0, 3, 200},
		{"too often", twice, "PUT", 3, exchange.UpstreamReset, 0, 3, 502},
		{"status", "ResponseCode() == 503 && Attempts() < 2", "PUT", 1, nil, 503, 2, 200},
		{"other status", twice, "PUT", 1, nil, 503, 1, 503},
		{"POST", twice, "POST", 1, exchange.UpstreamReset, 0, 1, 502},
		{"POST, explicit", twice + ` && RequestMethod() == "POST"`, "POST", 1, exchange.UpstreamReset, 0, 2, 200},
		{"client gone", "ResponseCode() > 400", "PUT", 1, exchange.ClientAbort, 0, 1, 499},
		{"no end", "Attempts() > 0", "PUT", 99, nil, 500, maxRetries + 1, 500},
	} {
		backend := &exchangetest.Backend{Text: "done"}
		h := build(t, Config{RetryExpression: c.expression, MemRequestBodyBytes: 2}, exchange.HandlerFunc(func(x *exchange.Exchange) error {
			backend.Err, backend.Status = nil, 200
			if backend.Calls < c.failures {
				backend.Err, backend.Status = c.err, c.status
			}
			x.Request.SetPath([]byte("/in"), x.Request.Path)
			return backend.Handle(x)
		}))
		x := exchangetest.Request(c.method, "/p", exchangetest.Pieces("who", "le"))
		r := exchangetest.Do(h, x)
		if r.Status != c.want || backend.Calls != c.calls || x.Record.Attempts != c.calls {
			t.Errorf("%s: %d after %d calls, %d recorded", c.name, r.Status, backend.Calls, x.Record.Attempts)
		}
		if backend.Received != "whole" || backend.URI != "/in/p" {
			t.Errorf("%s: the last attempt was %s with %q", c.name, backend.URI, backend.Received)
		}
	}
}

// Nothing has been passed on of a response that breaks off, so another may take its place.
func TestResponsesThatBreakOff(t *testing.T) {
	for expression, want := range map[string]int{"": 502, "IsNetworkError() && Attempts() < 2": 200} {
		calls := 0
		h := build(t, Config{RetryExpression: expression}, exchange.HandlerFunc(func(x *exchange.Exchange) error {
			x.Response.Status = 200
			body := exchangetest.Pieces("half")
			if calls++; calls == 1 {
				body.Err = exchange.UpstreamReset
			}
			x.Response.Body = body
			return nil
		}))
		if r := exchangetest.Do(h, exchangetest.Request("GET", "/")); r.Status != want || r.Cut != nil {
			t.Errorf("%q: %d %q", expression, r.Status, r.Body)
		}
	}
}

// Trailers keep a message from being one of known length.
func TestTrailers(t *testing.T) {
	name := exchange.NewName("X-Sum")
	h := build(t, Config{MemRequestBodyBytes: 1}, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if _, whole := exchange.WholeOf(x.Request.Body); whole || x.Request.Length != -1 {
			t.Errorf("length %d, whole %v", x.Request.Length, whole)
		}
		x.Response.Status, x.Response.Body = 200, exchangetest.Pieces("b")
		x.Response.Trailer.Add(name, "2")
		return nil
	}))
	x := exchangetest.Request("PUT", "/", exchangetest.Pieces("a"))
	x.Request.Trailer.Add(name, "1")
	if r := exchangetest.Do(h, x); r.Length != -1 || r.Body != "b" || string(r.Trailer.Get(name)) != "2" {
		t.Errorf("%+v", r)
	}
}

func TestErrors(t *testing.T) {
	for want, config := range map[string]Config{
		"memRequestBodyBytes is -1":   {MemRequestBodyBytes: -1},
		"memResponseBodyBytes is -1":  {MemResponseBodyBytes: -1},
		"Attempts takes nothing":      {RetryExpression: "Attempts(1) < 2"},
		"unknown function Latency":    {RetryExpression: "Latency() < 2"},
		"a comparison is expected":    {RetryExpression: "Attempts()"},
		"retryExpression: \"a b\" is": {RetryExpression: "a b"},
	} {
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

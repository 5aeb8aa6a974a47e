package httpadapter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/exchange/httpadapter"
)

func handle(t *testing.T, h http.HandlerFunc, x *exchange.Exchange) {
	t.Helper()
	if err := httpadapter.Handler(h).Handle(x); err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, b exchange.Body) string {
	t.Helper()
	p, err := b.Next()
	if err != nil {
		t.Fatal(err)
	}
	return string(p)
}

func TestChunksComeAsTheyAreFlushed(t *testing.T) {
	steps := make(chan string, 10)
	x := exchangetest.Request("GET", "/")
	handle(t, func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		c.Flush()
		steps <- "head sent"
		io.WriteString(w, "one")
		c.Flush()
		steps <- "one sent"
		io.WriteString(w, "two")
	}, x)
	if b, ok := x.Response.Body.(exchange.Waiter); !ok || !b.Waits() {
		t.Error("the head is held back until there is a body")
	}
	if x.Response.Status != 200 || x.Response.Length != -1 || len(steps) != 0 {
		t.Fatalf("%d %d, %d steps before the body was asked for", x.Response.Status, x.Response.Length, len(steps))
	}
	if got := next(t, x.Response.Body); got != "one" || <-steps != "head sent" || len(steps) != 0 {
		t.Errorf("%q, then %d steps", got, len(steps))
	}
	if got := next(t, x.Response.Body); got != "two" || <-steps != "one sent" {
		t.Errorf("%q", got)
	}
	if _, err := x.Response.Body.Next(); err != io.EOF {
		t.Error(err)
	}
	x.Response.Close()
}

// A large write is handed over as it is, not copied.
func TestLargeWritesAreNotCopied(t *testing.T) {
	large := make([]byte, 64<<10)
	x := exchangetest.Request("GET", "/")
	handle(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(large) }, x)
	p, err := x.Response.Body.Next()
	if err != nil || len(p) != len(large) || &p[0] != &large[0] {
		t.Errorf("%d bytes, %v, copied %v", len(p), err, &p[0] != &large[0])
	}
	x.Response.Close()
}

func TestSmallResponsesAreWhole(t *testing.T) {
	x := exchangetest.Request("GET", "/")
	handle(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "small") }, x)
	if p, whole := exchange.WholeOf(x.Response.Body); !whole || string(p) != "small" || x.Response.Length != 5 {
		t.Errorf("%q %v %d", p, whole, x.Response.Length)
	}
	x.Response.Close()
}

func TestClosingEndsTheHandler(t *testing.T) {
	returned := false
	x := exchangetest.Request("GET", "/")
	handle(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		_, err := io.WriteString(w, strings.Repeat("x", 1<<20))
		<-r.Context().Done()
		if err == nil || http.NewResponseController(w).Flush() == nil {
			t.Error("a write after the end works")
		}
		returned = true
	}, x)
	x.Response.Close()
	if !returned {
		t.Error("Close did not wait for the handler")
	}
	x.Response.Close()
}

func TestClosingMidBody(t *testing.T) {
	var err error
	x := exchangetest.Request("GET", "/")
	handle(t, func(w http.ResponseWriter, _ *http.Request) {
		for err == nil {
			_, err = io.WriteString(w, strings.Repeat("x", 10000))
		}
	}, x)
	next(t, x.Response.Body)
	x.Response.Close()
	if err == nil {
		t.Error("the handler was not told")
	}
}

func TestClientGone(t *testing.T) {
	x := exchangetest.Request("GET", "/")
	synctest.Test(t, func(t *testing.T) {
		go func() {
			time.Sleep(time.Second)
			x.Life.Cancel(exchange.ClientAbort)
		}()
		var cause error
		handle(t, func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			cause = context.Cause(r.Context())
		}, x)
		x.Response.Close()
		if !errors.Is(cause, exchange.ClientAbort) {
			t.Errorf("cause %v", cause)
		}
	})
}

func TestContextEndsWithTheHandler(t *testing.T) {
	var ctx context.Context
	x := exchangetest.Request("GET", "/")
	handle(t, func(_ http.ResponseWriter, r *http.Request) {
		ctx = r.Context()
		if ctx.Err() != nil || ctx.Value(http.LocalAddrContextKey) == nil {
			t.Errorf("%v, %v", ctx.Err(), ctx.Value(http.LocalAddrContextKey))
		}
	}, x)
	if ctx.Err() == nil {
		t.Error("the context outlives the handler")
	}
}

func TestPanics(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"boom":        func(http.ResponseWriter, *http.Request) { panic("boom") },
		"WriteHeader": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(7) },
		"abort":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		r := exchangetest.Do(httpadapter.Handler(handler), exchangetest.Request("GET", "/"))
		if !errors.Is(r.Err, exchange.Internal) || r.Status != 500 || !strings.Contains(r.Err.Error(), name) {
			t.Errorf("%s: %d %v", name, r.Status, r.Err)
		}
	}
	r := exchangetest.Do(httpadapter.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "some")
		http.NewResponseController(w).Flush()
		io.WriteString(w, "more")
		panic("late")
	})), exchangetest.Request("GET", "/"))
	if r.Err != nil || r.Body != "somemore" || !errors.Is(r.Cut, exchange.Internal) {
		t.Errorf("%v, %q, cut %v", r.Err, r.Body, r.Cut)
	}
}

// informer notes interim responses.
type informer struct{ got []string }

func (i *informer) Inform(status int, h *exchange.Header) error {
	i.got = append(i.got, fmt.Sprintf("%d %s", status, h.AppendTo(nil)))
	return nil
}

func TestInterimResponses(t *testing.T) {
	var told informer
	x := exchangetest.Request("POST", "/", "Expect: 100-continue", exchangetest.Pieces("a", "b"), func(x *exchange.Exchange) { x.Informer = &told })
	r := exchangetest.Do(httpadapter.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(103)
		if r.Header.Get("Expect") != "100-continue" {
			t.Error("no Expect")
		}
		w.WriteHeader(100)
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	})), x)
	want := []string{"103 Link: </style.css>\r\n", "100 Link: </style.css>\r\n"}
	if r.Status != 200 || r.Body != "ab" || fmt.Sprint(told.got) != fmt.Sprint(want) {
		t.Errorf("%d %q, told %q", r.Status, r.Body, told.got)
	}
}

func TestRequestTrailers(t *testing.T) {
	body := exchangetest.Pieces("a", "b")
	x := exchangetest.Request("POST", "/", body)
	body.Before = func(left int) {
		if left == 0 {
			exchangetest.Receive(&x.Request.Trailer, "X-Sum: 2")
		}
	}
	r := exchangetest.Do(httpadapter.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Trailer)
	})), x)
	if r.Body != "map[X-Sum:[2]]" {
		t.Errorf("%q", r.Body)
	}
}

func TestRequestAsNetHTTPHasIt(t *testing.T) {
	x := exchangetest.Request("GET", "https://a.example/p", "Upgrade: websocket")
	x.Conn.Peer = netip.MustParseAddrPort("10.0.0.1:99")
	handle(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.RemoteAddr != "10.0.0.1:99" || r.TLS == nil || r.Host != "a.example" || r.URL.Host != "" ||
			r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" || r.Body != http.NoBody {
			t.Errorf("%+v", r)
		}
	}, x)
	x = exchangetest.Request("OPTIONS", "/", func(x *exchange.Exchange) { x.Request.Path = []byte("*") })
	handle(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.RequestURI != "*" || r.URL.Path != "*" {
			t.Errorf("%q %+v", r.RequestURI, r.URL)
		}
	}, x)
}

// The handler may lend its writer to another goroutine, as httputil.ReverseProxy does to flush.
func TestReverseProxy(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for range 100 {
			fmt.Fprintf(w, "%d ", len(body))
			http.NewResponseController(w).Flush()
		}
	}))
	defer backend.Close()
	target, _ := url.Parse(backend.URL)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = time.Microsecond
	r := exchangetest.Do(httpadapter.Handler(proxy), exchangetest.Request("POST", "/", exchangetest.Pieces("abc", "de")))
	if r.Status != 200 || r.Body != strings.Repeat("5 ", 100) {
		t.Errorf("%d %q", r.Status, r.Body)
	}
}

// silent is a body of a client that sends nothing, until it is closed.
type silent struct{ reading, closed chan struct{} }

func (s silent) Next() ([]byte, error) { close(s.reading); <-s.closed; return nil, io.ErrClosedPipe }
func (s silent) Close() error          { close(s.closed); return nil }

// Somebody whom the handler lent the body may still read it when the handler returns, as
// http.Transport does when a server answers early. The response goes out, and the read is ended.
func TestBodyStillReadAtTheEnd(t *testing.T) {
	body := silent{make(chan struct{}), make(chan struct{})}
	ended := make(chan error, 1)
	r := exchangetest.Do(httpadapter.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		go func() { _, err := r.Body.Read(make([]byte, 1)); ended <- err }()
		<-body.reading
		io.WriteString(w, "early")
	})), exchangetest.Request("POST", "/", body))
	if err := <-ended; r.Body != "early" || err == nil {
		t.Errorf("%q, %v", r.Body, err)
	}
}

// A handler that closes the body stops a read of it.
func TestClosingTheBodyEndsReads(t *testing.T) {
	body := silent{make(chan struct{}), make(chan struct{})}
	x := exchangetest.Request("POST", "/", body)
	handle(t, func(_ http.ResponseWriter, r *http.Request) {
		ended := make(chan error)
		go func() { _, err := r.Body.Read(make([]byte, 1)); ended <- err }()
		<-body.reading
		r.Body.Close()
		if err := <-ended; err == nil {
			t.Error("the read went on")
		}
	}, x)
	x.Response.Close()
}

func TestWritersBeyondTheEnd(t *testing.T) {
	var kept http.ResponseWriter
	var body io.Reader
	x := exchangetest.Request("POST", "/", exchangetest.Pieces("abc"))
	handle(t, func(w http.ResponseWriter, r *http.Request) { kept, body = w, r.Body }, x)
	x.Response.Close()
	if _, err := io.WriteString(kept, "x"); err == nil {
		t.Error("a kept writer still works")
	}
	if _, err := body.Read(make([]byte, 1)); err == nil {
		t.Error("a kept body still works")
	}
	kept.WriteHeader(500)
	kept.(http.Flusher).Flush()
}

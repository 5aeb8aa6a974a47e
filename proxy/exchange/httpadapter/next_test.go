package httpadapter_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/exchange/httpadapter"
)

func wrap(m func(next http.Handler, w http.ResponseWriter, r *http.Request)) exchange.Middleware {
	return httpadapter.Middleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m(next, w, r) })
	})
}

func TestMiddlewareThatDoesNothing(t *testing.T) {
	m := httpadapter.Middleware(func(next http.Handler) http.Handler { return next })
	backend := &exchangetest.Backend{Status: 201, Fields: []string{"X-A: b", "Set-Cookie: 1", "Set-Cookie: 2"}, Pieces: []string{"one", "two"}}
	r := exchangetest.Do(m(backend), exchangetest.Request("POST", "/a%2Fb?x=1", "X-In: 1", exchangetest.Pieces("up", "load")))
	if r.Status != 201 || r.Body != "onetwo" || len(r.Pieces) != 2 || r.Get("X-A") != "b" || len(r.Values("Set-Cookie")) != 2 {
		t.Errorf("%d %q %s", r.Status, r.Pieces, r.Header.AppendTo(nil))
	}
	if backend.URI != "/a%2Fb?x=1" || backend.Received != "upload" || backend.Get("X-In") != "1" || backend.Last.Closed == 0 {
		t.Errorf("%+v", backend)
	}
	backend = &exchangetest.Backend{Text: "whole"}
	if r := exchangetest.Do(m(backend), exchangetest.Request("GET", "/")); r.Length != 5 || r.Body != "whole" {
		t.Errorf("%d %q", r.Length, r.Body)
	}
	if r := exchangetest.Do(m(&exchangetest.Backend{Status: 204}), exchangetest.Request("GET", "/")); r.Status != 204 || r.Body != "" {
		t.Errorf("%d %q", r.Status, r.Body)
	}
}

func TestMiddlewareChangesTheRequest(t *testing.T) {
	m := wrap(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r2 := r.Clone(r.Context())
		r2.Method, r2.Host = "PATCH", "other.example"
		r2.URL.Path, r2.URL.RawPath, r2.URL.RawQuery = "/new path", "", "y=2"
		r2.Header.Set("X-New", "1")
		r2.Header.Del("X-Old")
		r2.Body, r2.ContentLength = io.NopCloser(bytes.NewReader(bytes.ToUpper(body))), int64(len(body))
		next.ServeHTTP(w, r2)
	})
	backend := &exchangetest.Backend{}
	exchangetest.Do(m(backend), exchangetest.Request("POST", "/old?x=1", "X-Old: 1", []byte("body")))
	if backend.Method != "PATCH" || backend.Host != "other.example" || backend.URI != "/new%20path?y=2" || backend.Received != "BODY" ||
		string(backend.Header.AppendTo(nil)) != "X-New: 1\r\n" {
		t.Errorf("%+v, %s", backend, backend.Header.AppendTo(nil))
	}
}

// What a middleware read of the body, and not put back, must not be lost on the way.
func TestMiddlewareReadsSomeOfTheBody(t *testing.T) {
	m := wrap(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		io.ReadFull(r.Body, make([]byte, 2))
		next.ServeHTTP(w, r)
	})
	backend := &exchangetest.Backend{}
	exchangetest.Do(m(backend), exchangetest.Request("POST", "/", exchangetest.Pieces("abcd", "ef")))
	if backend.Received != "cdef" {
		t.Errorf("%q", backend.Received)
	}
}

// upper is a writer that changes what passes.
type upper struct{ http.ResponseWriter }

func (u upper) Write(p []byte) (int, error) { return u.ResponseWriter.Write(bytes.ToUpper(p)) }

func (u upper) Unwrap() http.ResponseWriter { return u.ResponseWriter }

func TestMiddlewareChangesTheResponse(t *testing.T) {
	m := wrap(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Mine", "1")
		next.ServeHTTP(upper{w}, r)
		io.WriteString(w, "!")
	})
	r := exchangetest.Do(m(&exchangetest.Backend{Pieces: []string{"one", "two"}}), exchangetest.Request("GET", "/"))
	if r.Body != "ONETWO!" || r.Get("X-Mine") != "1" {
		t.Errorf("%q %s", r.Body, r.Header.AppendTo(nil))
	}
}

func TestMiddlewareAnswersItself(t *testing.T) {
	m := wrap(func(_ http.Handler, w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusForbidden)
	})
	backend := &exchangetest.Backend{}
	if r := exchangetest.Do(m(backend), exchangetest.Request("GET", "/")); r.Status != 403 || r.Body != "no\n" || backend.Calls != 0 {
		t.Errorf("%d %q", r.Status, r.Body)
	}
}

func TestMiddlewareSeesErrors(t *testing.T) {
	m := httpadapter.Middleware(func(next http.Handler) http.Handler { return next })
	x := exchangetest.Request("GET", "/")
	r := exchangetest.Do(m(&exchangetest.Backend{Err: exchange.NoEndpoint}), x)
	if r.Err != nil || r.Status != 503 || x.Record.Kind != exchange.NoEndpoint || r.Body != "Service Unavailable\n" {
		t.Errorf("%v %d %+v", r.Err, r.Status, x.Record)
	}
	cut := exchange.UpstreamReset.With(errors.New("why"))
	r = exchangetest.Do(m(exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Body = 200, &exchangetest.Body{Pieces: []string{"some"}, Err: cut}
		return nil
	})), exchangetest.Request("GET", "/"))
	if r.Body != "some" || r.Cut != cut {
		t.Errorf("%q, cut %v", r.Body, r.Cut)
	}
}

func TestTrailersPassMiddlewares(t *testing.T) {
	m := httpadapter.Middleware(func(next http.Handler) http.Handler { return next })
	r := exchangetest.Do(m(exchange.HandlerFunc(func(x *exchange.Exchange) error {
		body := exchangetest.Pieces("some")
		body.Before = func(left int) {
			if left == 0 {
				exchangetest.Receive(&x.Response.Trailer, "Grpc-Status: 0")
			}
		}
		x.Response.Status, x.Response.Body, x.Response.Length = 200, body, -1
		return nil
	})), exchangetest.Request("GET", "/"))
	if got := string(r.Trailer.AppendTo(nil)); r.Body != "some" || got != "Grpc-Status: 0\r\n" {
		t.Errorf("%q %q", r.Body, got)
	}
}

func TestTunnelsPassMiddlewares(t *testing.T) {
	inner := httpadapter.Handler(echo(t))
	m := wrap(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Mine", "1")
		next.ServeHTTP(upper{w}, r)
	})
	x := exchangetest.Request("GET", "/", "Upgrade: echo")
	if err := m(inner).Handle(x); err != nil || x.Response.Status != 101 || x.Response.Tunnel == nil {
		t.Fatalf("%v %d", err, x.Response.Status)
	}
	if got := string(x.Response.Header.AppendTo(nil)); got != "X-A: b\r\nX-Mine: 1\r\n" {
		t.Errorf("%q", got)
	}
	p := make([]byte, 6)
	if _, err := io.ReadFull(x.Response.Tunnel, p); err != nil || string(p) != "hello\n" {
		t.Errorf("%q %v", p, err)
	}
	x.Response.Close()

	opaque := wrap(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	})
	if r := exchangetest.Do(opaque(inner), exchangetest.Request("GET", "/", "Upgrade: echo")); r.Status != 502 {
		t.Errorf("a tunnel through an opaque writer: %d", r.Status)
	}
}

func TestNextMisused(t *testing.T) {
	for name, m := range map[string]exchange.Middleware{
		"after the head": wrap(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).Flush()
			next.ServeHTTP(w, r)
		}),
		"another request": wrap(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct{ http.ResponseWriter }{w}, &http.Request{})
		}),
	} {
		backend := &exchangetest.Backend{}
		r := exchangetest.Do(m(backend), exchangetest.Request("GET", "/"))
		if r.Err == nil && r.Cut == nil || backend.Calls > 0 || !strings.Contains(errors.Join(r.Err, r.Cut).Error(), "next called") {
			t.Errorf("%s: %v %v", name, r.Err, r.Cut)
		}
	}
}

// What runs beyond the middleware's return must be over before the exchange is.
func TestTimeoutHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		slow := exchange.HandlerFunc(func(x *exchange.Exchange) error {
			time.Sleep(time.Second)
			x.Respond(200, "text/plain", []byte("slow"))
			ended = true
			return nil
		})
		m := httpadapter.Middleware(func(next http.Handler) http.Handler {
			return http.TimeoutHandler(next, time.Second/10, "too late")
		})
		r := exchangetest.Do(m(slow), exchangetest.Request("GET", "/"))
		if r.Status != 503 || r.Body != "too late" || !ended {
			t.Errorf("%d %q, ended %v", r.Status, r.Body, ended)
		}
		m = httpadapter.Middleware(func(next http.Handler) http.Handler {
			return http.TimeoutHandler(next, time.Hour, "too late")
		})
		if r := exchangetest.Do(m(slow), exchangetest.Request("GET", "/")); r.Status != 200 || r.Body != "slow" {
			t.Errorf("%d %q", r.Status, r.Body)
		}
	})
}

func TestNextAfterTheEnd(t *testing.T) {
	var late func()
	m := wrap(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		late = func() { next.ServeHTTP(w, r) }
	})
	backend := &exchangetest.Backend{}
	exchangetest.Do(m(backend), exchangetest.Request("GET", "/"))
	defer func() {
		if recover() == nil || backend.Calls > 0 {
			t.Errorf("%d calls", backend.Calls)
		}
	}()
	late()
}

func TestNested(t *testing.T) {
	m := httpadapter.Middleware(func(next http.Handler) http.Handler { return next })
	h := m(m(httpadapter.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-In", r.Header.Get("X-In"))
		w.Write(bytes.Repeat(body, 5000))
		w.Header().Set(http.TrailerPrefix+"X-T", "1")
	}))))
	r := exchangetest.Do(h, exchangetest.Request("POST", "/", "X-In: 1", exchangetest.Pieces("ab", "c")))
	if r.Body != strings.Repeat("abc", 5000) || r.Get("X-In") != "1" || string(r.Trailer.AppendTo(nil)) != "X-T: 1\r\n" {
		t.Errorf("%d bytes, %s, %s", len(r.Body), r.Header.AppendTo(nil), r.Trailer.AppendTo(nil))
	}
}

func BenchmarkHandler(b *testing.B) {
	h := httpadapter.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	b.ReportAllocs()
	for b.Loop() {
		x := exchangetest.Request("GET", "/", "Accept: */*")
		h.Handle(x)
		x.Response.Close()
	}
}

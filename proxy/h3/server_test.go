package h3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestRequestsAndResponses(t *testing.T) {
	s := start(t, echo)
	c := s.client()
	if status, body := s.get(c, "/hello?x=1"); status != 200 || body != "GET localhost /hello " {
		t.Fatalf("%d %q", status, body)
	}
	if got, want := s.record(), (record{"GET", "localhost", "/hello", 200, 0, 21, 0, false}); got != want {
		t.Errorf("recorded %+v, want %+v", got, want)
	}
	long := strings.Repeat("0123456789", 50_000)
	for name, body := range map[string]io.Reader{
		"short": strings.NewReader("text"), "long": strings.NewReader(long),
		"short without length": io.MultiReader(strings.NewReader("text")), "long without length": io.MultiReader(strings.NewReader(long)),
	} {
		r, err := c.Post("https://localhost/upload", "text/plain", body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := io.ReadAll(r.Body)
		r.Body.Close()
		want := "POST localhost /upload text"
		if strings.HasPrefix(name, "long") {
			want = "POST localhost /upload " + long
		}
		if err != nil || string(got) != want || r.ContentLength != int64(len(want)) || r.Proto != "HTTP/3.0" {
			t.Errorf("%s: %v, %d bytes, length %d, %s", name, err, len(got), r.ContentLength, r.Proto)
		}
		if rec := s.record(); rec.in != int64(len(want)-len("POST localhost /upload ")) || rec.out != int64(len(want)) {
			t.Errorf("%s: recorded %+v", name, rec)
		}
	}
}

// pieces is a body that yields what it is told to, and then trailers and an end.
type pieces struct {
	x       *exchange.Exchange
	list    []string
	trailer string
	err     error
}

func (p *pieces) Next() ([]byte, error) {
	if len(p.list) > 0 {
		s := p.list[0]
		p.list = p.list[1:]
		return []byte(s), nil
	}
	if p.trailer != "" {
		p.x.Response.Trailer.Add(exchange.NewName("Checksum"), p.trailer)
	}
	if p.err != nil {
		return nil, p.err
	}
	return nil, io.EOF
}

func (p *pieces) Close() error { return nil }

func TestStreamedResponses(t *testing.T) {
	big := strings.Repeat("x", 100_000)
	s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		p := &x.Response
		p.Status, p.Length = 200, -1
		switch string(x.Request.Path) {
		case "/trailer":
			p.Body = &pieces{x: x, list: []string{"a", "", "b", big}, trailer: "42"}
		case "/known":
			p.Length = int64(len(big)) + 1
			p.Body = &pieces{x: x, list: []string{"a", big}}
		case "/empty":
			p.Body = &pieces{x: x}
		case "/broken":
			p.Body = &pieces{x: x, list: []string{big}, err: exchange.UpstreamReset}
		case "/short":
			p.Length = 10
			p.Body = &pieces{x: x, list: []string{"a"}}
		case "/broken-at-once":
			p.Body = &pieces{x: x, err: exchange.UpstreamReset}
		case "/no-content":
			p.Status = 204
		case "/bare":
			p.Trailer.Set(exchange.NewName("Checksum"), "42")
		case "/not-modified":
			p.Status, p.Length = 304, 77
		case "/panic":
			panic("on purpose")
		case "/error":
			return exchange.NoEndpoint.With(errors.New("none"))
		}
		return nil
	}))
	c := s.client()
	for _, test := range []struct {
		method, path string
		status       int
		length       int64
		body         string
		fails        bool
	}{
		{"GET", "/trailer", 200, -1, "ab" + big, false},
		{"GET", "/known", 200, int64(len(big)) + 1, "a" + big, false},
		{"HEAD", "/known", 200, int64(len(big)) + 1, "", false},
		{"GET", "/empty", 200, -1, "", false},
		{"GET", "/broken", 200, -1, "", true},
		{"GET", "/short", 200, 10, "", true},
		{"GET", "/broken-at-once", 502, 12, "Bad Gateway\n", false},
		{"GET", "/no-content", 204, -1, "", false},
		{"GET", "/bare", 200, -1, "", false},
		{"HEAD", "/bare", 200, -1, "", false},
		{"GET", "/not-modified", 304, -1, "", false},
		{"GET", "/panic", 500, 22, "Internal Server Error\n", false},
		{"GET", "/error", 503, 20, "Service Unavailable\n", false},
	} {
		r, err := c.Do(must(http.NewRequest(test.method, "https://localhost"+test.path, nil)))
		var got []byte
		if err == nil {
			got, err = io.ReadAll(r.Body)
			r.Body.Close()
		}
		if test.fails {
			if !isInternal(err) {
				t.Errorf("%s: %v, want a reset", test.path, err)
			}
			if rec := s.record(); !rec.failed || rec.kind != exchange.UpstreamReset {
				t.Errorf("%s: recorded %+v", test.path, rec)
			}
			continue
		}
		if err != nil || r.StatusCode != test.status || string(got) != test.body || r.Header.Get("Date") == "" ||
			test.length >= 0 && r.ContentLength != test.length {
			t.Errorf("%s %s: %v, %s, length %d, %.50q", test.method, test.path, err, r.Status, r.ContentLength, got)
		}
		if test.path == "/trailer" && r.Trailer.Get("Checksum") != "42" {
			t.Errorf("trailer %v", r.Trailer)
		}
		s.record()
	}
}

// isInternal reports the reset of a response that broke off.
func isInternal(err error) bool {
	var e *http3.Error
	return errors.As(err, &e) && e.Remote && e.ErrorCode == http3.ErrCodeInternalError || isStreamError(err, codeInternal)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// waiting is a body whose first bytes may be long in coming.
type waiting struct{ exchange.Body }

func (waiting) Waits() bool { return true }

func TestARequestMayStreamBothWays(t *testing.T) {
	s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Length = 200, -1
		x.Response.Body = waiting{x.Request.Body}
		return nil
	}))
	pr, pw := io.Pipe()
	r := must(s.client().Do(must(http.NewRequest("POST", "https://localhost/", pr))))
	buf := make([]byte, 3)
	for range 3 {
		if _, err := pw.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r.Body, buf); err != nil || string(buf) != "abc" {
			t.Fatalf("%q %v", buf, err)
		}
	}
	pw.Close()
	if rest, err := io.ReadAll(r.Body); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
}

func TestTrailersOfRequests(t *testing.T) {
	checksum := exchange.NewName("Checksum")
	s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if _, err := exchangetest.ReadAll(nil, x.Request.Body, 1<<20); err != nil {
			return err
		}
		x.Respond(200, "", bytes.Join([][]byte{x.Request.Trailer.Get(checksum), x.Request.Trailer.Get(exchange.Authorization)}, []byte("|")))
		return nil
	}))
	request := must(http.NewRequest("POST", "https://localhost/", io.MultiReader(strings.NewReader("body"))))
	request.Trailer = http.Header{"Checksum": {"7"}, "Authorization": {"evil"}}
	r := must(s.client().Do(request))
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "7|" {
		t.Errorf("%q %v", body, err)
	}
}

func TestAClientThatGoesAwayCancelsItsRequest(t *testing.T) {
	handling := make(chan struct{})
	s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		close(handling)
		<-x.Context().Done()
		return context.Cause(x.Context())
	}))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-handling
		cancel()
	}()
	if _, err := s.client().Do(must(http.NewRequestWithContext(ctx, "GET", "https://localhost/", nil))); err == nil {
		t.Fatal("there was an answer")
	}
	if rec := s.record(); rec.kind != exchange.ClientAbort || rec.status != 499 {
		t.Errorf("recorded %+v", rec)
	}
}

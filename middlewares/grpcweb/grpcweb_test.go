package grpcweb_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/grpcweb"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

const frame = "\x00\x00\x00\x00\x03abc"

// service answers like a gRPC server: a message, then trailers.
type service struct {
	got    string
	failed error // of the request's body
	broken error // that the response ends with
	bare   bool  // a status and nothing else
}

func (s *service) Handle(x *exchange.Exchange) error {
	var body []byte
	body, s.failed = exchangetest.ReadAll(nil, x.Request.Body, 1<<20)
	s.got = string(body)
	p := &x.Response
	p.Status, p.Length = 200, -1
	p.Header.Add(exchange.ContentType, "application/grpc+proto")
	if s.bare {
		p.Header.Add(exchange.NewName("Grpc-Status"), "12")
		p.Length = 0
		return nil
	}
	p.Trailer.Add(exchange.NewName("Grpc-Status"), "0")
	p.Trailer.Add(exchange.NewName("X-Custom"), "y")
	pieces := exchangetest.Pieces(frame[:2], frame[2:])
	pieces.Err = s.broken
	p.Body = pieces
	return nil
}

const trailers = "\x80\x00\x00\x00\x1dgrpc-status: 0\r\nx-custom: y\r\n"

func TestCalls(t *testing.T) {
	m, err := grpcweb.New(grpcweb.Config{AllowOrigins: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	for _, c := range []struct {
		name, contentType, sent string
		pieces                  int // that the request comes in
		want, wantType          string
	}{
		{"binary", "application/grpc-web+proto", frame, 1, frame + trailers, "application/grpc-web+proto"},
		{"without a suffix", "application/grpc-web", frame, 3, frame + trailers, "application/grpc-web+proto"},
		{"text", "application/grpc-web-text", b64([]byte(frame)), 1, b64([]byte(frame[:2])) + b64([]byte(frame[2:])) + b64([]byte(trailers)), "application/grpc-web-text+proto"},
		{"text in pieces", "application/grpc-web-text", b64([]byte(frame)), 5, b64([]byte(frame[:2])) + b64([]byte(frame[2:])) + b64([]byte(trailers)), "application/grpc-web-text+proto"},
		{"text padded in the middle", "application/grpc-web-text", b64([]byte(frame[:1])) + b64([]byte(frame[1:])), 2, b64([]byte(frame[:2])) + b64([]byte(frame[2:])) + b64([]byte(trailers)), "application/grpc-web-text+proto"},
	} {
		s := &service{}
		x := exchangetest.Request("POST", "/a.B/C", "Content-Type: "+c.contentType, "Origin: https://x.example")
		x.Request.Body, x.Request.Length = exchangetest.Pieces(split(c.sent, c.pieces)...), int64(len(c.sent))
		r := exchangetest.Do(m(s), x)
		if s.got != frame || s.failed != nil {
			t.Errorf("%s: the service got %q, %v", c.name, s.got, s.failed)
		}
		if string(r.Body) != c.want || r.Get("Content-Type") != c.wantType {
			t.Errorf("%s: got %q of type %s, want %q", c.name, r.Body, r.Get("Content-Type"), c.want)
		}
		if r.Get("Access-Control-Allow-Origin") != "https://x.example" || r.Get("Access-Control-Expose-Headers") == "" {
			t.Errorf("%s: the page may not read it", c.name)
		}
		if got := string(x.Request.Header.Get(exchange.ContentType)); got != c.contentType || x.Response.Ended != 1 {
			t.Errorf("%s: it is counted as %s that ended with %d", c.name, got, int(x.Response.Ended)-1)
		}
	}
}

func split(s string, n int) (pieces []string) {
	for ; n > 1; n-- {
		at := len(s) / n
		pieces, s = append(pieces, s[:at]), s[at:]
	}
	return append(pieces, s)
}

func TestEdges(t *testing.T) {
	m, _ := grpcweb.New(grpcweb.Config{AllowOrigins: []string{"https://a.example"}})
	call := func(s *service, contentType, body string, more ...any) *exchangetest.Result {
		x := exchangetest.Request("POST", "/", append([]any{"Content-Type: " + contentType}, more...)...)
		x.Request.Body, x.Request.Length = exchangetest.Pieces(body), int64(len(body))
		return exchangetest.Do(m(s), x)
	}
	s := &service{bare: true}
	if r := call(s, "application/grpc-web", ""); r.Get("Grpc-Status") != "12" || len(r.Body) != 0 {
		t.Errorf("a status alone: %q", r.Body)
	}
	for _, native := range []string{"application/grpc", "application/grpc+proto", "application/grpc-webby", "text/plain"} {
		s := &service{}
		if r := call(s, native, frame); r.Get("Content-Type") != "application/grpc+proto" || strings.Contains(string(r.Body), "grpc-status") {
			t.Errorf("%s was translated: %q", native, r.Body)
		}
	}
	for _, bad := range []string{"AAA", "AA=A", "****", "AAAA="} {
		s := &service{}
		call(s, "application/grpc-web-text", bad)
		if exchange.KindOf(s.failed) != exchange.BadRequest {
			t.Errorf("%q: %v", bad, s.failed)
		}
	}
	s = &service{broken: exchange.UpstreamReset.With(errors.New("gone"))}
	if r := call(s, "application/grpc-web", frame); r.Cut == nil || strings.Contains(string(r.Body), "grpc-status") {
		t.Errorf("a response that broke off looks whole: %q, %v", r.Body, r.Cut)
	}
	s = &service{}
	if r := call(s, "application/grpc-web", frame, "Origin: https://b.example"); r.Has("Access-Control-Allow-Origin") || r.Get("Vary") != "Origin" {
		t.Error("another origin may read the answer")
	}
	for _, origin := range []string{"https://b.example", ""} {
		x := exchangetest.Request("OPTIONS", "/", "Origin: "+origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: x-grpc-web")
		backend := &exchangetest.Backend{}
		if r := exchangetest.Do(m(backend), x); r.Has("Access-Control-Allow-Methods") || backend.Calls != 0 {
			t.Errorf("origin %q may ask", origin)
		}
	}
	if _, err := grpcweb.New(grpcweb.Config{AllowOrigins: []string{"example.com"}}); err == nil {
		t.Error("a host is taken for an origin")
	}
}

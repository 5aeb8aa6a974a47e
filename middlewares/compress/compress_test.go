package compress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

var text = strings.Repeat("The quick brown fox jumps over the lazy dog. ", 200)

func build(t testing.TB, config Config) exchange.Middleware {
	t.Helper()
	if config.Encodings == nil {
		config.SetDefaults()
	}
	m, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func reader(t *testing.T, coding string, r io.Reader) io.Reader {
	t.Helper()
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r, zstd.WithDecoderMaxWindow(8<<20))
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func decode(t *testing.T, coding, body string) string {
	t.Helper()
	b, err := io.ReadAll(reader(t, coding, strings.NewReader(body)))
	if err != nil {
		t.Errorf("%s: %v", coding, err)
	}
	return string(b)
}

func TestCodings(t *testing.T) {
	random := make([]byte, 100_000)
	rand.NewChaCha8([32]byte{}).Read(random)
	for _, coding := range []string{"gzip", "br", "zstd"} {
		for name, backend := range map[string]*exchangetest.Backend{
			"whole":      {Text: text},
			"large":      {Text: strings.Repeat(text, 50)},
			"pieces":     {Pieces: []string{text[:1000], text[1000:1001], text[1001:]}},
			"random":     {Pieces: []string{string(random[:50_000]), string(random[50_000:])}},
			"small ones": {Pieces: strings.SplitAfter(text, " ")},
		} {
			for range 2 { // the second time with a used encoder
				r := exchangetest.Do(build(t, Config{})(backend), exchangetest.Request("GET", "/", "Accept-Encoding: "+coding))
				want := backend.Text + strings.Join(backend.Pieces, "")
				if r.Get("Content-Encoding") != coding || decode(t, coding, r.Body) != want {
					t.Errorf("%s, %s: %s", coding, name, r.Header.AppendTo(nil))
				}
				if r.Length >= 0 && r.Length != int64(len(r.Body)) || name == "whole" && (r.Length < 0 || len(r.Body) > len(want)/10) {
					t.Errorf("%s, %s: length %d of %d", coding, name, r.Length, len(r.Body))
				}
			}
		}
	}
}

func TestNegotiation(t *testing.T) {
	for _, c := range []struct {
		accept   string
		config   Config
		encoding string
	}{
		{"", Config{}, ""},
		{"-", Config{}, ""},
		{"-", Config{DefaultEncoding: "br"}, "br"},
		{"gzip, br, zstd", Config{}, "gzip"},
		{"gzip, br, zstd", Config{Encodings: []string{"zstd", "br", "gzip"}}, "zstd"},
		{"gzip;q=0.5, br;q=0.8", Config{}, "br"},
		{"gzip;q=0.5, br;q=0.501", Config{}, "br"},
		{"GZIP", Config{}, "gzip"},
		{"gzip ; q=1.0", Config{}, "gzip"},
		{"gzip;q=0", Config{}, ""},
		{"gzip;q=0, *", Config{}, "br"},
		{"*", Config{}, "gzip"},
		{"*", Config{DefaultEncoding: "zstd"}, "zstd"},
		{"*;q=0", Config{}, ""},
		{"gzip, *;q=0.1", Config{DefaultEncoding: "zstd"}, "gzip"},
		{"identity;q=1, gzip;q=0.5", Config{}, ""},
		{"identity;q=0.5, gzip", Config{}, "gzip"},
		{"identity, gzip", Config{}, "gzip"},
		{"deflate", Config{}, ""},
		{"br", Config{Encodings: []string{"gzip"}}, ""},
		{"gzip;q=x", Config{}, ""},
		{"gzip;q=1.5", Config{}, "gzip"},
		{"gzip;q=0.0001", Config{}, ""},
		{"gzip;level=1", Config{}, ""},
	} {
		var fields []any
		if c.accept != "-" {
			fields = append(fields, "Accept-Encoding: "+c.accept)
		}
		r := exchangetest.Do(build(t, c.config)(&exchangetest.Backend{Text: text}), exchangetest.Request("GET", "/", fields...))
		if got := r.Get("Content-Encoding"); got != c.encoding {
			t.Errorf("%q, %+v: %q, want %q", c.accept, c.config, got, c.encoding)
		}
		if r.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: Vary %q", c.accept, r.Get("Vary"))
		}
		if c.encoding == "" && r.Body != text {
			t.Errorf("%q: the body was changed", c.accept)
		}
	}
}

func TestWhatIsCompressed(t *testing.T) {
	for _, c := range []struct {
		name    string
		config  Config
		method  string
		request string
		answer  exchangetest.Backend
		want    bool
	}{
		{"no type", Config{}, "GET", "", exchangetest.Backend{Text: text}, true},
		{"error page", Config{}, "GET", "", exchangetest.Backend{Text: text, Status: 404}, true},
		{"HEAD", Config{}, "HEAD", "", exchangetest.Backend{Text: text}, false},
		{"small", Config{}, "GET", "", exchangetest.Backend{Text: text[:1023]}, false},
		{"just large enough", Config{}, "GET", "", exchangetest.Backend{Text: text[:1024]}, true},
		{"own limit", Config{MinResponseBodyBytes: 100}, "GET", "", exchangetest.Backend{Text: strings.Repeat("a", 100)}, true},
		{"compressed already", Config{}, "GET", "", exchangetest.Backend{Text: text, Fields: []string{"Content-Encoding: br"}}, false},
		{"partial", Config{}, "GET", "", exchangetest.Backend{Text: text, Status: 206}, false},
		{"a range", Config{}, "GET", "", exchangetest.Backend{Text: text, Fields: []string{"Content-Range: bytes 0-1/2"}}, false},
		{"no-transform", Config{}, "GET", "", exchangetest.Backend{Text: text, Fields: []string{"Cache-Control: max-age=1, No-Transform"}}, false},
		{"not modified", Config{}, "GET", "", exchangetest.Backend{Status: 304}, false},
		{"image", Config{}, "GET", "", exchangetest.Backend{Text: text, Fields: []string{"Content-Type: image/png"}}, false},
		{"drawing", Config{}, "GET", "", exchangetest.Backend{Text: text, Fields: []string{"Content-Type: image/svg+xml; charset=utf-8"}}, true},
		{"gRPC", Config{}, "POST", "", exchangetest.Backend{Text: text, Fields: []string{"Content-Type: application/grpc+proto"}}, false},
		{"gRPC request", Config{}, "POST", "Content-Type: application/grpc", exchangetest.Backend{Text: text}, false},
		{"excluded", Config{ExcludedContentTypes: []string{"text/HTML"}}, "GET", "", exchangetest.Backend{Text: text, Fields: []string{"Content-Type: Text/html; charset=utf-8"}}, false},
		{"not excluded", Config{ExcludedContentTypes: []string{"text/html"}}, "GET", "", exchangetest.Backend{Text: text, Fields: []string{"Content-Type: text/css"}}, true},
		{"excluded by parameter", Config{ExcludedContentTypes: []string{"text/html; charset=utf-8"}}, "GET", "", exchangetest.Backend{Text: text, Fields: []string{"Content-Type: text/html;charset=UTF-8"}}, true},
		{"included", Config{IncludedContentTypes: []string{"image/png"}}, "GET", "", exchangetest.Backend{Text: text, Fields: []string{"Content-Type: image/png"}}, true},
		{"not included", Config{IncludedContentTypes: []string{"text/html"}}, "GET", "", exchangetest.Backend{Text: text, Fields: []string{"Content-Type: text/css"}}, false},
		{"not included, no type", Config{IncludedContentTypes: []string{"text/html"}}, "GET", "", exchangetest.Backend{Text: text}, false},
	} {
		fields := []any{"Accept-Encoding: gzip"}
		if c.request != "" {
			fields = append(fields, c.request)
		}
		r := exchangetest.Do(build(t, c.config)(&c.answer), exchangetest.Request(c.method, "/", fields...))
		if got := r.Get("Content-Encoding") == "gzip"; got != c.want {
			t.Errorf("%s: compressed %v", c.name, got)
		}
		if r.Has("Vary") != c.want {
			t.Errorf("%s: Vary %v", c.name, r.Has("Vary"))
		}
	}
}

func TestFields(t *testing.T) {
	backend := &exchangetest.Backend{Text: text, Fields: []string{
		`Etag: "a"`, "Accept-Ranges: bytes", "Content-Digest: x", "Vary: Origin", "Content-Type: text/plain",
	}}
	r := exchangetest.Do(build(t, Config{})(backend), exchangetest.Request("GET", "/", "Accept-Encoding: gzip"))
	want := "Etag: W/\"a\"\r\nVary: Origin\r\nContent-Type: text/plain\r\nVary: Accept-Encoding\r\nContent-Encoding: gzip\r\n"
	if got := string(r.Header.AppendTo(nil)); got != want {
		t.Errorf("%s want\n%s", got, want)
	}
	backend = &exchangetest.Backend{Text: text, Fields: []string{`Etag: W/"a"`, "Vary: X, accept-encoding"}}
	r = exchangetest.Do(build(t, Config{})(backend), exchangetest.Request("GET", "/", "Accept-Encoding: gzip"))
	if r.Get("Etag") != `W/"a"` || len(r.Values("Vary")) != 1 {
		t.Errorf("%s", r.Header.AppendTo(nil))
	}
}

// A 304 has the tag of what the client was sent, which is a weak one if that was compressed.
func TestNotModified(t *testing.T) {
	for _, c := range []struct{ has, tag, want, vary string }{
		{`W/"a"`, `"a"`, `W/"a"`, "Accept-Encoding"},
		{`W/"b", W/"a,c"`, `"a,c"`, `W/"a,c"`, "Accept-Encoding"},
		{`"a"`, `"a"`, `"a"`, ""},
		{`W/"a", "a"`, `"a"`, `"a"`, ""},
		{`W/"b"`, `"a"`, `"a"`, ""},
		{`*`, `"a"`, `"a"`, ""},
		{`W/"a"`, `W/"a"`, `W/"a"`, ""},
	} {
		backend := &exchangetest.Backend{Status: 304, Fields: []string{"Etag: " + c.tag}}
		r := exchangetest.Do(build(t, Config{})(backend), exchangetest.Request("GET", "/", "Accept-Encoding: gzip", "If-None-Match: "+c.has))
		if r.Status != 304 || r.Get("Etag") != c.want || r.Get("Vary") != c.vary {
			t.Errorf("%s: %d, %s", c.has, r.Status, r.Header.AppendTo(nil))
		}
	}
}

// What does not get smaller is sent as it is.
func TestIncompressible(t *testing.T) {
	random := make([]byte, 5000)
	rand.NewChaCha8([32]byte{}).Read(random)
	r := exchangetest.Do(build(t, Config{})(&exchangetest.Backend{Text: string(random)}), exchangetest.Request("GET", "/", "Accept-Encoding: zstd"))
	if r.Has("Content-Encoding") || r.Body != string(random) || r.Length != 5000 {
		t.Errorf("%d %s", r.Length, r.Header.AppendTo(nil))
	}
}

// Each event can be read as soon as it came, whatever the coding.
func TestEventsAreNotHeldBack(t *testing.T) {
	for _, coding := range []string{"gzip", "br", "zstd"} {
		events := make([]string, 20)
		for i := range events {
			events[i] = fmt.Sprintf("data: event %d %s\n\n", i, strings.Repeat("x", i*1000))
		}
		x := exchangetest.Request("GET", "/", "Accept-Encoding: "+coding)
		if err := build(t, Config{})(&exchangetest.Backend{Pieces: events, Fields: []string{"Content-Type: text/event-stream"}}).Handle(x); err != nil {
			t.Fatal(err)
		}
		pipe, in := io.Pipe()
		events2 := make(chan string)
		go func() {
			r := reader(t, coding, pipe)
			for _, event := range events {
				got := make([]byte, len(event))
				io.ReadFull(r, got)
				events2 <- string(got)
			}
		}()
		for i, want := range events {
			p, err := x.Response.Body.Next()
			if err != nil {
				t.Fatal(err)
			}
			go in.Write(bytes.Clone(p))
			if got := <-events2; got != want {
				t.Errorf("%s: event %d is %q", coding, i, got)
			}
		}
		x.Response.Close()
		pipe.Close()
	}
}

// Where the length is known and plenty comes, chunks are gathered: flushing each costs size.
func TestPlentyIsNotFlushed(t *testing.T) {
	pieces := make([]string, 64)
	for i := range pieces {
		pieces[i] = text[:8192]
	}
	r := exchangetest.Do(build(t, Config{})(exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Body, x.Response.Length = 200, exchangetest.Pieces(pieces...), 64*8192
		return nil
	})), exchangetest.Request("GET", "/", "Accept-Encoding: gzip"))
	if decode(t, "gzip", r.Body) != strings.Join(pieces, "") || len(r.Pieces) > 10 || r.Length != -1 {
		t.Errorf("%d pieces, length %d", len(r.Pieces), r.Length)
	}
}

// idle is a body that has nothing to say yet.
type idle struct{ *exchangetest.Body }

func (idle) Waits() bool { return true }

// The head of a response whose body is long in coming is sent before it.
func TestHeadsDoNotWait(t *testing.T) {
	for _, waits := range []bool{true, false} {
		x := exchangetest.Request("GET", "/", "Accept-Encoding: gzip")
		build(t, Config{})(exchange.HandlerFunc(func(x *exchange.Exchange) error {
			x.Response.Status, x.Response.Body, x.Response.Length = 200, exchangetest.Pieces(text), -1
			if waits {
				x.Response.Body = idle{exchangetest.Pieces(text)}
			}
			return nil
		})).Handle(x)
		if got := x.Response.Body.(exchange.Waiter).Waits(); got != waits {
			t.Errorf("Waits %v", got)
		}
		x.Response.Close()
	}
}

func TestCutBodies(t *testing.T) {
	inner := &exchangetest.Body{Pieces: []string{text}, Err: exchange.UpstreamReset}
	m := build(t, Config{})
	r := exchangetest.Do(m(exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Body, x.Response.Length = 200, inner, -1
		return nil
	})), exchangetest.Request("GET", "/", "Accept-Encoding: gzip"))
	if !errors.Is(r.Cut, exchange.UpstreamReset) || inner.Closed != 1 {
		t.Errorf("cut %v, closed %d", r.Cut, inner.Closed)
	}
}

func TestTrailers(t *testing.T) {
	r := exchangetest.Do(build(t, Config{})(exchange.HandlerFunc(func(x *exchange.Exchange) error {
		inner := exchangetest.Pieces(text)
		inner.Before = func(left int) {
			if left == 0 {
				exchangetest.Receive(&x.Response.Trailer, "X-Sum: 1")
			}
		}
		x.Response.Status, x.Response.Body, x.Response.Length = 200, inner, -1
		return nil
	})), exchangetest.Request("GET", "/", "Accept-Encoding: br"))
	if string(r.Trailer.AppendTo(nil)) != "X-Sum: 1\r\n" || decode(t, "br", r.Body) != text {
		t.Errorf("%q", r.Trailer.AppendTo(nil))
	}
}

func TestNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, coding := range []string{"gzip", "br", "zstd"} {
		x := exchangetest.Request("GET", "/", "Accept-Encoding: "+coding)
		build(t, Config{})(&exchangetest.Backend{Pieces: []string{strings.Repeat(text, 100), text}}).Handle(x)
		x.Response.Body.Next()
		if n := runtime.NumGoroutine(); n > before {
			t.Errorf("%s: %d goroutines", coding, n-before)
		}
		x.Response.Close()
	}
}

func TestClosedBodies(t *testing.T) {
	x := exchangetest.Request("GET", "/", "Accept-Encoding: gzip")
	build(t, Config{})(&exchangetest.Backend{Pieces: []string{text}}).Handle(x)
	b := x.Response.Body
	b.Close()
	b.Close()
	if _, err := b.Next(); err == nil || err == io.EOF {
		t.Errorf("%v", err)
	}
}

func TestBadConfigurations(t *testing.T) {
	all := []string{"gzip"}
	for name, config := range map[string]Config{
		"exclude each other":   {Encodings: all, ExcludedContentTypes: []string{"a/b"}, IncludedContentTypes: []string{"a/b"}},
		"minResponseBodyBytes": {Encodings: all, MinResponseBodyBytes: -1},
		"encodings is empty":   {Encodings: []string{}},
		`"deflate"`:            {Encodings: []string{"deflate"}},
		"defaultEncoding":      {Encodings: all, DefaultEncoding: "br"},
		"excludedContentTypes": {Encodings: all, ExcludedContentTypes: []string{"a b"}},
		"includedContentTypes": {Encodings: all, IncludedContentTypes: []string{"a b"}},
	} {
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A response that is not to be compressed costs no allocation.
func TestAllocatesNothing(t *testing.T) {
	exchangetest.AllocatesNothing(t, build(t, Config{}), exchangetest.Request("GET", "/", "Accept-Encoding: gzip, deflate, br;q=0.9, zstd"))
}

func BenchmarkCompress(b *testing.B) {
	for _, coding := range []string{"gzip", "br", "zstd"} {
		b.Run(coding, func(b *testing.B) {
			backend := &exchangetest.Backend{Text: strings.Repeat(text, 4)}
			h := build(b, Config{})(backend)
			b.SetBytes(int64(len(backend.Text)))
			b.ReportAllocs()
			for b.Loop() {
				x := exchangetest.Request("GET", "/", "Accept-Encoding: "+coding)
				h.Handle(x)
				x.Response.Close()
			}
		})
	}
}

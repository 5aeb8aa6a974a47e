package httpadapter_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/exchange/httpadapter"
)

// handlers are run under net/http's server and under the adapter, which must not differ.
var handlers = map[string]http.HandlerFunc{
	"nothing":      func(http.ResponseWriter, *http.Request) {},
	"small":        func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") },
	"html":         func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html><body>hello") },
	"empty write":  func(w http.ResponseWriter, _ *http.Request) { w.Write(nil) },
	"status":       func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(418); io.WriteString(w, "tea") },
	"status twice": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(201); w.WriteHeader(202) },
	"no content": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(204)
		n, err := io.WriteString(w, "x")
		if n != 0 || !errors.Is(err, http.ErrBodyNotAllowed) {
			panic("a body is allowed")
		}
	},
	"not modified": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Etag", `"a"`); w.WriteHeader(304) },
	"header": func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("x-lower", "1")
		h.Add("X-Twice", "1")
		h.Add("X-Twice", "2")
		h.Set("X-Bad Name", "1")
		h.Set("X-Split", "a\r\nX-Evil: b")
		h.Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
		h.Set("X-Late", "1")
	},
	"header after WriteHeader": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		w.Header().Set("X-Late", "1")
		io.WriteString(w, "x")
	},
	"no type": func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		io.WriteString(w, "x")
	},
	"encoded": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, "x")
	},
	"large": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("large ", 20000)) },
	"many small": func(w http.ResponseWriter, _ *http.Request) {
		for i := range 5000 {
			fmt.Fprintf(w, "line %d\n", i)
		}
	},
	"small then large": func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "<html>")
		io.WriteString(w, strings.Repeat("x", 10000))
		io.WriteString(w, "</html>")
	},
	"declared": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10000")
		io.WriteString(w, strings.Repeat("x", 10000))
	},
	"declared too little": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "3")
		if _, err := io.WriteString(w, "1234"); !errors.Is(err, http.ErrContentLength) {
			panic("more than declared is taken")
		}
		io.WriteString(w, "123")
	},
	"declared too much": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "123")
	},
	"declared nonsense": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "-1")
		io.WriteString(w, "123")
	},
	"flush": func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		io.WriteString(w, "a")
		w.(http.Flusher).Flush()
		io.WriteString(w, "b")
	},
	"flush after write": func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "<html>")
		http.NewResponseController(w).Flush()
		io.WriteString(w, "b")
	},
	"trailers": func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-One, x-two")
		io.WriteString(w, "body")
		w.Header().Set("X-One", "1")
		w.Header().Set("X-Two", "2")
		w.Header().Set(http.TrailerPrefix+"X-Zed", "3")
	},
	"late trailers": func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Zed", "3")
	},
	"abort": func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "some")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	},
	"echo": func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %v %d %q %v", r.Method, r.RequestURI, r.Host, r.URL, r.ContentLength, body, err)
		fmt.Fprintf(w, " %q %q %q %v\n", r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.TransferEncoding)
		for _, name := range slices.Sorted(maps.Keys(r.Header)) {
			fmt.Fprintf(w, "%s: %q\n", name, r.Header[name])
		}
		fmt.Fprintf(w, "%v %d.%d", r.Proto, r.ProtoMajor, r.ProtoMinor)
	},
	"echo as it comes": func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	},
	"controller": func(w http.ResponseWriter, _ *http.Request) {
		c := http.NewResponseController(w)
		fmt.Fprint(w, c.EnableFullDuplex(), c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{}), c.Flush())
	},
	"file":      func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "parity_test.go") },
	"redirect":  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere?x", http.StatusFound) },
	"not found": http.NotFound,
	"hijack": func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 403 Forbidden\r\nContent-Type: text/x\r\nContent-Length: 6\r\n\r\nhijack")
		rw.Flush()
		if _, err := io.WriteString(w, "x"); !errors.Is(err, http.ErrHijacked) {
			panic(err)
		}
	},
	"hijack until close": func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		conn, _, _ := http.NewResponseController(w).Hijack()
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhijack")
		conn.Close()
	},
}

// outcome is what both must agree on.
type outcome struct {
	status  int
	length  int64
	header  string
	body    string
	trailer string
	cut     bool
}

func TestSameAsNetHTTP(t *testing.T) {
	requests := []struct {
		method, target, body string
		chunked              bool
	}{
		{"GET", "/", "", false},
		{"HEAD", "/", "", false},
		{"POST", "/a%2Fb/c%20d?x=1&y=%20", "the body", false},
		{"PUT", "/p?", strings.Repeat("chunk ", 3000), true},
	}
	for name, handler := range handlers {
		for _, r := range requests {
			if name == "declared nonsense" && r.method == "HEAD" {
				continue // net/http sends it on
			}
			t.Run(name+" "+r.method, func(t *testing.T) {
				want := underNetHTTP(t, handler, r.method, r.target, r.body, r.chunked)
				parts := []any{"User-Agent: test", "X-Sent: 1", "x-sent: 2"}
				if r.chunked {
					parts = append(parts, exchangetest.Pieces(r.body[:100], r.body[100:]))
				} else if r.body != "" {
					parts = append(parts, []byte(r.body))
				}
				x := exchangetest.Request(r.method, "http://host.example"+r.target, parts...)
				got := underAdapter(handler, x)
				if r.method == "HEAD" && want.length < 0 {
					got.length = -1 // net/http counts no more than its buffer
				}
				if got != want {
					t.Errorf("got\n%+v\nwant\n%+v", got, want)
				}
			})
		}
	}
}

func underAdapter(handler http.Handler, x *exchange.Exchange) outcome {
	r := exchangetest.Do(httpadapter.Handler(handler), x)
	if r.Status == 204 || r.Status == 304 {
		r.Length = 0 // what was read from the wire says no more
	}
	got := outcome{status: r.Status, length: r.Length, header: string(r.Header.AppendTo(nil)), body: r.Body, trailer: string(r.Trailer.AppendTo(nil)), cut: r.Cut != nil}
	if x.Request.Method == "HEAD" {
		got.body, got.cut = "", false
	}
	return got
}

func underNetHTTP(t *testing.T, handler http.Handler, method, target, body string, chunked bool) outcome {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: host.example\r\nUser-Agent: test\r\nX-Sent: 1\r\nX-Sent: 2\r\n", method, target)
	switch {
	case chunked:
		fmt.Fprintf(conn, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	case body != "":
		fmt.Fprintf(conn, "Content-Length: %d\r\n\r\n%s", len(body), body)
	default:
		fmt.Fprint(conn, "\r\n")
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	want := outcome{status: response.StatusCode, length: response.ContentLength, body: string(got), cut: err != nil}
	response.Header.Del("Date") // the codec's
	response.Header.Del("Connection")
	response.Header.Del("Trailer")
	if response.StatusCode == 204 {
		want.length = 0
	}
	want.header, want.trailer = lines(response.Header), lines(response.Trailer)
	return want
}

func lines(h http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if name == "Content-Length" {
			continue
		}
		for _, value := range h[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	return b.String()
}

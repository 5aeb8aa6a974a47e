package h1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// TestUpstreamBytes: what a server's body had is counted, however it was framed and whatever was made of it.
func TestUpstreamBytes(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	for _, c := range []struct {
		name, method, answer string
		want                 int64
	}{
		{"length", "GET", "Content-Length: 5\r\n\r\nhello", 5},
		{"long", "GET", fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(long), long), int64(len(long))},
		{"chunks", "GET", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 11},
		{"until the end", "GET", "\r\nhello", 5},
		{"none", "HEAD", "Content-Length: 5\r\n\r\n", 0},
		{"empty", "GET", "Content-Length: 0\r\n\r\n", 0},
	} {
		for _, replaced := range []bool{false, true} {
			t.Run(fmt.Sprint(c.name, replaced), func(t *testing.T) {
				r := newRig(t, nil, func(conn net.Conn) {
					if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
						io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+c.answer)
					}
				})
				if replaced {
					r.server.Handler = exchange.HandlerFunc(func(x *exchange.Exchange) error {
						if err := r.pool.Handle(x); err != nil {
							return err
						}
						exchange.WholeOf(x.Response.Body) // asking counts nothing twice
						if _, err := exchangetest.ReadAll(nil, x.Response.Body, 1<<20); err != nil {
							return err
						}
						x.Response.Body.Close()
						x.Respond(200, "text/plain", []byte("other"))
						return nil
					})
				}
				if _, err := r.send(c.method + " / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				waittest.Until(t, "the exchange is over", func() bool { return len(r.records()) == 1 })
				if got := r.records()[0].UpstreamBytes; got != c.want {
					t.Errorf("%d bytes, want %d", got, c.want)
				}
			})
		}
	}
}

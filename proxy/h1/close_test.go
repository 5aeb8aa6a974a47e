package h1

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// An answer says that the connection ends if it does, RFC 9112 §9.6, and a connection whose request has been read
// to its end, or can be, goes on.
func TestAnswersSayWhetherTheConnectionEnds(t *testing.T) {
	r := newRig(t, nil, func(c net.Conn) {
		br := bufio.NewReader(c)
		switch head, _ := readHead(br); {
		case strings.HasPrefix(head, "POST /lost"): // gone without an answer, the body half sent
			br.ReadByte()
		case strings.HasPrefix(head, "POST /broken"): // gone in the middle of one
			br.ReadByte()
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
		case strings.HasPrefix(head, "POST /early"):
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
			io.Copy(io.Discard, br)
		}
	})
	r.server.Handler = exchange.HandlerFunc(func(x *exchange.Exchange) error {
		switch string(x.Request.Path) {
		case "/refused":
			return exchange.Forbidden
		case "/limited":
			if _, err := exchangetest.ReadAll(nil, x.Request.Body, 10); err != nil {
				return exchange.BodyTooLarge.With(err)
			}
			x.Respond(200, "", nil)
		case "/page": // an answer of a handler's own to whatever was wrong
			exchangetest.ReadAll(nil, x.Request.Body, 10)
			x.Respond(403, "", []byte("a page"))
		case "/closed":
			x.Request.Body.Close()
			x.Respond(200, "", nil)
		case "/next":
			x.Respond(200, "", []byte("next"))
		default:
			return r.pool.Handle(x)
		}
		return nil
	})
	const length, chunked = "Content-Length: 20\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"
	const long = "Content-Length: 10000000\r\n\r\n"
	const whole, ten = "14\r\n01234567890123456789\r\n0\r\n\r\n", "0123456789"
	for name, tt := range map[string]struct {
		path, request string
		rest          string // sent behind the answer
		status        string
		ends          bool
	}{
		"nothing to read":                             {"/refused", "Content-Length: 0\r\n\r\n", "", "403", false},
		"a body that came whole":                      {"/refused", length + ten + ten, "", "403", false},
		"one that is short":                           {"/refused", length + ten, ten, "403", false},
		"one that is long":                            {"/refused", long + ten, "", "403", true},
		"chunks that came whole":                      {"/refused", chunked + whole, "", "403", false},
		"chunks to come":                              {"/refused", chunked + "14\r\n" + ten, "", "403", true},
		"chunks that are none":                        {"/refused", chunked + "zz\r\n", "", "403", true},
		"over a limit, read in part":                  {"/limited", long + ten + ten, "", "413", true},
		"over a limit, short":                         {"/limited", length + ten + "0", ten[1:], "413", false},
		"over a limit, chunks":                        {"/limited", chunked + "14\r\n" + ten + ten, "", "413", true},
		"over a limit, chunks that came whole":        {"/limited", chunked + whole, "", "413", false},
		"within a limit":                              {"/limited", "Content-Length: 10\r\n\r\n" + ten, "", "200", false},
		"within a limit, chunks":                      {"/limited", chunked + "a\r\n" + ten + "\r\n0\r\n\r\n", "", "200", false},
		"a page for a body that is malformed":         {"/page", chunked + "zz\r\n", "", "403", true},
		"a page for a long body":                      {"/page", long + ten + ten, "", "403", true},
		"a body that was closed":                      {"/closed", long + ten, "", "200", true},
		"a body that was closed when it had come":     {"/closed", length + ten + ten, "", "200", false},
		"a server that takes half of it":              {"/lost", long + ten, "", "502", true},
		"a server that breaks off before its answer":  {"/broken", long + ten, "", "502", true},
		"a server that answers early":                 {"/early", long + ten, "", "413", true},
		"a server that answers early, chunks to come": {"/early", chunked + "14\r\n" + ten, "", "413", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := r.dial()
			br := bufio.NewReader(c)
			io.WriteString(c, "POST "+tt.path+" HTTP/1.1\r\nHost: h\r\n"+tt.request)
			head, err := readHead(br)
			if err != nil || !strings.HasPrefix(head, "HTTP/1.1 "+tt.status) {
				t.Fatalf("%v %q", err, head)
			}
			if said := strings.Contains(head, "\r\nConnection: close\r\n"); said != tt.ends {
				t.Errorf("says it ends: %v; it is %q", said, head)
			}
			io.WriteString(c, tt.rest+"GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
			c.CloseWrite()
			out, _ := io.ReadAll(br)
			if next := strings.HasSuffix(string(out), "next"); next == tt.ends {
				t.Errorf("the next request was answered: %v; %q", next, out)
			}
		})
	}
}

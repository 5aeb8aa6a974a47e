//go:build linux

package harness

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A Conn is a TCP connection of which a test controls every byte. It gives up after Patience.
type Conn struct {
	net.Conn
	*bufio.Reader
	t testing.TB
}

// Dial connects to host:port; the connection is closed with the test.
func Dial(t testing.TB, address string) *Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return newConn(t, conn)
}

func newConn(t testing.TB, conn net.Conn) *Conn {
	conn.SetDeadline(time.Now().Add(Patience))
	return &Conn{Conn: conn, Reader: bufio.NewReader(conn), t: t}
}

// Read is that of the buffered reader.
func (c *Conn) Read(bytes []byte) (int, error) { return c.Reader.Read(bytes) }

// Send writes text in which every line end becomes CR LF.
func (c *Conn) Send(format string, arguments ...any) {
	c.t.Helper()
	text := strings.ReplaceAll(fmt.Sprintf(format, arguments...), "\n", "\r\n")
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Errorf("send: %v", err)
	}
}

// Head reads up to and including an empty line, and returns it with LF line ends; what came before the
// connection ended if it did.
func (c *Conn) Head() string {
	var head strings.Builder
	for {
		line, err := c.ReadString('\n')
		head.WriteString(strings.Replace(line, "\r\n", "\n", 1))
		if err != nil || line == "\r\n" || line == "\n" {
			return head.String()
		}
	}
}

// Response reads a response with its whole body. The method is that of its request.
func (c *Conn) Response(method string) (*http.Response, string) {
	c.t.Helper()
	response, err := http.ReadResponse(c.Reader, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read a response: %v", err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatalf("read a response body: %v after %d bytes", err, len(body))
	}
	return response, string(body)
}

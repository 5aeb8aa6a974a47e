package h3

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h3/frame"
)

// chopped yields a stream in pieces of so many bytes; 0 is all at once, with its end.
type chopped struct {
	left []byte
	size int
}

func (c *chopped) Read(p []byte) (int, error) {
	n := len(c.left)
	if c.size > 0 {
		n = min(n, c.size)
	}
	n = copy(p, c.left[:n])
	if c.left = c.left[n:]; len(c.left) == 0 && (c.size == 0 || n == 0) {
		return n, io.EOF
	}
	return n, nil
}

// outcome is what became of a stream.
type outcome struct {
	refused string // the rule, or what else was wrong
	request string // the head as it goes on
	body    string
	trailer string
}

// read takes a request stream as a server does, whose pieces have a size.
func read(t *testing.T, text []byte, size int) (o outcome) {
	s := streams.New().(*stream)
	c := &conn{srv: &Server{Limits: fields.DefaultLimits, Logger: slog.New(slog.DiscardHandler)}, info: &exchange.Conn{}}
	c.closing.Store(true) // there is no connection to end
	s.conn = c
	s.x.Reset(c.info, &s.life, nil)
	s.reader.begin(&chopped{text, size})
	s.body.begin(s, 0)
	s.body.over = true
	r := &s.x.Request
	err := s.readHead()
	if r.Continue = false; err == nil && r.Upgrade != nil && s.r == s.w && s.fill() == io.EOF {
		err = fields.RuleLengthBody // so it is when that is seen with the head, and what is no tunnel ends soon when it is not
	}
	var body []byte
	for err == nil && r.Body != nil {
		var p []byte
		if p, err = r.Body.Next(); err == nil {
			body = append(body, p...)
		}
	}
	if err != nil && err != io.EOF {
		var rule *fields.Rule
		if o.refused = err.Error(); errors.As(err, &rule) {
			o.refused = rule.Name
		}
		return o
	}
	if r.Body != nil && r.Length >= 0 && r.Length != int64(len(body)) {
		t.Fatalf("%x: %d bytes of body, and a length of %d", text, len(body), r.Length)
	}
	r.Header.Del(exchange.NewName("Sec-WebSocket-Key")) // by chance
	o.request = r.Method + " " + string(r.Host) + " " + string(r.Target) + "\r\n" + string(r.Header.AppendTo(nil))
	o.body, o.trailer = string(body), string(r.Trailer.AppendTo(nil))
	for line := range strings.SplitSeq(strings.TrimSuffix(string(r.Header.AppendTo(nil)), "\r\n"), "\r\n") {
		if strings.ContainsAny(line, "\r\n\x00") || line != "" && strings.IndexByte(line, ':') < 1 {
			t.Fatalf("%x: goes on with the line %q", text, line)
		}
	}
	return o
}

// FuzzRequest: a request stream means one thing, however it arrives; and what is taken can go on as
// HTTP/1.1: its body is as long as it says, and no field holds another.
func FuzzRequest(f *testing.F) {
	for _, parts := range [][][]byte{
		{get()}, {get("cookie", "a=1", "cookie", "b=2")}, {post("content-length", "4"), data("ab"), data("cd")},
		{post(), data("abc"), headers("checksum", "1")}, {frameOf(0x21, []byte("x")), post("content-length", "0"), frameOf(0x40, nil)},
		{post("content-length", "3"), data("abcd")}, {get("a", "b\r\nc: d")}, {data("x")}, {bomb(300)},
		{headers(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "h", ":path", "/"), data("x")},
		{headers(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "h", ":path", "/")},
		{post("expect", "100-continue"), data("abc")},
		{frameOf(frame.Headers, []byte{0, 0, 0xd1, 0xd7, 0xc1, 0x50, 1, 'h'})},
	} {
		f.Add(bytes.Join(parts, nil), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, size uint8) {
		whole, pieces := read(t, text, 0), read(t, text, int(size%40)+1)
		if whole != pieces {
			t.Fatalf("%x:\n%+v at once,\n%+v in pieces of %d", text, whole, pieces, size%40+1)
		}
	})
}

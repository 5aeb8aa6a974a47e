package h1

import (
	"bytes"
	"testing"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// FuzzConvert: whatever comes by HTTP/2 or HTTP/3 and is accepted is, as it is sent on in HTTP/1.1, one
// request, and the same one: here and for net/http. Fields are lines of the input, "name: value"; what
// follows an empty line is the body.
func FuzzConvert(f *testing.F) {
	const get = ":method: GET\n:scheme: https\n:authority: a.test\n:path: /p?q\n"
	for _, seed := range []string{
		get + "x: y\n", get + "cookie: a=b\ncookie: c=d\nte: trailers\n", get + "content-length: 3\n\nabc", get + "content-length: 3\n\nabcd",
		get + "content-length: 5\n\nabc", get + "\nabc", get + "transfer-encoding: chunked\n\n0\r\n\r\n", get + "x: y\r\nz: a\n",
		get + "host: a.test\n", ":method: OPTIONS\n:scheme: http\n:authority: a\n:path: *\n", get + "connection: close\n", get + "expect: 100-continue\n\nabc",
		":method: CONNECT\n:protocol: websocket\n:scheme: https\n:authority: a\n:path: /ws\n", get + "x:  y \n", get + "x_y: z\n", get + "trailer: x\n\nabc",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, ended bool) {
		head, body, _ := bytes.Cut(in[:min(len(in), mostFuzzed)], []byte("\n\n"))
		var b fields.Block
		b.Reset(&fields.DefaultLimits)
		for line := range bytes.SplitSeq(head, []byte("\n")) {
			if len(line) == 0 {
				continue
			}
			at := bytes.IndexByte(line[1:], ':') + 1
			if at == 0 {
				continue
			}
			b.Add(line[:at], bytes.TrimPrefix(line[at+1:], []byte(" ")))
		}
		m := &received{}
		m.x.Reset(&exchange.Conn{}, nil, nil)
		r := &m.x.Request
		if b.Request(r, ended) != nil || r.Upgrade != nil {
			return
		}
		if !ended {
			m.content = body
		}
		if r.Length >= 0 && int64(len(m.content)) != r.Length {
			return // the stream is reset before its end is sent on
		}
		var err error
		if r.Path, err = urlpath.Normalize(nil, r.Path, urlpath.KeepSegments); err != nil {
			return
		}
		m.x.Request.Continue = false // it has been given leave
		want := string(r.Header.AppendTo(nil))
		out := m.forward()
		sent := receive(out, &generous)
		if sent == nil || sent.end != len(out) {
			t.Fatalf("%q is made of %q, and that is not one request", out, in)
		}
		if err := sent.compare(out); err != nil {
			t.Fatalf("%q is made of %q: %v", out, in, err)
		}
		s := &sent.x.Request
		if s.Method != r.Method || !bytes.Equal(s.Path, r.Path) || !bytes.Equal(s.Query, r.Query) || !bytes.Equal(s.Host, r.Host) ||
			!bytes.Equal(sent.content, m.content) {
			t.Fatalf("%q is made of %q: it is another request", out, in)
		}
		r.Header.Del(exchange.TE)
		if got := string(s.Header.AppendTo(nil)); got != string(r.Header.AppendTo(nil)) {
			t.Fatalf("%q is made of %q: its fields are %q, not %q", out, in, got, want)
		}
	})
}

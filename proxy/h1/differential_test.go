package h1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// lenient lists what is accepted here though net/http refuses it, why that is safe, and an example.
var lenient = []struct {
	name, reason, example string
	applies               func(r *exchange.Request, head []byte) bool
}{
	{"announced framing trailers",
		"Trailer is an announcement without force (RFC 9110 §6.6.2); the fields it may not name are dropped from " +
			"every trailer section, announced or not (RFC 9110 §6.5.1)",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: content-length\r\n\r\n0\r\nContent-Length: 3\r\n\r\n",
		func(r *exchange.Request, _ []byte) bool {
			if r.Length >= 0 {
				return false
			}
			for v := range r.Header.Values(exchange.TrailerName) {
				for item := range exchange.List(v) {
					switch exchange.Identify(item) {
					case lengthID, transferID, exchange.TrailerName.ID():
						return true
					}
				}
			}
			return false
		}},
	{"one length in several ways",
		"lengths of the same decimal value are replaced by one (RFC 9110 §8.6)",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 01\r\n\r\na",
		func(_ *exchange.Request, head []byte) bool {
			texts := map[string]bool{}
			for line := range bytes.Lines(head) {
				if name, value, ok := bytes.Cut(line, []byte(":")); ok && exchange.Identify(name) == lengthID {
					texts[string(bytes.TrimSpace(value))] = true
				}
			}
			return len(texts) > 1
		}},
}

// excused reports whether net/http is known to refuse such a request, and this proxy not.
func excused(r *exchange.Request, head []byte) bool {
	for _, l := range lenient {
		if l.applies(r, head) {
			return true
		}
	}
	return false
}

// TestLenient: every exception is one, and needed.
func TestLenient(t *testing.T) {
	for i, l := range lenient {
		m := receive([]byte(l.example), &fields.DefaultLimits)
		if m == nil || !l.applies(&m.x.Request, []byte(l.example)) || m.x.Request.Trailer.Len() > 0 {
			t.Errorf("%s: the example is not one", l.name)
			continue
		}
		if _, err := http.ReadRequest(bufio.NewReader(strings.NewReader(l.example))); err == nil {
			t.Errorf("%s: net/http accepts the example: take the exception off the list", l.name)
		}
		for _, other := range lenient[:i] {
			if other.applies(&m.x.Request, []byte(l.example)) {
				t.Errorf("%s is %s already", l.name, other.name)
			}
		}
	}
}

// received is a request with all that came of its body.
type received struct {
	x       exchange.Exchange
	f       framing
	head    int // bytes
	content []byte
	end     int // where the message ends; -1 when more of it is to come
}

// generous are the limits of whoever gets what was made of a request that kept to ours: escapes that its
// path needs make it longer, and fields are added.
var generous = fields.Limits{HeaderBytes: 1 << 20, Fields: 1 << 10, TargetBytes: 1 << 20}

// mostFuzzed is how much of an input is looked at, in bytes: net/http has limits of its own, for what is no
// content of a chunked body among others, and none of them is as low.
const mostFuzzed = 4 << 10

// receive reads what in begins with, as a server of ours would; nil when it would refuse it, or wait for
// more of the head. in is not touched.
func receive(in []byte, lim *fields.Limits) *received {
	m := &received{}
	buf := bytes.Clone(in)
	head, err := parseRequest(&m.x, &m.f, buf, lim)
	if err != nil || head < 0 {
		return nil
	}
	m.head = head
	r := &m.x.Request
	if r.Path, err = urlpath.Normalize(nil, r.Path, urlpath.KeepSegments); err != nil {
		return nil // the entry point's stack refuses it
	}
	mode := byNothing
	switch {
	case r.Length > 0:
		mode = byLength
	case r.Length < 0:
		mode = byChunks
	}
	var body incoming
	body.begin(nil, buf, head, len(buf), mode, max(r.Length, 0), &r.Trailer)
	for !body.over {
		at := body.r
		p, err := body.decode()
		if err != nil {
			return nil
		}
		m.content = append(m.content, p...)
		if body.r == at && !body.over {
			m.end = -1
			return m
		}
	}
	m.end = body.r
	return m
}

// FuzzDifferential: whatever is accepted here is accepted by net/http too and means the same there: method,
// target, host, fields, framing, content, trailers, and where the next request begins. So does what is made
// of it for a server. Whoever stands behind this proxy or before it cannot be made to disagree with it.
func FuzzDifferential(f *testing.F) {
	seeds(f, false)
	for _, l := range lenient {
		f.Add([]byte(l.example))
	}
	for _, target := range []string{"http://a%41/", "http://[::1]:80?q", "http://[::]]/", "http://[1.2.3.4]/", "http://a:1:2/", "/%zz", "/|\x80?%zz", "//a:b/../c"} {
		f.Add([]byte("GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"))
	}
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1 ;x\r\na\r\n0\t;x=y\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("a:\r\n", fields.DefaultLimits.Fields-1) + "\r\n")) // a Content-Length is added
	f.Add([]byte("GET /" + strings.Repeat("|", fields.DefaultLimits.TargetBytes/3) + " HTTP/1.1\r\nHost: h\r\n\r\n"))  // three times as long when escaped
	f.Fuzz(func(t *testing.T, in []byte) {
		in = in[:min(len(in), mostFuzzed)]
		m := receive(in, &fields.DefaultLimits)
		if m == nil {
			return
		}
		if err := m.compare(in); err != nil {
			t.Fatalf("%q is accepted: %v", in, err)
		}
		if m.end < 0 {
			return
		}
		out := m.forward()
		sent := receive(out, &generous)
		if sent == nil || sent.end != len(out) {
			t.Fatalf("%q is made of %q, and that is not a request", out, in)
		}
		if err := sent.compare(out); err != nil {
			t.Fatalf("%q is made of %q: %v", out, in, err)
		}
		if !bytes.Equal(sent.content, m.content) || sent.x.Request.Method != m.x.Request.Method ||
			!bytes.Equal(sent.x.Request.Path, m.x.Request.Path) || !bytes.Equal(sent.x.Request.Query, m.x.Request.Query) {
			t.Fatalf("%q is made of %q: it is another request", out, in)
		}
	})
}

// forward is m as it would be sent to a server.
func (m *received) forward() []byte {
	k := &call{pool: &Pool{config: PoolConfig{DefaultHost: []byte("upstream")}}, x: &m.x}
	out := k.appendHead(nil, m.content, m.x.Request.Length >= 0)
	if m.x.Request.Length >= 0 {
		return append(out, m.content...)
	}
	if len(m.content) > 0 {
		out = append(append(appendChunkHead(out, len(m.content)), m.content...), crlf...)
	}
	return append(m.x.Request.Trailer.AppendTo(append(out, "0\r\n"...)), crlf...)
}

// compare tells how net/http understands in otherwise.
func (m *received) compare(in []byte) error {
	r := &m.x.Request
	size := len(in)
	if r.Length < 0 {
		in = slices.Concat(in[:m.head], plainExtensions(in[m.head:]))
	}
	end := m.end - (size - len(in))
	rest := bytes.NewReader(in)
	br := bufio.NewReaderSize(rest, len(in)+4096) // it looks for the end of a trailer section in its buffer only
	q, err := http.ReadRequest(br)
	if err != nil {
		if excused(r, in[:m.head]) {
			return nil
		}
		return fmt.Errorf("net/http refuses it: %w", err)
	}
	if q.Method != r.Method || q.RequestURI != string(r.Target) || q.URL.RawQuery != string(r.Query) {
		return fmt.Errorf("net/http reads %s %s", q.Method, q.RequestURI)
	}
	if path, err := url.PathUnescape(string(r.Path)); err != nil || path != q.URL.Path && q.URL.Path != "" {
		return fmt.Errorf("its path is %q, net/http's %q", r.Path, q.URL.Path)
	}
	if q.Host != string(r.Host) {
		return fmt.Errorf("its host is %q, net/http's %q", r.Host, q.Host)
	}
	if chunked := len(q.TransferEncoding) > 0; chunked != (r.Length < 0) || q.ContentLength != r.Length {
		return fmt.Errorf("its length is %d, net/http's %d, chunked %v", r.Length, q.ContentLength, chunked)
	}
	if err := sameFields(&r.Header, q.Header); err != nil {
		return err
	}
	body, err := io.ReadAll(q.Body)
	left := br.Buffered() + rest.Len()
	switch {
	case m.end < 0 && err == nil:
		return fmt.Errorf("more is waited for, net/http has its end %d bytes before that of the input", left)
	case m.end < 0:
		return nil
	case err != nil:
		return fmt.Errorf("its body is whole, net/http says: %w", err)
	case !bytes.Equal(body, m.content):
		return fmt.Errorf("its body is %q, net/http's %q", m.content, body)
	case len(in)-left != end:
		return fmt.Errorf("it ends at %d, net/http's at %d", end, len(in)-left)
	}
	return sameFields(&r.Trailer, q.Trailer)
}

// plainExtensions is a chunked body without the white space between a chunk's size and its extensions, which
// a recipient must take and net/http refuses. RFC 9112 §7.1.1, RFC 9110 §5.6.3.
func plainExtensions(body []byte) (plain []byte) {
	for {
		line := body[:bytes.IndexByte(body, '\n')+1]
		extensions := bytes.TrimLeft(line, "0123456789abcdefABCDEF")
		digits := line[:len(line)-len(extensions)]
		n, err := strconv.ParseUint(string(digits), 16, 64)
		if err != nil {
			return append(plain, body...)
		}
		if trimmed := bytes.TrimLeft(extensions, " \t"); trimmed[0] == ';' {
			extensions = trimmed
		}
		plain = append(append(plain, digits...), extensions...)
		body = body[len(line):]
		if n == 0 {
			return append(plain, body...)
		}
		n = min(n, uint64(len(body)))
		plain, body = append(plain, body[:n]...), body[n:]
		crlf := body[:min(2, len(body))]
		plain, body = append(plain, crlf...), body[len(crlf):]
	}
}

// sameFields finds a field that net/http has not got.
func sameFields(h *exchange.Header, q http.Header) error {
	left := q.Clone()
next:
	for name, value := range h.All() {
		key := http.CanonicalHeaderKey(string(name))
		if key == "Trailer" {
			continue // net/http takes it out
		}
		for i, v := range left[key] {
			if strings.Trim(v, " \t") == string(value) {
				left[key] = append(left[key][:i:i], left[key][i+1:]...)
				continue next
			}
		}
		return fmt.Errorf("net/http has no field %s: %q", name, value)
	}
	return nil
}

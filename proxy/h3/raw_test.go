package h3

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h3/frame"
	"github.com/pergola-mesh/pergola/proxy/h3/qpack"
)

// raw is a client that sends what a test tells it to, byte by byte.
type raw struct {
	t    testing.TB
	site *site
	conn *quic.Conn
}

// raw connects.
func (s *site) raw() *raw {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, s.addr.String(), clientTLS(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.CloseWithError(codeNoError, "") })
	return &raw{s.t, s, conn}
}

// uni opens a unidirectional stream and sends bytes on it.
func (r *raw) uni(bytes ...byte) *quic.SendStream {
	r.t.Helper()
	q, err := r.conn.OpenUniStream()
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := q.Write(bytes); err != nil {
		r.t.Fatal(err)
	}
	return q
}

// send opens a request stream and sends parts on it.
func (r *raw) send(parts ...[]byte) *quic.Stream {
	r.t.Helper()
	q, err := r.conn.OpenStream()
	if err != nil {
		r.t.Fatal(err)
	}
	q.SetDeadline(time.Now().Add(patience))
	for _, p := range parts {
		if _, err := q.Write(p); isRemote(err) {
			break // the answer, or the refusal, is there before all was sent
		} else if err != nil {
			r.t.Fatal(err)
		}
	}
	return q
}

// ask is send, and then nothing more.
func (r *raw) ask(parts ...[]byte) *quic.Stream {
	q := r.send(parts...)
	q.Close()
	return q
}

// closed waits for the end of the connection and returns its code.
func (r *raw) closed() quic.ApplicationErrorCode {
	r.t.Helper()
	select {
	case <-r.conn.Context().Done():
	case <-time.After(patience):
		r.t.Fatal("the connection goes on")
	}
	var e *quic.ApplicationError
	if err := context.Cause(r.conn.Context()); !errors.As(err, &e) || !e.Remote {
		r.t.Fatalf("the connection ended with %v", err)
	}
	return e.ErrorCode
}

// answer reads a response: its fields as lines, and its content.
func answer(t testing.TB, q *quic.Stream) (head, body string, err error) {
	t.Helper()
	all, err := io.ReadAll(q)
	for len(all) > 0 {
		h, n := frame.ParseHead(all)
		if n == 0 || uint64(len(all)-n) < h.Length {
			return head, body, errors.Join(err, io.ErrUnexpectedEOF)
		}
		payload := all[n : n+int(h.Length)]
		all = all[n+int(h.Length):]
		switch h.Type {
		case frame.Headers:
			head += lines(t, payload)
		case frame.Data:
			body += string(payload)
		}
	}
	return head, body, err
}

// lines decodes a field section that we have encoded.
func lines(t testing.TB, section []byte) (text string) {
	t.Helper()
	var d qpack.Decoder
	var b fields.Block
	b.Reset(&fields.ResponseLimits)
	if err := d.Decode(&b, section); err != nil {
		t.Fatalf("%x: %v", section, err)
	}
	for name, value := range b.All() {
		text += string(name) + ": " + string(value) + "\n"
	}
	return text
}

// headers is a HEADERS frame of names and values in turn.
func headers(list ...string) []byte {
	section := qpack.AppendPrefix(nil)
	for i := 0; i < len(list); i += 2 {
		section = prefixed(section, 0x20, 3, list[i])
		section = prefixed(section, 0, 7, list[i+1])
	}
	return frameOf(frame.Headers, section)
}

// prefixed appends a string as it is, whose length has a prefix of n bits.
func prefixed(dst []byte, first byte, n uint, text string) []byte {
	limit := 1<<n - 1
	if len(text) < limit {
		return append(append(dst, first|byte(len(text))), text...)
	}
	rest := len(text) - limit
	for dst = append(dst, first|byte(limit)); rest >= 0x80; rest >>= 7 {
		dst = append(dst, byte(rest)|0x80)
	}
	return append(append(dst, byte(rest)), text...)
}

// get is the HEADERS frame of a GET with more fields.
func get(more ...string) []byte {
	return headers(append([]string{":method", "GET", ":scheme", "https", ":authority", "localhost", ":path", "/"}, more...)...)
}

// post is the HEADERS frame of a POST with more fields.
func post(more ...string) []byte {
	return headers(append([]string{":method", "POST", ":scheme", "https", ":authority", "localhost", ":path", "/"}, more...)...)
}

func frameOf(kind frame.Type, payload []byte) []byte {
	return append(frame.AppendHead(nil, kind, len(payload)), payload...)
}

func data(text string) []byte { return frameOf(frame.Data, []byte(text)) }

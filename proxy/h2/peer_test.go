package h2

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// peer is a client that sends what it is told to, frame by frame.
type peer struct {
	t     *testing.T
	conn  net.Conn
	block bytes.Buffer
	enc   *hpack.Encoder
	dec   *hpack.Decoder
	in    []byte
	read  frame.Reader
}

// dial connects without a word.
func (r *rig) dial() *peer {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	p := &peer{t: r.t, conn: conn}
	p.enc = hpack.NewEncoder(&p.block)
	p.dec = hpack.NewDecoder(4096, nil)
	return p
}

// greet connects, and exchanges settings.
func (r *rig) greet(settings ...frame.Setting) *peer {
	r.t.Helper()
	p := r.dial()
	p.send(append([]byte(frame.Preface), frame.AppendSettings(nil, settings...)...))
	p.want("SETTINGS", "WINDOW_UPDATE 0 983041", "SETTINGS ack")
	p.send(frame.AppendSettingsAck(nil))
	return p
}

// send sends bytes as they are. Who cannot take them has been cut off, which what follows will show.
func (p *peer) send(b []byte) *peer {
	p.conn.Write(b)
	return p
}

// header is a header block. A name may come with the value, as in ":path=/".
func (p *peer) header(pairs ...string) []byte {
	p.block.Reset()
	for _, pair := range pairs {
		i := strings.IndexByte(pair[1:], '=') + 1
		p.enc.WriteField(hpack.HeaderField{Name: pair[:i], Value: pair[i+1:]})
	}
	return bytes.Clone(p.block.Bytes())
}

// request is a request's head, with what pairs add.
func (p *peer) request(id uint32, method string, ends bool, pairs ...string) []byte {
	return headersFrame(id, ends, p.header(append([]string{":method=" + method, ":scheme=http", ":authority=h", ":path=/"}, pairs...)...))
}

func headersFrame(id uint32, ends bool, block []byte) []byte {
	return frame.EndHeaders(append(frame.BeginHeaders(nil), block...), 0, id, ends, 1<<14)
}

// next is the next frame as text; "closed" at the end, "reset" when it was torn off.
func (p *peer) next() string {
	for {
		f, n, _, err := p.read.Next(p.in)
		if err != nil && n == 0 {
			return "bad frame: " + err.Error()
		}
		if n > 0 {
			text := p.tell(&f)
			p.in = p.in[n:]
			return text
		}
		buf := make([]byte, 64<<10)
		m, err := p.conn.Read(buf)
		p.in = append(p.in, buf[:m]...)
		switch {
		case m > 0:
		case err == io.EOF:
			return "closed"
		case strings.Contains(err.Error(), "reset"):
			return "reset"
		case err != nil:
			return err.Error()
		}
	}
}

func (p *peer) tell(f *frame.Frame) string {
	ends := ""
	if (f.Type == frame.Data || f.Type == frame.Headers) && f.Ends() {
		ends = " end"
	}
	switch f.Type {
	case frame.Data:
		text := string(f.Payload)
		if len(text) > 40 {
			text = fmt.Sprintf("%d bytes", len(text))
		}
		return fmt.Sprintf("DATA %d %q%s", f.Stream, text, ends)
	case frame.Headers:
		fields, err := p.dec.DecodeFull(f.Payload)
		if err != nil {
			return err.Error()
		}
		text := ""
		for _, h := range fields {
			if h.Name != "date" {
				text += " " + h.Name + "=" + h.Value
			}
		}
		return fmt.Sprintf("HEADERS %d%s%s", f.Stream, text, ends)
	case frame.RSTStream:
		return fmt.Sprintf("RST_STREAM %d %v", f.Stream, f.Code())
	case frame.GoAway:
		return fmt.Sprintf("GOAWAY %d %v %s", f.LastStream(), f.Code(), f.Payload[8:])
	case frame.WindowUpdate:
		return fmt.Sprintf("WINDOW_UPDATE %d %d", f.Stream, f.Increment())
	case frame.Settings:
		if f.IsAck() {
			return "SETTINGS ack"
		}
		return "SETTINGS"
	case frame.Ping:
		return fmt.Sprintf("PING %q ack=%v", f.Payload, f.IsAck())
	}
	return fmt.Sprintf("type %d", f.Type)
}

// want expects frames, in order.
func (p *peer) want(frames ...string) *peer {
	p.t.Helper()
	for i, want := range frames {
		if got := p.next(); strings.TrimSpace(got) != want {
			p.t.Fatalf("frame %d is\n  %s\nwant\n  %s", i, got, want)
		}
	}
	return p
}

// until skips frames up to one that begins with prefix.
func (p *peer) until(prefix string) string {
	p.t.Helper()
	for skipped := []string(nil); ; {
		got := p.next()
		if strings.HasPrefix(got, prefix) {
			return got
		}
		if skipped = append(skipped, got); got == "closed" || got == "reset" || strings.Contains(got, "timeout") {
			p.t.Fatalf("no %s, but %q", prefix, skipped[max(0, len(skipped)-8):])
		}
	}
}

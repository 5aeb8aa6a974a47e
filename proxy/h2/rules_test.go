package h2

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// unread is in requests whose body nobody is to read.
var unread = exchange.NewName("X-Unread")

// TestServerRules: what breaks a rule is refused by its name, and reaches no handler as a whole message.
func TestServerRules(t *testing.T) {
	raw := func(size int, typ frame.Type, flags frame.Flags, stream uint32, payload string) []byte {
		return append(frame.AppendHead(nil, size, typ, flags, stream), payload...)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	big := strings.Repeat("x", 40<<10)
	for name, tt := range map[string]struct {
		send func(p *peer) []byte
		want []string
		rule string
	}{
		"uppercase name": {func(p *peer) []byte { return p.request(1, "GET", true, "X-Up=1") },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"}, "field_name_case"},
		"connection field": {func(p *peer) []byte { return p.request(1, "GET", true, "connection=x") },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"}, "connection_field"},
		"transfer-encoding": {func(p *peer) []byte { return p.request(1, "POST", false, "transfer-encoding=chunked") },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"}, "connection_field"},
		"te": {func(p *peer) []byte { return p.request(1, "GET", true, "te=gzip") },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"}, "te"},
		"newline in a value": {func(p *peer) []byte { return p.request(1, "GET", true, "x=a\r\nb: c") },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"}, "field_value"},
		"space in a name": {func(p *peer) []byte { return p.request(1, "GET", true, "x y=a") },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"}, "field_name"},
		"empty path": {func(p *peer) []byte {
			return headersFrame(1, true, p.header(":method=GET", ":scheme=http", ":authority=h", ":path="))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}, "target"},
		"path without a slash": {func(p *peer) []byte {
			return headersFrame(1, true, p.header(":method=GET", ":scheme=http", ":authority=h", ":path=admin"))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}, "target"},
		"fragment": {func(p *peer) []byte {
			return headersFrame(1, true, p.header(":method=GET", ":scheme=http", ":authority=h", ":path=/a#b"))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}, "target_fragment"},
		"no method": {func(p *peer) []byte {
			return headersFrame(1, true, p.header(":scheme=http", ":authority=h", ":path=/"))
		},
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"}, "pseudo_missing"},
		"two paths": {func(p *peer) []byte { return p.request(1, "GET", true, ":path=/b") },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"}, "pseudo_repeated"},
		"pseudo field behind others": {func(p *peer) []byte {
			return headersFrame(1, true, p.header(":method=GET", ":scheme=http", "a=b", ":authority=h", ":path=/"))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}, "pseudo_order"},
		"unknown pseudo field": {func(p *peer) []byte { return p.request(1, "GET", true, ":status=200") },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"}, "pseudo_unknown"},
		"host differs": {func(p *peer) []byte { return p.request(1, "GET", true, "host=other") },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"}, "host_differs"},
		"list of authorities": {func(p *peer) []byte {
			return headersFrame(1, true, p.header(":method=GET", ":scheme=http", ":authority=a,b@c", ":path=/"))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}, "host_invalid"},
		"length without a body": {func(p *peer) []byte { return p.request(1, "POST", true, "content-length=3") },
			[]string{"RST_STREAM 1 PROTOCOL_ERROR"}, "content_length_body"},
		"body over its length": {func(p *peer) []byte {
			return join(p.request(1, "POST", false, "content-length=3"), frame.AppendData(nil, 1, []byte("four"), true))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}, "content_length_body"},
		"body under its length": {func(p *peer) []byte {
			return join(p.request(1, "POST", false, "content-length=3"), frame.AppendData(nil, 1, []byte("2"), false),
				frame.AppendData(nil, 1, nil, true))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}, "content_length_body"},
		"trailer instead of a body": {func(p *peer) []byte {
			return join(p.request(1, "POST", false, "content-length=3"), headersFrame(1, true, p.header("x=y")))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}, "content_length_body"},
		"pseudo field in a trailer": {func(p *peer) []byte {
			return join(p.request(1, "POST", false), headersFrame(1, true, p.header(":method=GET")))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}, "pseudo_unknown"},
		"headers that do not end": {func(p *peer) []byte {
			return join(p.request(1, "POST", false), headersFrame(1, false, p.header("x=y")))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}, "trailer_end"},
		"data behind the end": {func(p *peer) []byte {
			return join(p.request(1, "POST", true), frame.AppendData(nil, 1, []byte("x"), true))
		}, []string{"RST_STREAM 1 STREAM_CLOSED"}, "stream_closed"},
		"headers behind the end": {func(p *peer) []byte {
			return join(p.request(1, "POST", true), headersFrame(1, true, p.header("x=y")))
		}, []string{"RST_STREAM 1 STREAM_CLOSED"}, "stream_closed"},
		"more than the window": {func(p *peer) []byte {
			out := p.request(1, "POST", false, "x-unread=1")
			for range 5 {
				out = frame.AppendData(out, 1, make([]byte, 16<<10), false)
			}
			return out
		}, []string{"RST_STREAM 1 FLOW_CONTROL_ERROR"}, "window"},
		"window of the stream overflows": {func(p *peer) []byte {
			return join(p.request(1, "POST", false), frame.AppendWindowUpdate(nil, 1, 1<<31-1))
		}, []string{"RST_STREAM 1 FLOW_CONTROL_ERROR"}, "window_overflow"},
		"nothing more for a stream": {func(p *peer) []byte {
			return join(p.request(1, "POST", false), frame.AppendWindowUpdate(nil, 1, 0))
		}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}, "window_update_zero"},
		"CONNECT": {func(p *peer) []byte { return headersFrame(1, true, p.header(":method=CONNECT", ":authority=h:1")) },
			[]string{"HEADERS 1 :status=501 content-type=text/plain; charset=utf-8 content-length=16"}, "connect"},
		"long header": {func(p *peer) []byte { return p.request(1, "GET", true, "x="+big) },
			[]string{"HEADERS 1 :status=431 content-type=text/plain; charset=utf-8 content-length=32"}, "header_size"},
		"long header before a body": {func(p *peer) []byte {
			return join(p.request(1, "POST", false, "x="+big), frame.AppendData(nil, 1, []byte("body"), true))
		}, []string{"HEADERS 1 :status=431 content-type=text/plain; charset=utf-8 content-length=32"}, "header_size"},
		"long header before no body": {func(p *peer) []byte {
			return join(p.request(1, "POST", false, "x="+big), frame.AppendData(nil, 1, nil, true))
		}, []string{"HEADERS 1 :status=431 content-type=text/plain; charset=utf-8 content-length=32"}, "header_size"},
		"long target": {func(p *peer) []byte {
			return headersFrame(1, true, p.header(":method=GET", ":scheme=http", ":authority=h", ":path=/"+big[:9000]))
		}, []string{"HEADERS 1 :status=414 content-type=text/plain; charset=utf-8 content-length=21"}, "target_too_long"},
		"underscore": {func(p *peer) []byte { return p.request(1, "GET", true, "x_y=a") },
			[]string{"HEADERS 1 :status=400 content-type=text/plain; charset=utf-8 content-length=12"}, "underscore_name"},
		"underscore before a body": {func(p *peer) []byte {
			return join(p.request(1, "POST", false, "x_y=a", "content-length=4"), frame.AppendData(nil, 1, []byte("body"), true))
		}, []string{"HEADERS 1 :status=400 content-type=text/plain; charset=utf-8 content-length=12"}, "underscore_name"},
		"another expectation": {func(p *peer) []byte {
			return join(p.request(1, "POST", false, "expect=200-ok"), frame.AppendData(nil, 1, []byte("body"), true))
		}, []string{"HEADERS 1 :status=417 content-type=text/plain; charset=utf-8 content-length=19"}, "expect"},
		"another expectation of a change of protocol": {func(p *peer) []byte {
			return headersFrame(1, false, p.header(":method=CONNECT", ":protocol=websocket", ":scheme=http", ":authority=h", ":path=/", "expect=200-ok"))
		}, []string{"HEADERS 1 :status=417 content-type=text/plain; charset=utf-8 content-length=19"}, "expect"},
		"even stream": {func(p *peer) []byte { return p.request(2, "GET", true) },
			[]string{"GOAWAY 0 PROTOCOL_ERROR stream_even", "closed"}, "stream_even"},
		"lower stream": {func(p *peer) []byte { return join(p.request(5, "POST", false), p.request(3, "GET", true)) },
			[]string{"GOAWAY 5 PROTOCOL_ERROR stream_reused", "closed"}, "stream_reused"},
		"data on an idle stream": {func(p *peer) []byte { return frame.AppendData(nil, 1, nil, true) },
			[]string{"GOAWAY 0 PROTOCOL_ERROR stream_idle", "closed"}, "stream_idle"},
		"reset of an idle stream": {func(p *peer) []byte { return frame.AppendRSTStream(nil, 1, frame.Cancel) },
			[]string{"GOAWAY 0 PROTOCOL_ERROR stream_idle", "closed"}, "stream_idle"},
		"window of an idle stream": {func(p *peer) []byte { return frame.AppendWindowUpdate(nil, 1, 1) },
			[]string{"GOAWAY 0 PROTOCOL_ERROR stream_idle", "closed"}, "stream_idle"},
		"window of the connection overflows": {func(p *peer) []byte { return frame.AppendWindowUpdate(nil, 0, 1<<31-1) },
			[]string{"GOAWAY 0 FLOW_CONTROL_ERROR window_overflow", "closed"}, "window_overflow"},
		"initial window overflows": {func(p *peer) []byte {
			return join(p.request(1, "POST", false), frame.AppendWindowUpdate(nil, 1, 1<<30),
				frame.AppendSettings(nil, frame.Setting{ID: frame.InitialWindowSize, Value: 1<<31 - 1}))
		}, []string{"GOAWAY 1 FLOW_CONTROL_ERROR window_overflow", "closed"}, "window_overflow"},
		"push": {func(p *peer) []byte { return raw(4, frame.PushPromise, 4, 1, "\x00\x00\x00\x02") },
			[]string{"GOAWAY 0 PROTOCOL_ERROR push_promise", "closed"}, "push_promise"},
		"large frame": {func(p *peer) []byte { return raw(1<<14+1, frame.Data, 0, 1, "") },
			[]string{"GOAWAY 0 FRAME_SIZE_ERROR frame_too_large", "closed"}, "frame_too_large"},
		"no frame size": {func(p *peer) []byte {
			return frame.AppendSettings(nil, frame.Setting{ID: frame.MaxFrameSize, Value: 0})
		}, []string{"GOAWAY 0 PROTOCOL_ERROR settings_frame_size", "closed"}, "settings_frame_size"},
		"not HPACK": {func(p *peer) []byte { return headersFrame(1, true, []byte{0x80}) },
			[]string{"GOAWAY 0 COMPRESSION_ERROR compression", "closed"}, "compression"},
		"data inside a header block": {func(p *peer) []byte {
			return join(raw(1, frame.Headers, 0, 1, "\x82"), frame.AppendData(nil, 1, nil, false))
		}, []string{"GOAWAY 0 PROTOCOL_ERROR continuation", "closed"}, "continuation"},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var handled []string
			r := newRig(t, func(x *exchange.Exchange) error {
				err := io.ErrUnexpectedEOF
				if !x.Request.Header.Has(unread) {
					_, err = exchangetest.ReadAll(nil, x.Request.Body, 1<<20)
				}
				if err == nil {
					mu.Lock()
					handled = append(handled, x.Request.Method)
					mu.Unlock()
				} else if err == io.EOF {
					t.Error("the body ended as if it were whole")
				}
				<-x.Context().Done() // a malformed message is told at once
				return x.Life.Err()
			})
			p := r.greet()
			p.send(tt.send(p)).want(tt.want...)
			waittest.Until(t, "the refusal is counted", func() bool { return slices.Contains(r.rules(), tt.rule) })
			if got := r.rules(); len(got) != 1 {
				t.Errorf("refused by %q", got)
			}
			if tt.want[0][:3] == "RST" && tt.rule != "stream_closed" && tt.rule != "window_overflow" && tt.rule != "window_update_zero" {
				p.conn.Close()
				waittest.Until(t, "the connection ends", func() bool { return r.server.Active() == 0 })
				if len(handled) > 0 {
					t.Errorf("a handler took %q for whole", handled)
				}
			}
		})
	}
}

// TestServerGreeting: what does not begin with the preface and SETTINGS is not HTTP/2.
func TestServerGreeting(t *testing.T) {
	for name, send := range map[string][]byte{
		"another protocol":  []byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
		"another preface":   []byte("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
		"ping first":        frame.AppendPing([]byte(frame.Preface), false, [8]byte{}),
		"acknowledged only": frame.AppendSettingsAck([]byte(frame.Preface)),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, echo)
			r.dial().send(send).want("SETTINGS", "WINDOW_UPDATE 0 983041", "GOAWAY 0 PROTOCOL_ERROR preface", "closed")
		})
	}
}

// TestServerIgnores: what RFC 9113 has nobody mind.
func TestServerIgnores(t *testing.T) {
	r := newRig(t, echo)
	p := r.greet()
	p.send(append(frame.AppendHead(nil, 3, 0xf, 0xff, 7), "abc"...))
	p.send(append(frame.AppendHead(nil, 5, frame.Priority, 0, 9), 0, 0, 0, 1, 9))
	p.send(frame.AppendGoAway(nil, 0, frame.NoError, "bye"))
	p.send(frame.AppendSettings(nil, frame.Setting{ID: 0x99, Value: 1})).want("SETTINGS ack")
	p.send(frame.AppendPing(nil, false, [8]byte{1, 2})).want(`PING "\x01\x02\x00\x00\x00\x00\x00\x00" ack=true`)
	p.send(frame.AppendPing(nil, true, [8]byte{}))
	p.send(p.request(1, "GET", true)).want("HEADERS 1 :status=200 content-type=text/plain content-length=7", `DATA 1 "GET h /" end`)
	// What comes late for a stream that has ended.
	p.send(frame.AppendWindowUpdate(nil, 1, 5))
	p.send(frame.AppendRSTStream(nil, 1, frame.Cancel))
	// A frame byte by byte.
	for _, b := range p.request(3, "GET", true) {
		p.send([]byte{b})
	}
	p.want("HEADERS 3 :status=200 content-type=text/plain content-length=7", `DATA 3 "GET h /" end`)
	if got := r.rules(); got != nil {
		t.Errorf("refused: %q", got)
	}
}

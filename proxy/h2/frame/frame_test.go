package frame

import (
	"bytes"
	"testing"
)

func hex(s string) []byte { return []byte(s) }

func TestReader(t *testing.T) {
	raw := func(size int, typ Type, flags Flags, stream uint32, payload string) []byte {
		return append(AppendHead(nil, size, typ, flags, stream), payload...)
	}
	block := AppendHead(nil, 1, Headers, 0, 1)
	block = append(block, 0x82)
	tests := []struct {
		name   string
		in     []byte
		max    int
		code   Code
		stream uint32
		rule   string
		ok     bool
		want   string // payload
	}{
		{name: "data", in: AppendData(nil, 1, hex("abc"), true), ok: true, want: "abc"},
		{name: "padded data", in: raw(6, Data, padded, 1, "\x02abc\x00\x00"), ok: true, want: "abc"},
		{name: "all padding", in: raw(3, Data, padded, 1, "\x02\x00\x00"), ok: true, want: ""},
		{name: "too much padding", in: raw(3, Data, padded, 1, "\x03\x00\x00"), code: ProtocolError, rule: "padding"},
		{name: "no room for padding", in: raw(0, Data, padded, 1, ""), code: FrameSizeError, rule: "padding"},
		{name: "data of the connection", in: AppendData(nil, 0, nil, false), code: ProtocolError, rule: "frame_stream"},
		{name: "too large", in: raw(MinMaxSize+1, Data, 0, 1, ""), code: FrameSizeError, rule: "frame_too_large"},
		{name: "large", in: AppendData(nil, 1, make([]byte, MinMaxSize+1), false), max: 1 << 15, ok: true, want: string(make([]byte, MinMaxSize+1))},
		{name: "headers with priority and padding", in: raw(8, Headers, LastHeaders|padded|withPriority, 3, "\x01\x00\x00\x00\x01\x10\x82\x00"), ok: true, want: "\x82"},
		{name: "headers that depend on themselves", in: raw(6, Headers, LastHeaders|withPriority, 3, "\x80\x00\x00\x03\x10\x82"), code: ProtocolError, stream: 3, rule: "priority_self", want: "\x82"},
		{name: "headers too short for a priority", in: raw(2, Headers, LastHeaders|withPriority, 3, "\x80\x00"), code: FrameSizeError, rule: "headers_size"},
		{name: "continuation of nothing", in: raw(1, Continuation, 0, 1, "\x82"), code: ProtocolError, rule: "continuation"},
		{name: "priority", in: raw(5, Priority, 0, 3, "\x00\x00\x00\x01\x10"), ok: true, want: "\x00\x00\x00\x01\x10"},
		{name: "priority on itself", in: raw(5, Priority, 0, 3, "\x00\x00\x00\x03\x10"), code: ProtocolError, stream: 3, rule: "priority_self"},
		{name: "short priority", in: raw(4, Priority, 0, 3, "\x00\x00\x00\x03"), code: FrameSizeError, stream: 3, rule: "priority_size"},
		{name: "reset", in: AppendRSTStream(nil, 3, Cancel), ok: true, want: "\x00\x00\x00\x08"},
		{name: "long reset", in: raw(5, RSTStream, 0, 3, "\x00\x00\x00\x03\x00"), code: FrameSizeError, rule: "rst_stream_size"},
		{name: "reset of the connection", in: AppendRSTStream(nil, 0, Cancel), code: ProtocolError, rule: "frame_stream"},
		{name: "settings", in: AppendSettings(nil, Setting{MaxFrameSize, MinMaxSize}), ok: true, want: "\x00\x05\x00\x00\x40\x00"},
		{name: "unknown setting", in: AppendSettings(nil, Setting{0xff, 1 << 31}), ok: true, want: "\x00\xff\x80\x00\x00\x00"},
		{name: "settings of a stream", in: raw(0, Settings, 0, 1, ""), code: ProtocolError, rule: "frame_stream"},
		{name: "settings of a wrong size", in: raw(5, Settings, 0, 0, "\x00\x00\x00\x00\x00"), code: FrameSizeError, rule: "settings_size"},
		{name: "acknowledged settings", in: AppendSettingsAck(nil), ok: true},
		{name: "acknowledgement with settings", in: raw(6, Settings, Ack, 0, "\x00\x05\x00\x00\x40\x00"), code: FrameSizeError, rule: "settings_size"},
		{name: "push neither on nor off", in: AppendSettings(nil, Setting{EnablePush, 2}), code: ProtocolError, rule: "settings_value"},
		{name: "connect protocol neither on nor off", in: AppendSettings(nil, Setting{EnableConnectProtocol, 2}), code: ProtocolError, rule: "settings_value"},
		{name: "window of 2^31", in: AppendSettings(nil, Setting{InitialWindowSize, 1 << 31}), code: FlowControlError, rule: "settings_window"},
		{name: "no frame size", in: AppendSettings(nil, Setting{MaxFrameSize, 0}), code: ProtocolError, rule: "settings_frame_size"},
		{name: "frame size over the protocol's", in: AppendSettings(nil, Setting{MaxFrameSize, 1 << 24}), code: ProtocolError, rule: "settings_frame_size"},
		{name: "push", in: raw(4, PushPromise, LastHeaders, 1, "\x00\x00\x00\x02"), code: ProtocolError, rule: "push_promise"},
		{name: "ping", in: AppendPing(nil, true, [8]byte{1}), ok: true, want: "\x01\x00\x00\x00\x00\x00\x00\x00"},
		{name: "short ping", in: raw(7, Ping, 0, 0, "1234567"), code: FrameSizeError, rule: "ping_size"},
		{name: "goaway", in: AppendGoAway(nil, 5, EnhanceYourCalm, "calm"), ok: true, want: "\x00\x00\x00\x05\x00\x00\x00\x0bcalm"},
		{name: "short goaway", in: raw(7, GoAway, 0, 0, "1234567"), code: FrameSizeError, rule: "goaway_size"},
		{name: "window of the connection", in: AppendWindowUpdate(nil, 0, 7), ok: true, want: "\x00\x00\x00\x07"},
		{name: "nothing more for a stream", in: AppendWindowUpdate(nil, 5, 0), code: ProtocolError, stream: 5, rule: "window_update_zero"},
		{name: "nothing more for the connection", in: AppendWindowUpdate(nil, 0, 0), code: ProtocolError, rule: "window_update_zero"},
		{name: "short window update", in: raw(3, WindowUpdate, 0, 5, "123"), code: FrameSizeError, rule: "window_update_size"},
		{name: "an unknown type", in: raw(3, 0xf, 0xff, 0, "123"), ok: true, want: "123"},
		{name: "an unknown type inside a header block", in: append(bytes.Clone(block), raw(0, 0xf, 0, 1, "")...), code: ProtocolError, rule: "continuation"},
		{name: "data inside a header block", in: append(bytes.Clone(block), AppendData(nil, 1, nil, false)...), code: ProtocolError, rule: "continuation"},
		{name: "continuation of another stream", in: append(bytes.Clone(block), raw(0, Continuation, LastHeaders, 3, "")...), code: ProtocolError, rule: "continuation"},
		{name: "continuation", in: append(bytes.Clone(block), raw(1, Continuation, LastHeaders, 1, "\x82")...), ok: true, want: "\x82"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, err := readAll(t, test.in, test.max)
			if test.ok {
				if err != nil || string(f.Payload) != test.want {
					t.Fatalf("%q %v", f.Payload, err)
				}
				return
			}
			e, ok := err.(*Error)
			if !ok || *e != (Error{test.code, test.stream, test.rule}) {
				t.Fatalf("%v", err)
			}
			if test.want != "" && string(f.Payload) != test.want {
				t.Fatalf("payload %q", f.Payload)
			}
		})
	}
}

// readAll reads all frames in in, and checks that each is asked for in steps that lead to it.
func readAll(t *testing.T, in []byte, maxSize int) (f Frame, err error) {
	r := Reader{MaxSize: maxSize}
	for len(in) > 0 {
		have := 0
		for {
			var n, need int
			if f, n, need, err = r.Next(in[:have]); err != nil {
				return f, err
			}
			if n > 0 {
				in = in[n:]
				break
			}
			if need <= have || need > len(in) {
				t.Fatalf("with %d bytes of %d it needs %d", have, len(in), need)
			}
			have = need
		}
	}
	return f, nil
}

func TestEndHeadersDividesLongBlocks(t *testing.T) {
	for _, size := range []int{0, 1, 100, 101, 200, 201, 555} {
		want := bytes.Repeat([]byte("x"), size)
		buf := []byte("before")
		at := len(buf)
		buf = EndHeaders(append(BeginHeaders(buf), want...), at, 7, true, 100)
		var r Reader
		var got []byte
		for rest := buf[at:]; ; {
			f, n, _, err := r.Next(rest)
			if err != nil || n == 0 || f.Stream != 7 || len(f.Payload) > 100 {
				t.Fatalf("%d: %+v %d %v", size, f, n, err)
			}
			if f.Type == Headers && !f.Ends() {
				t.Fatal("the end of the stream was lost")
			}
			got, rest = append(got, f.Payload...), rest[n:]
			if f.Last() {
				if len(rest) > 0 || !bytes.Equal(got, want) {
					t.Fatalf("%d: %q and %q", size, got, rest)
				}
				break
			}
		}
	}
}

func TestFrameValues(t *testing.T) {
	f, _ := readAll(t, AppendGoAway(nil, 5, EnhanceYourCalm, "calm"), 0)
	if f.LastStream() != 5 || f.Code() != EnhanceYourCalm || string(f.Payload[8:]) != "calm" {
		t.Fatal(f)
	}
	f, _ = readAll(t, AppendRSTStream(nil, 5, Cancel), 0)
	if f.Code() != Cancel || f.Code().String() != "CANCEL" || Code(77).String() != "error 0x4d" {
		t.Fatal(f)
	}
	f, _ = readAll(t, AppendWindowUpdate(nil, 5, MaxWindow), 0)
	if f.Increment() != MaxWindow {
		t.Fatal(f)
	}
	f, _ = readAll(t, AppendSettings(nil, Setting{HeaderTableSize, 7}, Setting{MaxConcurrentStreams, 9}), 0)
	var got []Setting
	for id, value := range f.Settings() {
		got = append(got, Setting{id, value})
	}
	if len(got) != 2 || got[1] != (Setting{MaxConcurrentStreams, 9}) {
		t.Fatal(got)
	}
}

// FuzzReader: however frames arrive, they read the same, and no more is asked for than a frame needs.
func FuzzReader(f *testing.F) {
	f.Add(AppendSettings(nil, Setting{MaxFrameSize, MinMaxSize}))
	f.Add(append(AppendData(nil, 1, []byte("abc"), true), AppendGoAway(nil, 1, NoError, "x")...))
	f.Add(append(AppendHead(nil, 1, Headers, 0, 1), append([]byte{0x82}, AppendHead(nil, 0, Continuation, LastHeaders, 1)...)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		var whole, pieces Reader
		for at, have := 0, 0; at < len(in); {
			f, n, need, err := whole.Next(in[at:])
			var g Frame
			var m, needed int
			var bad error
			for have = 0; at+have <= len(in); have++ {
				if g, m, needed, bad = pieces.Next(in[at : at+have]); m > 0 || bad != nil {
					break
				}
			}
			if n != m || n == 0 && err == nil && need != needed {
				t.Fatalf("whole %d, needs %d, %v; in pieces %d, needs %d, %v", n, need, err, m, needed, bad)
			}
			if (err == nil) != (bad == nil) || err != nil && *err.(*Error) != *bad.(*Error) {
				t.Fatalf("whole %v, in pieces %v", err, bad)
			}
			if n == 0 {
				return
			}
			if f.Size != n-HeaderLen || len(f.Payload) > f.Size || !bytes.Equal(f.Payload, g.Payload) {
				t.Fatalf("%+v", f)
			}
			at += n
		}
	})
}

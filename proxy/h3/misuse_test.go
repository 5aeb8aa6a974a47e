package h3

import (
	"slices"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/h3/frame"
)

// TestBreachesOfTheProtocol: each ends the connection, with a code of its own. RFC 9114 §8.
func TestBreachesOfTheProtocol(t *testing.T) {
	control := slices.Clip([]byte{frame.ControlStream})
	settings := frame.AppendSettings(nil)
	opened := slices.Clip(append(control, settings...))
	for name, test := range map[string]struct {
		do   func(r *raw)
		code quic.ApplicationErrorCode
		rule string
	}{
		"two control streams":           {func(r *raw) { r.uni(opened...); r.uni(opened...) }, codeStreamCreation, "h3_stream"},
		"two encoder streams":           {func(r *raw) { r.uni(frame.EncoderStream); r.uni(frame.EncoderStream) }, codeStreamCreation, "h3_stream"},
		"a push stream":                 {func(r *raw) { r.uni(frame.PushStream, 0) }, codeStreamCreation, "h3_stream"},
		"the end of the control stream": {func(r *raw) { r.uni(opened...).Close() }, codeClosedCritical, "h3_critical_stream"},
		"a reset of the control stream": {func(r *raw) {
			q := r.uni(opened...)
			waittest.Until(r.t, "the control stream", func() (seen bool) {
				r.site.sweeper.Each(func(e sweep.Entry) { seen = e.(*conn).uni.seen[frame.ControlStream].Load() })
				return seen
			})
			q.CancelWrite(codeNoError)
		}, codeClosedCritical, "h3_critical_stream"},
		"the end of the encoder stream": {func(r *raw) { r.uni(frame.EncoderStream).Close() }, codeClosedCritical, "h3_critical_stream"},
		"no SETTINGS":                   {func(r *raw) { r.uni(append(control, frame.AppendGoAway(nil, 0)...)...) }, codeMissingSettings, "h3_settings_missing"},
		"SETTINGS twice":                {func(r *raw) { r.uni(append(opened, settings...)...) }, codeFrameUnexpected, "h3_frame_unexpected"},
		"a setting twice": {func(r *raw) {
			r.uni(frame.AppendSettings(control, frame.Setting{ID: 6, Value: 1}, frame.Setting{ID: 6, Value: 1})...)
		}, codeSettings, "h3_settings"},
		"a setting of HTTP/2":                     {func(r *raw) { r.uni(frame.AppendSettings(control, frame.Setting{ID: 4, Value: 1})...) }, codeSettings, "h3_settings"},
		"half a setting":                          {func(r *raw) { r.uni(append(control, byte(frame.Settings), 1, 6)...) }, codeFrameError, "h3_frame"},
		"endless SETTINGS":                        {func(r *raw) { r.uni(append(control, byte(frame.Settings), 0x80, 1, 0, 0)...) }, codeExcessiveLoad, "h3_control_flood"},
		"DATA on the control stream":              {func(r *raw) { r.uni(append(opened, data("x")...)...) }, codeFrameUnexpected, "h3_frame_unexpected"},
		"a frame of HTTP/2 on the control stream": {func(r *raw) { r.uni(append(opened, 6, 0)...) }, codeFrameUnexpected, "h3_frame_unexpected"},
		"a GOAWAY that grows":                     {func(r *raw) { r.uni(append(frame.AppendGoAway(opened, 4), frame.AppendGoAway(nil, 8)...)...) }, codeID, "h3_id"},
		"a push limit that shrinks":               {func(r *raw) { r.uni(append(opened, byte(frame.MaxPushID), 1, 5, byte(frame.MaxPushID), 1, 4)...) }, codeID, "h3_id"},
		"CANCEL_PUSH of nothing":                  {func(r *raw) { r.uni(append(opened, byte(frame.CancelPush), 1, 0)...) }, codeID, "h3_id"},
		"GOAWAY with too much":                    {func(r *raw) { r.uni(append(opened, byte(frame.GoAway), 2, 0, 0)...) }, codeFrameError, "h3_frame"},
		"a flood of nothing":                      {func(r *raw) { r.uni(append(opened, strings.Repeat("\x21\x00", 300)...)...) }, codeExcessiveLoad, "h3_control_flood"},
		"a dynamic table entry":                   {func(r *raw) { r.uni(frame.EncoderStream, 0x20, 0x40, 0x00) }, codeEncoderStream, "h3_qpack_encoder"},
		"an acknowledgement":                      {func(r *raw) { r.uni(frame.DecoderStream, 0x44, 0x80) }, codeDecoderStream, "h3_qpack_decoder"},
		"DATA first":                              {func(r *raw) { r.send(data("x")) }, codeFrameUnexpected, "h3_frame_unexpected"},
		"SETTINGS on a request":                   {func(r *raw) { r.send(settings) }, codeFrameUnexpected, "h3_frame_unexpected"},
		"PUSH_PROMISE":                            {func(r *raw) { r.send(get(), frameOf(frame.PushPromise, []byte{0, 0, 0})) }, codeFrameUnexpected, "h3_frame_unexpected"},
		"a frame of HTTP/2":                       {func(r *raw) { r.send(post(), []byte{9, 0}) }, codeFrameUnexpected, "h3_frame_unexpected"},
		"HEADERS after trailers":                  {func(r *raw) { r.send(post(), data("x"), headers("a", "b"), headers("c", "d")) }, codeFrameUnexpected, "h3_frame_unexpected"},
		"DATA after trailers":                     {func(r *raw) { r.send(post(), data("x"), headers("a", "b"), data("y")) }, codeFrameUnexpected, "h3_frame_unexpected"},
		"half a frame":                            {func(r *raw) { r.ask([]byte{1, 9, 0, 0}) }, codeFrameError, "h3_frame"},
		"half a frame's head":                     {func(r *raw) { r.ask([]byte{1}) }, codeFrameError, "h3_frame"},
		"half a DATA frame":                       {func(r *raw) { r.ask(post(), []byte{0, 9, 'x'}) }, codeFrameError, "h3_frame"},
		"QPACK with a dynamic table":              {func(r *raw) { r.ask(frameOf(frame.Headers, []byte{2, 0, 0x80})) }, codeDecompression, "h3_qpack"},
		"QPACK past the static table":             {func(r *raw) { r.ask(frameOf(frame.Headers, []byte{0, 0, 0xff, 0x30})) }, codeDecompression, "h3_qpack"},
		"QPACK cut off":                           {func(r *raw) { r.ask(frameOf(frame.Headers, []byte{0, 0, 0x51, 9, 'x'})) }, codeDecompression, "h3_qpack"},
		"trailers cut off":                        {func(r *raw) { r.ask(post(), frameOf(frame.Headers, []byte{0, 0, 0x51, 9})) }, codeDecompression, "h3_qpack"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, echo)
			r := s.raw()
			test.do(r)
			if code := r.closed(); code != test.code {
				t.Errorf("code %#x, want %#x", uint64(code), uint64(test.code))
			}
			waittest.Until(t, "the refusal", func() bool { return s.refusedFor(test.rule) })
		})
	}
}

// TestMalformedRequests: each is reset, and none reaches a handler as a whole. RFC 9114 §4.1.2.
func TestMalformedRequests(t *testing.T) {
	handled := func(x *exchange.Exchange) error {
		if _, err := exchangetest.ReadAll(nil, x.Request.Body, 1<<20); err == nil {
			t.Errorf("%s %s was taken for whole", x.Request.Method, x.Request.Target)
		} else {
			return err
		}
		x.Respond(200, "", nil)
		return nil
	}
	s := start(t, exchange.HandlerFunc(handled))
	r := s.raw()
	big := strings.Repeat("x", 9000)
	for name, test := range map[string]struct {
		parts [][]byte
		rule  string
	}{
		"more than Content-Length":       {[][]byte{post("content-length", "3"), data("abcd")}, "content_length_body"},
		"more, in two frames":            {[][]byte{post("content-length", "3"), data("ab"), data("cd")}, "content_length_body"},
		"less than Content-Length":       {[][]byte{post("content-length", "5"), data("abcd")}, "content_length_body"},
		"nothing, with a Content-Length": {[][]byte{post("content-length", "5")}, "content_length_body"},
		"something, with none":           {[][]byte{post("content-length", "0"), data("a")}, "content_length_body"},
		"GET with a false length":        {[][]byte{get("content-length", "1")}, "content_length_body"},
		"two lengths":                    {[][]byte{post("content-length", "1", "content-length", "2"), data("a")}, "content_length_many"},
		"a negative length":              {[][]byte{post("content-length", "-1"), data("a")}, "content_length"},
		"an upper-case name":             {[][]byte{get("Accept", "a")}, "field_name_case"},
		"a bad name":                     {[][]byte{get("a b", "a")}, "field_name"},
		"CR LF in a value":               {[][]byte{get("a", "b\r\nc: d")}, "field_value"},
		"NUL in a value":                 {[][]byte{get("a", "b\x00")}, "field_value"},
		"Connection":                     {[][]byte{get("connection", "close")}, "connection_field"},
		"Transfer-Encoding":              {[][]byte{post("transfer-encoding", "chunked"), data("a")}, "connection_field"},
		"TE":                             {[][]byte{get("te", "gzip")}, "te"},
		"an unknown pseudo-header":       {[][]byte{get(":version", "1")}, "pseudo_unknown"},
		"no path":                        {[][]byte{headers(":method", "GET", ":scheme", "https", ":authority", "h")}, "pseudo_missing"},
		"a path without /":               {[][]byte{headers(":method", "GET", ":scheme", "https", ":authority", "h", ":path", "x")}, "target"},
		"a fragment":                     {[][]byte{headers(":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/#a")}, "target_fragment"},
		"no host":                        {[][]byte{headers(":method", "GET", ":scheme", "https", ":path", "/")}, "host_missing"},
		"another host":                   {[][]byte{get("host", "other")}, "host_differs"},
		"two hosts in one":               {[][]byte{headers(":method", "GET", ":scheme", "https", ":authority", "a,b", ":path", "/")}, "host_invalid"},
		"a late pseudo-header":           {[][]byte{get("a", "b", ":path", "/")}, "pseudo_order"},
		"a pseudo-header in trailers":    {[][]byte{post(), data("a"), headers(":path", "/")}, "pseudo_unknown"},
		"trailers that are too long":     {[][]byte{post(), data("a"), headers("a", big)}, "trailer_size"},
		"trailers that grow":             {[][]byte{post(), data("a"), bomb(4000)}, "header_size"},
	} {
		t.Run(name, func(t *testing.T) {
			head, _, err := answer(t, r.ask(test.parts...))
			if !isStreamError(err, codeMessage) || head != "" {
				t.Errorf("%v %q, want a reset with H3_MESSAGE_ERROR", err, head)
			}
			if !s.refusedFor(test.rule) {
				t.Errorf("refused for %q, want %s", s.rules, test.rule)
			}
			if rec := s.record(); !rec.failed {
				t.Errorf("recorded %+v", rec)
			}
		})
	}
	if r.conn.Context().Err() != nil {
		t.Error("the connection has ended")
	}
}

// bomb is a HEADERS frame that is small and says much: n fields of the static table, each by one byte.
func bomb(n int) []byte {
	section := []byte{0, 0}
	for range n {
		section = append(section, 0xff, 85-63) // content-security-policy, the longest
	}
	return frameOf(frame.Headers, section)
}

// TestRefusedHeads: what is too large or not to be had is answered, and costs no more than the limits say.
func TestRefusedHeads(t *testing.T) {
	s := start(t, echo)
	r := s.raw()
	many := make([]string, 0, 2*101)
	for range 101 {
		many = append(many, "a", "b")
	}
	for name, test := range map[string]struct {
		head         []byte
		status, rule string
	}{
		"a long value":   {get("a", strings.Repeat("x", 33<<10)), "431", "header_size"},
		"many fields":    {get(many...), "431", "field_count"},
		"a long target":  {headers(":method", "GET", ":scheme", "https", ":authority", "h", ":path", "/"+strings.Repeat("x", 9<<10)), "414", "target_too_long"},
		"a bomb":         {bomb(2000), "431", "field_count"},
		"a long frame":   {frame.AppendHead(nil, frame.Headers, 1<<30), "431", "header_size"},
		"an underscore":  {get("x_forwarded_for", "1"), "400", "underscore_name"},
		"CONNECT":        {headers(":method", "CONNECT", ":authority", "h:1"), "501", "connect"},
		"an expectation": {append(post("expect", "200-ok"), data("body")...), "417", "expect"},
	} {
		q := r.send(test.head)
		head, _, err := answer(t, q)
		if err != nil || !strings.HasPrefix(head, ":status: "+test.status+"\n") {
			t.Errorf("%s: %v %q, want %s", name, err, head, test.status)
		}
		if !s.refusedFor(test.rule) {
			t.Errorf("%s: refused for %q, want %s", name, s.rules, test.rule)
		}
		s.record()
	}
}

// TestWhatIsUnknownIsIgnored. RFC 9114 §9, §6.2.3, §7.2.8.
func TestWhatIsUnknownIsIgnored(t *testing.T) {
	s := start(t, echo)
	r := s.raw()
	grease := frameOf(0x1f*7+0x21, []byte(strings.Repeat("grease", 5000)))
	r.uni(append(frame.AppendSettings([]byte{frame.ControlStream}, frame.Setting{ID: 0x1f*3 + 0x21, Value: 9}), grease...)...)
	r.uni(frame.EncoderStream, 0x20)
	r.uni(frame.DecoderStream, 0x44, 0x7f, 0x80, 0x01)
	for range 3 * maxUniStreams { // reserved streams, each of which ends
		if q, err := r.conn.OpenUniStreamSync(t.Context()); err != nil {
			t.Fatal(err)
		} else {
			q.Write([]byte{0x21, 'x'})
			q.Close()
		}
	}
	head, body, err := answer(t, r.ask(grease, post("content-length", "4"), grease, data("ab"), grease, data(""), data("cd"), grease, headers("a", "b"), grease))
	if err != nil || body != "POST localhost / abcd" {
		t.Errorf("%v %q %q", err, head, body)
	}
}

// TestCookiesAreJoined: a cookie that comes in crumbs goes on as one. RFC 9114 §4.2.1.
func TestCookiesAreJoined(t *testing.T) {
	s := start(t, exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Respond(200, "", x.Request.Header.Get(exchange.Cookie))
		return nil
	}))
	if _, body, err := answer(t, s.raw().ask(get("cookie", "a=1", "cookie", "b=2"))); err != nil || body != "a=1; b=2" {
		t.Errorf("%v %q", err, body)
	}
}

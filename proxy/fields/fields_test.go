package fields

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// section makes a block of lines "name: value".
func section(lim *Limits, lines ...string) *Block {
	var b Block
	b.Reset(lim)
	for _, l := range lines {
		at := strings.Index(l[1:], ": ") + 1
		b.Add([]byte(l[:at]), []byte(l[at+2:]))
	}
	return &b
}

// text is h in short.
func text(h *exchange.Header) string { return string(h.AppendTo(nil)) }

var get = []string{":method: GET", ":scheme: https", ":authority: a.test", ":path: /p?q"}

func with(lines ...string) []string { return append(append([]string(nil), get...), lines...) }

func TestRequest(t *testing.T) {
	long := strings.Repeat("x", 9<<10)
	for _, c := range []struct {
		name  string
		lines []string
		more  bool // there is a body
		rule  *Rule
		want  string
	}{
		{"plain", with("accept: */*", "x-a: b"), false, nil, "GET a.test /p q 0 accept: */*\r\nx-a: b\r\n"},
		{"no query", []string{":method: GET", ":scheme: http", ":authority: a", ":path: /"}, false, nil, "GET a /  0 "},
		{"empty query", []string{":method: GET", ":scheme: http", ":authority: a", ":path: /?"}, false, nil, "GET a /  0 "},
		{"asterisk", []string{":method: OPTIONS", ":scheme: http", ":authority: a", ":path: *"}, false, nil, "OPTIONS a *  0 "},
		{"host alone", []string{":method: GET", ":scheme: http", ":path: /", "host: h:80"}, false, nil, "GET h:80 /  0 "},
		{"both the same", with("host: A.test"), false, nil, "GET a.test /p q 0 "},
		{"length", with("content-length: 5"), true, nil, "GET a.test /p q 5 "},
		{"no length", get, true, nil, "GET a.test /p q -1 "},
		{"length 0", with("content-length: 0"), false, nil, "GET a.test /p q 0 "},
		{"the same length twice", with("content-length: 5", "content-length: 5"), true, nil, "GET a.test /p q 5 "},
		{"crumbs", with("cookie: a=b", "x: y", "cookie: c=d", "cookie: e=f"), false, nil, "GET a.test /p q 0 x: y\r\ncookie: a=b; c=d; e=f\r\n"},
		{"one cookie", with("cookie: a=b; c=d"), false, nil, "GET a.test /p q 0 cookie: a=b; c=d\r\n"},
		{"trailers taken", with("te: trailers"), false, nil, "GET a.test /p q 0 te: trailers\r\n"},
		{"space around", with("x:  y\t "), false, nil, "GET a.test /p q 0 x:  y\t \r\n"},
		{"tab inside", with("x: y\tz"), false, nil, "GET a.test /p q 0 x: y\tz\r\n"},
		{"proxy credentials", with("proxy-authorization: basic x"), false, nil, "GET a.test /p q 0 "},
		{"unknown method", []string{":method: BREW", ":scheme: http", ":authority: a", ":path: /"}, false, nil, "BREW a /  0 "},
		{"IPv6", []string{":method: GET", ":scheme: http", ":authority: [::1]:80", ":path: /"}, false, nil, "GET [::1]:80 /  0 "},
		{"change of protocol", []string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a", ":path: /ws"}, true, nil, "GET a /ws  0 "},

		{"no method", get[1:], false, RulePseudoMissing, ""},
		{"no scheme", []string{":method: GET", ":authority: a", ":path: /"}, false, RulePseudoMissing, ""},
		{"no path", get[:3], false, RulePseudoMissing, ""},
		{"no authority", []string{":method: GET", ":scheme: http", ":path: /"}, false, RuleHostMissing, ""},
		{"empty authority", []string{":method: GET", ":scheme: http", ":authority: ", ":path: /"}, false, RuleHostInvalid, ""},
		{"method twice", with(":method: GET"), false, RulePseudoRepeated, ""},
		{"empty path twice", []string{":method: GET", ":scheme: http", ":path: ", ":path: /"}, false, RulePseudoRepeated, ""},
		{"pseudo behind", with("x: y", ":method: GET"), false, RulePseudoOrder, ""},
		{"status", with(":status: 200"), false, RulePseudoUnknown, ""},
		{"unknown pseudo", with(":x: y"), false, RulePseudoUnknown, ""},
		{"method is no token", []string{":method: G T", ":scheme: http", ":authority: a", ":path: /"}, false, RuleMethod, ""},
		{"empty method", []string{":method: ", ":scheme: http", ":authority: a", ":path: /"}, false, RuleMethod, ""},
		{"scheme", []string{":method: GET", ":scheme: ftp", ":authority: a", ":path: /"}, false, RuleScheme, ""},
		{"empty path", []string{":method: GET", ":scheme: http", ":authority: a", ":path: "}, false, RuleTarget, ""},
		{"path without slash", []string{":method: GET", ":scheme: http", ":authority: a", ":path: p"}, false, RuleTarget, ""},
		{"path is a URL", []string{":method: GET", ":scheme: http", ":authority: a", ":path: http://b/"}, false, RuleTarget, ""},
		{"asterisk to GET", []string{":method: GET", ":scheme: http", ":authority: a", ":path: *"}, false, RuleTarget, ""},
		{"space in path", []string{":method: GET", ":scheme: http", ":authority: a", ":path: /a b"}, false, RuleTarget, ""},
		{"line break in path", []string{":method: GET", ":scheme: http", ":authority: a", ":path: /\r\nx: y"}, false, RuleFieldValue, ""},
		{"fragment", []string{":method: GET", ":scheme: http", ":authority: a", ":path: /#x"}, false, RuleFragment, ""},
		{"long path", []string{":method: GET", ":scheme: http", ":authority: a", ":path: /" + long}, false, RuleTargetLong, ""},
		{"user in authority", []string{":method: GET", ":scheme: http", ":authority: u@a", ":path: /"}, false, RuleHostInvalid, ""},
		{"list of authorities", []string{":method: GET", ":scheme: http", ":authority: a,b", ":path: /"}, false, RuleHostInvalid, ""},
		{"other host", with("host: b.test"), false, RuleHostDiffers, ""},
		{"two hosts", with("host: a.test", "host: a.test"), false, RuleHostMany, ""},
		{"connection", with("connection: x"), false, RuleConnectionField, ""},
		{"keep-alive", with("keep-alive: x"), false, RuleConnectionField, ""},
		{"proxy-connection", with("proxy-connection: x"), false, RuleConnectionField, ""},
		{"transfer-encoding", with("transfer-encoding: chunked"), true, RuleConnectionField, ""},
		{"upgrade", with("upgrade: h2c"), false, RuleConnectionField, ""},
		{"te", with("te: gzip"), false, RuleTE, ""},
		{"te list", with("te: trailers, gzip"), false, RuleTE, ""},
		{"uppercase", with("X-a: b"), false, RuleUppercase, ""},
		{"empty name", with(": : b"), false, RulePseudoUnknown, ""},
		{"space in name", with("a b: c"), false, RuleFieldName, ""},
		{"line break in name", with("a\r\nb: c"), false, RuleFieldName, ""},
		{"long name", with(strings.Repeat("n", MaxName+1) + ": x"), false, RuleNameLong, ""},
		{"line break", with("a: b\r\nc: d"), false, RuleFieldValue, ""},
		{"line feed", with("a: b\nc"), false, RuleFieldValue, ""},
		{"NUL", with("a: b\x00c"), false, RuleFieldValue, ""},
		{"DEL", with("a: b\x7f"), false, RuleFieldValue, ""},
		{"bad crumb", with("cookie: a", "cookie: b\r"), false, RuleFieldValue, ""},
		{"underscore", with("x_forwarded_for: 1.2.3.4"), false, RuleUnderscore, ""},
		{"length is no number", with("content-length: +5"), true, RuleLength, ""},
		{"length is empty", with("content-length: "), true, RuleLength, ""},
		{"length list", with("content-length: 5, 5"), true, RuleLength, ""},
		{"lengths differ", with("content-length: 5", "content-length: 6"), true, RuleLengthMany, ""},
		{"length without body", with("content-length: 5"), false, RuleLengthBody, ""},
		{"expect", with("expect: the best"), true, RuleExpect, ""},
		{"expect something else besides", with("expect: 100-continue", "expect: the best"), true, RuleExpect, ""},
		{"expect before what is malformed", with("expect: the best", "content-length: 5"), false, RuleLengthBody, ""},
		{"expect of a change of protocol", []string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a", ":path: /", "expect: the best"}, true, RuleExpect, ""},
		{"CONNECT", []string{":method: CONNECT", ":authority: a:443"}, true, RuleConnect, ""},
		{"CONNECT with a path", []string{":method: CONNECT", ":authority: a:443", ":path: /"}, true, RulePseudoExcess, ""},
		{"protocol without CONNECT", with(":protocol: websocket"), true, RulePseudoExcess, ""},
		{"change of protocol without path", []string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a"}, true, RulePseudoMissing, ""},
		{"change of protocol that ends", []string{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a", ":path: /"}, false, RuleLengthBody, ""},
		{"protocol is no token", []string{":method: CONNECT", ":protocol: a b", ":scheme: https", ":authority: a", ":path: /"}, true, RuleTarget, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := section(&DefaultLimits, c.lines...)
			var x exchange.Exchange
			r := &x.Request
			err := b.Request(r, !c.more)
			if c.rule != nil {
				if err != c.rule {
					t.Fatalf("%v", err)
				}
				return
			}
			got := fmt.Sprintf("%s %s %s %s %d %s", r.Method, r.Host, r.Path, r.Query, r.Length, text(&r.Header))
			if err != nil || got != c.want {
				t.Fatalf("%q %v", got, err)
			}
		})
	}
	var x exchange.Exchange
	if err := section(&DefaultLimits, with("expect: 100-continue")...).Request(&x.Request, false); err != nil || !x.Request.Continue {
		t.Error(err)
	}
}

func TestUnderscores(t *testing.T) {
	lim := DefaultLimits
	for how, want := range map[Underscore]string{DropUnderscore: "a: b\r\n", AllowUnderscore: "x_y: z\r\na: b\r\n"} {
		lim.Underscore = how
		var x exchange.Exchange
		if err := section(&lim, with("x_y: z", "a: b")...).Request(&x.Request, true); err != nil || text(&x.Request.Header) != want {
			t.Errorf("%q %v", text(&x.Request.Header), err)
		}
	}
}

func TestLimits(t *testing.T) {
	lim := Limits{HeaderBytes: 1000, Fields: 5}
	for name, c := range map[string]struct {
		lines []string
		rule  *Rule
	}{
		"few":    {with("a: 1", "b: 2", "c: 3", "d: 4", "e: 5"), nil},
		"many":   {with("a: 1", "b: 2", "c: 3", "d: 4", "e: 5", "f: 6"), RuleFieldCount},
		"crumbs": {with("cookie: 1", "cookie: 2", "cookie: 3", "cookie: 4", "cookie: 5", "cookie: 6"), nil},
		"large":  {with("a: " + strings.Repeat("1", 1000)), RuleHeaderSize},
		// 4 pseudo-header fields and this one are 5 times 32, and what they say.
		"just": {with("a: " + strings.Repeat("1", 1000-5*32-len(":method:scheme:authority:pathGEThttpsa.test/p?qa"))), nil},
	} {
		b := section(&lim, c.lines...)
		var x exchange.Exchange
		if err := b.Request(&x.Request, true); b.Over() != c.rule || c.rule != nil && err != c.rule || c.rule == nil && err != nil {
			t.Errorf("%s: %v, over %v, %d bytes", name, err, b.Over(), b.Size())
		}
	}
	b := section(&Limits{HeaderBytes: 1 << 20, Fields: 5})
	for range maxCrumbs + 1 {
		b.Add([]byte("cookie"), []byte("a"))
	}
	if b.Over() != RuleFieldCount {
		t.Errorf("%d crumbs are not too many", maxCrumbs+1)
	}
}

func TestResponse(t *testing.T) {
	for _, c := range []struct {
		name   string
		method string
		ended  bool
		lines  []string
		rule   *Rule
		want   string
	}{
		{"plain", "GET", false, []string{":status: 200", "a: b"}, nil, "200 -1 a: b\r\n"},
		{"ended", "GET", true, []string{":status: 200"}, nil, "200 0 "},
		{"length", "GET", false, []string{":status: 200", "content-length: 7"}, nil, "200 7 "},
		{"to HEAD", "HEAD", true, []string{":status: 200", "content-length: 7"}, nil, "200 7 "},
		{"to HEAD, unknown", "HEAD", true, []string{":status: 200"}, nil, "200 -1 "},
		{"304", "GET", true, []string{":status: 304", "content-length: 7"}, nil, "304 7 "},
		{"204", "GET", true, []string{":status: 204"}, nil, "204 -1 "},
		{"interim", "GET", false, []string{":status: 103", "link: x"}, nil, "103 -1 link: x\r\n"},
		{"underscore", "GET", true, []string{":status: 200", "a_b: c"}, nil, "200 0 a_b: c\r\n"},
		{"no status", "GET", true, []string{"a: b"}, RulePseudoMissing, ""},
		{"101", "GET", false, []string{":status: 101"}, RuleStatus, ""},
		{"two digits", "GET", true, []string{":status: 20"}, RuleStatus, ""},
		{"99", "GET", true, []string{":status: 099"}, RuleStatus, ""},
		{"letters", "GET", true, []string{":status: 2OO"}, RuleStatus, ""},
		{"twice", "GET", true, []string{":status: 200", ":status: 200"}, RulePseudoRepeated, ""},
		{"method", "GET", true, []string{":status: 200", ":method: GET"}, RulePseudoUnknown, ""},
		{"length without body", "GET", true, []string{":status: 200", "content-length: 7"}, RuleLengthBody, ""},
		{"connection", "GET", true, []string{":status: 200", "connection: close"}, RuleConnectionField, ""},
		{"line break", "GET", true, []string{":status: 200", "a: b\nc"}, RuleFieldValue, ""},
	} {
		b := section(&ResponseLimits, c.lines...)
		var p exchange.Response
		err := b.Response(&p, c.method, c.ended)
		if c.rule != nil && err != c.rule {
			t.Errorf("%s: %v", c.name, err)
		} else if got := fmt.Sprintf("%d %d %s", p.Status, p.Length, text(&p.Header)); c.rule == nil && (err != nil || got != c.want) {
			t.Errorf("%s: %q %v", c.name, got, err)
		}
	}
	if b := section(&ResponseLimits, ":status: 103", "content-length: 12"); b.Status() != 103 || b.Length() != 12 {
		t.Error(b.Status(), b.Length())
	}
	if b := section(&ResponseLimits, "content-length: x"); b.Status() != 0 || b.Length() != -1 {
		t.Error(b.Status(), b.Length())
	}
}

// TestTrailer: nothing that frames, routes or authorises a message is taken from a trailer.
func TestTrailer(t *testing.T) {
	b := section(&TrailerLimits, "grpc-status: 0", "content-length: 5", "host: h", "authorization: x", "cookie: a", "x-forwarded-for: y",
		"content-range: z", "te: trailers", "x_y: z", "grpc-message: m")
	var h exchange.Header
	if err := b.Trailer(&h); err != nil || text(&h) != "grpc-status: 0\r\ngrpc-message: m\r\n" {
		t.Errorf("%q %v", text(&h), err)
	}
	for line, rule := range map[string]*Rule{":status: 200": RulePseudoUnknown, "transfer-encoding: chunked": RuleConnectionField, "A: b": RuleUppercase, "a: b\r": RuleFieldValue} {
		if err := section(&TrailerLimits, "ok: yes", line).Trailer(&h); !errors.Is(err, rule) || h.Len() > 0 {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	var b Block
	var x exchange.Exchange
	names := [][]byte{[]byte(":method"), []byte(":scheme"), []byte(":authority"), []byte(":path"), []byte("cookie"), []byte("cookie"), []byte("x-a")}
	values := [][]byte{[]byte("GET"), []byte("https"), []byte("a.test"), []byte("/p?q"), []byte("a=b"), []byte("c=d"), []byte("y")}
	exchangetest.NoAllocations(t, func() {
		b.Reset(&DefaultLimits)
		for i := range names {
			b.Add(names[i], values[i])
		}
		if err := b.Request(&x.Request, true); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzPlain: eight bytes at a time find what one at a time does.
func FuzzPlain(f *testing.F) {
	f.Add([]byte("0123456789\tabcdef\x7f"))
	f.Fuzz(func(t *testing.T, in []byte) {
		want := !bytes.ContainsFunc(in, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
		if Plain(in) != want {
			t.Fatalf("%q", in)
		}
	})
}

package gateway

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// rig is a stack in front of a handler that notes what it is given.
type rig struct {
	stack   *stack
	entry   *static.EntryPoint
	refused []string
	client  netip.Addr
	scheme  string
	path    string
	query   string
	fields  map[string]string
}

func newRig(t *testing.T, change func(e *static.EntryPoint, g *static.Global)) *rig {
	t.Helper()
	r := &rig{}
	e, g := &static.EntryPoint{}, &static.Global{}
	e.SetDefaults()
	if change != nil {
		change(e, g)
	}
	r.entry = e
	var err error
	r.stack, err = newStack(e, g, "http", func(rule string) { r.refused = append(r.refused, rule) },
		exchange.HandlerFunc(func(x *exchange.Exchange) error {
			r.client, r.scheme = x.Client, x.Request.Scheme
			r.path, r.query = string(x.Request.Path), string(x.Request.Query)
			r.fields = map[string]string{}
			for name, value := range x.Request.Header.All() {
				if _, twice := r.fields[string(name)]; twice {
					t.Errorf("%s is there twice", name)
				}
				r.fields[string(name)] = string(value)
			}
			x.Respond(200, "", nil)
			return nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestForwardedFieldsOfStrangersAreReplaced(t *testing.T) {
	host, _ := os.Hostname()
	r := newRig(t, nil)
	x := exchangetest.Request("GET", "http://example.com:8000/", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https",
		"X-Real-Ip: 6.6.6.6", "X-Forwarded-Prefix: /admin", "X-Forwarded-Uri: /x", "Forwarded: for=6.6.6.6",
		"X-Forwarded-Tls-Client-Cert: evil", "X-Forwarded-Scheme: https", "X-Scheme: https", "X-Other: kept")
	if err := r.stack.Handle(x); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"X-Forwarded-For": "192.0.2.1", "X-Real-Ip": "192.0.2.1", "X-Forwarded-Proto": "http",
		"X-Forwarded-Host": "example.com:8000", "X-Forwarded-Port": "8000", "X-Forwarded-Server": host, "X-Other": "kept",
	}
	for name, value := range want {
		if r.fields[name] != value {
			t.Errorf("%s: %q, want %q", name, r.fields[name], value)
		}
	}
	if len(r.fields) != len(want) {
		t.Errorf("there are others: %v", r.fields)
	}
	if r.client != exchangetest.Peer.Addr() || r.scheme != "http" {
		t.Errorf("client %v, scheme %s", r.client, r.scheme)
	}
}

func TestPeerIsNotAppended(t *testing.T) {
	for _, global := range []bool{true, false} {
		r := newRig(t, func(e *static.EntryPoint, g *static.Global) {
			g.NotAppendXForwardedFor, e.ForwardedHeaders.NotAppendXForwardedFor = global, !global
		})
		if err := r.stack.Handle(exchangetest.Request("GET", "http://example.com/", "X-Forwarded-For: 6.6.6.6")); err != nil {
			t.Fatal(err)
		}
		if said, there := r.fields["X-Forwarded-For"]; there {
			t.Errorf("X-Forwarded-For is %q", said)
		}
		if r.fields["X-Real-Ip"] != "192.0.2.1" || r.fields["X-Forwarded-Host"] != "example.com" || r.fields["X-Forwarded-Port"] != "80" {
			t.Errorf("%v", r.fields)
		}
	}
}

func TestForwardedFieldsOfALongAddressAllocateNothing(t *testing.T) {
	f := newRig(t, nil).stack.forwarded
	x := exchangetest.Request("GET", "http://example.com/")
	peer := netip.MustParseAddrPort("[2001:db8:1111:2222:3333:4444:5555:6666]:80")
	x.Conn = &exchange.Conn{Peer: peer, PeerText: peer.Addr().String()}
	if n := testing.AllocsPerRun(100, func() { x.Request.Header.Reset(nil); f.apply(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if said := string(x.Request.Header.Get(exchange.XForwardedFor)); said != x.Conn.PeerText {
		t.Errorf("X-Forwarded-For is %q", said)
	}
}

func TestForwardedFieldsOfTrustedProxies(t *testing.T) {
	for name, tt := range map[string]struct {
		fields []string
		client string
		chain  string
		scheme string
	}{
		"nothing said":             {nil, "192.0.2.1", "192.0.2.1", "http"},
		"one hop":                  {[]string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"}, "203.0.113.9", "203.0.113.9, 192.0.2.1", "https"},
		"a second trusted hop":     {[]string{"X-Forwarded-For: 203.0.113.9, 192.0.2.7"}, "203.0.113.9", "203.0.113.9, 192.0.2.7, 192.0.2.1", "http"},
		"what the client invented": {[]string{"X-Forwarded-For: 10.0.0.1, 203.0.113.9"}, "203.0.113.9", "10.0.0.1, 203.0.113.9, 192.0.2.1", "http"},
		"two fields":               {[]string{"X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 203.0.113.9"}, "203.0.113.9", "10.0.0.1, 203.0.113.9, 192.0.2.1", "http"},
		"not an address":           {[]string{"X-Forwarded-For: 203.0.113.9, unknown"}, "192.0.2.1", "203.0.113.9, unknown, 192.0.2.1", "http"},
		"with ports":               {[]string{"X-Forwarded-For: [2001:db8::1]:99, 192.0.2.9:80"}, "2001:db8::1", "[2001:db8::1]:99, 192.0.2.9:80, 192.0.2.1", "http"},
		"IPv6":                     {[]string{"X-Forwarded-For: 2001:db8::1"}, "2001:db8::1", "2001:db8::1, 192.0.2.1", "http"},
		"a scheme nobody knows":    {[]string{"X-Forwarded-Proto: gopher"}, "192.0.2.1", "192.0.2.1", "http"},
		"websocket":                {[]string{"X-Forwarded-Proto: wss"}, "192.0.2.1", "192.0.2.1", "https"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(e *static.EntryPoint, _ *static.Global) {
				e.ForwardedHeaders.TrustedIPs = []string{"192.0.2.0/24"}
			})
			var parts []any
			for _, f := range tt.fields {
				parts = append(parts, f)
			}
			if err := r.stack.Handle(exchangetest.Request("GET", "/", parts...)); err != nil {
				t.Fatal(err)
			}
			if r.client.String() != tt.client || r.fields["X-Forwarded-For"] != tt.chain || r.scheme != tt.scheme {
				t.Errorf("client %v, chain %q, scheme %s", r.client, r.fields["X-Forwarded-For"], r.scheme)
			}
		})
	}
}

// X-Forwarded-Proto is ws or wss of a request for a WebSocket, as Traefik has it, and so are the fields that repeat it.
func TestForwardedSchemeOfWebSockets(t *testing.T) {
	for name, tt := range map[string]struct {
		scheme, upgrade, said, want string
		trusted                     bool
	}{
		"plaintext":                 {"http", "websocket", "", "ws", false},
		"TLS":                       {"https", "WebSocket", "", "wss", false},
		"one protocol of several":   {"https", "irc, websocket", "", "wss", false},
		"another protocol":          {"https", "irc", "", "https", false},
		"no change":                 {"http", "", "", "http", false},
		"a stranger says so":        {"http", "", "wss", "http", false},
		"a trusted proxy is silent": {"https", "websocket", "", "wss", true},
		"a trusted proxy says http": {"https", "websocket", "http", "http", true},
		"a trusted proxy says wss":  {"http", "websocket", "wss", "wss", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(e *static.EntryPoint, _ *static.Global) {
				e.ForwardedHeaders.Insecure, e.ForwardedHeaders.AddXForwardedSchemeHeaders = tt.trusted, true
			})
			f, err := newForwarded(r.entry, false, tt.scheme)
			if err != nil {
				t.Fatal(err)
			}
			r.stack.forwarded = f
			x := exchangetest.Request("GET", "/")
			if tt.said != "" {
				x.Request.Header.Add(exchange.XForwardedProto, tt.said)
			}
			x.Request.Scheme, x.Request.Upgrade = tt.scheme, []byte(tt.upgrade)
			if err := r.stack.Handle(x); err != nil {
				t.Fatal(err)
			}
			for _, field := range []string{"X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Scheme"} {
				if r.fields[field] != tt.want {
					t.Errorf("%s: %q, want %q", field, r.fields[field], tt.want)
				}
			}
			if r.scheme != "http" && r.scheme != "https" {
				t.Errorf("the request's scheme is %q", r.scheme)
			}
		})
	}
}

// Servers that make variables of fields take X_Forwarded_For for X-Forwarded-For.
func TestForwardedFieldsOfStrangersAreReplacedInAnySpelling(t *testing.T) {
	r := newRig(t, func(e *static.EntryPoint, _ *static.Global) { e.HTTP.UnderscoreHeadersStrategy = "keep" })
	x := exchangetest.Request("GET", "/", "X_Forwarded_For: 6.6.6.6", "x-forwarded_proto: https", "X_Scheme: https", "X_Other: kept")
	if err := r.stack.Handle(x); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X_Forwarded_For", "x-forwarded_proto", "X_Scheme"} {
		if value, there := r.fields[name]; there {
			t.Errorf("%s: %s is passed on", name, value)
		}
	}
	if r.fields["X_Other"] != "kept" || r.fields["X-Forwarded-For"] != "192.0.2.1" {
		t.Errorf("the fields are %v", r.fields)
	}
}

func TestNoHostIsForwardedAsNone(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		r := newRig(t, func(e *static.EntryPoint, _ *static.Global) { e.ForwardedHeaders.Insecure = insecure })
		x := exchangetest.Request("GET", "/")
		x.Request.Host = nil
		if err := r.stack.Handle(x); err != nil {
			t.Fatal(err)
		}
		if value, there := r.fields["X-Forwarded-Host"]; there {
			t.Errorf("X-Forwarded-Host is %q", value)
		}
	}
}

func TestTrustedProxiesAreNotOverruled(t *testing.T) {
	r := newRig(t, func(e *static.EntryPoint, g *static.Global) {
		e.ForwardedHeaders.Insecure, g.NotAppendXForwardedFor = true, true
		e.ForwardedHeaders.AddXForwardedSchemeHeaders = true
	})
	said := map[string]string{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "front", "X-Forwarded-Port": "444",
		"X-Forwarded-Proto": "https", "X-Forwarded-Server": "edge", "X-Real-Ip": "203.0.113.9", "X-Forwarded-Prefix": "/p"}
	var parts []any
	for name, value := range said {
		parts = append(parts, name+": "+value)
	}
	if err := r.stack.Handle(exchangetest.Request("GET", "/", parts...)); err != nil {
		t.Fatal(err)
	}
	said["X-Forwarded-Scheme"], said["X-Scheme"] = "https", "https"
	for name, value := range said {
		if r.fields[name] != value {
			t.Errorf("%s: %q, want %q", name, r.fields[name], value)
		}
	}
}

func TestPaths(t *testing.T) {
	for name, tt := range map[string]struct {
		target string
		change func(h *static.HTTP)
		path   string // empty: refused
		rule   string
	}{
		"normal form":          {"/%61/./b//c/../%7e?x=%2f", nil, "/a/b/~", ""},
		"encoded slash":        {"/a%2fb", nil, "", "encoded_slash"},
		"encoded slash wanted": {"/a%2fb", func(h *static.HTTP) { h.EncodedCharacters.AllowEncodedSlash = true }, "/a%2Fb", ""},
		"encoded backslash":    {"/a%5cb", nil, "", "encoded_backslash"},
		"encoded NUL":          {"/a%00", nil, "", "encoded_null_character"},
		"bad escape":           {"/%zz", nil, "", "path_bad_escape"},
		"no sanitizing":        {"/a/../b", func(h *static.HTTP) { h.SanitizePath = false }, "/a/../b", ""},
		"decoded once":         {"/%2541", nil, "/%2541", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(e *static.EntryPoint, _ *static.Global) {
				if tt.change != nil {
					tt.change(&e.HTTP)
				}
			})
			x := exchangetest.Request("GET", "/", func(x *exchange.Exchange) {
				path, query, has := strings.Cut(tt.target, "?")
				x.Request.Path, x.Request.Query, x.Request.HasQuery = []byte(path), []byte(query), has
			})
			err := r.stack.Handle(x)
			if tt.path == "" {
				if exchange.KindOf(err) != exchange.BadRequest || len(r.refused) != 1 || r.refused[0] != tt.rule {
					t.Errorf("%v, refused by %q", err, r.refused)
				}
				return
			}
			if err != nil || r.path != tt.path || len(r.refused) > 0 {
				t.Errorf("%v, path %q, refused by %q", err, r.path, r.refused)
			}
		})
	}
}

func TestQuerySemicolonsAreEncodedWhenAsked(t *testing.T) {
	r := newRig(t, func(e *static.EntryPoint, _ *static.Global) { e.HTTP.EncodeQuerySemicolons = true })
	if err := r.stack.Handle(exchangetest.Request("GET", "/?a;b=;&c")); err != nil || r.query != "a%3Bb=%3B&c" {
		t.Errorf("%v %q", err, r.query)
	}
	r = newRig(t, nil)
	if err := r.stack.Handle(exchangetest.Request("GET", "/?a;b")); err != nil || r.query != "a;b" {
		t.Errorf("%v %q", err, r.query)
	}
}

package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/certtest"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/relay"
)

// certificate makes a self-signed certificate for names.
func certificate(names ...string) tls.Certificate { return certtest.SelfSigned(names) }

// startTLS is start for an entry point that speaks TLS with config, and whose handler tells of scheme,
// TLS and forwarded protocol.
func startTLS(t *testing.T, config *tls.Config, change func(e *static.EntryPoint)) *point {
	return startWith(t, change, func(o *Options) {
		o.TLS = func(string) func(*exchange.Conn) *tls.Config {
			return func(*exchange.Conn) *tls.Config { return config }
		}
		o.Handler = func(string) exchange.Handler {
			return exchange.HandlerFunc(func(x *exchange.Exchange) error {
				version := "none"
				if x.Conn.TLS != nil {
					version = tls.VersionName(x.Conn.TLS.Version) + " " + x.Conn.TLS.ServerName
				}
				x.Respond(200, "text/plain", fmt.Appendf(nil, "%s %s %s %s", x.Request.Scheme, x.Request.Header.Get(exchange.XForwardedProto), x.Client, version))
				return nil
			})
		}
	})
}

func clientConfig(change func(c *tls.Config)) *tls.Config {
	c := &tls.Config{ServerName: "h", InsecureSkipVerify: true}
	if change != nil {
		change(c)
	}
	return c
}

func TestTLSAndPlaintextOnOnePort(t *testing.T) {
	p := startTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate("h")}, NextProtos: []string{"http/1.1"}}, nil)
	for name, config := range map[string]*tls.Config{
		"TLS 1.3":      clientConfig(nil),
		"TLS 1.2":      clientConfig(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }),
		"with ALPN":    clientConfig(func(c *tls.Config) { c.NextProtos = []string{"h3", "http/1.1"} }),
		"no plaintext": nil,
	} {
		t.Run(name, func(t *testing.T) {
			c := p.dial(t)
			want := "http http 127.0.0.1 none"
			if config != nil {
				c = tls.Client(c, config)
				want = "https https 127.0.0.1 TLS 1.3 h"
				if config.MaxVersion != 0 {
					want = "https https 127.0.0.1 TLS 1.2 h"
				}
			}
			for range 3 {
				if r, body, err := ask(c, "", "/"); err != nil || r.StatusCode != 200 || body != want {
					t.Errorf("%v %v %q, want %q", err, r, body, want)
				}
			}
		})
	}
}

func TestTLSBehindTheProxyProtocol(t *testing.T) {
	p := startTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate("h")}}, func(e *static.EntryPoint) {
		e.ProxyProtocol = &static.ProxyProtocol{TrustedIPs: []string{"127.0.0.1"}}
	})
	// The header alone, and together with the hello.
	for _, together := range []bool{false, true} {
		c := p.dial(t)
		header := "PROXY TCP4 203.0.113.9 192.0.2.1 5555 443\r\n"
		if together {
			c = &prefixed{Conn: c, prefix: header}
		} else {
			io.WriteString(c, header)
		}
		if _, body, err := ask(tls.Client(c, clientConfig(nil)), "", "/"); err != nil || body != "https https 203.0.113.9 TLS 1.3 h" {
			t.Errorf("%v %q", err, body)
		}
	}
}

// prefixed writes prefix before what is written first.
type prefixed struct {
	net.Conn
	prefix string
}

func (p *prefixed) Write(b []byte) (int, error) {
	n, err := p.Conn.Write(append([]byte(p.prefix), b...))
	n -= len(p.prefix)
	p.prefix = ""
	return n, err
}

// pieces writes byte by byte, and splits every record into records of one byte.
type pieces struct {
	net.Conn
	left int // handshake records yet to split
}

func (p *pieces) Write(b []byte) (int, error) {
	out := b
	if p.left > 0 {
		p.left--
		out = nil
		for _, x := range b[5:] {
			out = append(out, b[0], b[1], b[2], 0, 1, x)
		}
	}
	for i := range out {
		if _, err := p.Conn.Write(out[i : i+1]); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

// However a ClientHello is cut, it is the same: the configuration is chosen by its server name.
func TestFragmentedClientHello(t *testing.T) {
	var asked atomic.Value
	p := startTLS(t, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		asked.Store(hello.ServerName)
		return &tls.Config{Certificates: []tls.Certificate{certificate(hello.ServerName)}}, nil
	}}, nil)
	for _, split := range []int{0, 1} {
		c := &pieces{Conn: p.dial(t), left: split}
		c.Conn.(*net.TCPConn).SetNoDelay(true)
		_, body, err := ask(tls.Client(c, clientConfig(nil)), "", "/")
		if err != nil || body != "https https 127.0.0.1 TLS 1.3 h" || asked.Load() != "h" {
			t.Errorf("%v %q, asked for %v", err, body, asked.Load())
		}
	}
}

// One deadline bounds whatever comes before a request, and tells what it ended by its rule.
func TestGreetingsAreBounded(t *testing.T) {
	hello := helloBytes(t)
	const limit = 2 * time.Second
	for name, tt := range map[string]struct{ send, rule string }{
		"silence":        {"", ""},
		"a byte":         {"\x16", "greeting_timeout"},
		"half a hello":   {hello[:len(hello)/2], "greeting_timeout"},
		"no finish":      {hello, "greeting_timeout"},
		"proxy header":   {"PROXY TCP4 ", "greeting_timeout"},
		"half a request": {"GET / HT", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate("h")}}, func(e *static.EntryPoint) {
				e.Transport.RespondingTimeouts.HeaderTimeout = static.Duration(limit)
				if strings.HasPrefix(tt.send, "PROXY") {
					e.ProxyProtocol = &static.ProxyProtocol{Insecure: true}
				}
			})
			began := time.Now()
			c := p.dial(t)
			io.WriteString(c, tt.send)
			_, err := io.Copy(io.Discard, c)
			if d := time.Since(began); d < limit || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("ended with %v after %v", err, d)
			}
			waittest.Until(t, "it is over", func() bool { return p.open.Load() == 0 })
			if got := strings.Join(p.rules(), " "); got != tt.rule {
				t.Errorf("refused by %q, want %q", got, tt.rule)
			}
		})
	}
}

// helloBytes is a ClientHello.
func helloBytes(t *testing.T) string {
	t.Helper()
	near, far := net.Pipe()
	go tls.Client(near, clientConfig(nil)).Handshake()
	defer near.Close()
	p := make([]byte, 16<<10)
	n, err := far.Read(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(p[:n])
}

func TestFailedHandshakes(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{certificate("h")}, ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs: x509.NewCertPool(), NextProtos: []string{"http/1.1", "x"}, MinVersion: tls.VersionTLS12}
	p := startTLS(t, config, nil)
	for rule, attempt := range map[string]func(c net.Conn){
		"tls_client_certificate": func(c net.Conn) {
			tls.Client(c, clientConfig(func(c *tls.Config) { c.Certificates = []tls.Certificate{certificate("client")} })).Read(make([]byte, 1))
		},
		"tls_handshake": func(c net.Conn) {
			tls.Client(c, clientConfig(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })).Handshake()
		},
		"tls_record":    func(c net.Conn) { io.WriteString(c, "\x16\xff\xff\xff\xff") },
		"tls_abandoned": func(c net.Conn) { io.WriteString(c, helloBytes(t)[:50]) },
	} {
		before := len(p.rules())
		c := p.dial(t)
		attempt(c)
		c.Close()
		waittest.Until(t, rule, func() bool { return len(p.rules()) > before })
		if got := p.rules()[before]; got != rule {
			t.Errorf("refused by %q, want %q", got, rule)
		}
	}
	config.ClientAuth = tls.NoClientCert
	c := p.dial(t)
	tls.Client(c, clientConfig(func(c *tls.Config) { c.NextProtos = []string{"x"} })).Read(make([]byte, 1))
	waittest.Until(t, "the refusal", func() bool { return len(p.rules()) == 5 })
	if got := p.rules()[4]; got != "tls_protocol" {
		t.Errorf("refused by %q", got)
	}
}

// A client of TLS 1.3 without the certificate that is asked for has sent a request before it knows: it
// still hears why.
func TestFailedHandshakesAreExplained(t *testing.T) {
	p := startTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate("h")}, ClientAuth: tls.RequireAnyClientCert}, nil)
	for range 20 {
		c := tls.Client(p.dial(t), clientConfig(nil))
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(make([]byte, 100<<10)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate required") {
			t.Fatalf("the client was told %v", err)
		}
		c.Close()
	}
}

// Draining ends connections that have said nothing, waits for handshakes, and killing cuts these.
func TestStopEndsGreetings(t *testing.T) {
	p := startTLS(t, &tls.Config{Certificates: []tls.Certificate{certificate("h")}}, func(e *static.EntryPoint) {
		e.Transport.RespondingTimeouts.HeaderTimeout = static.Duration(time.Minute)
		e.Transport.LifeCycle.GraceTimeOut = static.Duration(time.Minute)
	})
	silent, halfway := p.dial(t), p.dial(t)
	io.WriteString(halfway, "\x16\x03")
	waittest.Until(t, "both are there", func() bool { return p.open.Load() == 2 })
	ctx, kill := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		p.Stop(ctx)
		close(stopped)
	}()
	if _, err := silent.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the silent one does not end")
	}
	select {
	case <-stopped:
		t.Error("the handshake was not waited for")
	default:
	}
	kill()
	if _, err := halfway.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the handshake is not cut")
	}
	<-stopped
}

// relayed takes the connections that begin with its first byte, or all before they say anything.
type relayed struct {
	first byte
	eager bool
	says  []byte // before anything else
	got   chan string
}

func (r *relayed) Accepted(*exchange.Conn) Protocol {
	if r.eager {
		return r
	}
	return nil
}

func (r *relayed) Greeted(conn *listen.Conn, _ *exchange.Conn) (Protocol, error) {
	mine := false
	err := conn.Sniff(func(first []byte) bool {
		mine = first[0] == r.first
		return len(first) > 3 || !mine
	})
	switch {
	case !mine && r.says != nil:
		return nil, &relay.Refusal{Rule: "stranger", Err: errors.New("not mine")}
	case !mine:
		return nil, nil
	}
	return r, err
}

func (r *relayed) Serve(conn *listen.Conn, _ *exchange.Conn, done func()) {
	all, _ := io.ReadAll(readerFunc(conn.Read))
	r.got <- string(all)
	conn.Close()
	done()
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func (r *relayed) Greeting() []byte            { return r.says }
func (r *relayed) Drain(context.Context) error { return nil }
func (r *relayed) Kill(context.Context) error  { return nil }

// A relay gets all that was said, however much of it was looked at.
func TestRelaysTakeConnectionsWhole(t *testing.T) {
	hello := helloBytes(t)
	for name, tt := range map[string]struct {
		relay relayed
		send  string
	}{
		"plaintext": {relayed{first: '*'}, "*1\r\n$4\r\nPING\r\n"},
		"TLS":       {relayed{first: 0x16}, hello + strings.Repeat("x", 40000)},
		"eager":     {relayed{eager: true}, "anything"},
		"nothing":   {relayed{eager: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := &tt.relay
			r.got = make(chan string, 1)
			p := startWith(t, nil, func(o *Options) { o.Relay = func(string) Relay { return r } })
			c := p.dial(t)
			for _, piece := range [][]byte{[]byte(tt.send)[:min(1, len(tt.send))], []byte(tt.send)[min(1, len(tt.send)):]} {
				c.Write(piece)
			}
			c.(*net.TCPConn).CloseWrite()
			if got := <-r.got; got != tt.send {
				t.Errorf("got %d bytes %.40q", len(got), got)
			}
			if r.eager {
				return
			}
			if _, body, err := ask(p.dial(t), "", "/"); err != nil || body != "127.0.0.1" {
				t.Errorf("the others: %v %q", err, body)
			}
		})
	}
}

// A relay that greets is all that an entry point speaks; who says nothing to it is let go, and who says the
// wrong thing is refused by the relay's own rule.
func TestRelaysThatGreet(t *testing.T) {
	for name, tt := range map[string]struct {
		say, rule string
		limit     time.Duration
	}{
		"silence":  {"", "", 500 * time.Millisecond},
		"a byte":   {"x", "greeting_timeout", 2 * time.Second},
		"stranger": {"GET / HTTP/1.1\r\n\r\n", "stranger", time.Minute},
		"its own":  {"xyzzy", "", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &relayed{first: 'x', says: []byte("hello\n"), got: make(chan string, 1)}
			p := startWith(t, func(e *static.EntryPoint) {
				e.StartTLS = &static.StartTLS{Protocol: "mysql"}
				e.Transport.RespondingTimeouts.HeaderTimeout = static.Duration(tt.limit)
			}, func(o *Options) { o.Relay = func(string) Relay { return r } })
			c := p.dial(t)
			got := make([]byte, len(r.says))
			if _, err := io.ReadFull(c, got); err != nil || string(got) != string(r.says) {
				t.Fatalf("greeted with %q, %v", got, err)
			}
			io.WriteString(c, tt.say)
			if tt.say == "xyzzy" {
				c.(*net.TCPConn).CloseWrite()
				if got := <-r.got; got != tt.say {
					t.Errorf("the relay got %q", got)
				}
			}
			if got, err := io.ReadAll(c); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("answered %q, %v", got, err)
			}
			waittest.Until(t, "it is over", func() bool { return p.open.Load() == 0 })
			if got := strings.Join(p.rules(), " "); got != tt.rule {
				t.Errorf("refused by %q, want %q", got, tt.rule)
			}
		})
	}
}

func TestPrefaces(t *testing.T) {
	a, b := &relayed{}, &relayed{first: 1}
	s := protocols{plain: []preface{{bytes: []byte("PRI * HTTP/2.0\r\n"), protocol: a}, {protocol: b}}}
	for first, want := range map[string]Protocol{"PRI * HTTP/2.0\r\n\r\nSM": a, "PRI": nil, "PRIX": b, "GET / HTTP/1.1": b} {
		if got := s.plaintext([]byte(first)); got != want {
			t.Errorf("%q: %v", first, got)
		}
	}
	if len(s.all()) != 2 {
		t.Errorf("%d protocols", len(s.all()))
	}
}

package gateway

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h3"
)

// startHTTP3 is startWith for an entry point that speaks all versions over TLS.
func startHTTP3(t *testing.T, change func(e *static.EntryPoint), handler exchange.Handler) *point {
	pair := certificate("h")
	return startWith(t, func(e *static.EntryPoint) {
		e.HTTP3 = &static.HTTP3{}
		if change != nil {
			change(e)
		}
	}, func(o *Options) {
		config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}}
		o.TLS = func(string) func(*exchange.Conn) *tls.Config {
			return func(*exchange.Conn) *tls.Config { return config }
		}
		o.QUIC = func(string) *tls.Config {
			return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{h3.Protocol}}
		}
		if handler != nil {
			o.Handler = func(string) exchange.Handler { return handler }
		}
	})
}

// http3Client is a client that sends everything to the entry point over QUIC.
func (p *point) http3Client(t *testing.T) *http.Client {
	tr := &http3.Transport{TLSClientConfig: clientConfig(nil), Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
		return quic.DialAddr(ctx, p.Addr().String(), tc, qc)
	}}
	t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

var tellSession = exchange.HandlerFunc(func(x *exchange.Exchange) error {
	session := "none"
	if x.Conn.Session != nil {
		session = "session"
	}
	x.Respond(200, "text/plain", []byte(strings.Join([]string{x.Request.Proto.String(), x.Request.Scheme,
		string(x.Request.Header.Get(exchange.XForwardedProto)), x.Client.String(), session}, " ")))
	x.Response.Header.Set(altSvc, "clear") // of a server that knows no better
	return nil
})

func TestHTTP3BesideTheOthers(t *testing.T) {
	p := startHTTP3(t, nil, tellSession)
	r, body := get(t, p.http3Client(t), "https://h/")
	if body != "HTTP/3.0 https https 127.0.0.1 session" || r.Header.Get("Alt-Svc") != "clear" {
		t.Errorf("HTTP/3: %q, %v", body, r.Header)
	}
	_, port, _ := net.SplitHostPort(p.Addr().String())
	for proto, protocols := range map[string]func(*http.Protocols){
		"HTTP/1.1": func(p *http.Protocols) { p.SetHTTP1(true) },
		"HTTP/2.0": func(p *http.Protocols) { p.SetHTTP2(true) },
	} {
		tr := &http.Transport{TLSClientConfig: clientConfig(nil), Protocols: new(http.Protocols)}
		protocols(tr.Protocols)
		defer tr.CloseIdleConnections()
		r, body := get(t, &http.Client{Transport: tr}, "https://"+p.Addr().String()+"/")
		if want := `h3=":` + port + `"; ma=2592000`; r.Header.Get("Alt-Svc") != want || body != proto+" https https 127.0.0.1 session" {
			t.Errorf("%s: %q, Alt-Svc %q", proto, body, r.Header.Values("Alt-Svc"))
		}
	}
	if r, _ := get(t, http.DefaultClient, "http://"+p.Addr().String()+"/"); r.Header.Get("Alt-Svc") != "clear" {
		t.Errorf("plaintext: Alt-Svc %q", r.Header.Values("Alt-Svc"))
	}
}

func TestAdvertisedPort(t *testing.T) {
	p := startHTTP3(t, func(e *static.EntryPoint) { e.HTTP3.AdvertisedPort = 443 }, nil)
	tr := &http.Transport{TLSClientConfig: clientConfig(nil)}
	defer tr.CloseIdleConnections()
	if r, _ := get(t, &http.Client{Transport: tr}, "https://"+p.Addr().String()+"/"); r.Header.Get("Alt-Svc") != `h3=":443"; ma=2592000` {
		t.Errorf("Alt-Svc %q", r.Header.Values("Alt-Svc"))
	}
}

func TestCapsHoldForTCPAndUDPTogether(t *testing.T) {
	p := startHTTP3(t, func(e *static.EntryPoint) { e.Limits.MaxConnectionsPerClient = 1 }, nil)
	c := p.dial(t)
	waittest.Until(t, "the connection is counted", func() bool { return p.open.Load() == 1 })
	if _, err := p.http3Client(t).Get("https://h/"); err == nil {
		t.Fatal("a second connection was served")
	}
	waittest.Until(t, "it is refused", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.refused) > 0 && p.refused[0] == "max_connections_per_client"
	})
	c.Close()
	waittest.Until(t, "the first has gone", func() bool { return p.open.Load() == 0 })
	get(t, p.http3Client(t), "https://h/")
}

func TestStopDrainsHTTP3(t *testing.T) {
	p := startHTTP3(t, nil, nil)
	answer := make(chan string)
	go func() {
		r, err := p.http3Client(t).Get("https://h/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer r.Body.Close()
		answer <- r.Status
	}()
	waittest.Until(t, "the request is there", func() bool { return p.slow.Load() == 1 })
	stopped := make(chan struct{})
	go func() {
		p.Stop(context.Background())
		close(stopped)
	}()
	waittest.Until(t, "it is draining", func() bool { return p.draining.Load() })
	close(p.hold)
	if got := <-answer; got != "200 OK" {
		t.Error(got)
	}
	<-stopped
	if pc, err := net.ListenPacket("udp", p.Addr().String()); err != nil {
		t.Errorf("the socket is still open: %v", err)
	} else {
		pc.Close()
	}
}

func TestHTTP3NeedsTLS(t *testing.T) {
	e := &static.EntryPoint{HTTP3: &static.HTTP3{}}
	e.SetDefaults()
	e.Address = "127.0.0.1:0"
	_, err := NewEntryPoint("web", e, Options{
		Global: &static.Global{}, Logger: slog.New(slog.DiscardHandler),
		Handler:     func(string) exchange.Handler { return nil },
		Observer:    func(string) exchange.Observer { return nil },
		Connections: func(_, _ string) func(int) { return func(int) {} },
	})
	if err == nil || !strings.Contains(err.Error(), "entry point web: http3: there is no TLS") {
		t.Errorf("%v", err)
	}
}
